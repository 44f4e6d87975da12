//! What a gateway sends through random schedules: sessions that end anywhere, repeats, events that
//! are left out or come late. The application is told every entry once and in order.

use std::sync::Arc;

use natter_ids::{ClientId, ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::{Change, Entry, Event};
use proptest::{prelude::*, sample::Index};
use tokio::sync::mpsc;

use crate::{
    Notification, TokenSource,
    driver::{Driver, Ending, State, Told},
    options::Options,
};

const PARTITIONS: u16 = 2;
const CONVERSATIONS: usize = 3;
const ROOM: usize = 4_096;

#[derive(Debug, Clone)]
enum Op {
    /// Somebody says something.
    Append(usize),
    /// The gateway sends the next entry of a partition.
    Send(u16),
    /// It sends one that it has sent, or left out, before.
    Again(u16, Index),
    /// It leaves the next one of a partition out.
    Skip(u16),
    /// The session ends; the next one begins where the client says it is.
    Break,
}

fn op() -> impl Strategy<Value = Op> {
    let partition = 0..PARTITIONS;
    prop_oneof![
        6 => (0..CONVERSATIONS).prop_map(Op::Append),
        8 => partition.clone().prop_map(Op::Send),
        1 => (partition.clone(), any::<Index>()).prop_map(|(partition, which)| Op::Again(partition, which)),
        1 => partition.prop_map(Op::Skip),
        1 => Just(Op::Break),
    ]
}

struct Schedule {
    state: State,
    told: mpsc::Receiver<Told>,
    conversations: Vec<ConversationId>,
    /// The entries of each partition.
    logs: Vec<Vec<Event>>,
    /// How far the gateway is in each.
    sent: Position,
    /// From where the device is owed entries.
    start: Position,
}

impl Schedule {
    /// `begin` entries are there already; the device is new, or was there before them.
    fn new(begin: &[usize], is_new: bool) -> Self {
        let user = |name: &str| UserId::new(name).unwrap();
        let group = |number: u64| {
            let id = ClientId::parse(&format!("00000000-0000-7000-8000-{number:012x}")).unwrap();
            ConversationId::group(&user("alice"), id)
        };
        let of = |partition: u16| move |it: &ConversationId| Partition::of(it, PARTITIONS) == Partition(partition);
        // Two conversations share a partition: an event of one moves the position past the other.
        let mut conversations: Vec<_> = (0..).map(group).filter(of(0)).take(2).collect();
        conversations.extend((0..).map(group).find(of(1)));
        let mut options = Options::new(vec!["ws://host".to_owned()], TokenSource::fixed("token"));
        let start = Position::start(PARTITIONS);
        options.position = (!is_new).then(|| start.clone());
        let (sender, told) = mpsc::channel(ROOM);
        let state = Driver::new(Arc::new(options), Arc::default(), Arc::default(), Some(sender)).state;
        let logs = vec![Vec::new(); usize::from(PARTITIONS)];
        let mut schedule = Self { state, told, conversations, logs, sent: start.clone(), start };
        begin.iter().for_each(|conversation| schedule.append(*conversation));
        schedule.begin_session();
        schedule.start = if is_new { schedule.end() } else { schedule.start };
        schedule
    }

    fn end(&self) -> Position {
        Position::from_seqs(self.logs.iter().map(|log| log.len() as Seq).collect::<Vec<_>>())
    }

    fn begin_session(&mut self) {
        self.state.chains.begin_session();
        self.sent = self.state.position.clone().unwrap_or_else(|| {
            let present = self.end();
            self.state.chains.caught_up(&present);
            self.state.keep(&present);
            present
        });
    }

    fn append(&mut self, conversation: usize) {
        let conversation = self.conversations[conversation].clone();
        let log = &mut self.logs[Partition::of(&conversation, PARTITIONS).index()];
        let prev = log.iter().rfind(|event| event.conversation == conversation).map_or(0, |event| event.seq);
        let change = Change::message("said");
        let entry = Entry { sender: UserId::new("bob").unwrap(), client_id: None, time: 0, change };
        let seq = log.len() as Seq + 1;
        log.push(Event { conversation, seq, prev, entry });
    }

    /// The next entry of a partition, which the gateway is past then.
    fn pass(&mut self, partition: u16) -> Option<Event> {
        let next = self.logs[usize::from(partition)].get(self.sent.get(Partition(partition)) as usize)?.clone();
        self.sent.advance(Partition(partition), next.seq);
        Some(next)
    }

    fn send(&mut self, event: Event) {
        match self.state.on_event(self.sent.clone(), event) {
            Ok(()) => {}
            Err(Ending::Hole) => self.begin_session(),
            Err(ending) => panic!("an event ends a session: {ending:?}"),
        }
    }

    fn play(&mut self, op: &Op) {
        match op {
            Op::Append(conversation) => self.append(*conversation),
            Op::Send(partition) => {
                if let Some(event) = self.pass(*partition) {
                    self.send(event);
                }
            }
            Op::Again(partition, which) => {
                let passed = self.sent.get(Partition(*partition)) as usize;
                if passed > 0 {
                    self.send(self.logs[usize::from(*partition)][which.index(passed)].clone());
                }
            }
            Op::Skip(partition) => drop(self.pass(*partition)),
            Op::Break => self.begin_session(),
        }
    }

    /// One more entry in each conversation, and nothing is left out any more.
    fn finish(&mut self) {
        (0..CONVERSATIONS).for_each(|conversation| self.append(conversation));
        for _ in 0..10_000 {
            let next = (0..PARTITIONS).find_map(|partition| self.pass(partition));
            let Some(event) = next else { return };
            self.send(event);
        }
        panic!("the client asks for the same again and again");
    }

    fn check(mut self) {
        let mut told = Vec::new();
        while let Ok(next) = self.told.try_recv() {
            let Told::Notification(Notification::Event(event, _)) = next else { panic!("{next:?}") };
            told.push(*event);
        }
        for conversation in &self.conversations {
            let partition = Partition::of(conversation, PARTITIONS);
            let of_it = |event: &&Event| event.conversation == *conversation;
            let owed = |event: &&Event| event.seq > self.start.get(partition);
            let expected: Vec<_> = self.logs[partition.index()].iter().filter(of_it).filter(owed).collect();
            assert_eq!(told.iter().filter(of_it).collect::<Vec<_>>(), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_entry_is_told_once_and_in_order(
        begin in prop::collection::vec(0..CONVERSATIONS, 0..8),
        is_new: bool,
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut schedule = Schedule::new(&begin, is_new);
        ops.iter().for_each(|op| schedule.play(op));
        schedule.finish();
        schedule.check();
    }
}
