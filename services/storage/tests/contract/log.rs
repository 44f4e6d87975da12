//! A log to archive: what the bus would hand over, with numbers per partition.

use std::collections::BTreeMap;

use natter_bus::storage_api::{Backlog, BacklogReply};
use natter_ids::{ClientId, ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::{Change, Entry, Event};
use natter_storage::{ApplyError, Record, Store};

use crate::database::PARTITIONS;

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn text(text: &str) -> Change {
    Change::message(text)
}

#[derive(Default)]
pub struct Log {
    last: BTreeMap<Partition, Seq>,
    /// How far it was handed over.
    archived: BTreeMap<Partition, Seq>,
    waiting: BTreeMap<Partition, Vec<Record>>,
    /// Everything appended, in order of partition and number.
    pub events: BTreeMap<(Partition, Seq), Event>,
    heads: BTreeMap<ConversationId, Seq>,
}

impl Log {
    pub fn append(&mut self, conversation: &ConversationId, sender: &str, change: Change) -> Seq {
        let client_id = matches!(change, Change::Message { .. }).then(ClientId::now);
        self.append_entry(conversation, Entry { sender: user(sender), client_id, time: 1_700_000_000_000, change })
    }

    pub fn append_entry(&mut self, conversation: &ConversationId, entry: Entry) -> Seq {
        let partition = Partition::of(conversation, PARTITIONS);
        let seq = self.skip(partition);
        let prev = self.heads.insert(conversation.clone(), seq).unwrap_or(0);
        let event = Event { conversation: conversation.clone(), seq, prev, entry: entry.clone() };
        self.events.insert((partition, seq), event);
        self.waiting.entry(partition).or_default().push(Record { seq, body: Some((conversation.clone(), entry)) });
        seq
    }

    /// Uses a number of the partition up for something that never arrives.
    pub fn skip(&mut self, partition: Partition) -> Seq {
        let last = self.last.entry(partition).or_default();
        *last += 1;
        *last
    }

    /// Appends the latest message of a conversation once more: void, hence no event.
    pub fn repeat(&mut self, conversation: &ConversationId) {
        let is_message = |event: &&Event| event.conversation == *conversation && event.entry.client_id.is_some();
        let Some(event) = self.events.values().rfind(is_message).cloned() else { return };
        let partition = Partition::of(conversation, PARTITIONS);
        let seq = self.skip(partition);
        self.waiting.entry(partition).or_default().push(Record { seq, body: Some((event.conversation, event.entry)) });
    }

    pub fn direct(&mut self, one: &str, other: &str) -> ConversationId {
        let conversation = ConversationId::direct(&user(one), &user(other));
        self.append(&conversation, one, Change::DirectOpened { peers: [user(one), user(other)] });
        conversation
    }

    pub fn group(&mut self, creator: &str, name: &str, members: &[&str]) -> ConversationId {
        let conversation = ConversationId::group(&user(creator), ClientId::now());
        let members = members.iter().map(|name| user(name)).collect();
        self.append(&conversation, creator, Change::GroupCreated { name: name.to_owned(), members });
        conversation
    }

    pub fn add(&mut self, conversation: &ConversationId, sender: &str, whom: &str) -> Seq {
        self.append(conversation, sender, Change::MemberAdded { user: user(whom) })
    }

    pub fn remove(&mut self, conversation: &ConversationId, sender: &str, whom: &str) -> Seq {
        self.append(conversation, sender, Change::MemberRemoved { user: user(whom) })
    }

    pub fn say(&mut self, conversation: &ConversationId, sender: &str, said: &str) -> Seq {
        self.append(conversation, sender, text(said))
    }

    pub async fn archive(&mut self, store: &Store) {
        self.try_archive(store).await.unwrap();
    }

    /// What was not archived waits on.
    pub async fn try_archive(&mut self, store: &Store) -> Result<(), ApplyError> {
        while let Some(entry) = self.waiting.first_entry() {
            let partition = *entry.key();
            let after = self.archived.get(&partition).copied().unwrap_or(0);
            store.apply(partition, after, entry.get()).await?;
            self.archived.insert(partition, entry.remove().last().unwrap().seq);
        }
        Ok(())
    }

    pub fn position(&self) -> Position {
        let seqs: Vec<_> =
            Partition::all(PARTITIONS).map(|partition| self.archived.get(&partition).copied().unwrap_or(0)).collect();
        Position::from_seqs(seqs)
    }
}

pub fn start() -> Position {
    Position::start(PARTITIONS)
}

/// Everything that a user missed up to `upto`, page by page; checks that pages go on in order.
pub async fn drain(store: &Store, who: &str, after: &Position, upto: &Position, limit: u32) -> Vec<Event> {
    let (mut after, mut events) = (after.clone(), Vec::new());
    loop {
        let page = page(store, who, &after, upto, limit).await;
        assert!(page.events.len() <= limit as usize, "a page holds at most what was asked for");
        assert!(!page.more || !page.events.is_empty(), "a page that says more brings something");
        for partition in Partition::all(PARTITIONS) {
            assert!(page.position.get(partition) >= after.get(partition), "a position never goes back");
        }
        events.extend(page.events.iter().map(|event| serde_json::from_str::<Event>(event.event.get()).unwrap()));
        after = page.position;
        if !page.more {
            let reached = Partition::all(PARTITIONS).all(|partition| after.get(partition) >= upto.get(partition));
            assert!(reached, "the last page reaches the end: {after:?} {upto:?}");
            return events;
        }
    }
}

pub async fn page(store: &Store, who: &str, after: &Position, upto: &Position, limit: u32) -> BacklogReply {
    let asked = Backlog { user: user(who), after: after.clone(), upto: Some(upto.clone()), limit };
    let page = store.backlog(&asked, upto).await.unwrap();
    let order: Vec<_> = page.events.iter().map(|event| (event.partition, event.seq)).collect();
    assert!(order.is_sorted_by(|one, other| one < other), "by partition and number: {order:?}");
    for archived in &page.events {
        let event: Event = serde_json::from_str(archived.event.get()).unwrap();
        assert_eq!((event.seq, &event.conversation), (archived.seq, &archived.conversation));
    }
    page
}

pub fn texts(events: &[Event]) -> Vec<&str> {
    fn text(event: &Event) -> &str {
        match &event.entry.change {
            Change::Message { text, .. } => text,
            other => panic!("only messages are expected: {other:?}"),
        }
    }
    events.iter().map(text).collect()
}
