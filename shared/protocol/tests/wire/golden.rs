//! What the bytes of every frame and log entry are, for ever: devices and logs keep them.
//!
//! A change here is a change of the protocol. Adding a frame or an optional field is none.

use std::{collections::BTreeSet, fmt::Debug};

use natter_ids::{ClientId, ConversationId, Position, UserId};
use natter_protocol::{Change, Entry, Event, Forwarded, OverviewCursor, OverviewPosition};
use schemars::Schema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A value and its exact text.
pub type Golden<T> = (T, &'static str);

/// Both ways.
pub fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(golden: &[Golden<T>]) {
    for (value, text) in golden {
        assert_eq!(serde_json::to_string(value).unwrap(), *text);
        assert_eq!(serde_json::from_str::<T>(text).unwrap(), *value, "{text}");
    }
}

/// The values of a tag among golden texts.
pub fn tags<T>(golden: &[Golden<T>], tag: &str) -> BTreeSet<String> {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap()[tag].as_str().unwrap().to_owned();
    golden.iter().map(|(_, text)| value(text)).collect()
}

/// The values of a tag that a type knows, from its schema; `what` names it in the panic when
/// there are none.
pub fn types(what: &str, schema: &Schema, tag: &str) -> BTreeSet<String> {
    fn collect(schema: &Value, tag: &str, found: &mut BTreeSet<String>) {
        let value = schema.pointer(&format!("/properties/{tag}/const"));
        found.extend(value.and_then(Value::as_str).map(str::to_owned));
        for alternatives in ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()) {
            alternatives.iter().for_each(|alternative| collect(alternative, tag, found));
        }
    }
    let mut found = BTreeSet::new();
    collect(schema.as_value(), tag, &mut found);
    assert!(!found.is_empty(), "no {what} has a {tag}");
    found
}

pub fn alice() -> UserId {
    UserId::new("alice").unwrap()
}

pub fn bob() -> UserId {
    UserId::new("b.o*b 🦀").unwrap()
}

pub fn direct() -> ConversationId {
    ConversationId::parse("dmI9aXkWZ1WSl4RCA8TA-tQ").unwrap()
}

pub fn group() -> ConversationId {
    ConversationId::parse("gZy2ovWHEd34Jw_HHBEW65g").unwrap()
}

pub fn client_id() -> ClientId {
    ClientId::parse("0190163d-8694-739b-aea5-966c26f8ad91").unwrap()
}

pub fn overview() -> OverviewPosition {
    OverviewPosition { entries: position(), marks: position() }
}

pub fn cursor() -> OverviewCursor {
    OverviewCursor { pinned: true, active_at: 1_718_000_000_123, conversation: direct(), position: overview() }
}

pub fn position() -> Position {
    Position::from_seqs([0_u64, 1, 300, 7])
}

pub fn said() -> Event {
    let entry = Entry {
        sender: alice(),
        client_id: Some(client_id()),
        time: 1_718_000_000_123,
        change: Change::message("hi \"bob\"\n"),
    };
    Event { conversation: direct(), seq: 300, prev: 7, entry }
}

fn entries() -> Vec<Golden<Entry>> {
    [of_messages_and_members(), crate::golden_groups::entries()].concat()
}

