//! What later entries make of messages.

use natter_bus::storage_api::{FindMessage, History, Pinned};
use natter_ids::{ClientId, ConversationId, Partition, Seq};
use natter_protocol::{Change, Entry, Event, HistoryPage, MessageState, Role};
use natter_storage::Store;
use sqlx::{AnyConnection, Connection, Row};

use crate::{
    database::{Database, PARTITIONS},
    log::{Log, drain, start, text, user},
};

pub const SECRET: &str = "the secret of the well";

pub async fn history(store: &Store, who: &str, of: &ConversationId, edits: bool) -> HistoryPage {
    let asked = History {
        user: user(who),
        conversation: of.clone(),
        before: None,
        after: None,
        limit: 1_000,
        edits,
        block: None,
    };
    store.history(&asked).await.unwrap()
}

pub fn kinds(page: &HistoryPage) -> Vec<(Seq, &str)> {
    page.events.iter().map(|event| (event.seq, event.entry.change.kind())).collect()
}

pub fn said(page: &HistoryPage) -> Vec<&str> {
    let text = |event: &'_ Event| matches!(event.entry.change, Change::Message { .. });
    page.events.iter().filter(|event| text(event)).map(text_of).collect()
}

fn text_of(event: &Event) -> &str {
    match &event.entry.change {
        Change::Message { text, .. } | Change::Edited { text, .. } => text,
        other => panic!("{other:?} has no text"),
    }
}

fn edited(target: Seq, text: &str) -> Change {
    Change::Edited { target, text: text.to_owned(), mentions: Vec::new() }
}

pub fn reacted(target: Seq, emoji: &str, on: bool) -> Change {
    Change::Reacted { target, emoji: emoji.to_owned(), on }
}

/// Every row of every table, as text.
pub async fn everything(database: &Database) -> Vec<String> {
    sqlx::any::install_default_drivers();
    let url = database.config.url.as_deref().unwrap();
    let mut sql = AnyConnection::connect(url).await.unwrap();
    let sqlite = url.starts_with("sqlite");
    let tables = match sqlite {
        true => "SELECT name FROM sqlite_master WHERE type = 'table'",
        false => "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'",
    };
    let tables = sqlx::query(tables).fetch_all(&mut sql).await.unwrap();
    let tables: Vec<String> = tables.iter().map(|row| row.get(0)).filter(|name| name != "_sqlx_migrations").collect();
    assert!(tables.len() >= 8, "{tables:?}");
    let mut rows = Vec::new();
    for table in tables {
        let row = match sqlite {
            true => {
                let columns =
                    sqlx::query(sqlx::AssertSqlSafe(format!("SELECT name FROM pragma_table_info('{table}')")));
                let columns = columns.fetch_all(&mut sql).await.unwrap();
                let columns: Vec<_> =
                    columns.iter().map(|row| format!("CAST({} AS TEXT)", row.get::<String, _>(0))).collect();
                columns.join(" || '|' || ")
            }
            false => "CAST(t AS TEXT)".to_owned(),
        };
        let found = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {row} FROM {table} t"))).fetch_all(&mut sql).await;
        rows.extend(found.unwrap().iter().map(|row| format!("{table}: {}", row.get::<String, _>(0))));
    }
    rows
}

pub async fn holding(database: &Database, text: &str) -> Vec<String> {
    everything(database).await.into_iter().filter(|row| row.contains(text)).collect()
}

