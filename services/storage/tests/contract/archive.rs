//! Archiving: once, in order, byte for byte.

use natter_bus::storage_api::{Conversations, FindMessage, Members};
use natter_ids::{ClientId, ConversationId, Partition, Seq};
use natter_protocol::{Change, Entry};
use natter_storage::{ApplyError, Record, Store};

use crate::{
    database::{Database, PARTITIONS},
    log::{Log, drain, page, start, text, user},
};

fn message(conversation: &ConversationId, seq: Seq, said: &str) -> Record {
    let entry = Entry { sender: user("a"), client_id: Some(ClientId::now()), time: 1, change: text(said) };
    Record { seq, body: Some((conversation.clone(), entry)) }
}

fn opened(seq: Seq) -> (ConversationId, Partition, Record) {
    let peers = [user("a"), user("b")];
    let conversation = ConversationId::direct(&peers[0], &peers[1]);
    let entry = Entry { sender: user("a"), client_id: None, time: 1, change: Change::DirectOpened { peers } };
    let partition = Partition::of(&conversation, PARTITIONS);
    (conversation.clone(), partition, Record { seq, body: Some((conversation, entry)) })
}

async fn numbers(store: &Store) -> Vec<Seq> {
    let upto = store.archived().await.unwrap();
    page(store, "b", &start(), &upto, 1_000).await.events.iter().map(|event| event.seq).collect()
}

pub async fn a_restart_continues_where_the_archive_is(database: &Database) {
    let store = database.open().await;
    let (conversation, partition, begin) = opened(2);
    assert_eq!(store.checkpoint(partition).await.unwrap(), 0);
    let batch = [begin, message(&conversation, 5, "one")];
    store.apply(partition, 0, &batch).await.unwrap();
    store.close().await;

    let store = database.open().await;
    assert_eq!(store.checkpoint(partition).await.unwrap(), 5);
    let again = store.apply(partition, 0, &batch).await;
    assert!(matches!(again, Err(ApplyError::Fenced { archived: 5 })), "{again:?}");
    store.apply(partition, 5, &[message(&conversation, 6, "two")]).await.unwrap();
    store.apply(partition, 6, &[]).await.unwrap();
    assert_eq!(numbers(&store).await, [2, 5, 6]);
}

pub async fn a_stale_replica_is_fenced(database: &Database) {
    let (owner, stale) = (database.open().await, database.open().await);
    let (conversation, partition, begin) = opened(1);
    owner.apply(partition, 0, &[begin, message(&conversation, 2, "one")]).await.unwrap();
    for after in [1, 3] {
        let late = stale.apply(partition, after, &[message(&conversation, 9, "out of turn")]).await;
        assert!(matches!(late, Err(ApplyError::Fenced { archived: 2 })), "{late:?}");
    }
    assert_eq!(numbers(&owner).await, [1, 2], "nothing of a refused batch stays");
    let other = Partition((partition.0 + 1) % PARTITIONS);
    stale.apply(other, 0, &[Record { seq: 4, body: None }]).await.unwrap();
    assert_eq!((owner.checkpoint(partition).await.unwrap(), owner.checkpoint(other).await.unwrap()), (2, 4));
}

pub async fn of_two_replicas_one_wins(database: &Database) {
    let (one, two) = (database.open().await, database.open().await);
    let (conversation, partition, begin) = opened(1);
    let mut last = 0;
    for round in 0..20 {
        let seq = last + 1;
        let batch = if round == 0 { vec![begin.clone()] } else { vec![message(&conversation, seq, "x")] };
        let (a, b) = tokio::join!(one.apply(partition, last, &batch), two.apply(partition, last, &batch));
        let lost = match (a, b) {
            (Ok(_), Err(lost)) | (Err(lost), Ok(_)) => lost,
            both => panic!("exactly one replica archives: {both:?}"),
        };
        assert!(matches!(lost, ApplyError::Fenced { archived } if archived == seq), "{lost:?}");
        last = seq;
    }
    assert_eq!(numbers(&one).await, (1..=20).collect::<Vec<_>>());
}

pub async fn replicas_may_start_at_once(database: &Database) {
    let stores = futures_util::future::join_all((0..4).map(|_| database.open())).await;
    for store in stores {
        assert_eq!(store.archived().await.unwrap(), start());
    }
}

pub async fn numbers_must_rise(database: &Database) {
    let store = database.open().await;
    let (conversation, partition, begin) = opened(3);
    let cases = [(3, vec![begin.clone()], 3), (0, vec![begin, message(&conversation, 3, "same")], 3)];
    for (after, batch, at) in cases {
        let refused = store.apply(partition, after, &batch).await;
        assert!(matches!(refused, Err(ApplyError::OutOfOrder { seq }) if seq == at), "{refused:?}");
    }
    assert_eq!(store.checkpoint(partition).await.unwrap(), 0);
}

