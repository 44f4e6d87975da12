//! A user's list of conversations.

use natter_bus::storage_api::{Arrange, Overview, StorageFault, UserMark};
use natter_ids::{ConversationId, Partition, Seq};
use natter_protocol::{
    Arrangement, ArrangementDraft, Change, Entry, MarkDraft, OverviewItem, OverviewPage, OverviewPosition, ShowRequests,
};
use natter_storage::Store;
use sqlx::{AnyConnection, Connection};

use crate::{
    database::{Database, PARTITIONS},
    log::{Log, text, user},
};

async fn page(store: &Store, who: &str, since: Option<OverviewPosition>) -> OverviewPage {
    store
        .overview(&Overview {
            user: user(who),
            since,
            after: None,
            limit: 1_000,
            requests: ShowRequests::Without,
            blocks: Vec::new(),
        })
        .await
        .unwrap()
}

fn ids(items: &[OverviewItem]) -> Vec<&ConversationId> {
    items.iter().map(|item| &item.view.conversation).collect()
}

/// Says something at a time.
fn say_at(log: &mut Log, conversation: &ConversationId, who: &str, said: &str, time: u64) -> Seq {
    let client_id = Some(natter_ids::ClientId::at(time));
    log.append_entry(conversation, Entry { sender: user(who), client_id, time, change: text(said) })
}

pub async fn read(store: &Store, who: &str, conversation: &ConversationId, upto: Seq) {
    let mark = MarkDraft { delivered: None, read: Some(upto) };
    let mark = UserMark { user: user(who), conversation: conversation.clone(), mark, held: false };
    let partition = Partition::of(conversation, PARTITIONS);
    assert!(store.write_marks(partition, &[mark], 100).await.unwrap().stored[0].is_some());
}

async fn unread(store: &Store, who: &str, conversation: &ConversationId) -> u64 {
    let page = page(store, who, None).await;
    page.conversations.iter().find(|item| item.view.conversation == *conversation).unwrap().unread
}

fn draft() -> ArrangementDraft {
    ArrangementDraft::default()
}

pub async fn arrange(
    store: &Store,
    who: &str,
    conversation: &ConversationId,
    draft: ArrangementDraft,
) -> (Arrangement, bool) {
    let asked = Arrange { user: user(who), conversation: conversation.clone(), draft };
    store.arrange(&asked).await.unwrap()
}

pub async fn the_list_is_by_last_activity(database: &Database) {
    const BEGIN: u64 = 1_800_000_000_000;
    let store = database.open().await;
    let mut log = Log::default();
    let talks: Vec<_> = (0..25).map(|number| log.direct("a", &format!("b{number:02}"))).collect();
    log.direct("x", "y");
    log.archive(&store).await;
    // In an order of their own, spread over partitions.
    let mut expected = Vec::new();
    for (turn, number) in (0..25_u64).map(|turn| (turn, (turn * 7) % 25)) {
        let talk = &talks[number as usize];
        say_at(&mut log, talk, "a", &format!("text {turn}"), BEGIN + turn);
        expected.insert(0, talk);
    }
    log.archive(&store).await;
    let all = page(&store, "a", None).await;
    assert_eq!((ids(&all.conversations), all.next), (expected.clone(), None));
    for (turn, item) in all.conversations.iter().rev().enumerate() {
        let last = item.last.as_ref().unwrap();
        assert_eq!(last.entry.change, Change::message(format!("text {turn}")));
        assert_eq!((item.active_at, last.seq), (BEGIN + turn as u64, item.view.last_seq));
        assert!(item.view.peer.as_ref().is_some_and(|peer| peer.as_str().starts_with('b')), "{item:?}");
    }
    // Pinned ones stand before, and pages go on after the last.
    arrange(&store, "a", expected[20], ArrangementDraft { pinned: Some(true), ..draft() }).await;
    let pinned = expected.remove(20);
    expected.insert(0, pinned);
    for limit in [1, 7, 25] {
        let (mut got, mut after, mut positions) = (Vec::new(), None, Vec::new());
        loop {
            let asked = Overview {
                user: user("a"),
                since: None,
                after,
                limit,
                requests: ShowRequests::Without,
                blocks: Vec::new(),
            };
            let page = store.overview(&asked).await.unwrap();
            assert!(page.conversations.len() <= limit as usize);
            got.extend(page.conversations);
            positions.push(page.position);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids(&got), expected, "{limit} at a time");
        positions.dedup();
        assert_eq!(positions.len(), 1, "every page is as of the first");
    }
}

