//! The generated parts of `docs/protocol.md`.

use std::fmt::Write;

use anyhow::{Context, ensure};
use natter_protocol::{CloseCode, ErrorCode, Limits};
use serde_json::Value;

use crate::{
    advice,
    http_api::{EVERYWHERE, Operation, operations},
    markdown::{description, example, field_list, fields, table},
    wire::{Frame, Wire},
};

/// Replaces what stands between each pair of marks.
pub(crate) fn fill(page: &str, wire: &Wire) -> anyhow::Result<String> {
    let parts = [
        ("client frames", frames(&wire.client)),
        ("server frames", frames(&wire.server)),
        ("types", types(wire)),
        ("http", http()?),
        ("limits", limits(wire)?),
        ("error codes", error_codes(wire)?),
        ("close codes", close_codes(wire)?),
    ];
    parts.into_iter().try_fold(page.to_owned(), |page, (name, text)| replace(&page, name, &text))
}

fn replace(page: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- begin generated: {name} -->\n"), format!("<!-- end generated: {name} -->"));
    let missing = || format!("protocol.md lacks the line `{}`", begin.trim_end());
    let (before, rest) = page.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("protocol.md lacks the line `{end}`"))?;
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

fn frames(frames: &[Frame]) -> String {
    let mut text = String::new();
    for frame in frames {
        let heading = format!("#### `{}`", frame.kind);
        let _ = write!(text, "{heading}\n\n{}\n\n{}\n", frame.description(), fields(&frame.schema, &["type"]));
        if let Some(kinds) = kinds(&frame.schema) {
            text.push_str(&alternatives(kinds));
        }
        let label = if frame.name.starts_with("Client") { "client" } else { "server" };
        for value in &frame.examples {
            text.push_str(&example(label, value));
            text.push('\n');
        }
    }
    text
}

/// What happened, of an event: the alternatives beside its own fields.
fn kinds(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array)
}

/// The kinds of an event, beside its own fields.
fn alternatives(kinds: &[Value]) -> String {
    // The last is whatever a later version knows.
    let rows = kinds.iter().filter_map(|kind| {
        let name = kind.pointer("/properties/kind/const").and_then(Value::as_str)?;
        Some(vec![format!("`{name}`"), description(kind), field_list(kind, &["kind"])])
    });
    format!(
        "Its `kind` tells what happened, and which fields it has besides:\n\n{}\n",
        table(&["kind", "meaning", "fields"], rows)
    )
}

/// Types that are not whole frames or bodies.
fn types(wire: &Wire) -> String {
    let mut text = String::new();
    let is_object = |schema: &Value| schema.get("properties").is_some();
    let (objects, scalars): (Vec<_>, Vec<_>) = wire.types.iter().partition(|(_, schema)| is_object(schema));
    let scalars = scalars.into_iter().filter(|(name, _)| !matches!(name.as_str(), "CloseCode" | "ErrorCode"));
    let rows = scalars.map(|(name, schema)| {
        let pattern = schema.get("pattern").and_then(Value::as_str).map(|pattern| format!("`{pattern}`"));
        let words = schema.get("oneOf").and_then(Value::as_array).map(|words| {
            let words = words
                .iter()
                .map(|word| format!("`{}`: {}", word["const"].as_str().unwrap_or_default(), description(word)));
            words.collect::<Vec<_>>().join(" ")
        });
        vec![name.clone(), wire.type_description(name).to_owned(), pattern.or(words).unwrap_or_default()]
    });
    text.push_str(&table(&["type", "meaning", "form"], rows));
    for (name, schema) in objects {
        if name == "Limits" {
            continue;
        }
        let _ = write!(text, "\n**{name}**. {}\n\n{}", wire.type_description(name), fields(schema, &[]));
        if kinds(schema).is_some() {
            text.push_str("\nand `kind` with the fields that [`event`](#event) lists.\n");
        }
    }
    text
}