/// Deleted for everybody: the text, and what it was edited to, leave every table and every answer;
/// who and when stay.
pub async fn a_deleted_text_is_nowhere(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let other = log.say(&chat, "b", "it stays");
    let first = log.say(&chat, "a", SECRET);
    let by = log.append(&chat, "a", edited(first, &format!("{SECRET}, edited")));
    log.append(&chat, "b", reacted(first, "👍", true));
    log.append(&chat, "b", Change::Pinned { target: first });
    log.archive(&store).await;
    assert_eq!(holding(database, SECRET).await.len(), 2, "the test looks where texts are");

    let deleted = log.append(&chat, "a", Change::Deleted { target: first });
    log.archive(&store).await;
    assert_eq!(holding(database, SECRET).await, [""; 0]);
    assert_eq!(holding(database, "it stays").await.len(), 1);
    let page = history(&store, "b", &chat, false).await;
    let left = &page.events[2];
    assert_eq!((left.seq, &left.entry.change), (first, &Change::Erased { was: "message".to_owned() }));
    assert_eq!((&left.entry.sender, left.entry.time), (&user("a"), 1_700_000_000_000));
    assert_eq!((kinds(&page)[1].0, said(&page)), (other, vec!["it stays"]));
    assert_eq!(page.states, [], "neither reactions nor pins");

    // What a device missed: every entry in its place, those of the message without a text.
    let missed = drain(&store, "b", &start(), &log.position(), 3).await;
    let missed: Vec<_> = missed.iter().map(|event| (event.seq, event.entry.change.kind())).collect();
    let tail = [(first, "erased"), (by, "erased"), (by + 1, "reacted"), (by + 2, "pinned"), (deleted, "deleted")];
    assert_eq!(missed[2..], tail);
}

/// History shows the text that counts now, in the message's place, and the former ones when asked.
pub async fn an_edit_shows_in_history_and_can_be_told(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let first = log.say(&chat, "a", "teh");
    let next = log.say(&chat, "b", "what?");
    log.append(&chat, "a", edited(first, "the"));
    log.archive(&store).await;
    let long = "the best of all".repeat(100);
    let entry = Entry { sender: user("a"), client_id: Some(ClientId::now()), time: 7, change: edited(first, &long) };
    let by = log.append_entry(&chat, entry);
    log.archive(&store).await;

    let page = history(&store, "b", &chat, false).await;
    assert_eq!(kinds(&page)[1..], [(first, "message"), (next, "message")], "edits have no place of their own");
    assert_eq!(said(&page), [&long, "what?"]);
    assert_eq!(page.states, [MessageState { seq: first, edited_at: Some(7), ..MessageState::default() }]);
    let page = history(&store, "b", &chat, true).await;
    let texts: Vec<_> = page.events[1..].iter().map(text_of).collect();
    assert_eq!(texts, ["teh", "what?", "the", &long], "as it was said");
    assert_eq!(page.events[4].seq, by);
}

/// Of an edit that lost the race against the deletion, nothing stays either; and later changes of
/// a deleted message change nothing.
pub async fn an_edit_after_the_deletion_leaves_nothing(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let first = log.say(&chat, "a", "gone");
    log.append(&chat, "a", Change::Deleted { target: first });
    let late = log.append(&chat, "a", edited(first, SECRET));
    log.append(&chat, "b", reacted(first, "👍", true));
    log.append(&chat, "b", Change::Pinned { target: first });
    log.append(&chat, "a", Change::Deleted { target: first });
    log.archive(&store).await;
    assert_eq!(holding(database, SECRET).await, [""; 0]);
    assert!(holding(database, "erasures: ").await.iter().any(|row| row.contains(&late.to_string())));
    let page = history(&store, "b", &chat, false).await;
    assert_eq!((page.states.len(), said(&page).len()), (0, 0));
    let asked = Pinned { user: user("a"), conversation: chat.clone(), before: None, limit: 10, block: None };
    assert_eq!(store.pinned(&asked).await.unwrap().events, []);
}

