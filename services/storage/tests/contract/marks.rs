//! How far members have come.

use std::collections::BTreeMap;

use natter_bus::storage_api::{Marks, Receipts, Settings, StorageFault, UserMark};
use natter_ids::{ConversationId, Partition, Position, Seq};
use natter_protocol::{MarkDraft, MarkView, MarkedView, SettingsDraft};
use natter_storage::{Store, WrittenMarks};
use sqlx::{AnyConnection, Connection};

use crate::{
    database::{Database, PARTITIONS},
    log::{Log, user},
};

const SMALL: u32 = 100;

fn mark(who: &str, conversation: &ConversationId, delivered: Seq, read: Seq) -> UserMark {
    let some = |seq| (seq > 0).then_some(seq);
    let mark = MarkDraft { delivered: some(delivered), read: some(read) };
    UserMark { user: user(who), conversation: conversation.clone(), mark, held: false }
}

async fn write(store: &Store, marks: &[UserMark]) -> WrittenMarks {
    let partition = Partition::of(&marks[0].conversation, PARTITIONS);
    store.write_marks(partition, marks, SMALL).await.unwrap()
}

fn numbers(stored: &Option<MarkedView>) -> Option<(Seq, Seq)> {
    stored.as_ref().map(|stored| (stored.delivered, stored.read))
}

/// A group with so many messages; their numbers.
fn talk(log: &mut Log, members: &[&str], messages: usize) -> (ConversationId, Vec<Seq>) {
    let group = log.group(members[0], "group", members);
    let seqs = (0..messages).map(|_| log.say(&group, members[0], "hello")).collect();
    (group, seqs)
}

/// What a user is told has changed, page by page.
async fn changed(
    store: &Store,
    who: &str,
    since: Option<Position>,
    limit: u32,
) -> (Vec<(ConversationId, MarkView)>, Position) {
    let (mut all, mut since) = (Vec::new(), since);
    loop {
        let page = store.marks(&Marks { user: user(who), since, limit }, SMALL).await.unwrap();
        let marks = page.conversations.into_iter();
        let before = all.len();
        all.extend(marks.flat_map(|view| view.marks.into_iter().map(move |mark| (view.conversation.clone(), mark))));
        assert!(all.len() - before <= limit as usize);
        if !page.more {
            return (all, page.position);
        }
        assert!(all.len() > before, "a page that says more brings something");
        since = Some(page.position);
    }
}

pub async fn marks_rise_and_never_go_back(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b"], 10);
    log.archive(&store).await;
    let (low, high, last) = (seqs[2], seqs[6], seqs[9]);
    let said = [
        ((low, 0), (low, 0)),
        ((0, high), (high, high)),
        ((low, low), (high, high)),
        ((last + 1_000, 0), (last, high)),
        ((0, Seq::MAX), (last, last)),
    ];
    for ((delivered, read), expected) in said {
        let written = write(&store, &[mark("b", &group, delivered, read)]).await;
        assert_eq!(numbers(&written.stored[0]), Some(expected), "{delivered} {read}");
    }
    // What changes nothing tells nobody and takes no number.
    let (_, before) = changed(&store, "a", None, 10).await;
    let again = write(&store, &[mark("b", &group, low, low), mark("b", &group, last, last)]).await;
    assert!(again.changes.is_empty(), "{again:?}");
    assert_eq!(changed(&store, "a", None, 10).await.1, before);
    // Several in one batch: each is answered with what is stored then.
    let written =
        write(&store, &[mark("a", &group, low, 0), mark("a", &group, 0, high), mark("b", &group, 1, 1)]).await;
    let stored: Vec<_> = written.stored.iter().map(numbers).collect();
    assert_eq!(stored, [Some((high, high)), Some((high, high)), Some((last, last))]);
    assert_eq!(written.changes.len(), 1);
    let recipients: Vec<_> = written.changes[0].recipients.iter().map(|it| it.user.as_str()).collect();
    assert_eq!(recipients, ["a", "b"]);
}

