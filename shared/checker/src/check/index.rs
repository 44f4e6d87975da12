//! A history, sorted so that each check finds what it needs without searching.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::{Event, MessageState};

use super::{marks::Marks, states::only_changes, times::Times, tries::Tries};
use crate::{
    DeviceStart, Forgery, History, Source, Span, Via, Witness,
    record::{Owner, Place, Receipt, Record},
};

/// A device, by its number; those that only a start names come after the recorded ones.
pub(super) type Device = u32;

#[derive(Default)]
pub(super) struct Index<'a> {
    pub devices: Vec<Owner>,
    pub tries: Tries<'a>,
    pub rooms: BTreeMap<&'a ConversationId, Room<'a>>,
    /// The devices that are owed deliveries, by user.
    pub owed: HashMap<UserId, BTreeSet<Device>>,
    pub readings: Vec<Reading<'a>>,
    pub times: Times<'a>,
    pub marks: Marks,
}

/// What stands in one place of a conversation.
pub(super) struct Reading<'a> {
    pub place: &'a Place,
    pub events: Vec<&'a Event>,
    pub states: Vec<&'a MessageState>,
}

impl<'a> Reading<'a> {
    fn of(place: &'a Place) -> Self {
        Self { place, events: Vec::new(), states: Vec::new() }
    }

    /// Whether it shows messages as they are now, and not entries as they were made.
    pub fn shows_as_now(&self) -> bool {
        matches!(self.place.source, Source::History(_))
    }
}

/// Where a version of an entry came from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    On(Device),
    /// In the reading of that number.
    In(u32),
}

/// An entry, as somebody received it first in this form.
pub(super) struct Version<'a> {
    pub event: &'a Event,
    pub first: Seen,
    /// Whether it is from where messages are shown as they are now.
    pub as_now: bool,
    pub forged: Option<Forgery>,
}

/// A conversation.
#[derive(Default)]
pub(super) struct Room<'a> {
    /// What was received, in the order in which it was.
    pub versions: BTreeMap<Seq, Vec<Version<'a>>>,
    /// The numbers of all entries that are known to exist, rising.
    pub known: Vec<Seq>,
    /// The messages and changes that were accepted, by number.
    pub accepted: HashMap<Seq, ClientId>,
    /// The numbers of entries that only change a message.
    pub changes: HashSet<Seq>,
    /// Spans by user, both ends included.
    spans: HashMap<&'a UserId, Vec<(Seq, Seq)>>,
    starts: HashMap<Device, Seq>,
    /// What each device was sent, in order.
    pub arrivals: BTreeMap<Device, Vec<Arrival>>,
}

/// An entry that a device was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    pub via: Via,
    pub session: u64,
    pub seq: Seq,
    /// When, in milliseconds.
    pub at: u64,
}

impl<'a> Index<'a> {
    pub fn new(history: &'a History) -> Self {
        let mut index = Self::default();
        let mut starts = Vec::new();
        let mut events = Vec::new();
        let mut seen = HashSet::new();
        for (now, record) in history.records.iter().enumerate() {
            match record {
                Record::Attempt(attempt) => index.tries.attempt(attempt, now, index.times.now),
                Record::Outcome { client_id, outcome } => {
                    index.tries.outcome(*client_id, *outcome, now, index.times.now);
                }
                Record::At(now) => index.times.now = *now,
                Record::Bound(bound) => index.times.bound = Some(*bound),
                Record::Broken(what) => index.times.broken(what),
                Record::Mended => index.times.mended(),
                Record::Member(span) => index.member(span),
                Record::Start(start) => starts.push(&**start),
                Record::Device(owner) => index.devices.push((**owner).clone()),
                Record::Event(event) => events.push(&**event),
                Record::Received(receipt) => {
                    // A history from elsewhere was checked when it was read: both are there.
                    let event = events[receipt.event as usize];
                    index.received(event, *receipt);
                    let new = seen.insert((receipt.event, false));
                    index.version(event, Seen::On(receipt.device), false, new);
                }
                Record::Reading(place) => index.readings.push(Reading::of(place)),
                Record::Read { reading, event } => {
                    let shown = events[*event as usize];
                    index.readings[*reading as usize].events.push(shown);
                    let as_now = index.readings[*reading as usize].shows_as_now();
                    index.version(shown, Seen::In(*reading), as_now, seen.insert((*event, as_now)));
                }
                Record::State { reading, state } => index.readings[*reading as usize].states.push(state),
                Record::Reads(reader) => index.marks.said(reader),
                Record::Mark(mark) => index.marks.told(mark),
            }
        }
        index.start_devices(&starts);
        index.find_forgeries();
        index.find_entries();
        index
    }

    pub fn owner(&self, device: Device) -> &Owner {
        &self.devices[device as usize]
    }

