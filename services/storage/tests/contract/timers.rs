//! Messages that disappear.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use natter_bus::storage_api::{Message, Overview, Pinned};
use natter_ids::{ClientId, Partition};
use natter_protocol::{Change, Entry};

use crate::{
    changes::{SECRET, history, holding, kinds, reacted, said},
    database::{Database, PARTITIONS},
    log::{Log, drain, start, text, user},
};

/// When everything in these logs is said.
const TIME: u64 = 1_700_000_000_000;

/// A message goes when its time has come, with its edits, from every table; what was said before the
/// timer was set, and after it was taken off, stays.
pub async fn messages_disappear_when_they_are_due(database: &Database) {
    let store = database.open().await.with_clock(|| TIME);
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    log.say(&chat, "a", "before");
    log.append(&chat, "a", Change::TimerSet { seconds: 10 });
    let first = log.say(&chat, "a", SECRET);
    log.archive(&store).await;
    let second = log.say(&chat, "b", &format!("{SECRET}, too"));
    let edit = Change::Edited { target: second, text: format!("{SECRET}, edited"), mentions: Vec::new() };
    log.append(&chat, "b", edit);
    log.append(&chat, "b", Change::TimerSet { seconds: 0 });
    log.say(&chat, "b", "after");
    log.archive(&store).await;

    let page = history(&store, "b", &chat, false).await;
    let due: Vec<_> = page.states.iter().map(|state| (state.seq, state.expires_at)).collect();
    assert_eq!(due, [(first, Some(TIME + 10_000)), (second, Some(TIME + 10_000))]);
    let expire = async |now, limit| store.expire(Partition::of(&chat, PARTITIONS), now, limit).await.unwrap();
    assert_eq!(expire(TIME + 9_999, 10).await, 0);
    assert_eq!(holding(database, SECRET).await.len(), 3, "not before their time");
    assert_eq!(expire(TIME + 10_000, 1).await, 1, "a round is bounded");
    assert_eq!(expire(TIME + 10_000, 10).await, 1);
    assert_eq!(expire(TIME + 10_000, 10).await, 0);

    assert_eq!(holding(database, SECRET).await, [""; 0]);
    assert_eq!(holding(database, "expirations: ").await, [""; 0]);
    assert_eq!(holding(database, "erasures: ").await.len(), 3, "the log lets go of them too");
    let page = history(&store, "b", &chat, false).await;
    assert_eq!((said(&page), page.states.len()), (vec!["before", "after"], 0));
    let erased = Change::Erased { was: "message".to_owned() };
    assert_eq!(page.events.iter().filter(|event| event.entry.change == erased).count(), 2);
}

/// In a group only its owner's timer counts, and a message that was deleted by hand is not awaited.
pub async fn only_the_owner_of_a_group_sets_its_timer(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("owner", "g", &["owner", "b"]);
    log.append(&group, "b", Change::TimerSet { seconds: 1 });
    log.say(&group, "b", "stays");
    log.append(&group, "owner", Change::TimerSet { seconds: 1 });
    let gone = log.say(&group, "b", "deleted");
    log.append(&group, "b", Change::Deleted { target: gone });
    log.say(&group, "b", "disappears");
    log.archive(&store).await;
    assert_eq!(store.expire(Partition::of(&group, PARTITIONS), TIME + 1_000, 10).await.unwrap(), 1);
    assert_eq!(said(&history(&store, "b", &group, false).await), ["stays"]);
}

/// An entry that repeats a message is not awaited either, and is erased with it.
pub async fn a_repeat_disappears_with_the_first(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    log.append(&chat, "a", Change::TimerSet { seconds: 1 });
    let client_id = Some(ClientId::at(1_000));
    log.append_entry(&chat, Entry { sender: user("a"), client_id, time: TIME, change: text(SECRET) });
    log.repeat(&chat);
    log.archive(&store).await;
    assert_eq!(holding(database, "expirations: ").await.len(), 1);
    store.expire(Partition::of(&chat, PARTITIONS), TIME + 1_000, 10).await.unwrap();
    assert_eq!(holding(database, "erasures: ").await.len(), 2);
    assert_eq!(holding(database, SECRET).await, [""; 0]);
}

