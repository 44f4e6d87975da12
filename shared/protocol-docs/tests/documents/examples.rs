//! The examples cover every frame.

use natter_protocol::{ClientFrame, Event, ServerFrame};
use natter_protocol_docs::{client_examples, server_examples};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// The values of a tag that a type's schema knows.
pub fn tags_of(schema: &Value, tag: &str) -> BTreeSet<String> {
    let own = schema.pointer(&format!("/properties/{tag}/const")).and_then(Value::as_str).map(str::to_owned);
    let alternatives = ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    own.into_iter().chain(alternatives.flat_map(|inner| tags_of(inner, tag))).collect()
}

fn tags_in<T: Serialize>(values: &[T], tag: &str) -> BTreeSet<String> {
    let tag_of = |value| serde_json::to_value(value).unwrap()[tag].as_str().map(str::to_owned);
    values.iter().filter_map(tag_of).collect()
}

pub fn client_types() -> BTreeSet<String> {
    tags_of(schemars::schema_for!(ClientFrame).as_value(), "type")
}

pub fn server_types() -> BTreeSet<String> {
    tags_of(schemars::schema_for!(ServerFrame).as_value(), "type")
}

#[test]
fn every_frame_and_kind_has_an_example() {
    assert_eq!(tags_in(&client_examples(), "type"), client_types());
    assert_eq!(tags_in(&server_examples(), "type"), server_types());
    let kinds = tags_of(schemars::schema_for!(Event).as_value(), "kind");
    assert_eq!(kinds.len(), 21);
    assert_eq!(tags_in(&server_examples(), "kind"), kinds);
}
