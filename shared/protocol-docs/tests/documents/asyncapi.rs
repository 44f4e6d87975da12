//! The AsyncAPI document is consistent in itself.

use std::collections::BTreeSet;

use natter_protocol::CloseCode;
use serde_json::Value;

use crate::{
    assert_references_resolve, document,
    examples::{client_types, server_types},
};

fn names(of: &Value) -> BTreeSet<&str> {
    of.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn references_resolve() {
    let document = document("protocol/asyncapi.json");
    assert_eq!(document["asyncapi"], "3.0.0");
    assert_references_resolve(&document);
}

#[test]
fn every_frame_is_a_message_of_the_channel_with_a_valid_example() {
    let document = document("protocol/asyncapi.json");
    let messages = &document["components"]["messages"];
    assert_eq!(names(messages).len(), client_types().len() + server_types().len());
    assert_eq!(names(messages), names(&document["channels"]["session"]["messages"]));
    for (name, message) in messages.as_object().unwrap() {
        let schema = serde_json::json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "components": document["components"],
            "allOf": [message["payload"]],
        });
        // Schemas of AsyncAPI follow draft 7.
        let validator = jsonschema::draft7::new(&schema).unwrap();
        let examples = message["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            assert!(validator.is_valid(&example["payload"]), "{name}: {example}");
            assert_eq!(example["payload"]["type"], message["name"]);
        }
        let nonsense =
            serde_json::json!({ "type": message["name"], "id": "x", "position": 1, "device": 1, "expires_at": "x" });
        assert!(!validator.is_valid(&nonsense), "{name} takes anything");
    }
}

#[test]
fn every_message_belongs_to_an_operation() {
    let document = document("protocol/asyncapi.json");
    let mut used = BTreeSet::new();
    for operation in document["operations"].as_object().unwrap().values() {
        let replies = operation.pointer("/reply/messages").and_then(Value::as_array);
        let messages = operation["messages"].as_array().unwrap().iter().chain(replies.into_iter().flatten());
        used.extend(messages.map(|it| it["$ref"].as_str().unwrap().rsplit('/').next().unwrap()));
    }
    assert_eq!(used, names(&document["components"]["messages"]));
}

#[test]
fn every_close_code_is_told() {
    let document = document("protocol/asyncapi.json");
    let told = document["channels"]["session"]["x-close-codes"].as_array().unwrap();
    let told: Vec<_> = told.iter().map(|code| code["code"].as_u64().unwrap()).collect();
    assert_eq!(told, CloseCode::ALL.iter().map(|code| u64::from(code.number())).collect::<Vec<_>>());
}
