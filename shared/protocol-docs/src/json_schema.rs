//! JSON Schema 2020-12 of every frame and HTTP body.

use natter_protocol::SUBPROTOCOL;
use serde_json::{Map, Value, json};

use crate::wire::{Frame, Wire};

/// Where the checked-in file can be read.
const ID: &str = "https://github.com/natter-chat/natter/raw/main/docs/protocol/natter.v1.schema.json";

pub(crate) fn document(wire: &Wire) -> Value {
    let mut defs = Map::new();
    defs.insert("ClientFrame".to_owned(), one_of("A frame from client to gateway.", &wire.client));
    defs.insert("ServerFrame".to_owned(), one_of("A frame from gateway to client.", &wire.server));
    for frame in wire.client.iter().chain(&wire.server) {
        defs.insert(frame.name.clone(), frame.schema.clone());
    }
    defs.extend(wire.types.clone());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": SUBPROTOCOL,
        "description": "The frames of Natter's WebSocket subprotocol, and under `$defs` each of them, the types they \
            are made of, and the bodies of the HTTP API. Unknown fields are allowed everywhere and ignored.",
        "anyOf": [{ "$ref": "#/$defs/ClientFrame" }, { "$ref": "#/$defs/ServerFrame" }],
        "$defs": defs,
    })
}

fn one_of(description: &str, frames: &[Frame]) -> Value {
    let alternatives: Vec<_> =
        frames.iter().map(|frame| json!({ "$ref": format!("#/$defs/{}", frame.name) })).collect();
    json!({ "description": description, "oneOf": alternatives })
}