/// An entry of somebody who may not, however it came into the log, changes nothing.
pub async fn only_who_may_changes_anything(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("owner", "g", &["owner", "a", "b"]);
    let one = log.say(&group, "a", "one");
    let two = log.say(&group, "a", "two");
    log.append(&group, "b", edited(one, "forged"));
    log.append(&group, "owner", edited(one, "forged"));
    log.append(&group, "b", Change::Deleted { target: one });
    log.archive(&store).await;
    assert_eq!(said(&history(&store, "b", &group, false).await), ["one", "two"]);
    log.append(&group, "owner", Change::Deleted { target: two });
    log.archive(&store).await;
    assert_eq!(said(&history(&store, "b", &group, false).await), ["one"], "the owner may delete");
    let three = log.append(&group, "a", text("three"));
    log.append(&group, "b", Change::Deleted { target: three });
    log.append(&group, "owner", Change::RoleChanged { user: user("b"), role: Role::Admin });
    log.append(&group, "b", Change::Deleted { target: three });
    let four = log.append(&group, "a", text("four"));
    log.append(&group, "owner", Change::RoleChanged { user: user("b"), role: Role::Member });
    log.append(&group, "b", Change::Deleted { target: four });
    log.archive(&store).await;
    let left = history(&store, "b", &group, false).await;
    assert_eq!(said(&left), ["one", "four"], "an admin may, for as long as they are one");

    // In a direct conversation nobody owns the other's words; and what is no message is not changed.
    let chat = log.direct("a", "b");
    let hi = log.say(&chat, "a", "hi");
    log.append(&chat, "b", Change::Deleted { target: hi });
    let begun = history(&store, "a", &group, false).await.events[0].seq;
    log.append(&group, "owner", Change::Deleted { target: begun });
    log.append(&group, "owner", edited(begun, "x"));
    log.append(&group, "owner", reacted(begun, "👍", true));
    log.append(&group, "owner", Change::Pinned { target: 1_000_000 });
    log.archive(&store).await;
    assert_eq!(said(&history(&store, "b", &chat, false).await), ["hi"]);
    let page = history(&store, "b", &group, false).await;
    assert_eq!((kinds(&page)[0], page.states.len()), ((begun, "group_created"), 0));
}

/// A retry of a message that was deleted since finds the first one's number, without its text; a
/// change is recognised as well, and void when it stands in the log twice.
pub async fn a_retry_of_what_was_deleted_is_recognised(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let (message, edit) = (ClientId::now(), ClientId::now());
    let entry = |client_id, change| Entry { sender: user("a"), client_id: Some(client_id), time: 5, change };
    let first = log.append_entry(&chat, entry(message, text(SECRET)));
    let by = log.append_entry(&chat, entry(edit, edited(first, "other")));
    log.repeat(&chat);
    log.archive(&store).await;
    let find = async |client_id| {
        let asked = FindMessage { conversation: chat.clone(), sender: user("a"), client_id, at_least: 0 };
        store.find_message(&asked).await.unwrap().unwrap()
    };
    let found = find(edit).await;
    assert_eq!((found.seq, found.is(&edited(first, "other")), found.is(&edited(first, "x"))), (by, true, false));
    assert!(find(message).await.is(&text(SECRET)) && !find(message).await.is(&text("x")));

    let away = log.append(&chat, "a", Change::Deleted { target: first });
    log.archive(&store).await;
    let found = find(message).await;
    assert_eq!((found.seq, found.time, found.text.as_str()), (first, 5, ""));
    assert!(found.is(&text(SECRET)), "nothing is left to tell another text");
    assert!(!found.is(&Change::Deleted { target: first }), "but it was a message");
    let events = drain(&store, "b", &start(), &log.position(), 9).await;
    assert_eq!(events.len(), 4, "the repeat left no trace: {events:?}");
    assert_eq!(events[3].seq, away);
}

/// The log is told to erase the message, its edits and its repeats, once their ids are too old for
/// the log to be needed to recognise them.
pub async fn the_log_erases_what_was_deleted_once_ids_are_old(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let id = |at| Some(ClientId::at(at));
    let entry = |client_id, change| Entry { sender: user("a"), client_id, time: 5, change };
    let first = log.append_entry(&chat, entry(id(1_000_000), text("x")));
    log.repeat(&chat);
    let by = log.append_entry(&chat, entry(id(2_000_000), edited(first, "y")));
    let kept = log.append_entry(&chat, entry(id(1_000_001), text("z")));
    log.append(&chat, "a", Change::Deleted { target: first });
    log.archive(&store).await;
    let partition = Partition::of(&chat, PARTITIONS).0;
    let mut due = holding(database, "erasures: ").await;
    due.sort();
    let row = |seq: Seq, at: u64| match database.config.url.as_deref().unwrap().starts_with("sqlite") {
        true => format!("erasures: {partition}|{seq}|{at}"),
        false => format!("erasures: ({partition},{seq},{at})"),
    };
    assert_eq!(due, [row(first, 1_080_000), row(first + 1, 1_080_000), row(by, 2_080_000)]);
    assert!(kept > by);
}
