//! AsyncAPI 3.0 of the WebSocket. The application described is the gateway: it receives what
//! clients send.

use std::collections::BTreeMap;

use anyhow::Context;
use natter_protocol::{ClientFrame, CloseCode, SUBPROTOCOL};
use serde_json::{Map, Value, json};

use crate::{
    advice,
    examples::client_examples,
    wire::{Frame, Wire, refer},
};

const SCHEMAS: &str = "#/components/schemas/";

pub(crate) fn document(wire: &Wire) -> anyhow::Result<Value> {
    let frames = || wire.client.iter().chain(&wire.server);
    let channel: Map<_, _> = frames().map(|frame| (frame.name.clone(), reference("components", frame))).collect();
    let messages: Map<_, _> = frames().map(|frame| (frame.name.clone(), message(frame))).collect();
    let mut schemas = wire.types.clone();
    schemas.extend(frames().map(|frame| (frame.name.clone(), frame.schema.clone())));
    let mut schemas = Value::Object(schemas);
    wrap_references(&mut schemas);
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Natter",
            "version": "1",
            "description": "Chat delivery: the WebSocket of a gateway, subprotocol `natter.v1`, one JSON object per \
                text frame. `protocol.md` explains it; `openapi.json` describes the HTTP side.",
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": { "gateway": {
            "host": "127.0.0.1:8080", "protocol": "ws", "description": "A gateway; any will do.",
            "security": [{ "$ref": "#/components/securitySchemes/bearer" }],
        } },
        "channels": { "session": {
            "address": "/v1/ws",
            "title": "A session of a device",
            "description": "Begins with `hello` and `welcome`; ends with a close code, see `x-close-codes`.",
            "messages": channel,
            "bindings": { "ws": { "method": "GET", "headers": {
                "type": "object",
                "properties": { "Sec-WebSocket-Protocol": {
                    "type": "string",
                    "description": format!("Offers `{SUBPROTOCOL}`, and possibly `natter.bearer.<token>` or `natter.ticket.<ticket>`."),
                } },
                "required": ["Sec-WebSocket-Protocol"],
            }, "bindingVersion": "0.1.0" } },
            "x-close-codes": close_codes(),
        } },
        "operations": operations(wire)?,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": { "bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "In `Authorization`, as a pseudo-subprotocol, as a ticket, or in `hello`.",
            } },
        },
    });
    Ok(refer(document, SCHEMAS))
}

fn reference(place: &str, frame: &Frame) -> Value {
    match place {
        "components" => json!({ "$ref": format!("#/components/messages/{}", frame.name) }),
        channel => json!({ "$ref": format!("#/channels/{channel}/messages/{}", frame.name) }),
    }
}

fn message(frame: &Frame) -> Value {
    let examples: Vec<_> = frame.examples.iter().map(|payload| json!({ "payload": payload })).collect();
    let mut message = json!({
        "name": frame.kind,
        "summary": frame.description(),
        "payload": { "$ref": format!("{SCHEMAS}{}", frame.name) },
        "examples": examples,
    });
    if frame.schema.pointer("/properties/id").is_some() {
        message["correlationId"] = json!({ "location": "$message.payload#/id" });
    }
    message
}

/// One operation per frame that clients send, with its answers, and one per frame that gateways
/// send unasked.
fn operations(wire: &Wire) -> anyhow::Result<Map<String, Value>> {
    let channel = json!({ "$ref": "#/channels/session" });
    let server = |kind: &str| {
        let frame = wire.server.iter().find(|frame| frame.kind == kind);
        frame.map(|frame| reference("session", frame)).with_context(|| format!("no frame `{kind}` answers"))
    };
    let answers = answers()?;
    let mut operations = Map::new();
    for frame in &wire.client {
        let answer = answers.get(&frame.kind).with_context(|| format!("no example of `{}`", frame.kind))?;
        let mut operation = json!({
            "action": "receive",
            "channel": channel,
            "summary": frame.description(),
            "messages": [reference("session", frame)],
        });
        if let Some(answer) = answer {
            operation["reply"] = json!({ "channel": channel, "messages": [server(answer)?, server("error")?] });
        }
        operations.insert(format!("receive{}", frame.name), operation);
    }
    for frame in wire.server.iter().filter(|frame| !answers.values().flatten().any(|answer| *answer == frame.kind)) {
        operations.insert(
            format!("send{}", frame.name),
            json!({
                "action": "send",
                "channel": channel,
                "summary": frame.description(),
                "messages": [reference("session", frame)],
            }),
        );
    }
    Ok(operations)
}

/// What answers each frame that clients send, by `type`.
fn answers() -> anyhow::Result<BTreeMap<String, Option<&'static str>>> {
    let pair = |example: &ClientFrame| {
        let kind = serde_json::to_value(example)?["type"].as_str().context("a frame without a type")?.to_owned();
        Ok((kind, advice::answer(example)))
    };
    client_examples().iter().map(pair).collect()
}

fn close_codes() -> Vec<Value> {
    let code = |code: &CloseCode| {
        let (number, reason, action) = (code.number(), code.reason(), advice::on_close(*code));
        json!({ "code": number, "reason": reason, "reconnect": code.reconnect(), "action": action })
    };
    CloseCode::ALL.iter().map(code).collect()
}

/// Schemas of AsyncAPI follow JSON Schema draft 7, where a reference hides what stands beside it.
fn wrap_references(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.len() > 1
                && let Some(target) = fields.shift_remove("$ref")
            {
                fields.insert("allOf".to_owned(), json!([{ "$ref": target }]));
            }
            fields.values_mut().for_each(wrap_references);
        }
        Value::Array(items) => items.iter_mut().for_each(wrap_references),
        _ => {}
    }
}
