//! Pages of history.

use natter_bus::storage_api::History;
use natter_ids::{ConversationId, Seq};
use natter_protocol::{Change, Event, HistoryPage};
use natter_storage::Store;

use crate::{
    database::Database,
    log::{Log, user},
};

async fn read(
    store: &Store,
    who: &str,
    of: &ConversationId,
    before: Option<Seq>,
    after: Option<Seq>,
    limit: u32,
) -> HistoryPage {
    let asked = History { user: user(who), conversation: of.clone(), before, after, limit, edits: false, block: None };
    store.history(&asked).await.unwrap()
}

fn numbers(page: &HistoryPage) -> Vec<Seq> {
    page.events.iter().map(|event| event.seq).collect()
}

/// The whole history, page by page, from the newest to the oldest and the other way round.
async fn both_ways(store: &Store, who: &str, of: &ConversationId, limit: u32) -> [Vec<Event>; 2] {
    let mut back: Vec<Event> = Vec::new();
    let mut page = read(store, who, of, None, None, limit).await;
    loop {
        assert!(page.events.len() <= limit as usize);
        back.splice(0..0, page.events);
        if !page.more {
            break;
        }
        page = read(store, who, of, back.first().map(|event| event.seq), None, limit).await;
    }
    let mut forth: Vec<Event> = Vec::new();
    loop {
        let after = forth.last().map_or(0, |event| event.seq);
        let page = read(store, who, of, None, Some(after), limit).await;
        assert!(page.events.len() <= limit as usize);
        forth.extend(page.events);
        if !page.more {
            return [back, forth];
        }
    }
}

pub async fn pages_in_both_directions(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let elsewhere = log.direct("a", "c");
    for number in 0..20 {
        log.say(&chat, "a", &format!("message {number}"));
        log.say(&elsewhere, "a", "other");
    }
    log.archive(&store).await;
    let expected: Vec<_> = log.events.values().filter(|event| event.conversation == chat).cloned().collect();
    let seqs: Vec<_> = expected.iter().map(|event| event.seq).collect();
    for limit in [1, 7, 21, 100] {
        assert_eq!(both_ways(&store, "b", &chat, limit).await, [expected.clone(), expected.clone()], "{limit}");
    }
    let newest = read(&store, "b", &chat, None, None, 3).await;
    assert_eq!((numbers(&newest), newest.more), (seqs[18..].to_vec(), true));
    let exact = read(&store, "b", &chat, Some(seqs[3]), None, 3).await;
    assert_eq!((numbers(&exact), exact.more), (seqs[..3].to_vec(), false));
    let between = read(&store, "b", &chat, Some(seqs[9]), Some(seqs[5]), 2).await;
    assert_eq!((numbers(&between), between.more), (seqs[7..9].to_vec(), true), "the newest between two numbers");
    let beyond = read(&store, "b", &chat, None, Some(seqs[20]), 5).await;
    assert_eq!((numbers(&beyond), beyond.more), (vec![], false));
    let first = read(&store, "b", &chat, Some(0), None, 5).await;
    assert_eq!((numbers(&first), first.more), (vec![], false));
}

pub async fn only_spans_of_membership_are_visible(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a"]);
    let mut visible = Vec::new();
    for _ in 0..12 {
        log.say(&group, "a", "unseen");
        visible.push(log.add(&group, "a", "b"));
        visible.extend([log.say(&group, "a", "seen"), log.say(&group, "b", "seen")]);
        visible.push(log.append(&group, "b", Change::MemberLeft {}));
        log.say(&group, "a", "unseen");
    }
    visible.push(log.add(&group, "a", "b"));
    log.archive(&store).await;
    for limit in [1, 3, 10, 1_000] {
        for events in both_ways(&store, "b", &group, limit).await {
            assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), visible, "{limit}");
        }
    }
}

pub async fn pages_are_bounded_in_bytes(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let long = "x".repeat(60_000);
    for _ in 0..20 {
        log.say(&chat, "a", &long);
    }
    log.archive(&store).await;
    let page = read(&store, "b", &chat, None, None, 1_000).await;
    assert!(page.more && page.events.len() == 8, "{} of 60,000 bytes fit", page.events.len());
    let [back, forth] = both_ways(&store, "b", &chat, 1_000).await;
    assert_eq!((back.len(), forth.len()), (21, 21));
}
