//! A small model of a correct chat, which records what clients of one would.

mod changes;
mod ops;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use natter_checker::{Attempt, DeviceStart, Mark, Outcome, Reader, Reading, Received, Recorder, Source, Span, Via};
use natter_ids::{ClientId, ConversationId, DeviceId, Seq, UserId};
use natter_protocol::{Change, Entry, Event};

use ops::{Fate, To};
pub use ops::{Op, ops};

/// One call of a recorder.
#[derive(Debug, Clone)]
pub enum Call {
    Attempt(Attempt),
    Outcome(ClientId, Outcome),
    Received(Received),
    Member(Span),
    Start(DeviceStart),
    Reading(Reading),
    Reads(Reader),
    Mark(Mark),
    Bound(Duration),
    Broken(&'static str),
    Mended,
    /// Time passes.
    Wait(Duration),
}

pub fn record(calls: &[Call]) -> Recorder {
    let passed = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&passed);
    let recorder = Recorder::with_clock(move || Duration::from_millis(clock.load(Relaxed)));
    for call in calls.iter().cloned() {
        match call {
            Call::Attempt(attempt) => recorder.attempt(attempt),
            Call::Outcome(client_id, outcome) => recorder.outcome(client_id, outcome),
            Call::Received(received) => recorder.received(received),
            Call::Member(span) => recorder.member(span),
            Call::Start(start) => recorder.start(start),
            Call::Reading(reading) => recorder.reading(reading),
            Call::Reads(reader) => recorder.reads(reader),
            Call::Mark(mark) => recorder.mark(mark),
            Call::Bound(bound) => recorder.bound(bound),
            Call::Broken(what) => recorder.broken(what),
            Call::Mended => recorder.mended(),
            Call::Wait(time) => drop(passed.fetch_add(time.as_millis() as u64, Relaxed)),
        }
    }
    recorder
}

struct Device {
    user: usize,
    id: DeviceId,
    session: u64,
    online: bool,
    /// How many entries of the whole log it has seen go by.
    reached: usize,
    /// The entry, by its place in the log, from which on it is owed any.
    began: usize,
}

struct Room {
    id: ConversationId,
    /// Spans of each user, the last one open or not.
    spans: Vec<Vec<(Seq, Option<Seq>)>>,
    /// What each user has read.
    read: Vec<Seq>,
}

/// A correct chat of four users in three rooms.
pub struct Chat {
    users: Vec<UserId>,
    rooms: Vec<Room>,
    devices: Vec<Device>,
    log: Vec<Event>,
    pub calls: Vec<Call>,
}

impl Chat {
    pub fn run(ops: &[Op]) -> Self {
        let users: Vec<_> = (0..4).map(|n| UserId::new(format!("user {n}")).unwrap()).collect();
        let room = |n: u64| Room {
            id: ConversationId::group(&users[0], ClientId::at(n)),
            spans: vec![Vec::new(); 4],
            read: vec![0; 4],
        };
        let rooms = (0..3).map(room).collect();
        let mut chat = Self { users, rooms, devices: Vec::new(), log: Vec::new(), calls: Vec::new() };
        (0..4).for_each(|user| chat.new_device(user));
        (0..3).for_each(|room| chat.begin(room));
        ops.iter().for_each(|op| chat.apply(op));
        for device in 0..chat.devices.len() {
            chat.connect(device, 0);
        }
        (0..3).for_each(|room| chat.read_everywhere(room));
        chat
    }

