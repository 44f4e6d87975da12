//! Schemas as Markdown.

use std::fmt::Write;

use serde_json::{Map, Value};

/// A table.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// The fields of an object schema, one row each, without those in `except`.
pub(crate) fn fields(schema: &Value, except: &[&str]) -> String {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let shown = properties.iter().filter(|(name, _)| !except.contains(&name.as_str()));
    let rows: Vec<_> = shown
        .map(|(name, field)| {
            let needed = if is_required(schema, name) { "always" } else { "may be absent" };
            vec![format!("`{name}`"), type_name(field), needed.to_owned(), description(field)]
        })
        .collect();
    if rows.is_empty() {
        "No fields besides `type`.\n".to_owned()
    } else {
        table(&["field", "type", "", "meaning"], rows)
    }
}

/// Names of the fields of an object schema, for a table's cell.
pub(crate) fn field_list(schema: &Value, except: &[&str]) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let shown = properties.into_iter().flatten().filter(|(name, _)| !except.contains(&name.as_str()));
    let fields: Vec<_> = shown
        .map(|(name, field)| {
            let text = description(field);
            format!("`{name}` ({}): {text}", type_name(field))
        })
        .collect();
    if fields.is_empty() { "none".to_owned() } else { fields.join(" ") }
}

pub(crate) fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|it| it == name))
}

/// The name of a type for people.
fn type_name(schema: &Value) -> String {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let name = target.rsplit('/').next().unwrap_or(target);
        let place = match name {
            "ErrorCode" => "error-codes",
            "Limits" => "limits",
            _ => "types",
        };
        return format!("[{name}](#{place})");
    }
    let alternatives = schema.get("anyOf").and_then(Value::as_array);
    if let Some(given) = alternatives.and_then(|alternatives| alternatives.iter().find(|it| it["type"] != "null")) {
        return type_name(given);
    }
    let name = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().find(|of| *of != "null").and_then(Value::as_str),
        of => of.and_then(Value::as_str),
    };
    match name {
        Some("array") => format!("list of {}", schema.get("items").map(type_name).unwrap_or_default()),
        Some("integer") => "number".to_owned(),
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

/// A JSON value in a fenced block whose label tells the tests what it must parse as.
pub(crate) fn example(label: &str, value: &Value) -> String {
    format!("```json {label}\n{value}\n```\n")
}
