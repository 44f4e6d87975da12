//! OpenAPI 3.1 of the HTTP API.

use std::collections::BTreeMap;

use natter_protocol::{ErrorBody, ErrorCode, SUBPROTOCOL};
use serde_json::{Map, Value, json};

use crate::{
    http_api::{EVERYWHERE, Operation, Parameter, operations},
    wire::{Wire, refer},
};

const SCHEMAS: &str = "#/components/schemas/";

pub(crate) fn document(wire: &Wire) -> anyhow::Result<Value> {
    let mut paths: Map<String, Value> = Map::new();
    paths.insert("/v1/ws".to_owned(), json!({ "get": connect()? }));
    for operation in operations()? {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(&operation)?;
    }
    let types = wire.types.iter().filter(|(name, _)| is_in_http(name));
    let schemas: Map<_, _> = types.map(|(name, schema)| (name.clone(), schema.clone())).collect();
    let document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Natter",
            "version": "1",
            "summary": "Chat delivery: the HTTP side of a gateway.",
            "description": "Beside the WebSocket of `asyncapi.json`: for clients that poll, and for what browsers \
                need before they connect. Any other path or method is answered with 404 and the code `not_found`. \
                An `Origin` header that is not on the gateway's allowlist is refused with `origin_forbidden`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:8080", "description": "A gateway; any will do." }],
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "`sub` names the user." },
            },
        },
    });
    Ok(refer(document, SCHEMAS))
}

/// Close codes and sessions exist on WebSockets only.
fn is_in_http(name: &str) -> bool {
    !matches!(name, "CloseCode" | "SessionId" | "Limits")
}

fn describe(operation: &Operation) -> anyhow::Result<Value> {
    let answer = json!({
        "description": "Done.",
        "content": content(operation.answer.name, &operation.answer.example),
    });
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": operation.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(operation.status, answer, operation.errors.iter().chain(EVERYWHERE))?,
    });
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({ "required": true, "content": content(body.name, &body.example) });
    }
    Ok(described)
}

fn parameter(parameter: &Parameter) -> Value {
    // Everything else that a query may hold has a default.
    let required = parameter.place == "path" || parameter.name == "seq";
    let Parameter { name, place, description, schema } = parameter;
    json!({ "name": name, "in": place, "required": required, "description": description, "schema": schema })
}

fn content(name: &str, example: &Value) -> Value {
    json!({ "application/json": { "schema": { "$ref": format!("#/$defs/{name}") }, "example": example } })
}

fn responses<'a>(status: u16, answer: Value, errors: impl Iterator<Item = &'a ErrorCode>) -> anyhow::Result<Value> {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in errors {
        by_status.entry(code.http_status()).or_default().push(*code);
    }
    let mut responses = Map::new();
    responses.insert(status.to_string(), answer);
    for (status, codes) in by_status {
        responses.insert(status.to_string(), refusal(&codes)?);
    }
    Ok(Value::Object(responses))
}

/// The answer with one of these codes, which share a status.
fn refusal(codes: &[ErrorCode]) -> anyhow::Result<Value> {
    let meaning: Vec<_> = codes.iter().map(|code| format!("`{code}`: {}", code.sentence())).collect();
    let examples = codes
        .iter()
        .map(|code| Ok((code.to_string(), json!({ "value": serde_json::to_value(ErrorBody::new(*code))? }))));
    let examples = examples.collect::<anyhow::Result<Map<_, _>>>()?;
    let schema = json!({
        "allOf": [{ "$ref": "#/$defs/ErrorBody" }],
        "properties": { "code": { "enum": codes } },
    });
    let mut refusal = json!({
        "description": meaning.join("\n\n"),
        "content": { "application/json": { "schema": schema, "examples": examples } },
    });
    if codes.iter().any(|code| code.is_retryable()) {
        refusal["headers"] = json!({ "Retry-After": {
            "description": "`retry_after_ms` in seconds, rounded up.",
            "schema": { "type": "integer", "minimum": 0 },
        } });
    }
    Ok(refusal)
}

/// `GET /v1/ws`, which ends HTTP.
fn connect() -> anyhow::Result<Value> {
    let answer = json!({
        "description": "A session begins: see `asyncapi.json`.",
        "headers": { "Sec-WebSocket-Protocol": { "schema": { "const": SUBPROTOCOL } } },
    });
    let errors = [ErrorCode::Malformed].iter().chain(EVERYWHERE);
    let mut responses = responses(101, answer, errors)?;
    let mut upgrade = refusal(&[ErrorCode::Malformed])?;
    upgrade["description"] = json!("The request is no WebSocket upgrade of version 13.");
    responses["426"] = upgrade;
    Ok(json!({
        "operationId": "connect",
        "summary": "Opens a session (RFC 6455).",
        "description": "The token comes in `Authorization`, beside the subprotocol as `natter.bearer.<token>` or \
            `natter.ticket.<ticket>`, or later in `hello`. It is never echoed.",
        "security": [{ "bearer": [] }, {}],
        "parameters": [{
            "name": "Sec-WebSocket-Protocol", "in": "header", "required": true,
            "description": "Every version that the client speaks, and possibly a credential.",
            "schema": { "type": "string" },
            "example": format!("{SUBPROTOCOL}, natter.ticket.Yb1o4XGvTz0cQ0mZ8yqk2m5S8o1vYw3pR7tKc9uJx4E"),
        }],
        "responses": responses,
    }))
}
