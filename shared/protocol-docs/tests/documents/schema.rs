//! The JSON Schema accepts what the wire types write and refuses what they would not read.

use jsonschema::{Validator, draft202012};
use natter_protocol::{ClientFrame, CloseCode, ErrorCode, decode_client_frame};
use natter_protocol_docs::{client_examples, server_examples};
use serde_json::{Value, json};

use crate::{
    assert_references_resolve, document,
    examples::{client_types, server_types, tags_of},
};

fn schema() -> Value {
    document("protocol/natter.v1.schema.json")
}

/// The schema of one definition.
fn validator(schema: &Value, name: &str) -> Validator {
    let mut of = schema.clone();
    let fields = of.as_object_mut().unwrap();
    fields.shift_remove("anyOf");
    assert!(schema["$defs"].get(name).is_some(), "no `{name}`");
    fields.insert("$ref".to_owned(), format!("#/$defs/{name}").into());
    draft202012::new(&of).unwrap()
}

#[test]
fn it_is_a_valid_schema() {
    assert!(draft202012::meta::validate(&schema()).is_ok());
    assert_references_resolve(&schema());
}

#[test]
fn it_knows_every_frame_and_code() {
    let schema = schema();
    let frames = |side: &str| -> std::collections::BTreeSet<String> {
        let alternatives = schema["$defs"][side]["oneOf"].as_array().unwrap();
        let resolved =
            alternatives.iter().map(|it| schema.pointer(it["$ref"].as_str().unwrap().trim_start_matches('#')));
        resolved.flat_map(|frame| tags_of(frame.unwrap(), "type")).collect()
    };
    assert_eq!(frames("ClientFrame"), client_types());
    assert_eq!(frames("ServerFrame"), server_types());
    let constants = |name: &str| -> Vec<Value> {
        schema["$defs"][name]["oneOf"].as_array().unwrap().iter().map(|it| it["const"].clone()).collect()
    };
    assert_eq!(constants("ErrorCode"), ErrorCode::ALL.iter().map(|code| json!(code.as_str())).collect::<Vec<_>>());
    assert_eq!(constants("CloseCode"), CloseCode::ALL.iter().map(|code| json!(code.number())).collect::<Vec<_>>());
}

#[test]
fn every_example_is_valid_on_its_side() {
    let schema = schema();
    let (client, server, either) =
        (validator(&schema, "ClientFrame"), validator(&schema, "ServerFrame"), draft202012::new(&schema).unwrap());
    for frame in client_examples().iter().map(|frame| serde_json::to_value(frame).unwrap()) {
        assert!(client.is_valid(&frame), "{frame}: {:?}", client.iter_errors(&frame).collect::<Vec<_>>());
        assert!(either.is_valid(&frame) && !server.is_valid(&frame), "{frame}");
    }
    for frame in server_examples().iter().map(|frame| serde_json::to_value(frame).unwrap()) {
        assert!(server.is_valid(&frame), "{frame}: {:?}", server.iter_errors(&frame).collect::<Vec<_>>());
        assert!(either.is_valid(&frame), "{frame}");
        // An answer may have the type of its request; its other fields are then unknown ones.
        let shared = client_types().contains(frame["type"].as_str().unwrap());
        assert!(shared || !client.is_valid(&frame), "{frame}");
    }
}

/// Flattened and untagged types are where a derived schema may say something else than serde.
/// Taking a field away, or giving it another form, must make a difference for both or for neither.
#[test]
fn it_agrees_with_the_decoder_about_every_field() {
    let client = validator(&schema(), "ClientFrame");
    let mut refused = 0;
    for frame in client_examples().iter().map(|frame| serde_json::to_value(frame).unwrap()) {
        let names: Vec<_> = frame.as_object().unwrap().keys().cloned().collect();
        for name in names {
            let mut without = frame.clone();
            without.as_object_mut().unwrap().shift_remove(&name);
            let other_forms = [json!(null), json!(true), json!(-1), json!(1.5), json!({}), json!(""), json!([1])];
            let changed = other_forms.into_iter().map(|form| {
                let mut changed = frame.clone();
                changed[&name] = form;
                changed
            });
            for frame in changed.chain([without]) {
                let read = decode_client_frame(&frame.to_string());
                assert_eq!(client.is_valid(&frame), read.is_ok(), "{name} in {frame}: {read:?}");
                refused += usize::from(read.is_err());
            }
        }
    }
    assert!(refused > 100, "only {refused} changes were refused");
}

#[test]
fn unknown_fields_are_allowed_and_unknown_types_are_not() {
    let schema = schema();
    for (side, frames) in [
        ("ClientFrame", client_examples().iter().map(|frame| serde_json::to_value(frame).unwrap()).collect::<Vec<_>>()),
        ("ServerFrame", server_examples().iter().map(|frame| serde_json::to_value(frame).unwrap()).collect()),
    ] {
        let validator = validator(&schema, side);
        for mut frame in frames {
            frame["x_invented_later"] = json!({ "any": ["thing"] });
            assert!(validator.is_valid(&frame), "{frame}");
            frame["type"] = json!("x_invented_later");
            assert!(!validator.is_valid(&frame), "{frame}");
        }
    }
}

/// Gateways leave out what is absent; a schema that allowed `null` would make clients expect it.
#[test]
fn gateways_never_send_null() {
    let server = validator(&schema(), "ServerFrame");
    let sent = json!({ "type": "error", "code": "internal", "message": "Oh." });
    assert!(server.is_valid(&sent));
    for field in ["id", "retry_after_ms", "limit"] {
        let mut with_null = sent.clone();
        with_null[field] = Value::Null;
        assert!(!server.is_valid(&with_null), "{field}");
    }
}

/// A pattern in the schema for every check that an id makes of its text.
#[test]
fn ids_are_held_to_their_form() {
    let client = validator(&schema(), "ClientFrame");
    let frame = |conversation: &str| json!({ "type": "leave", "id": 1, "conversation": conversation });
    assert!(client.is_valid(&frame("gAAAAAAAAAAAAAAAAAAAAAA")));
    for wrong in ["", "x", "gAAAAAAAAAAAAAAAAAAAAAAA", "hAAAAAAAAAAAAAAAAAAAAAA", "g.AAAAAAAAAAAAAAAAAAAAA"] {
        assert!(!client.is_valid(&frame(wrong)), "{wrong}");
        assert!(serde_json::from_value::<ClientFrame>(frame(wrong)).is_err(), "{wrong}");
    }
}
