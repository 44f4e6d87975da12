//! What a device missed.

use natter_ids::{Partition, Position};
use natter_protocol::{Change, Event};

use crate::{
    database::{Database, PARTITIONS},
    log::{Log, drain, page, start, texts},
};

fn of(log: &Log, names: &[&natter_ids::ConversationId]) -> Vec<Event> {
    log.events.values().filter(|event| names.contains(&&event.conversation)).cloned().collect()
}

pub async fn what_was_missed_comes_by_partition_and_number(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let mine: Vec<_> = (0..12).map(|number| log.direct("me", &format!("peer {number}"))).collect();
    let others = log.direct("x", "y");
    for round in 0..60 {
        log.say(&mine[round * 5 % 12], "me", &format!("m{round}"));
        log.say(&others, "x", "not mine");
    }
    log.archive(&store).await;
    let mine: Vec<_> = mine.iter().collect();
    let expected = of(&log, &mine);
    assert!(expected.iter().any(|event| event.seq > 20), "partitions are shared");
    for limit in [1, 10, 71, 72, 73, 1_000] {
        assert_eq!(drain(&store, "me", &start(), &log.position(), limit).await, expected, "limit {limit}");
    }
    assert_eq!(drain(&store, "me", &log.position(), &log.position(), 10).await, []);
    assert_eq!(drain(&store, "x", &start(), &log.position(), 10).await, of(&log, &[&others]));
}

pub async fn a_full_page_tells_where_to_go_on(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    // One conversation in every partition.
    let mut chats = Vec::new();
    for number in 0.. {
        let peer = format!("peer {number}");
        let id = natter_ids::ConversationId::direct(&crate::log::user("me"), &crate::log::user(&peer));
        if usize::from(Partition::of(&id, PARTITIONS).0) == chats.len() {
            chats.push(log.direct("me", &peer));
        }
        if chats.len() == usize::from(PARTITIONS) {
            break;
        }
    }
    for chat in &chats {
        for said in ["one", "two", "three", "four"] {
            log.say(chat, "me", said);
        }
    }
    log.archive(&store).await;
    assert_eq!(log.position().seqs(), [5, 5, 5]);
    let cases: [(u32, [u64; 3], bool); 5] = [
        (3, [3, 0, 0], true),
        (5, [5, 0, 0], true),
        (7, [5, 2, 0], true),
        (14, [5, 5, 4], true),
        (15, [5, 5, 5], false),
    ];
    for (limit, seqs, more) in cases {
        let page = page(&store, "me", &start(), &log.position(), limit).await;
        assert_eq!(page.events.len(), limit as usize);
        assert_eq!((page.position.seqs(), page.more), (&seqs[..], more), "limit {limit}");
    }
    let upto = Position::from_seqs([2, 9, 1]);
    let page = page(&store, "me", &Position::from_seqs([1, 4, 1]), &upto, 10).await;
    let seen: Vec<_> = page.events.iter().map(|event| (event.partition.0, event.seq)).collect();
    assert_eq!((seen, page.more), (vec![(0, 2), (1, 5)], false));
    assert_eq!(page.position, upto);
}

pub async fn spans_begin_and_end_inside(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a"]);
    log.say(&group, "a", "before");
    let added = log.add(&group, "a", "b");
    let seen = log.say(&group, "a", "seen");
    let removed = log.remove(&group, "a", "b");
    log.say(&group, "a", "between");
    log.archive(&store).await;
    let numbers = async |after: &Position, log: &Log| -> Vec<u64> {
        drain(&store, "b", after, &log.position(), 2).await.iter().map(|event| event.seq).collect()
    };
    assert_eq!(numbers(&start(), &log).await, [added, seen, removed]);
    let away_at = log.position();
    log.say(&group, "a", "still between");
    let back = log.add(&group, "a", "b");
    let after = log.say(&group, "a", "seen again");
    let left = log.append(&group, "b", Change::MemberLeft {});
    log.say(&group, "a", "after");
    log.archive(&store).await;
    assert_eq!(numbers(&start(), &log).await, [added, seen, removed, back, after, left]);
    assert_eq!(numbers(&away_at, &log).await, [back, after, left]);
}

pub async fn a_position_never_goes_back(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    log.say(&chat, "a", "x");
    log.archive(&store).await;
    let ahead = Position::from_seqs(vec![1_000; PARTITIONS.into()]);
    let reply = page(&store, "b", &ahead, &log.position(), 10).await;
    assert_eq!((reply.events.len(), reply.position, reply.more), (0, ahead, false));
    let unknown = Position::from_seqs([0]);
    let reply = page(&store, "b", &unknown, &log.position(), 10).await;
    assert_eq!((reply.events.len(), reply.position), (2, log.position()), "of fewer partitions");
}

pub async fn pages_are_bounded_in_bytes(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (chat, other) = (log.direct("a", "b"), log.direct("b", "c"));
    let after = {
        log.archive(&store).await;
        log.position()
    };
    let long = "\u{1}".repeat(10_000);
    for _ in 0..12 {
        log.say(&chat, "a", &long);
        log.say(&other, "c", &long);
    }
    let huge = log.say(&chat, "a", &"x".repeat(600_000));
    log.archive(&store).await;
    let first = page(&store, "b", &after, &log.position(), 1_000).await;
    let bytes: usize = first.events.iter().map(|event| event.event.get().len()).sum();
    assert!(first.more && bytes <= 512 * 1024 && bytes > 400 * 1024, "{bytes} bytes");
    let events = drain(&store, "b", &after, &log.position(), 1_000).await;
    assert_eq!(events.len(), 25);
    assert!(events.iter().any(|event| event.seq == huge && event.conversation == chat), "one of any size gets through");
}

pub async fn many_conversations_are_merged(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let quiet: Vec<_> = (0..150).map(|number| log.direct("me", &format!("quiet {number}"))).collect();
    let busy = log.group("me", "busy", &["me", "you"]);
    log.archive(&store).await;
    let after = log.position();
    for round in 0..400 {
        log.say(&busy, "you", &format!("busy {round}"));
        if round % 2 == 1 {
            log.say(&quiet[round * 7 % 150], "me", &format!("quiet {round}"));
        }
    }
    log.archive(&store).await;
    let expected: Vec<_> = log
        .events
        .iter()
        .filter(|((partition, seq), _)| *seq > after.get(*partition))
        .map(|(_, event)| event.clone())
        .collect();
    for limit in [9, 100, 1_000] {
        let events = drain(&store, "me", &after, &log.position(), limit).await;
        assert_eq!(texts(&events), texts(&expected), "limit {limit}");
    }
}