fn of_messages_and_members() -> Vec<Golden<Entry>> {
    let entry = |change| Entry { sender: alice(), client_id: None, time: 1_718_000_000_123, change };
    let message = Change::message("hi \"bob\"\n");
    vec![
        (
            entry(Change::DirectOpened { peers: [alice(), bob()] }),
            r#"{"sender":"alice","time":1718000000123,"kind":"direct_opened","peers":["alice","b.o*b 🦀"]}"#,
        ),
        (
            entry(Change::GroupCreated { name: "crew".to_owned(), members: vec![alice(), bob()] }),
            r#"{"sender":"alice","time":1718000000123,"kind":"group_created","name":"crew","members":["alice","b.o*b 🦀"]}"#,
        ),
        (
            Entry { client_id: Some(client_id()), ..entry(message) },
            r#"{"sender":"alice","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","time":1718000000123,"kind":"message","text":"hi \"bob\"\n"}"#,
        ),
        (
            entry(Change::MemberAdded { user: bob() }),
            r#"{"sender":"alice","time":1718000000123,"kind":"member_added","user":"b.o*b 🦀"}"#,
        ),
        (
            entry(Change::MemberRemoved { user: bob() }),
            r#"{"sender":"alice","time":1718000000123,"kind":"member_removed","user":"b.o*b 🦀"}"#,
        ),
        (entry(Change::MemberLeft {}), r#"{"sender":"alice","time":1718000000123,"kind":"member_left"}"#),
    ]
}

fn changes() -> Vec<Golden<Entry>> {
    let entry = |change| Entry { sender: alice(), client_id: None, time: 1_718_000_000_123, change };
    vec![
        (
            Entry {
                client_id: Some(client_id()),
                ..entry(Change::Edited { target: 300, text: "ho".to_owned(), mentions: Vec::new() })
            },
            r#"{"sender":"alice","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","time":1718000000123,"kind":"edited","target":300,"text":"ho"}"#,
        ),
        (
            entry(Change::Edited { target: 300, text: "ho".to_owned(), mentions: vec![bob()] }),
            r#"{"sender":"alice","time":1718000000123,"kind":"edited","target":300,"text":"ho","mentions":["b.o*b 🦀"]}"#,
        ),
        (
            entry(Change::Message {
                text: "ho".to_owned(),
                reply_to: Some(300),
                forwarded: Some(Forwarded { sender: Some(bob()) }),
                mentions: vec![bob()],
            }),
            r#"{"sender":"alice","time":1718000000123,"kind":"message","text":"ho","reply_to":300,"forwarded":{"sender":"b.o*b 🦀"},"mentions":["b.o*b 🦀"]}"#,
        ),
        (
            entry(Change::Message {
                text: "ho".to_owned(),
                reply_to: None,
                forwarded: Some(Forwarded::default()),
                mentions: Vec::new(),
            }),
            r#"{"sender":"alice","time":1718000000123,"kind":"message","text":"ho","forwarded":{}}"#,
        ),
        (
            entry(Change::Deleted { target: 300 }),
            r#"{"sender":"alice","time":1718000000123,"kind":"deleted","target":300}"#,
        ),
        (
            entry(Change::Reacted { target: 300, emoji: "🦀".to_owned(), on: false }),
            r#"{"sender":"alice","time":1718000000123,"kind":"reacted","target":300,"emoji":"🦀","on":false}"#,
        ),
        (
            entry(Change::Pinned { target: 300 }),
            r#"{"sender":"alice","time":1718000000123,"kind":"pinned","target":300}"#,
        ),
        (
            entry(Change::Unpinned { target: 300 }),
            r#"{"sender":"alice","time":1718000000123,"kind":"unpinned","target":300}"#,
        ),
        (
            entry(Change::TimerSet { seconds: 3600 }),
            r#"{"sender":"alice","time":1718000000123,"kind":"timer_set","seconds":3600}"#,
        ),
        (
            entry(Change::Erased { was: "message".to_owned() }),
            r#"{"sender":"alice","time":1718000000123,"kind":"erased","was":"message"}"#,
        ),
    ]
}

#[test]
fn the_kind_is_told_as_on_the_wire() {
    for (entry, text) in entries().into_iter().chain(changes()) {
        let read: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read["kind"], entry.change.kind(), "{text}");
        assert_eq!(read["target"].as_u64(), entry.change.target(), "{text}");
    }
}

#[test]
fn log_entries_are_pinned() {
    check(&entries());
    check(&changes());
}

#[test]
fn every_kind_of_entry_is_pinned() {
    let tags = &tags(&entries(), "kind") | &tags(&changes(), "kind");
    assert_eq!(tags, types("entry", &schemars::schema_for!(Entry), "kind"));
}
