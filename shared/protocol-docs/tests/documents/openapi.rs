//! The OpenAPI document is consistent in itself.

use std::collections::BTreeSet;

use natter_protocol::ErrorCode;
use serde_json::Value;

use crate::{assert_references_resolve, document};

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

#[test]
fn references_resolve() {
    let document = document("protocol/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_references_resolve(&document);
}

#[test]
fn every_example_is_valid() {
    let document = document("protocol/openapi.json");
    let mut count = 0;
    for (name, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap().values();
        let contents =
            responses.chain(operation.get("requestBody")).filter_map(|it| it.pointer("/content/application~1json"));
        for content in contents {
            let schema = serde_json::json!({ "components": document["components"], "allOf": [content["schema"]] });
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let named = content.get("examples").and_then(Value::as_object).into_iter().flatten();
            let examples: Vec<_> =
                content.get("example").into_iter().chain(named.map(|(_, it)| &it["value"])).collect();
            assert!(!examples.is_empty(), "{name}");
            for example in examples {
                assert!(validator.is_valid(example), "{name}: {example}");
                assert!(!validator.is_valid(&serde_json::json!({})), "{name} takes anything");
                count += 1;
            }
        }
    }
    assert!(count > 50, "only {count} examples were found");
}

#[test]
fn every_refusal_has_the_status_of_its_code_and_every_code_appears() {
    let document = document("protocol/openapi.json");
    let mut told = BTreeSet::new();
    for (name, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let codes = response.pointer("/content/application~1json/schema/properties/code/enum");
            for code in codes.and_then(Value::as_array).into_iter().flatten() {
                let code: ErrorCode = serde_json::from_value(code.clone()).unwrap();
                // A request that is no upgrade has a status of its own (RFC 9110, section 15.5.22).
                assert!(*status == code.http_status().to_string() || status == "426", "{name}: {code} with {status}");
                assert!(
                    !code.is_retryable() || response.get("headers").is_some(),
                    "{name}: {code} without Retry-After"
                );
                told.insert(code.as_str());
            }
        }
    }
    // These answer what HTTP cannot ask for, or no operation at all.
    let elsewhere = ["device_revoked", "too_many_devices"];
    let all: BTreeSet<_> =
        ErrorCode::ALL.iter().map(|code| code.as_str()).filter(|code| !elsewhere.contains(code)).collect();
    assert_eq!(told, all);
}

#[test]
fn parameters_of_a_path_are_described() {
    let document = document("protocol/openapi.json");
    for (name, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path: Vec<_> =
            parameters.iter().filter(|it| it["in"] == "path").map(|it| it["name"].as_str().unwrap()).collect();
        let expected: Vec<_> = name.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(in_path, expected, "{name}");
    }
}
