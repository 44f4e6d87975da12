//! Single rules, on histories short enough to read.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use natter_checker::{Attempt, DeviceStart, History, Kind, Outcome, Received, Recorder, Span, Via, check};
use natter_ids::{ClientId, ConversationId, DeviceId, Seq, UserId};
use natter_protocol::{Change, Entry, Event};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

fn room() -> ConversationId {
    ConversationId::direct(&user("alice"), &user("bob"))
}

fn id(n: u64) -> ClientId {
    ClientId::parse(&format!("00000000-0000-7000-8000-{n:012x}")).unwrap()
}

fn try_to_send(recorder: &Recorder, sender: &str, n: u64, text: &str) {
    let (sender, change) = (user(sender), Change::message(text));
    recorder.attempt(Attempt { sender, conversation: room(), client_id: id(n), change });
}

fn send(recorder: &Recorder, sender: &str, n: u64, text: &str, seq: Seq) {
    try_to_send(recorder, sender, n, text);
    recorder.outcome(id(n), Outcome::Accepted { seq });
}

fn message(sender: &str, n: u64, text: &str, seq: Seq, prev: Seq) -> Event {
    let change = Change::message(text);
    let entry = Entry { sender: user(sender), client_id: Some(id(n)), time: seq, change };
    Event { conversation: room(), seq, prev, entry }
}

fn get(recorder: &Recorder, who: &str, session: u64, event: Event) {
    let device = device(&format!("{who}-phone"));
    recorder.received(Received { user: user(who), device, session, via: Via::Session, event });
}

fn member(recorder: &Recorder, who: &str, from: Seq, to: Option<Seq>) {
    recorder.member(Span { user: user(who), conversation: room(), from, to });
}

/// Alice and Bob are members, and have a device each, from the first entry.
fn two_people() -> Recorder {
    let recorder = Recorder::new();
    for who in ["alice", "bob"] {
        member(&recorder, who, 1, None);
        let device = device(&format!("{who}-phone"));
        recorder.start(DeviceStart { user: user(who), device, conversation: room(), from: 1 });
    }
    recorder
}

/// The violations as sentences.
fn found(recorder: &Recorder) -> Vec<String> {
    check(&recorder.history()).iter().map(ToString::to_string).collect()
}

fn kinds(recorder: &Recorder) -> Vec<Kind> {
    check(&recorder.history()).iter().map(natter_checker::Violation::kind).collect()
}

#[test]
fn sentences_name_everything_but_the_text() {
    let recorder = two_people();
    send(&recorder, "alice", 1, "secret", 5);
    get(&recorder, "alice", 1, message("alice", 1, "secret", 5, 0));
    let conversation = room();
    let sentence = format!(
        "lost: \"bob\" on device bob-phone never got entry 5 of {conversation} \
         (client id 00000000-0000-7000-8000-000000000001)"
    );
    assert_eq!(found(&recorder), [sentence]);
}

#[test]
fn an_unanswered_message_may_appear_or_not_but_for_everybody() {
    let recorder = two_people();
    try_to_send(&recorder, "alice", 1, "never answered");
    try_to_send(&recorder, "alice", 2, "given up");
    recorder.outcome(id(2), Outcome::Unknown);
    assert_eq!(kinds(&recorder), []);
    get(&recorder, "alice", 1, message("alice", 2, "given up", 5, 0));
    assert_eq!(kinds(&recorder), [Kind::Lost]);
    get(&recorder, "bob", 1, message("alice", 2, "given up", 5, 0));
    assert_eq!(kinds(&recorder), []);
    get(&recorder, "alice", 1, message("alice", 2, "given up", 6, 5));
    get(&recorder, "bob", 1, message("alice", 2, "given up", 6, 5));
    assert_eq!(kinds(&recorder), [Kind::Duplicated]);
}

#[test]
fn a_refusal_of_a_retry_does_not_unsay_the_first_attempt() {
    let recorder = two_people();
    try_to_send(&recorder, "alice", 1, "hello");
    try_to_send(&recorder, "alice", 1, "hello");
    recorder.outcome(id(1), Outcome::Refused);
    get(&recorder, "alice", 1, message("alice", 1, "hello", 5, 0));
    get(&recorder, "bob", 1, message("alice", 1, "hello", 5, 0));
    assert_eq!(kinds(&recorder), []);
}

#[test]
fn another_text_under_the_same_id_must_not_appear() {
    let recorder = two_people();
    send(&recorder, "alice", 1, "first", 5);
    try_to_send(&recorder, "alice", 1, "second");
    recorder.outcome(id(1), Outcome::Refused);
    for who in ["alice", "bob"] {
        get(&recorder, who, 1, message("alice", 1, "first", 5, 0));
    }
    assert_eq!(kinds(&recorder), []);
    get(&recorder, "bob", 2, message("alice", 1, "second", 5, 0));
    assert_eq!(kinds(&recorder), [Kind::Phantom, Kind::Divergent]);
}

#[test]
fn a_retry_that_is_accepted_under_another_number_is_a_second_message() {
    let recorder = two_people();
    send(&recorder, "alice", 1, "hello", 5);
    send(&recorder, "alice", 1, "hello", 9);
    for who in ["alice", "bob"] {
        get(&recorder, who, 1, message("alice", 1, "hello", 5, 0));
        get(&recorder, who, 1, message("alice", 1, "hello", 9, 5));
    }
    assert_eq!(kinds(&recorder), [Kind::Duplicated]);
}