/// Several replicas write marks of the same members in different orders, while somebody reads: what
/// is stored and what is read only rises, and every change has a number of its own.
pub async fn concurrent_writers_leave_the_largest(database: &Database) {
    let first = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b", "c"], 40);
    log.archive(&first).await;
    let (_, start) = changed(&first, "a", None, 10).await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_usize {
        let (store, group, seqs) = (database.open().await, group.clone(), seqs.clone());
        writers.spawn(async move {
            let (mut last, turns) = (BTreeMap::new(), seqs.len());
            for turn in 0..turns {
                // Each in an order of its own, up and down.
                let seq = seqs[(turn * (2 * writer + 1) + 7 * writer) % turns];
                let marks = [mark("b", &group, seq, 0), mark("c", &group, 0, seq)];
                for (who, stored) in ["b", "c"].iter().zip(write(&store, &marks).await.stored) {
                    let (delivered, read) = numbers(&stored).unwrap();
                    let before = last.insert(*who, (delivered, read)).unwrap_or_default();
                    assert!(delivered >= before.0 && read >= before.1 && delivered >= seq, "{before:?} {stored:?}");
                }
            }
            store.close().await;
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let last = *seqs.last().unwrap();
    let (marks, _) = changed(&first, "a", Some(start), 1).await;
    let marks: Vec<_> = marks.iter().map(|(_, mark)| (mark.user.as_str(), mark.delivered, mark.read)).collect();
    assert_eq!(marks.len(), 2, "each mark comes once, as it is now: {marks:?}");
    assert!(marks.contains(&("b", last, 0)) && marks.contains(&("c", last, last)), "{marks:?}");
}

pub async fn what_has_changed_comes_once_page_by_page(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let groups: Vec<_> = (0..12).map(|_| talk(&mut log, &["a", "b", "c"], 3)).collect();
    let (elsewhere, _) = talk(&mut log, &["b", "c"], 3);
    log.archive(&store).await;
    let (none, start) = changed(&store, "a", None, 100).await;
    assert!(none.is_empty(), "a new device begins at the present");
    for (group, seqs) in &groups {
        write(&store, &[mark("b", group, seqs[0], 0), mark("c", group, seqs[1], seqs[1])]).await;
    }
    write(&store, &[mark("b", &elsewhere, 1_000, 1_000)]).await;
    for limit in [1, 5, 24, 100] {
        let (mut marks, position) = changed(&store, "a", Some(start.clone()), limit).await;
        marks.sort_by_key(|(conversation, mark)| (conversation.clone(), mark.user.clone()));
        assert_eq!(marks.len(), 24, "with {limit} at a time, and nothing of others' conversations");
        assert!(changed(&store, "a", Some(position), limit).await.0.is_empty());
    }
    let (_, middle) = changed(&store, "a", Some(start), 100).await;
    let (group, seqs) = &groups[3];
    write(&store, &[mark("b", group, seqs[2], seqs[2])]).await;
    let (marks, _) = changed(&store, "a", Some(middle), 100).await;
    let view = MarkView { user: user("b"), delivered: seqs[2], read: seqs[2] };
    assert_eq!(marks, [(group.clone(), view)], "exactly what has changed since");
    // A position from after a restore's point: everything comes again, nothing is missed.
    let ahead = Position::from_seqs([Seq::from(u32::MAX); PARTITIONS as usize]);
    assert_eq!(changed(&store, "a", Some(ahead), 100).await.0.len(), 24);
}

/// Who switches read receipts off shows nothing of what they read from then on, and sees nothing of
/// others; their own devices still learn what they have read.
pub async fn read_receipts_can_be_switched_off(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b", "c"], 4);
    log.archive(&store).await;
    let (_, start) = changed(&store, "a", None, 10).await;
    write(&store, &[mark("b", &group, 0, seqs[0]), mark("c", &group, 0, seqs[1])]).await;
    let set = async |on| store.settings(&Settings { user: user("b"), draft: receipts(Some(on)) }).await.unwrap();
    let read = async || store.settings(&Settings { user: user("b"), draft: receipts(None) }).await.unwrap();
    assert!(read().await.0.read_receipts, "they are on unless somebody says otherwise");
    assert!(set(false).await.1 && !set(false).await.1, "told once");
    assert!(!read().await.0.read_receipts);

    let written = write(&store, &[mark("b", &group, 0, seqs[2])]).await;
    assert_eq!(numbers(&written.stored[0]), Some((seqs[2], seqs[2])), "their own devices know");
    let change = &written.changes[0];
    for recipient in &change.recipients {
        let view = change.view(recipient);
        let shown = if recipient.user == user("b") { seqs[2] } else { seqs[0] };
        assert_eq!((view.marks[0].delivered, view.marks[0].read), (seqs[2], shown), "{recipient:?}");
        assert_eq!(recipient.sees_read, recipient.user != user("b"));
    }
    let of = |marks: &[(ConversationId, MarkView)], who: &str| {
        let found = marks.iter().find(|(_, mark)| mark.user == user(who)).unwrap();
        (found.1.delivered, found.1.read)
    };
    let (marks, _) = changed(&store, "a", Some(start.clone()), 10).await;
    assert_eq!((of(&marks, "b"), of(&marks, "c")), ((seqs[2], seqs[0]), (seqs[1], seqs[1])));
    let (marks, _) = changed(&store, "b", Some(start.clone()), 10).await;
    assert_eq!((of(&marks, "b"), of(&marks, "c")), ((seqs[2], seqs[2]), (seqs[1], 0)));
    let asked = |who| Receipts { user: user(who), conversation: group.clone(), seq: seqs[0], after: None, limit: 10 };
    let (seen_by_a, seen_by_b) =
        (store.receipts(&asked("a")).await.unwrap(), store.receipts(&asked("b")).await.unwrap());
    assert_eq!((seen_by_a.read, seen_by_b.read), (2, 0));
    assert!(seen_by_b.marks.iter().all(|mark| mark.read == 0), "{seen_by_b:?}");

    // On again: what is read from now on is shown.
    set(true).await;
    let (marks, _) = changed(&store, "a", Some(start.clone()), 10).await;
    assert_eq!(of(&marks, "b").1, seqs[0], "what was read meanwhile is not told afterwards");
    write(&store, &[mark("b", &group, 0, seqs[3])]).await;
    let (marks, _) = changed(&store, "a", Some(start), 10).await;
    assert_eq!(of(&marks, "b").1, seqs[3]);
}

pub async fn strangers_mark_nothing(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b"], 3);
    log.remove(&group, "a", "b");
    log.archive(&store).await;
    let nowhere = ConversationId::direct(&user("x"), &user("y"));
    let marks = [mark("b", &group, 0, seqs[0]), mark("x", &group, 1, 1), mark("a", &group, 0, seqs[0])];
    let stored: Vec<_> = write(&store, &marks).await.stored.iter().map(numbers).collect();
    assert_eq!(stored, [None, None, Some((seqs[0], seqs[0]))]);
    assert_eq!(write(&store, &[mark("x", &nowhere, 1, 1)]).await.stored, [None]);
    let asked = Receipts { user: user("b"), conversation: group.clone(), seq: 1, after: None, limit: 10 };
    assert_eq!(store.receipts(&asked).await, Err(StorageFault::NotAMember));
    let start = Some(Position::start(PARTITIONS));
    assert!(changed(&store, "b", start, 10).await.0.is_empty(), "who was removed learns nothing");
}

pub async fn receipts_tell_who_and_how_many(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b", "c", "d", "e"], 3);
    log.archive(&store).await;
    let marks = [mark("b", &group, 0, seqs[2]), mark("c", &group, seqs[1], seqs[0]), mark("a", &group, 0, seqs[2])];
    write(&store, &marks).await;
    let ask = async |seq, after: Option<&str>, limit| {
        let after = after.map(user);
        store.receipts(&Receipts { user: user("a"), conversation: group.clone(), seq, after, limit }).await.unwrap()
    };
    for (seq, counts) in [(seqs[0], (4, 2, 2)), (seqs[1], (4, 2, 1)), (seqs[2], (4, 1, 1))] {
        let page = ask(seq, None, 10).await;
        assert_eq!((page.members, page.delivered, page.read), counts, "of the others");
        assert!(!page.more);
    }
    let page = ask(seqs[2], Some("b"), 2).await;
    let view = |name, delivered, read| MarkView { user: user(name), delivered, read };
    assert_eq!((page.marks, page.more), (vec![view("c", seqs[1], seqs[0]), view("d", 0, 0)], true));
    assert_eq!((page.members, page.delivered, page.read), (0, 0, 0), "counted on the first page only");
}

/// Of a conversation with more members than configured, nobody is told of others: only a user's own
/// devices are.
pub async fn large_conversations_are_not_told(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b", "c"], 3);
    log.archive(&store).await;
    let partition = Partition::of(&group, PARTITIONS);
    let marks = [mark("a", &group, 0, seqs[0]), mark("b", &group, 0, seqs[0])];
    let written = store.write_marks(partition, &marks, 2).await.unwrap();
    assert_eq!(written.changes.len(), 2);
    for change in &written.changes {
        let own: Vec<_> = change.marks.iter().map(|mark| &mark.user).collect();
        let recipients: Vec<_> = change.recipients.iter().map(|it| &it.user).collect();
        assert_eq!((own.len(), own), (1, recipients), "each user of their own");
    }
    let asked = Marks { user: user("a"), since: Some(Position::start(PARTITIONS)), limit: 10 };
    let page = store.marks(&asked, 2).await.unwrap();
    let told: Vec<_> = page.conversations.iter().flat_map(|it| &it.marks).map(|mark| mark.user.as_str()).collect();
    assert_eq!(told, ["a"]);
}

/// With read receipts off, what one reads is told to one's own devices and nobody else, live or afterwards.
pub async fn what_is_hidden_is_told_to_nobody_else(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b", "c"], 4);
    log.archive(&store).await;
    write(&store, &[mark("b", &group, seqs[1], seqs[0])]).await;
    store.settings(&Settings { user: user("b"), draft: receipts(Some(false)) }).await.unwrap();
    let (_, start) = changed(&store, "a", None, 10).await;

    let written = write(&store, &[mark("b", &group, 0, seqs[1]), mark("c", &group, 0, seqs[0])]).await;
    let told: Vec<_> = written
        .changes
        .iter()
        .map(|change| {
            let marks: Vec<_> = change.marks.iter().map(|mark| mark.user.as_str()).collect();
            (marks, change.recipients.iter().map(|it| it.user.as_str()).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(told, [(vec!["c"], vec!["a", "b", "c"]), (vec!["b"], vec!["b"])]);
    let names = async |who: &str, since: &Position| {
        let (marks, _) = changed(&store, who, Some(since.clone()), 1).await;
        marks.into_iter().map(|(_, mark)| mark.user.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("a", &start).await, ["c"]);
    assert_eq!(names("b", &start).await, ["b", "c"]);
    // What was shown before is not lost behind it.
    assert_eq!(names("a", &Position::start(PARTITIONS)).await, ["b", "c"]);
    write(&store, &[mark("b", &group, seqs[2], 0)]).await;
    assert_eq!(names("a", &start).await, ["c", "b"]);
}

/// The release before moves a mark and knows nothing of what is hidden: that is shown.
pub async fn the_release_before_may_write_marks(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b"], 4);
    log.archive(&store).await;
    store.settings(&Settings { user: user("b"), draft: receipts(Some(false)) }).await.unwrap();
    write(&store, &[mark("b", &group, seqs[1], 0)]).await;
    write(&store, &[mark("b", &group, 0, seqs[1])]).await;
    let (_, start) = changed(&store, "a", None, 10).await;
    assert!(changed(&store, "a", Some(start.clone()), 10).await.0.is_empty());
    sqlx::any::install_default_drivers();
    let mut sql = AnyConnection::connect(database.config.url.as_deref().unwrap()).await.unwrap();
    for text in [
        "UPDATE mark_versions SET version = version + 1",
        "UPDATE marks SET delivered = delivered + 1, version = version + 1",
    ] {
        sqlx::query(text).execute(&mut sql).await.unwrap();
    }
    let (marks, _) = changed(&store, "a", Some(start), 10).await;
    assert_eq!(marks.iter().map(|(_, mark)| (mark.delivered, mark.read)).collect::<Vec<_>>(), [(seqs[1] + 1, 0)]);
}

/// Members are told the marks of members: not of people who have left.
pub async fn who_has_left_is_told_of_no_more(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, seqs) = talk(&mut log, &["a", "b", "c"], 3);
    log.archive(&store).await;
    write(&store, &[mark("b", &group, 0, seqs[0]), mark("c", &group, 0, seqs[1])]).await;
    log.remove(&group, "a", "b");
    log.add(&group, "a", "d");
    log.archive(&store).await;
    for who in ["a", "d"] {
        let (marks, _) = changed(&store, who, Some(Position::start(PARTITIONS)), 10).await;
        assert_eq!(marks.iter().map(|(_, mark)| mark.user.as_str()).collect::<Vec<_>>(), ["c"], "{who}");
    }
}

fn receipts(read_receipts: Option<bool>) -> SettingsDraft {
    SettingsDraft { read_receipts, ..SettingsDraft::default() }
}