    pub fn witness(&self, seen: Seen) -> Witness {
        match seen {
            Seen::On(device) => {
                let Owner { user, device } = self.owner(device).clone();
                Witness::Device { user, device }
            }
            Seen::In(reading) => Witness::Source(self.readings[reading as usize].place.source.clone()),
        }
    }

    fn member(&mut self, span: &'a Span) {
        let spans = self.rooms.entry(&span.conversation).or_default().spans.entry(&span.user).or_default();
        spans.retain(|(from, _)| *from != span.from);
        spans.push((span.from, span.to.unwrap_or(Seq::MAX)));
    }

    fn version(&mut self, event: &'a Event, first: Seen, as_now: bool, new: bool) {
        if new {
            let room = self.rooms.entry(&event.conversation).or_default();
            room.versions.entry(event.seq).or_default().push(Version { event, first, as_now, forged: None });
        }
    }

    fn received(&mut self, event: &'a Event, receipt: Receipt) {
        let Receipt { device, session, via, .. } = receipt;
        let room = self.rooms.entry(&event.conversation).or_default();
        let arrivals = room.arrivals.entry(device).or_default();
        if arrivals.is_empty() {
            let owner = &self.devices[device as usize];
            self.owed.entry(owner.user.clone()).or_default().insert(device);
        }
        arrivals.push(Arrival { via, session, seq: event.seq, at: self.times.now });
    }

    fn start_devices(&mut self, starts: &[&'a DeviceStart]) {
        let numbered = self.devices.iter().cloned().zip(0..);
        let mut numbers: HashMap<Owner, Device> = numbered.collect();
        for start in starts {
            let owner = Owner { user: start.user.clone(), device: start.device.clone() };
            let device = *numbers.entry(owner).or_insert_with_key(|owner| {
                self.devices.push(owner.clone());
                u32::try_from(self.devices.len() - 1).unwrap_or(u32::MAX)
            });
            self.owed.entry(start.user.clone()).or_default().insert(device);
            self.rooms.entry(&start.conversation).or_default().starts.insert(device, start.from);
        }
    }

    fn find_forgeries(&mut self) {
        for version in self.rooms.values_mut().flat_map(|room| room.versions.values_mut().flatten()) {
            version.forged = self.tries.origin(version.event, version.as_now).err();
        }
    }

    /// An entry exists when it was accepted, when somebody received it and it is not forged, or
    /// when such a one links to it.
    fn find_entries(&mut self) {
        for tried in self.tries.iter() {
            let room = self.rooms.entry(&tried.attempt.conversation).or_default();
            let seqs = tried.accepted.map(|(_, seq)| seq).into_iter().chain(tried.accepted_again.iter().copied());
            for seq in seqs {
                room.accepted.insert(seq, tried.attempt.client_id);
                if only_changes(&tried.attempt.change) {
                    room.changes.insert(seq);
                }
            }
        }
        for room in self.rooms.values_mut() {
            let mut known: BTreeSet<Seq> = room.accepted.keys().copied().collect();
            for version in room.versions.values().filter_map(|versions| versions.iter().find(|it| it.forged.is_none()))
            {
                let Event { seq, prev, .. } = *version.event;
                known.extend([seq].into_iter().chain((0 < prev && prev < seq).then_some(prev)));
                if only_changes(&version.event.entry.change) {
                    room.changes.insert(seq);
                }
            }
            room.known = known.into_iter().collect();
        }
    }
}

impl<'a> Room<'a> {
    /// Everybody who is or was a member, in a fixed order.
    pub fn users(&self) -> BTreeSet<&'a UserId> {
        self.spans.keys().copied().collect()
    }

    pub fn is_member(&self, user: &UserId, seq: Seq) -> bool {
        self.spans.get(user).is_some_and(|spans| spans.iter().any(|(from, to)| (*from..=*to).contains(&seq)))
    }

    /// The entries that a place must show, rising.
    pub fn shown_in(&self, source: &Source) -> Vec<Seq> {
        match source {
            Source::Archive => self.known.clone(),
            Source::Resume(user) => self.due(user, 0).collect(),
            Source::History(user) => self.due(user, 0).filter(|seq| !self.changes.contains(seq)).collect(),
        }
    }

    /// Whether anybody saw the entry, as it was said.
    pub fn is_seen(&self, seq: Seq) -> bool {
        self.versions.get(&seq).is_some_and(|versions| versions.iter().any(|version| version.forged.is_none()))
    }

    /// The entries that a user must have, from `from` on, rising.
    pub fn due<'r>(&'r self, user: &UserId, from: Seq) -> impl Iterator<Item = Seq> + use<'r, 'a> {
        let spans = self.spans.get(user).map(Vec::as_slice).unwrap_or_default();
        let begin = self.known.partition_point(|seq| *seq < from);
        self.known[begin..]
            .iter()
            .copied()
            .filter(move |seq| spans.iter().any(|(first, last)| (*first..=*last).contains(seq)))
    }

    pub fn start(&self, device: Device) -> Seq {
        self.starts.get(&device).copied().unwrap_or(0)
    }
}
