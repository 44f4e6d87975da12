//! The generated documents are current, consistent and true.

#![allow(clippy::unwrap_used)]

mod asyncapi;
mod examples;
mod openapi;
mod page;
mod schema;

use std::fs;

use natter_protocol_docs::{docs_dir, generate};
use serde_json::Value;

/// A generated JSON document.
fn document(path: &str) -> Value {
    let documents = generate(&docs_dir()).unwrap();
    let found = documents.iter().find(|document| document.path == path);
    serde_json::from_str(&found.unwrap_or_else(|| panic!("{path} is not generated")).text).unwrap()
}

/// Calls `seen` for every object in a value, with the path to it.
fn each_object<'a>(value: &'a Value, path: &str, seen: &mut dyn FnMut(&str, &'a serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            seen(path, fields);
            fields.iter().for_each(|(name, value)| each_object(value, &format!("{path}/{name}"), seen));
        }
        Value::Array(items) => items.iter().for_each(|item| each_object(item, path, seen)),
        _ => {}
    }
}

/// Every `$ref` points into the document itself, at something that is there.
fn assert_references_resolve(document: &Value) {
    let mut count = 0;
    each_object(document, "", &mut |path, fields| {
        let Some(target) = fields.get("$ref") else { return };
        let pointer = target.as_str().and_then(|target| target.strip_prefix('#'));
        let pointer = pointer.unwrap_or_else(|| panic!("{path}: `{target}` leads elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{path}: nothing at `{target}`");
        count += 1;
    });
    assert!(count > 50, "only {count} references were found");
}

#[test]
fn the_checked_in_documents_are_current() {
    let docs = docs_dir();
    for document in generate(&docs).unwrap() {
        let checked_in = fs::read_to_string(docs.join(document.path)).unwrap_or_default();
        assert!(
            checked_in == document.text,
            "docs/{} does not follow the wire types any more: run `./justw generate` (or `cargo run -p \
             natter-protocol-docs`) and commit what it changes.",
            document.path
        );
    }
}