    /// The receipts, by their place among the calls.
    pub fn receipts(&self) -> Vec<(usize, Received)> {
        let receipt = |(place, call): (usize, &Call)| match call {
            Call::Received(received) => Some((place, received.clone())),
            _ => None,
        };
        self.calls.iter().enumerate().filter_map(receipt).collect()
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Send { user, room, text, fate } => self.say(user % 4, room % 3, Change::message(text), *fate),
            Op::Change { user, room, message, to, fate } => self.change(user % 4, room % 3, *message, to, *fate),
            Op::Read { user, room, entry } => self.read_upto(user % 4, room % 3, *entry),
            Op::Leave { user, room } => self.leave(user % 4, room % 3),
            Op::Join { user, room } => self.join(user % 4, room % 3),
            Op::Disconnect { device } => {
                let device = device % self.devices.len();
                self.devices[device].online = false;
            }
            Op::Reconnect { device, stale } => self.connect(device % self.devices.len(), *stale),
            Op::NewDevice { user } => self.new_device(user % 4),
        }
    }

    fn is_member(&self, user: usize, room: usize) -> bool {
        self.rooms[room].spans[user].last().is_some_and(|(_, to)| to.is_none())
    }

    fn may_see(&self, user: usize, event: &Event) -> bool {
        let room = self.rooms.iter().find(|room| room.id == event.conversation).unwrap();
        room.spans[user].iter().any(|(from, to)| *from <= event.seq && to.is_none_or(|to| event.seq <= to))
    }

    fn append(&mut self, sender: usize, room: usize, client_id: Option<ClientId>, change: Change) -> Seq {
        // Other conversations' entries lie between, so numbers have gaps.
        let seq = self.log.last().map_or(0, |event| event.seq) + 1 + (self.log.len() as u64 % 3);
        let conversation = self.rooms[room].id.clone();
        let prev = self.log.iter().rev().find(|event| event.conversation == conversation).map_or(0, |event| event.seq);
        let entry = Entry { sender: self.users[sender].clone(), client_id, time: 1_000 + seq, change };
        self.log.push(Event { conversation, seq, prev, entry });
        seq
    }

    fn begin(&mut self, room: usize) {
        let members: Vec<_> = self.users[..3].to_vec();
        let seq =
            self.append(0, room, Some(ClientId::at(9_000)), Change::GroupCreated { name: "room".into(), members });
        for user in 0..3 {
            self.open(user, room, seq);
        }
        self.push_live();
    }

    fn open(&mut self, user: usize, room: usize, from: Seq) {
        self.rooms[room].spans[user].push((from, None));
        self.span(user, room, from, None);
    }

    fn span(&mut self, user: usize, room: usize, from: Seq, to: Option<Seq>) {
        let conversation = self.rooms[room].id.clone();
        self.calls.push(Call::Member(Span { user: self.users[user].clone(), conversation, from, to }));
    }

    fn join(&mut self, user: usize, room: usize) {
        if !self.is_member(user, room) {
            let added = self.users[user].clone();
            let seq = self.append(0, room, None, Change::MemberAdded { user: added });
            self.open(user, room, seq);
            self.push_live();
        }
    }

    fn leave(&mut self, user: usize, room: usize) {
        if self.is_member(user, room) {
            let seq = self.append(user, room, None, Change::MemberLeft {});
            let span = self.rooms[room].spans[user].last_mut().unwrap();
            span.1 = Some(seq);
            let from = span.0;
            self.span(user, room, from, Some(seq));
            self.push_live();
        }
    }

    fn say(&mut self, user: usize, room: usize, change: Change, fate: Fate) {
        if !self.is_member(user, room) {
            return;
        }
        let client_id = ClientId::at(10_000 + self.calls.len() as u64);
        let (sender, conversation) = (self.users[user].clone(), self.rooms[room].id.clone());
        let attempt = Attempt { sender, conversation, client_id, change: change.clone() };
        self.calls.push(Call::Attempt(attempt.clone()));
        let outcome = match fate {
            Fate::Refused => Outcome::Refused,
            Fate::LostOnTheWay => Outcome::Unknown,
            Fate::Accepted | Fate::AcceptedOnRetry | Fate::StoredUnanswered => {
                let seq = self.append(user, room, Some(client_id), change);
                self.push_live();
                if matches!(fate, Fate::AcceptedOnRetry) {
                    self.calls.push(Call::Outcome(client_id, Outcome::Unknown));
                    self.calls.push(Call::Attempt(attempt));
                }
                if matches!(fate, Fate::StoredUnanswered) { Outcome::Unknown } else { Outcome::Accepted { seq } }
            }
        };
        self.calls.push(Call::Outcome(client_id, outcome));
    }

    fn new_device(&mut self, user: usize) {
        let id = DeviceId::new(format!("d{}", self.devices.len())).unwrap();
        let (reached, next) = (self.log.len(), self.log.last().map_or(1, |event| event.seq + 1));
        for room in &self.rooms {
            let (user, conversation) = (self.users[user].clone(), room.id.clone());
            self.calls.push(Call::Start(DeviceStart { user, device: id.clone(), conversation, from: next }));
        }
        self.devices.push(Device { user, id, session: 1, online: true, reached, began: reached });
    }

    fn push_live(&mut self) {
        for device in 0..self.devices.len() {
            if self.devices[device].online {
                self.catch_up(device);
            }
        }
    }

    fn connect(&mut self, device: usize, stale: usize) {
        let it = &mut self.devices[device];
        it.session += 1;
        it.online = true;
        it.reached = it.reached.saturating_sub(stale).max(it.began);
        self.catch_up(device);
        self.tell_marks(device);
    }

    fn catch_up(&mut self, device: usize) {
        let it = &self.devices[device];
        let missed = self.log[it.reached..].iter().filter(|event| self.may_see(it.user, event));
        let missed = missed.map(|event| self.archived(event));
        let calls: Vec<_> = missed.map(|event| Call::Received(self.receipt(device, Via::Session, event))).collect();
        self.calls.extend(calls);
        self.devices[device].reached = self.log.len();
    }

    fn receipt(&self, device: usize, via: Via, event: Event) -> Received {
        let it = &self.devices[device];
        Received { user: self.users[it.user].clone(), device: it.id.clone(), session: it.session, via, event }
    }

    fn read_everywhere(&mut self, room: usize) {
        self.read(Source::Archive, room, |_| true);
        for user in 0..4 {
            let shows = |event: &Event| self.may_see(user, event);
            let seen: HashSet<_> = self.log.iter().filter(|event| shows(event)).map(|event| event.seq).collect();
            let name = &self.users[user];
            let resumes = (!self.rooms[room].spans[user].is_empty()).then(|| Source::Resume(name.clone()));
            let reads = self.is_member(user, room).then(|| Source::History(name.clone()));
            for source in resumes.into_iter().chain(reads) {
                self.read(source, room, |seq| seen.contains(&seq));
            }
        }
    }

    fn read(&mut self, source: Source, room: usize, shows: impl Fn(Seq) -> bool) {
        let conversation = self.rooms[room].id.clone();
        let stands = self.log.iter().filter(|event| event.conversation == conversation && shows(event.seq));
        let events = stands.map(|event| self.veiled(&source, self.archived(event))).collect();
        let mut reading = Reading { source, conversation, events, states: Vec::new() };
        if let Source::History(reader) = &reading.source {
            (reading.events, reading.states) = self.as_now(&reader.clone(), reading.events);
        }
        self.calls.push(Call::Reading(reading));
    }
}