pub async fn unread_messages_are_counted(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a", "b", "c"]);
    let seqs: Vec<_> = (0..10).map(|_| log.say(&group, "a", "hello")).collect();
    log.archive(&store).await;
    assert_eq!(unread(&store, "b", &group).await, 10);
    assert_eq!(unread(&store, "a", &group).await, 0, "one's own are read");
    read(&store, "b", &group, seqs[3]).await;
    assert_eq!(unread(&store, "b", &group).await, 6);
    // A change of members is no message, and neither is a repeat.
    log.add(&group, "a", "d");
    log.repeat(&group);
    let said = log.say(&group, "c", "and me");
    log.archive(&store).await;
    assert_eq!((unread(&store, "b", &group).await, unread(&store, "a", &group).await), (7, 1));
    assert_eq!(unread(&store, "d", &group).await, 1, "who has joined need not read what was before");
    read(&store, "a", &group, said).await;
    // Who answers has read what stood before.
    log.say(&group, "b", "I see");
    log.say(&group, "c", "good");
    log.archive(&store).await;
    assert_eq!((unread(&store, "b", &group).await, unread(&store, "a", &group).await), (1, 2));
    read(&store, "b", &group, Seq::MAX >> 1).await;
    assert_eq!(unread(&store, "b", &group).await, 0);
    for _ in 0..1_500 {
        log.say(&group, "c", ".");
    }
    log.archive(&store).await;
    assert_eq!(unread(&store, "b", &group).await, 1_500, "exactly, however many");
}

pub async fn what_has_changed_comes_alone(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let talks: Vec<_> = (0..500).map(|number| log.direct("a", &format!("b{number}"))).collect();
    let group = log.group("z", "g", &["z", "a"]);
    log.archive(&store).await;
    let all = page(&store, "a", None).await;
    assert_eq!((all.conversations.len(), all.gone.len()), (501, 0), "all of them at once");
    let still = page(&store, "a", Some(all.position.clone())).await;
    assert_eq!((still.conversations.len(), still.gone.len()), (0, 0));
    assert_eq!(still.position, all.position);

    let said = log.say(&talks[3], "b3", "news");
    log.remove(&group, "z", "a");
    let new = log.direct("a", "somebody");
    log.archive(&store).await;
    read(&store, "a", &talks[4], 1_000).await;
    read(&store, "b5", &talks[5], 1_000).await;
    arrange(&store, "a", &talks[6], ArrangementDraft { archived: Some(true), ..draft() }).await;
    arrange(&store, "b7", &talks[7], ArrangementDraft { archived: Some(true), ..draft() }).await;
    let changed = page(&store, "a", Some(all.position)).await;
    let mut got = ids(&changed.conversations);
    got.sort();
    let mut expected: Vec<_> = talks[3..=6].iter().chain([&new]).collect();
    expected.sort();
    assert_eq!(got, expected, "what others arrange is theirs");
    assert_eq!(changed.gone, [group]);
    let of = |id: &ConversationId| changed.conversations.iter().find(|item| item.view.conversation == *id).unwrap();
    assert_eq!((of(&talks[3]).unread, of(&talks[3]).last.as_ref().unwrap().seq), (1, said));
    assert!(of(&talks[5]).marks[0].read > 0, "the other's mark in a direct conversation");
    assert!(of(&talks[6]).arrangement.archived);
}

pub async fn arrangements_are_kept(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let talk = log.direct("a", "b");
    log.archive(&store).await;
    let muted = ArrangementDraft { muted_until: Some(1_900_000_000_000), ..draft() };
    assert!(arrange(&store, "a", &talk, muted).await.1);
    assert!(!arrange(&store, "a", &talk, muted).await.1, "the same again changes nothing");
    let pinned = ArrangementDraft { pinned: Some(true), archived: Some(true), ..draft() };
    let (now, _) = arrange(&store, "a", &talk, pinned).await;
    let expected = Arrangement { muted_until: Some(1_900_000_000_000), pinned: true, archived: true, request: false };
    assert_eq!(now, expected, "what is absent stays");
    assert_eq!(page(&store, "a", None).await.conversations[0].arrangement, expected);
    assert_eq!(page(&store, "b", None).await.conversations[0].arrangement, Arrangement::default());
    let loud = ArrangementDraft { muted_until: Some(0), pinned: Some(false), archived: Some(false), accepted: None };
    assert_eq!(arrange(&store, "a", &talk, loud).await.0, Arrangement::default());
    let stranger = Arrange { user: user("x"), conversation: talk, draft: loud };
    assert_eq!(store.arrange(&stranger).await, Err(StorageFault::NotAMember));
}

