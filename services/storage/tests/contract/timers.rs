//! Messages that disappear.

use natter_ids::ClientId;
use natter_protocol::{Change, Entry};

use crate::{
    changes::{SECRET, history, holding, said},
    database::Database,
    log::{Log, text, user},
};

/// When everything in these logs is said.
const TIME: u64 = 1_700_000_000_000;

/// A message goes when its time has come, with its edits, from every table; what was said before the
/// timer was set, and after it was taken off, stays.
pub async fn messages_disappear_when_they_are_due(database: &Database) {
    let store = database.open().await;
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
    assert_eq!(store.expire(TIME + 9_999, 10).await.unwrap(), 0);
    assert_eq!(holding(database, SECRET).await.len(), 3, "not before their time");
    assert_eq!(store.expire(TIME + 10_000, 1).await.unwrap(), 1, "a round is bounded");
    assert_eq!(store.expire(TIME + 10_000, 10).await.unwrap(), 1);
    assert_eq!(store.expire(TIME + 10_000, 10).await.unwrap(), 0);

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
    assert_eq!(store.expire(TIME + 1_000, 10).await.unwrap(), 1);
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
    store.expire(TIME + 1_000, 10).await.unwrap();
    assert_eq!(holding(database, "erasures: ").await.len(), 2);
    assert_eq!(holding(database, SECRET).await, [""; 0]);
}