pub async fn unreadable_entries_are_passed(database: &Database) {
    let store = database.open().await;
    let (conversation, partition, begin) = opened(1);
    let unreadable = |seq| Record { seq, body: None };
    store.apply(partition, 0, &[begin, unreadable(2), message(&conversation, 3, "x"), unreadable(4)]).await.unwrap();
    assert_eq!(store.checkpoint(partition).await.unwrap(), 4);
    assert_eq!(numbers(&store).await, [1, 3]);
}

pub async fn links_lead_from_entry_to_entry(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chats = [log.direct("a", "b"), log.direct("a", "c"), log.group("a", "g", &["a", "b"])];
    for round in 0..30_usize {
        log.say(&chats[round * 7 % 3], "a", "x");
        if round % 4 == 0 {
            log.archive(&store).await;
        }
    }
    log.archive(&store).await;
    // The log computes each link by itself.
    let expected: Vec<_> = log.events.values().cloned().collect();
    assert_eq!(drain(&store, "a", &start(), &log.position(), 7).await, expected);
}

pub async fn texts_come_back_byte_for_byte(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let long = "€".repeat(20_000);
    let odd = [
        "",
        "\0",
        "a\0b\u{1}\u{1f}\u{7f}",
        "🦀👩‍👩‍👧 e\u{301}",
        "'; DROP TABLE entries; --",
        "$1 ?1 \\ \" {}",
        "\u{fffd}\u{2028}\r\n\t",
        &long,
    ];
    let group = log.group("a", "name\0 with 'quotes' 🦀\n", &["a", "b"]);
    let mut sent = Vec::new();
    for said in odd {
        let client_id = ClientId::now();
        let entry =
            Entry { sender: user("a"), client_id: Some(client_id), time: 1_700_000_000_123, change: text(said) };
        sent.push((log.append_entry(&group, entry), client_id, said));
    }
    log.archive(&store).await;
    let expected: Vec<_> = log.events.values().cloned().collect();
    assert_eq!(drain(&store, "b", &start(), &log.position(), 100).await, expected);
    for (seq, client_id, said) in sent {
        let asked = FindMessage { conversation: group.clone(), sender: user("a"), client_id, at_least: seq };
        let found = store.find_message(&asked).await.unwrap().unwrap();
        assert_eq!((found.seq, found.time, found.text.as_str()), (seq, 1_700_000_000_123, said));
    }
    let asked = Conversations { user: user("b"), after: None, limit: 10 };
    let page = store.conversations(&asked).await.unwrap();
    assert_eq!(page.conversations[0].name.as_deref(), Some("name\0 with 'quotes' 🦀\n"));
}

pub async fn a_repeated_message_is_void(database: &Database) {
    let store = database.open().await;
    let (conversation, partition, begin) = opened(1);
    let first = message(&conversation, 2, "first");
    let repeat = |seq, said: &str| {
        let (conversation, mut entry) = first.body.clone().unwrap();
        entry.change = text(said);
        Record { seq, body: Some((conversation, entry)) }
    };
    let mut other_sender = repeat(4, "another sender's own");
    other_sender.body.as_mut().unwrap().1.sender = user("b");
    let batch = [begin, first.clone(), repeat(3, "in the same batch"), other_sender, message(&conversation, 5, "x")];
    store.apply(partition, 0, &batch).await.unwrap();
    store.apply(partition, 5, &[repeat(6, "in a later one"), message(&conversation, 7, "y")]).await.unwrap();

    let upto = store.archived().await.unwrap();
    let events = drain(&store, "b", &start(), &upto, 10).await;
    let links: Vec<_> = events.iter().map(|event| (event.prev, event.seq)).collect();
    assert_eq!(links, [(0, 1), (1, 2), (2, 4), (4, 5), (5, 7)], "what is void has no place in the chain");
    let client_id = first.body.as_ref().unwrap().1.client_id.unwrap();
    let asked = FindMessage { conversation, sender: user("a"), client_id, at_least: 7 };
    let found = store.find_message(&asked).await.unwrap().unwrap();
    assert_eq!((found.seq, found.text.as_str()), (2, "first"));
    let unknown = FindMessage { client_id: ClientId::now(), ..asked };
    assert_eq!(store.find_message(&unknown).await.unwrap(), None);
}

pub async fn large_batches_and_groups_fit(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let names: Vec<_> = (0..1_500).map(|number| format!("user {number:04}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let group = log.group("user 0000", "everybody", &names);
    for number in 0..3_000 {
        log.say(&group, names[number % names.len()], "x");
    }
    log.archive(&store).await;
    assert_eq!(drain(&store, "user 1499", &start(), &log.position(), 999).await.len(), 3_001);
    let asked = Members { user: user("user 0001"), conversation: group, after: Some(user("user 0999")), limit: 9_999 };
    let page = store.members(&asked).await.unwrap();
    assert_eq!((page.members.len(), page.more), (500, false));
}