#[test]
fn what_was_sent_after_an_acceptance_has_a_larger_number() {
    let recorder = two_people();
    send(&recorder, "alice", 1, "one", 9);
    send(&recorder, "alice", 2, "two", 5);
    for who in ["alice", "bob"] {
        get(&recorder, who, 1, message("alice", 2, "two", 5, 0));
        get(&recorder, who, 1, message("alice", 1, "one", 9, 5));
    }
    assert_eq!(kinds(&recorder), [Kind::Reordered]);
    // Both under way at once: the log may order them as it likes.
    let recorder = two_people();
    try_to_send(&recorder, "alice", 1, "one");
    send(&recorder, "alice", 2, "two", 5);
    recorder.outcome(id(1), Outcome::Accepted { seq: 9 });
    for who in ["alice", "bob"] {
        get(&recorder, who, 1, message("alice", 2, "two", 5, 0));
        get(&recorder, who, 1, message("alice", 1, "one", 9, 5));
    }
    assert_eq!(kinds(&recorder), []);
}

#[test]
fn a_later_session_may_repeat_but_not_fill_in_backwards() {
    let recorder = two_people();
    send(&recorder, "alice", 1, "one", 5);
    send(&recorder, "alice", 2, "two", 6);
    for session in [1, 2] {
        get(&recorder, "alice", session, message("alice", 1, "one", 5, 0));
        get(&recorder, "alice", session, message("alice", 2, "two", 6, 5));
    }
    get(&recorder, "bob", 1, message("alice", 1, "one", 5, 0));
    get(&recorder, "bob", 2, message("alice", 2, "two", 6, 5));
    assert_eq!(kinds(&recorder), []);
    let recorder = two_people();
    send(&recorder, "bob", 1, "one", 5);
    send(&recorder, "bob", 2, "two", 6);
    for who in ["alice", "bob"] {
        get(&recorder, who, 1, message("bob", 2, "two", 6, 5));
        get(&recorder, who, 2, message("bob", 1, "one", 5, 0));
    }
    assert_eq!(kinds(&recorder), [Kind::Reordered, Kind::Reordered]);
}

#[test]
fn a_device_is_owed_entries_from_its_start_within_its_users_spans() {
    let recorder = two_people();
    send(&recorder, "alice", 1, "one", 5);
    get(&recorder, "alice", 1, message("alice", 1, "one", 5, 0));
    get(&recorder, "bob", 1, message("alice", 1, "one", 5, 0));
    // A second device of Bob's begins late, a third one never said from where it is owed.
    let start = |name: &str, from| DeviceStart { user: user("bob"), device: device(name), conversation: room(), from };
    recorder.start(start("tablet", 6));
    assert_eq!(kinds(&recorder), []);
    recorder.start(start("laptop", 0));
    assert_eq!(kinds(&recorder), [Kind::Lost]);
    // Bob was removed before: then nothing is owed, and what he got has leaked.
    member(&recorder, "bob", 1, Some(4));
    assert_eq!(kinds(&recorder), [Kind::Leaked]);
}

#[test]
fn an_entry_known_only_from_a_link_is_missed() {
    let recorder = two_people();
    send(&recorder, "alice", 1, "one", 5);
    for who in ["alice", "bob"] {
        get(&recorder, who, 1, message("alice", 1, "one", 5, 3));
    }
    assert_eq!(kinds(&recorder), [Kind::Lost, Kind::Lost]);
}

#[test]
fn a_message_that_is_not_answered_in_time_is_stuck() {
    let time = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&time);
    let recorder = Recorder::with_clock(move || Duration::from_millis(clock.load(Relaxed)));
    recorder.bound(Duration::from_secs(5));
    try_to_send(&recorder, "alice", 1, "hello");
    recorder.broken("storage");
    time.store(20_000, Relaxed);
    assert_eq!(found(&recorder), [""; 0], "it is broken");
    recorder.mended();
    time.store(25_000, Relaxed);
    assert_eq!(found(&recorder), [""; 0], "it is due");
    time.store(25_200, Relaxed);
    let sentence = format!(
        "stuck: message 00000000-0000-7000-8000-000000000001 of \"alice\" to {} was not answered, or only \
         5.2 s after storage was mended: 5.0 s is the bound",
        room()
    );
    assert_eq!(found(&recorder), [sentence]);
    recorder.outcome(id(1), Outcome::Refused);
    assert_eq!(kinds(&recorder), [Kind::Stuck], "a late answer is still late");
}

#[test]
fn lines_of_another_form_are_named() {
    let line = r#"{"received":{"device":0,"session":1,"via":"session","event":0}}"#;
    let error = History::from_lines([line]).unwrap_err().to_string();
    assert_eq!(error, "line 1 is not one of a history: there is no device 0 yet");
    assert!(History::from_lines(["{}"]).is_err());
    assert!(History::from_lines(["x"]).is_err());
    assert_eq!(History::from_lines([""; 0]).unwrap(), History::default());
}

/// 300 devices that each receive 2,000 messages: seconds, also without optimisation.
#[test]
fn a_large_room_is_checked_in_time() {
    let (devices, messages) = (300, 2_000);
    let recorder = Recorder::new();
    let users: Vec<_> = (0..devices).map(|n| user(&format!("user {n}"))).collect();
    let phone = device("phone");
    for user in &users {
        recorder.member(Span { user: user.clone(), conversation: room(), from: 1, to: None });
    }
    for seq in 1..=messages {
        let sender = format!("user {}", seq % devices);
        let text = "The quick brown fox jumps over the lazy dog.";
        send(&recorder, &sender, seq, text, seq);
        let event = message(&sender, seq, text, seq, seq - 1);
        for user in &users {
            let (user, device, event) = (user.clone(), phone.clone(), event.clone());
            recorder.received(Received { user, device, session: 1, via: Via::Session, event });
        }
    }
    let history = recorder.history();
    assert_eq!(history.receipts(), 600_000);
    let begin = Instant::now();
    assert_eq!(check(&history), []);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}
