//! The archive against a naive model: random logs, random cuts into batches, random reads.

use std::collections::{BTreeMap, BTreeSet};

use natter_bus::storage_api::{History, Membership, Roster, StorageFault};
use natter_ids::{ClientId, ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::{Change, Event};
use natter_storage::Store;
use proptest::prelude::*;

use crate::{
    database::{Database, PARTITIONS},
    log::{Log, drain, user},
};

const USERS: [&str; 4] = ["a", "b.c", "*", "🦀"];
const CONVERSATIONS: usize = 5;

#[derive(Debug, Clone)]
enum Op {
    Begin(usize, Vec<usize>),
    Say(usize, usize),
    Repeat(usize),
    Add(usize, usize),
    Remove(usize, usize),
    Leave(usize, usize),
    Skip(u16),
    Archive,
}

fn op() -> impl Strategy<Value = Op> {
    let (conversation, user) = (0..CONVERSATIONS, 0..USERS.len());
    prop_oneof![
        2 => (conversation.clone(), prop::collection::vec(user.clone(), 1..4)).prop_map(|(c, m)| Op::Begin(c, m)),
        6 => (conversation.clone(), user.clone()).prop_map(|(c, u)| Op::Say(c, u)),
        1 => conversation.clone().prop_map(Op::Repeat),
        2 => (conversation.clone(), user.clone()).prop_map(|(c, u)| Op::Add(c, u)),
        2 => (conversation.clone(), user.clone()).prop_map(|(c, u)| Op::Remove(c, u)),
        1 => (conversation, user).prop_map(|(c, u)| Op::Leave(c, u)),
        1 => (0..PARTITIONS).prop_map(Op::Skip),
        1 => Just(Op::Archive),
    ]
}

/// Where a device is, where to stop and how large a page is: fractions of the log.
#[derive(Debug, Clone)]
struct Read {
    after: Vec<f64>,
    upto: Vec<f64>,
    limit: u32,
}

fn read() -> impl Strategy<Value = Read> {
    let fractions = || prop::collection::vec(0.0..1.2_f64, usize::from(PARTITIONS));
    (fractions(), fractions(), 1..20_u32).prop_map(|(after, upto, limit)| Read { after, upto, limit })
}

fn part_of(position: &Position, fractions: &[f64], at_most: f64) -> Position {
    let seqs = position.seqs().iter().zip(fractions).map(|(seq, part)| (*seq as f64 * part.min(at_most)) as Seq);
    Position::from_seqs(seqs.collect::<Vec<_>>())
}

/// Members of a conversation after each of its entries.
#[derive(Debug, Default)]
struct Model {
    events: Vec<(Event, BTreeSet<UserId>)>,
    fences: BTreeMap<UserId, Seq>,
}

impl Model {
    fn members(&self) -> BTreeSet<UserId> {
        self.events.last().map(|(_, members)| members.clone()).unwrap_or_default()
    }

    fn take(&mut self, event: &Event) {
        let mut members = self.members();
        let begins = self.events.is_empty();
        match &event.entry.change {
            Change::DirectOpened { peers } if begins => members.extend(peers.iter().cloned()),
            Change::GroupCreated { members: first, .. } if begins => members.extend(first.iter().cloned()),
            Change::MemberAdded { user } => drop(members.insert(user.clone())),
            Change::MemberRemoved { user } => drop(members.remove(user)),
            Change::MemberLeft {} => drop(members.remove(&event.entry.sender)),
            _ => {}
        }
        if let Some(user) = event.entry.change.changed_member(&event.entry.sender) {
            self.fences.insert(user.clone(), event.seq);
        }
        self.events.push((event.clone(), members));
    }

    /// What the user may ever see: entries before which or after which they are a member.
    fn visible<'a>(&'a self, who: &'a UserId) -> impl Iterator<Item = &'a Event> {
        let before = std::iter::once(None).chain(self.events.iter().map(|(_, members)| Some(members)));
        let is_member = |members: &BTreeSet<UserId>| members.contains(who);
        self.events
            .iter()
            .zip(before)
            .filter(move |((_, after), before)| is_member(after) || before.is_some_and(is_member))
            .map(|((event, _), _)| event)
    }
}

fn play(log: &mut Log, ids: &[ConversationId], op: &Op) -> bool {
    match op {
        Op::Begin(0, _) => drop(log.direct(USERS[0], USERS[1])),
        Op::Begin(1, _) => drop(log.direct(USERS[1], USERS[2])),
        Op::Begin(conversation, members) => {
            let members = members.iter().map(|number| user(USERS[*number])).collect();
            log.append(&ids[*conversation], USERS[0], Change::GroupCreated { name: "g".into(), members });
        }
        Op::Say(conversation, who) => drop(log.say(&ids[*conversation], USERS[*who], "said")),
        Op::Repeat(conversation) => log.repeat(&ids[*conversation]),
        Op::Add(conversation, who) => drop(log.add(&ids[*conversation], USERS[0], USERS[*who])),
        Op::Remove(conversation, who) => drop(log.remove(&ids[*conversation], USERS[0], USERS[*who])),
        Op::Leave(conversation, who) => {
            log.append(&ids[*conversation], USERS[*who], Change::MemberLeft {});
        }
        Op::Skip(partition) => drop(log.skip(Partition(*partition))),
        Op::Archive => return true,
    }
    false
}

async fn check(ops: Vec<Op>, reads: Vec<Read>) {
    let database = Database::sqlite();
    let store = database.open().await;
    let direct = |one: &str, other: &str| ConversationId::direct(&user(one), &user(other));
    let group = |number: u64| ConversationId::group(&user("a"), ClientId::at(1_700_000_000_000 + number));
    let ids = [direct(USERS[0], USERS[1]), direct(USERS[1], USERS[2]), group(1), group(2), group(3)];
    let mut log = Log::default();
    for op in &ops {
        if play(&mut log, &ids, op) {
            log.archive(&store).await;
        }
    }
    log.archive(&store).await;
    let mut models: BTreeMap<ConversationId, Model> = BTreeMap::new();
    for event in log.events.values() {
        models.entry(event.conversation.clone()).or_default().take(event);
    }
    for who in USERS {
        for read in &reads {
            check_backlog(&store, &log, &models, who, read).await;
        }
        for (id, model) in &models {
            check_member(&store, id, model, who, reads[0].limit).await;
        }
    }
    for (id, model) in &models {
        check_rosters(&store, id, model).await;
    }
}

async fn check_backlog(store: &Store, log: &Log, models: &BTreeMap<ConversationId, Model>, who: &str, read: &Read) {
    let (after, upto) = (part_of(&log.position(), &read.after, 1.2), part_of(&log.position(), &read.upto, 1.0));
    let reader = user(who);
    let mut expected: Vec<_> = models
        .values()
        .flat_map(|model| model.visible(&reader))
        .map(|event| ((Partition::of(&event.conversation, PARTITIONS), event.seq), event.clone()))
        .filter(|((partition, seq), _)| *seq > after.get(*partition) && *seq <= upto.get(*partition))
        .collect();
    expected.sort_by_key(|(at, _)| *at);
    let expected: Vec<_> = expected.into_iter().map(|(_, event)| event).collect();
    assert_eq!(drain(store, who, &after, &upto, read.limit).await, expected, "{who} after {after:?} upto {upto:?}");
}

async fn check_member(store: &Store, id: &ConversationId, model: &Model, who: &str, limit: u32) {
    let who = user(who);
    let is_member = model.members().contains(&who);
    let asked = Membership { user: who.clone(), conversation: id.clone(), at_least: 0 };
    let reply = store.membership(&asked).await.unwrap().unwrap();
    assert_eq!(reply.role.is_some(), is_member);
    assert_eq!(reply.fence, model.fences.get(&who).copied().unwrap_or(0));
    assert_eq!(reply.members as usize, model.members().len());

    let mut asked = History {
        user: who.clone(),
        conversation: id.clone(),
        before: None,
        after: None,
        limit,
        edits: false,
        block: None,
    };
    if !is_member {
        assert_eq!(store.history(&asked).await.unwrap_err(), StorageFault::NotAMember);
        return;
    }
    let mut events: Vec<Event> = Vec::new();
    loop {
        let page = store.history(&asked).await.unwrap();
        events.splice(0..0, page.events);
        asked.before = events.first().map(|event| event.seq);
        if !page.more {
            break;
        }
    }
    assert_eq!(events, model.visible(&who).cloned().collect::<Vec<_>>(), "history of {who}");
}

async fn check_rosters(store: &Store, id: &ConversationId, model: &Model) {
    let mut before = (BTreeSet::new(), 0);
    for (event, members) in &model.events {
        let asked = Roster { conversation: id.clone(), before: event.seq, after: None };
        let roster = store.roster(&asked).await.unwrap();
        assert_eq!((BTreeSet::from_iter(roster.members), roster.last_seq), before, "before {}", event.seq);
        before = (members.clone(), event.seq);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_archive_agrees_with_a_naive_model(
        ops in prop::collection::vec(op(), 1..80),
        reads in prop::collection::vec(read(), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(ops, reads));
    }
}