/// What the release before has archived has no time and no count: the time is looked up, and what
/// was said then counts as read.
pub async fn an_archive_from_before_learns_its_times(database: &Database) {
    const BEGIN: u64 = 1_800_000_000_000;
    let store = database.open().await;
    let mut log = Log::default();
    let talks = [log.direct("a", "b"), log.direct("a", "c")];
    say_at(&mut log, &talks[0], "b", "later", BEGIN + 1);
    say_at(&mut log, &talks[1], "c", "earlier", BEGIN);
    log.archive(&store).await;
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(database.config.url.as_ref().unwrap()).await.unwrap();
    for forget in
        ["UPDATE conversations SET active_seq = 0, active_at = 0, messages = 0", "UPDATE entries SET ordinal = 0"]
    {
        sqlx::query(forget).execute(&mut connection).await.unwrap();
    }
    for _ in 0..2 {
        let all = page(&store, "a", None).await;
        assert_eq!(ids(&all.conversations), [&talks[0], &talks[1]]);
        assert_eq!(all.conversations[0].active_at, BEGIN + 1);
        assert!(all.conversations.iter().all(|item| item.unread == 0), "{all:?}");
    }
    log.say(&talks[1], "c", "new");
    log.archive(&store).await;
    assert_eq!(unread(&store, "a", &talks[1]).await, 1);
}

pub async fn long_texts_are_cut(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    for (number, length) in [20, 200, 20_000, 64_000].into_iter().enumerate() {
        let talk = log.direct("a", &format!("b{number}"));
        log.say(&talk, "a", &"é".repeat(length / 2));
    }
    log.archive(&store).await;
    let all = page(&store, "a", None).await;
    let mut shown: Vec<_> = all
        .conversations
        .iter()
        .map(|item| {
            let Change::Message { text, .. } = &item.last.as_ref().unwrap().entry.change else { panic!("{item:?}") };
            (text.len(), item.cut)
        })
        .collect();
    shown.sort_unstable();
    assert_eq!(shown, [(20, false), (200, false), (256, true), (256, true)]);
}

/// Long settings, many members and mentions: an answer stays well below what NATS carries, and the next page
/// goes on.
pub async fn pages_end_where_their_bytes_do(database: &Database) {
    const GROUPS: usize = 150;
    let store = database.open().await;
    let mut log = Log::default();
    let users: Vec<_> = (0..1_000).map(|number| user(&format!("somebody-{number:0>50}"))).collect();
    let members: Vec<_> = ["a"].into_iter().chain(users.iter().map(natter_ids::UserId::as_str)).collect();
    let created = log.group("a", "large", &members);
    let mentioned = log.direct("a", "b");
    log.append(
        &mentioned,
        "a",
        Change::Message {
            text: "all of you".to_owned(),
            reply_to: None,
            forwarded: None,
            mentions: users[..50].to_vec(),
        },
    );
    for number in 0..GROUPS {
        let group = log.group("a", &format!("group {number}"), &["a"]);
        let patch = natter_protocol::GroupPatch {
            description: Some("d".repeat(4_096)),
            avatar: Some("v".repeat(1_024)),
            ..natter_protocol::GroupPatch::default()
        };
        log.append(&group, "a", Change::GroupChanged { patch });
    }
    log.archive(&store).await;
    let (mut items, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let asked = Overview {
            user: user("a"),
            since: None,
            after,
            limit: 1_000,
            requests: natter_protocol::ShowRequests::Without,

            blocks: Vec::new(),
        };
        let page = store.overview(&asked).await.unwrap();
        let bytes = serde_json::to_vec(&page).unwrap().len();
        assert!(bytes < 600 * 1024, "{bytes}");
        items.extend(page.conversations);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, items.len()), (3, GROUPS + 2));
    let unique: std::collections::HashSet<_> = ids(&items).into_iter().collect();
    assert_eq!(unique.len(), items.len());
    let of = |id: &ConversationId| items.iter().find(|item| item.view.conversation == *id).unwrap();
    let last = |id| (of(id).last.as_ref().unwrap().entry.change.clone(), of(id).cut);
    assert!(matches!(last(&created), (Change::GroupCreated { members, .. }, true) if members.len() == 10));
    assert!(matches!(last(&mentioned), (Change::Message { mentions, .. }, true) if mentions.len() == 10));

    let (mut plain, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let asked = natter_bus::storage_api::Conversations { user: user("a"), after, limit: 1_000 };
        let page = store.conversations(&asked).await.unwrap();
        assert!(serde_json::to_vec(&page).unwrap().len() < 600 * 1024);
        plain.extend(page.conversations.into_iter().map(|view| view.conversation));
        pages += 1;
        after = plain.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!((pages, plain.len()), (2, GROUPS + 2));
    assert!(plain.is_sorted());
}

