//! Once, however late the retry, against a naive model: what gateways do with the log's window and
//! the archive, and what replicas that restart, fall behind and cut batches anyhow make of a log
//! that holds repeats.

use std::collections::{BTreeMap, HashMap};

use natter_bus::storage_api::FindMessage;
use natter_ids::{ClientId, ConversationId, Partition, Position, Seq};
use natter_protocol::{Change, Entry, Event};
use natter_storage::{ApplyError, Record, Store};
use proptest::prelude::*;

use crate::{
    database::{Database, PARTITIONS},
    log::{drain, start, text, user},
};

const USERS: [&str; 2] = ["a", "b"];
const TEXTS: [&str; 2] = ["said", "said otherwise"];
const IDS: u64 = 6;
const REPLICAS: usize = 2;

/// What is one message, whatever its text. Two senders may use the same id, and so may one in two
/// conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    conversation: usize,
    sender: usize,
    id: u64,
}

fn id(number: u64) -> ClientId {
    ClientId::parse(&format!("00000000-0000-7000-8000-{number:012x}")).unwrap()
}

#[derive(Debug, Clone)]
enum Op {
    /// A client sends, for the first time or again; its gateway asks that replica.
    Send(Key, usize, usize),
    /// A gateway that looked long ago, when nobody knew the message, appends only now.
    AppendLate(Key, usize),
    /// The log forgets its window: ids in it, and at least two more, are too old to ask it alone.
    TimePasses,
    /// A replica archives so many entries of each partition from where it believes to be.
    Archive(usize, usize),
    /// A replica dies and comes back.
    Restart(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key =
        (0..2_usize, 0..USERS.len(), 0..IDS).prop_map(|(conversation, sender, id)| Key { conversation, sender, id });
    prop_oneof![
        8 => (key.clone(), 0..TEXTS.len(), 0..REPLICAS).prop_map(|(key, text, replica)| Op::Send(key, text, replica)),
        3 => (key, 0..TEXTS.len()).prop_map(|(key, text)| Op::AppendLate(key, text)),
        1 => Just(Op::TimePasses),
        3 => (0..REPLICAS, 1..6_usize).prop_map(|(replica, count)| Op::Archive(replica, count)),
        1 => (0..REPLICAS).prop_map(Op::Restart),
    ]
}

/// An answer to a send: the number, or a refusal because the id names another text.
type Answer = Result<Seq, ()>;

struct World {
    database: Database,
    stores: Vec<Store>,
    /// How far each replica believes each partition to be archived.
    beliefs: Vec<BTreeMap<Partition, Seq>>,
    conversations: [ConversationId; 2],
    log: BTreeMap<Partition, Vec<Record>>,
    archived: BTreeMap<Partition, Seq>,
    /// What the log recognises by itself.
    window: HashMap<Key, (Seq, usize)>,
    /// Ids below this one are old.
    old: u64,
    /// The model: number and text of what was stored first under each key.
    first: BTreeMap<Key, (Seq, usize)>,
}

impl World {
    async fn new() -> Self {
        let database = Database::sqlite();
        let stores = vec![database.open().await, database.open().await];
        let [a, b] = USERS.map(user);
        let mut group = (0..).map(|number| ConversationId::group(&a, id(number)));
        let direct = ConversationId::direct(&a, &b);
        let partition = |conversation: &ConversationId| Partition::of(conversation, PARTITIONS);
        let elsewhere = group.find(|group| partition(group) != partition(&direct)).unwrap();
        let conversations = [direct, elsewhere];
        let mut world = Self {
            database,
            stores,
            beliefs: vec![BTreeMap::new(); REPLICAS],
            conversations,
            log: BTreeMap::new(),
            archived: BTreeMap::new(),
            window: HashMap::new(),
            old: 0,
            first: BTreeMap::new(),
        };
        let peers = [a.clone(), b.clone()];
        world.append(0, Entry { sender: a.clone(), client_id: None, time: 0, change: Change::DirectOpened { peers } });
        let change = Change::GroupCreated { name: "g".to_owned(), members: vec![a.clone(), b] };
        world.append(1, Entry { sender: a, client_id: None, time: 0, change });
        world
    }

    fn append(&mut self, conversation: usize, entry: Entry) -> Seq {
        let conversation = self.conversations[conversation].clone();
        let log = self.log.entry(Partition::of(&conversation, PARTITIONS)).or_default();
        let seq = log.len() as Seq + 1;
        log.push(Record { seq, body: Some((conversation, entry)) });
        seq
    }

    fn say(&mut self, key: Key, said: usize) -> Seq {
        let (sender, client_id) = (user(USERS[key.sender]), Some(id(key.id)));
        let seq = self.append(key.conversation, Entry { sender, client_id, time: 0, change: text(TEXTS[said]) });
        self.first.entry(key).or_insert((seq, said));
        seq
    }