/// From the moment on no answer holds its text, nor that of an edit, though nothing has taken it away yet.
pub async fn what_is_due_is_shown_no_more(database: &Database) {
    let clock = Arc::new(AtomicU64::new(TIME + 9_999));
    let now = Arc::clone(&clock);
    let store = database.open().await.with_clock(move || now.load(Ordering::Relaxed));
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    log.say(&chat, "a", "it stays");
    log.append(&chat, "a", Change::TimerSet { seconds: 10 });
    let first = log.say(&chat, "a", SECRET);
    let edit = Change::Edited { target: first, text: format!("{SECRET}, edited"), mentions: Vec::new() };
    log.append(&chat, "a", edit);
    log.append(&chat, "b", reacted(first, "👍", true));
    log.append(&chat, "b", Change::Pinned { target: first });
    log.append(&chat, "a", Change::TimerSet { seconds: 0 });
    let last = log.say(&chat, "a", "it stays, too");
    log.append(&chat, "a", Change::Deleted { target: last });
    log.append(&chat, "a", Change::TimerSet { seconds: 10 });
    let newest = log.say(&chat, "a", &format!("{SECRET}, at last"));
    log.archive(&store).await;
    let answers = async || {
        let asked = Pinned { user: user("b"), conversation: chat.clone(), before: None, limit: 10, block: None };
        let pinned = store.pinned(&asked).await.unwrap();
        let asked = Message {
            user: user("b"),
            conversation: chat.clone(),
            seq: first,
            at_least: 0,
            with_text: true,
            block: None,
        };
        let message = store.message(&asked).await.unwrap().unwrap();
        let asked = Overview {
            user: user("b"),
            since: None,
            after: None,
            limit: 10,
            requests: natter_protocol::ShowRequests::Without,

            blocks: Vec::new(),
        };
        let overview = store.overview(&asked).await.unwrap();
        let missed = drain(&store, "b", &start(), &log.position(), 100).await;
        let pages = [history(&store, "b", &chat, false).await, history(&store, "b", &chat, true).await];
        (pinned, message, overview, missed, pages)
    };
    let (pinned, message, overview, missed, pages) = answers().await;
    let holds = |answer: String| answer.contains(SECRET);
    assert!(holds(format!("{pinned:?}")) && holds(format!("{message:?}")) && holds(format!("{overview:?}")));
    assert!(holds(format!("{missed:?}")) && pages.iter().all(|page| holds(format!("{page:?}"))));

    clock.store(TIME + 10_000, Ordering::Relaxed);
    let (pinned, message, overview, missed, pages) = answers().await;
    assert_eq!(holding(database, SECRET).await.len(), 3, "it is still there");
    let all = format!("{pinned:?} {message:?} {overview:?} {missed:?} {pages:?}");
    assert!(!all.contains(SECRET), "{all}");
    assert!(message.deleted && pinned.events.is_empty() && pages.iter().all(|page| page.states.is_empty()));
    assert_eq!(said(&pages[0]), ["it stays"]);
    assert_eq!(missed.len(), 12, "every entry has its place");
    assert_eq!(overview.conversations[0].last.as_ref().unwrap().seq, newest);
    store.expire(Partition::of(&chat, PARTITIONS), TIME + 10_000, 10).await.unwrap();
    assert_eq!(answers().await.4, pages, "as it is left");
    assert!(kinds(&pages[1]).contains(&(first + 1, "erased")));
}

/// What cannot be erased yet, and what another partition has, takes nobody's place.
pub async fn a_partition_waits_for_no_other(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chats: Vec<_> = (0..12).map(|number| log.direct("a", &format!("b{number}"))).collect();
    let mut due = std::collections::BTreeMap::<_, Vec<_>>::new();
    for chat in &chats {
        log.append(chat, "a", Change::TimerSet { seconds: 1 });
        for _ in 0..3 {
            let client_id = Some(ClientId::at(1_000));
            let entry = Entry { sender: user("a"), client_id, time: TIME, change: text("x") };
            due.entry(Partition::of(chat, PARTITIONS)).or_default().push(log.append_entry(chat, entry));
            log.say(chat, "a", "y");
        }
    }
    log.archive(&store).await;
    assert_eq!(due.len(), PARTITIONS as usize);
    for (partition, seqs) in due {
        assert_eq!(store.expire(partition, TIME + 1_000, 100).await.unwrap(), 2 * seqs.len());
        let erasures = async |upto, limit| store.due_erasures(partition, 1_000_000, upto, limit).await.unwrap();
        assert_eq!(erasures(u64::MAX, 100).await, seqs, "those whose ids are old");
        assert_eq!(erasures(seqs[1], 100).await, seqs[..2], "as far as the log was read");
        assert_eq!(erasures(u64::MAX, 2).await, seqs[..2]);
        store.erased(partition, &seqs[..2]).await.unwrap();
        assert_eq!(erasures(u64::MAX, 2).await, seqs[2..4]);
    }
}
