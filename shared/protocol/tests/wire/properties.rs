//! What holds for every value of the wire types, and for texts that are none.

use std::{collections::BTreeSet, fmt::Debug};

use natter_protocol::{
    ClientFrame, Entry, ErrorCode, Event, ServerFrame, Undecodable, decode_client_frame, event_frame,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    golden::types,
    strategies::{client_frame, entry, event, position, server_frame, text},
};

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

fn parse<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

/// How a text is damaged.
#[derive(Debug, Clone)]
enum Damage {
    Truncate(prop::sample::Index),
    FlipBit(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Replace(Vec<u8>),
}

impl Damage {
    fn inflict(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        match self {
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Self::FlipBit(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Insert(at, junk) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, junk.iter().copied());
            }
            Self::Replace(junk) => bytes.clone_from(junk),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let junk = || prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Truncate),
        (any::<prop::sample::Index>(), 0_u8..8).prop_map(|(at, bit)| Damage::FlipBit(at, bit)),
        (any::<prop::sample::Index>(), junk()).prop_map(|(at, junk)| Damage::Insert(at, junk)),
        junk().prop_map(Damage::Replace),
    ]
}

/// Puts a field that no version knows into every object of a value, except into those of `extra`.
fn with_unknown_fields(mut value: Value, extra: &Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for field in fields.values_mut() {
                *field = with_unknown_fields(field.take(), extra);
            }
            fields.insert("x_invented_later".to_owned(), extra.clone());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = with_unknown_fields(item.take(), extra)),
        _ => {}
    }
    value
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn client_frames_come_back(frame in client_frame()) {
        let text = json(&frame);
        prop_assert_eq!(decode_client_frame(&text).unwrap(), frame.clone());
        prop_assert_eq!(parse::<ClientFrame>(&text), frame, "the derived reading agrees");
    }

    #[test]
    fn server_frames_come_back(frame in server_frame()) {
        prop_assert_eq!(parse::<ServerFrame>(&json(&frame)), frame);
    }

    #[test]
    fn entries_and_events_come_back(entry in entry(), event in event()) {
        prop_assert_eq!(parse::<Entry>(&json(&entry)), entry);
        prop_assert_eq!(parse::<Event>(&json(&event)), event);
    }

    #[test]
    fn an_event_frame_built_around_json_is_the_serialized_one(position in position(), event in event()) {
        let frame = ServerFrame::Event { position: position.clone(), event: event.clone() };
        prop_assert_eq!(event_frame(&position, &json(&event)), json(&frame));
    }

    #[test]
    fn damaged_client_frames_are_refused_or_read_but_never_panic(frame in client_frame(), damage in damage()) {
        if let Err(Undecodable { error, .. }) = decode_client_frame(&damage.inflict(&json(&frame))) {
            let possible = [ErrorCode::Malformed, ErrorCode::UnknownType, ErrorCode::InvalidPosition];
            prop_assert!(possible.contains(&error.code), "{error:?}");
            prop_assert!(!error.message.is_empty());
            prop_assert_eq!(error.retry_after_ms, None);
        }
    }

    #[test]
    fn a_truncated_frame_is_always_malformed(frame in client_frame(), at in any::<prop::sample::Index>()) {
        let refused = decode_client_frame(&Damage::Truncate(at).inflict(&json(&frame))).unwrap_err();
        prop_assert_eq!((refused.id, refused.error.code), (None, ErrorCode::Malformed));
    }

    #[test]
    fn damaged_server_frames_entries_and_events_never_panic(
        frame in server_frame(),
        entry in entry(),
        event in event(),
        damage in damage(),
    ) {
        drop(serde_json::from_str::<ServerFrame>(&damage.inflict(&json(&frame))));
        drop(serde_json::from_str::<Entry>(&damage.inflict(&json(&entry))));
        drop(serde_json::from_str::<Event>(&damage.inflict(&json(&event))));
        drop(event_frame(&natter_ids::Position::start(4), &damage.inflict(&json(&event))));
    }

    #[test]
    fn unknown_fields_are_ignored(
        client in client_frame(),
        server in server_frame(),
        entry in entry(),
        extra in anything(),
    ) {
        let extended = |value: &dyn Fn() -> Value| with_unknown_fields(value(), &extra).to_string();
        let text = extended(&|| serde_json::to_value(&client).unwrap());
        prop_assert_eq!(decode_client_frame(&text).unwrap(), client.clone());
        let text = extended(&|| serde_json::to_value(&server).unwrap());
        prop_assert_eq!(parse::<ServerFrame>(&text), server.clone());
        let text = extended(&|| serde_json::to_value(&entry).unwrap());
        prop_assert_eq!(parse::<Entry>(&text), entry.clone());
    }

    #[test]
    fn unknown_types_are_answered_with_the_id(frame in client_frame(), kind in text(), id in any::<u64>()) {
        let kind = format!("x_{kind}");
        let mut value = serde_json::to_value(&frame).unwrap();
        value["type"] = kind.into();
        value["id"] = id.into();
        let refused = decode_client_frame(&value.to_string()).unwrap_err();
        prop_assert_eq!((refused.id, refused.error.code), (Some(id), ErrorCode::UnknownType));
        prop_assert!(serde_json::from_value::<ServerFrame>(value).is_err());
    }
}

/// A variant without a strategy would not be tested above.
#[test]
fn the_strategies_reach_every_frame_and_kind() {
    let mut runner = TestRunner::deterministic();
    let (mut client, mut server, mut kinds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for _ in 0..2_000 {
        client.insert(tag(&client_frame(), "type", &mut runner));
        server.insert(tag(&server_frame(), "type", &mut runner));
        kinds.insert(tag(&entry(), "kind", &mut runner));
    }
    assert_eq!(client, types("client frame", &schemars::schema_for!(ClientFrame), "type"));
    assert_eq!(server, types("server frame", &schemars::schema_for!(ServerFrame), "type"));
    assert_eq!(kinds, types("entry", &schemars::schema_for!(Entry), "kind"));
}

fn tag<T: Serialize + Debug>(values: &impl Strategy<Value = T>, tag: &str, runner: &mut TestRunner) -> String {
    let value = values.new_tree(runner).unwrap().current();
    serde_json::to_value(&value).unwrap()[tag].as_str().unwrap().to_owned()
}