    async fn play(&mut self, op: &Op) {
        match *op {
            Op::Send(key, said, replica) => {
                let answer = self.send(key, said, replica).await;
                let (seq, first) = self.first[&key];
                assert_eq!(answer, if first == said { Ok(seq) } else { Err(()) }, "{key:?} says {said}");
            }
            Op::AppendLate(key, said) if key.id < self.old => drop(self.say(key, said)),
            Op::AppendLate(..) => {}
            Op::TimePasses => {
                let forgotten = self.window.drain().map(|(key, _)| key.id + 1).max();
                self.old = forgotten.unwrap_or(0).max(self.old + 2);
            }
            Op::Archive(replica, count) => self.archive(replica, count).await,
            Op::Restart(replica) => {
                self.stores[replica] = self.database.open().await;
                self.beliefs[replica].clear();
                for partition in Partition::all(PARTITIONS) {
                    let at = self.stores[replica].checkpoint(partition).await.unwrap();
                    assert_eq!(at, self.archived.get(&partition).copied().unwrap_or(0), "a restart forgets nothing");
                    self.beliefs[replica].insert(partition, at);
                }
            }
        }
    }

    /// What a gateway does: an old id is looked up in the archive, a fresh one left to the log.
    async fn send(&mut self, key: Key, said: usize, replica: usize) -> Answer {
        if key.id < self.old {
            // Storage answers when it has archived all that the log held.
            self.archive_all(replica).await;
            if let Some((seq, first)) = self.find(key, replica).await {
                return if first == TEXTS[said] { Ok(seq) } else { Err(()) };
            }
        }
        if let Some((seq, first)) = self.window.get(&key) {
            return if *first == said { Ok(*seq) } else { Err(()) };
        }
        let seq = self.say(key, said);
        self.window.insert(key, (seq, said));
        Ok(seq)
    }

    async fn find(&self, key: Key, replica: usize) -> Option<(Seq, String)> {
        let (conversation, sender) = (self.conversations[key.conversation].clone(), user(USERS[key.sender]));
        let asked = FindMessage { conversation, sender, client_id: id(key.id), at_least: 0 };
        let found = self.stores[replica].find_message(&asked).await.unwrap();
        found.map(|found| (found.seq, found.text))
    }

    async fn archive(&mut self, replica: usize, count: usize) {
        for (partition, records) in &self.log {
            let (partition, after) = (*partition, self.beliefs[replica].get(partition).copied().unwrap_or(0));
            let batch: Vec<_> = records.iter().skip(after as usize).take(count).cloned().collect();
            let Some(last) = batch.last().map(|record| record.seq) else { continue };
            let really = self.archived.get(&partition).copied().unwrap_or(0);
            let believed = match self.stores[replica].apply(partition, after, &batch).await {
                Ok(_) => {
                    assert_eq!(after, really, "who has fallen behind is fenced");
                    self.archived.insert(partition, last);
                    last
                }
                Err(ApplyError::Fenced { archived }) => {
                    assert_eq!(archived, really, "the fence tells where the archive is");
                    assert_ne!(after, really, "only who has fallen behind is fenced");
                    archived
                }
                Err(error) => panic!("{error}"),
            };
            self.beliefs[replica].insert(partition, believed);
        }
    }

    async fn archive_all(&mut self, replica: usize) {
        let behind = |world: &Self| {
            let end = |(partition, log): (&Partition, &Vec<Record>)| {
                world.archived.get(partition).is_none_or(|at| *at < log.len() as Seq)
            };
            world.log.iter().any(end)
        };
        while behind(self) {
            self.archive(replica, 3).await;
        }
    }

    /// Every message that is the first of its key, and every beginning.
    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let first: Vec<_> =
            self.first.iter().map(|(key, (seq, _))| (&self.conversations[key.conversation], *seq)).collect();
        for records in self.log.values() {
            let mut heads: HashMap<ConversationId, Seq> = HashMap::new();
            for Record { seq, body } in records {
                let (conversation, entry) = body.clone().unwrap();
                if entry.client_id.is_none() || first.contains(&(&conversation, *seq)) {
                    let prev = heads.insert(conversation.clone(), *seq).unwrap_or(0);
                    events.push(Event { conversation, seq: *seq, prev, entry });
                }
            }
        }
        events
    }
}

async fn check(ops: Vec<Op>) {
    let mut world = World::new().await;
    for op in &ops {
        world.play(op).await;
    }
    world.archive_all(0).await;
    let seqs: Vec<_> =
        Partition::all(PARTITIONS).map(|partition| world.archived.get(&partition).copied().unwrap_or(0)).collect();
    let (events, upto) = (world.events(), Position::from_seqs(seqs));
    for (replica, store) in world.stores.iter().enumerate() {
        for who in USERS {
            assert_eq!(drain(store, who, &start(), &upto, 7).await, events, "what {who} missed, by replica {replica}");
        }
        for (key, (seq, said)) in &world.first {
            let found = world.find(*key, replica).await;
            assert_eq!(found, Some((*seq, TEXTS[*said].to_owned())), "{key:?} by replica {replica}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_message_is_stored_once_however_late_the_retry(ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(ops));
    }
}