/// The last message is shown as it is now: with the text and the mentions of its edit.
pub async fn an_edited_message_is_shown_as_it_is(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let talks: Vec<_> = (0..40).map(|number| log.direct("a", &format!("b{number}"))).collect();
    let mut texts = std::collections::HashMap::new();
    for (number, talk) in talks.iter().enumerate() {
        let target = log.say(talk, "a", "teh");
        if number % 3 > 0 {
            let text = format!("the {}", "x".repeat(if number % 3 == 1 { 10 } else { 1_000 }));
            texts.insert(talk.clone(), text.clone());
            log.append(talk, "a", Change::Edited { target, text, mentions: vec![user("a")] });
        }
    }
    log.archive(&store).await;
    let all = page(&store, "a", None).await;
    for item in &all.conversations {
        let Change::Message { text, mentions, .. } = &item.last.as_ref().unwrap().entry.change else { panic!() };
        match texts.get(&item.view.conversation) {
            None => assert_eq!((text.as_str(), mentions.len(), item.cut), ("teh", 0, false)),
            Some(now) => {
                let length = now.len().min(256);
                assert_eq!((text.as_str(), mentions.len(), item.cut), (&now[..length], 1, now.len() > 256));
            }
        }
    }
}

/// Whoever says something has read what stood before; whoever reacts, edits or pins has not.
pub async fn only_what_one_says_counts_as_said(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let talk = log.direct("a", "b");
    let with_id = |change| {
        let client_id = Some(natter_ids::ClientId::now());
        Entry { sender: user("b"), client_id, time: 1_700_000_000_000, change }
    };
    let own = log.say(&talk, "b", "hello");
    log.say(&talk, "a", "one");
    let two = log.say(&talk, "a", "two");
    for change in [
        Change::Reacted { target: two, emoji: "👍".to_owned(), on: true },
        Change::Pinned { target: two },
        Change::Edited { target: own, text: "hi".to_owned(), mentions: Vec::new() },
    ] {
        log.append_entry(&talk, with_id(change));
    }
    log.archive(&store).await;
    assert_eq!(unread(&store, "b", &talk).await, 2);
    // Neither does an old message that comes late take back what a newer one has shown.
    log.say(&talk, "b", "I see");
    log.say(&talk, "a", "three");
    log.archive(&store).await;
    assert_eq!(unread(&store, "b", &talk).await, 1);
    let late = Entry { client_id: Some(natter_ids::ClientId::at(1_000)), ..with_id(text("from the tunnel")) };
    log.append_entry(&talk, late);
    log.archive(&store).await;
    assert_eq!(unread(&store, "b", &talk).await, 0, "by number, not by the client's clock");
}

/// A device that knows more than there is, because a restore has put an older archive back, gets everything.
pub async fn numbers_from_before_a_restore_count_for_nothing(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let talks: Vec<_> = (0..12).map(|number| log.direct("a", &format!("b{number}"))).collect();
    log.archive(&store).await;
    let ahead = natter_ids::Position::from_seqs([1_u64 << 40; PARTITIONS as usize]);
    let since = Some(OverviewPosition { entries: ahead.clone(), marks: ahead });
    let (mut got, mut after) = (Vec::new(), None);
    loop {
        let asked = Overview {
            user: user("a"),
            since: since.clone(),
            after,
            limit: 5,
            requests: natter_protocol::ShowRequests::Without,

            blocks: Vec::new(),
        };
        let page = store.overview(&asked).await.unwrap();
        got.extend(page.conversations);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(got.len(), talks.len());
}

/// With read receipts off, what the other one reads does not move the conversation for its peer.
pub async fn a_mark_that_is_not_shown_changes_nothing(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let talk = log.direct("a", "b");
    let said = log.say(&talk, "a", "hello");
    log.archive(&store).await;
    let off = natter_bus::storage_api::Settings {
        user: user("b"),
        draft: natter_protocol::SettingsDraft { read_receipts: Some(false), ..Default::default() },
    };
    store.settings(&off).await.unwrap();
    let mark = |delivered, read| UserMark {
        user: user("b"),
        conversation: talk.clone(),
        mark: MarkDraft { delivered, read },
        held: false,
    };
    let partition = Partition::of(&talk, PARTITIONS);
    store.write_marks(partition, &[mark(Some(said), None)], 100).await.unwrap();
    let [of_a, of_b] = [page(&store, "a", None).await.position, page(&store, "b", None).await.position];
    store.write_marks(partition, &[mark(None, Some(said))], 100).await.unwrap();
    assert_eq!(page(&store, "a", Some(of_a)).await.conversations.len(), 0);
    assert_eq!(page(&store, "b", Some(of_b)).await.conversations.len(), 1, "their own devices");
}