fn http() -> anyhow::Result<String> {
    let mut text = String::new();
    for operation in operations()? {
        let Operation { method, path, summary, description, .. } = &operation;
        let _ = write!(text, "#### `{} {path}`\n\n{summary} {description}\n\n", method.to_uppercase());
        if !operation.parameters.is_empty() {
            let rows = operation.parameters.iter().map(|parameter| {
                vec![format!("`{}`", parameter.name), parameter.place.to_owned(), parameter.description.to_owned()]
            });
            let _ = writeln!(text, "{}", table(&["parameter", "in", "meaning"], rows));
        }
        let _ = write!(text, "```sh\n{}\n```\n\n", curl(&operation));
        let _ = write!(text, "Answers {} with [{}](#types):\n\n", operation.status, operation.answer.name);
        let _ = writeln!(text, "{}", example(operation.answer.name, &operation.answer.example));
        let own = operation.errors.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>();
        if !own.is_empty() {
            let _ = write!(text, "Errors of its own: {}.\n\n", own.join(", "));
        }
    }
    let all = EVERYWHERE.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>();
    let _ = writeln!(text, "Every request may also be refused with {}.", all.join(", "));
    Ok(text)
}

fn curl(operation: &Operation) -> String {
    let mut path = operation.path.to_owned();
    if path.contains("{conversation}") {
        path = path.replace("{conversation}", "$CONVERSATION").replace("{seq}", "1205");
    }
    path = path.replace("{device}", "old-laptop").replace("{user}", "mallory").replace("{invite}", "$INVITE");
    let query = match operation.id {
        "readBacklog" => "?position=$POSITION",
        "listConversations" | "listMembers" => "?limit=50",
        "readHistory" => "?before=1206&limit=50",
        "readPresence" => "?user=bob&user=carol",
        "readReceipts" => "?seq=2040",
        "listReactors" => "?limit=50",
        _ => "",
    };
    let mut command = "curl -H \"Authorization: Bearer $TOKEN\"".to_owned();
    if operation.method != "get" {
        let _ = write!(command, " -X {}", operation.method.to_uppercase());
    }
    if let Some(body) = &operation.body {
        let _ = write!(command, " -H 'Content-Type: application/json' \\\n  -d '{}' \\\n ", body.example);
    }
    format!("{command} \"$GATEWAY{path}{query}\"")
}

fn limits(wire: &Wire) -> anyhow::Result<String> {
    let defaults = serde_json::to_value(Limits::default())?;
    let schema = wire.types.get("Limits").context("no type `Limits`")?;
    let properties = schema.get("properties").and_then(Value::as_object).context("limits without fields")?;
    let row = |(name, field): (&String, &Value)| {
        let beyond =
            advice::beyond_limit(name).with_context(|| format!("say in `advice.rs` what `{name}` leads to"))?;
        Ok(vec![format!("`{name}`"), defaults[name].to_string(), description(field), beyond.to_owned()])
    };
    let rows = properties.iter().map(row).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(table(&["limit", "default", "meaning", "beyond it"], rows))
}

fn error_codes(wire: &Wire) -> anyhow::Result<String> {
    let variants = variants(wire, "ErrorCode")?;
    ensure!(variants.len() == ErrorCode::ALL.len(), "not every error code is described");
    let rows = ErrorCode::ALL.iter().zip(variants).map(|(code, variant)| {
        let status = code.http_status().to_string();
        vec![
            format!("`{code}`"),
            status,
            description(variant),
            advice::retry(*code),
            advice::on_error(*code).to_owned(),
        ]
    });
    Ok(table(&["code", "HTTP", "meaning", "repeat unchanged?", "what a client does"], rows))
}

fn close_codes(wire: &Wire) -> anyhow::Result<String> {
    let variants = variants(wire, "CloseCode")?;
    let rows = CloseCode::ALL.iter().zip(variants).map(|(code, variant)| {
        let back = if code.reconnect() { "yes" } else { "no" };
        let (number, reason) = (code.number().to_string(), format!("`{}`", code.reason()));
        vec![number, reason, description(variant), back.to_owned(), advice::on_close(*code).to_owned()]
    });
    Ok(table(&["code", "reason", "meaning", "come back by itself?", "what a client does"], rows))
}

fn variants<'a>(wire: &'a Wire, name: &str) -> anyhow::Result<&'a Vec<Value>> {
    let variants = wire.types.get(name).and_then(|schema| schema.get("oneOf")).and_then(Value::as_array);
    variants.with_context(|| format!("`{name}` has no described variants"))
}
