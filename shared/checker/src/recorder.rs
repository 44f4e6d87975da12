//! Recording while a test runs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use natter_ids::{ClientId, ConversationId, Seq};
use natter_protocol::Event;

use crate::{
    Attempt, DeviceStart, History, Mark, Outcome, Reader, Reading, Received, Span,
    clock::Clock,
    record::{Owner, Place, Receipt, Record},
};

/// Records a history from any number of tasks and threads; clones record into the same one.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    records: Vec<Record>,
    clock: Clock,
    /// The time of the newest record, in milliseconds.
    now: u64,
    devices: HashMap<Owner, u32>,
    /// Where in `records` each version of an entry is, and its number as an event.
    events: HashMap<(ConversationId, Seq), Vec<(usize, u32)>>,
    events_count: u32,
    readings_count: u32,
}

impl Recorder {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty history, with a clock of one's own: the time since the recorder began.
    pub fn with_clock(clock: impl Fn() -> Duration + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Inner { clock: Clock::new(clock), ..Inner::default() })))
    }

    /// Records how soon a message has to be answered, and then to reach every device, while
    /// nothing is broken. Without this no time is too long. For devices that are there all the
    /// time: that one was away is no excuse.
    pub fn bound(&self, bound: Duration) {
        self.inner().records.push(Record::Bound(ms(bound)));
    }

    /// Records that something is broken on purpose from now on.
    pub fn broken(&self, what: impl Into<String>) {
        self.inner().records.push(Record::Broken(what.into()));
    }

    /// Records that it works again: what was under way is due within the bound.
    pub fn mended(&self) {
        self.inner().records.push(Record::Mended);
    }

    /// Records that a message or a change is about to be sent; also each time it is sent again.
    pub fn attempt(&self, attempt: Attempt) {
        self.inner().records.push(Record::Attempt(Box::new(attempt)));
    }

    /// Records how the newest attempt under a client id ended. An attempt without an outcome
    /// counts as [`Outcome::Unknown`].
    pub fn outcome(&self, client_id: ClientId, outcome: Outcome) {
        self.inner().records.push(Record::Outcome { client_id, outcome });
    }

    /// Records an event that a device got. The calls for one device have to be in the order in
    /// which the device got its events.
    pub fn received(&self, received: Received) {
        let Received { user, device, session, via, event } = received;
        let mut inner = self.inner();
        let device = inner.device(Owner { user, device });
        let event = inner.event(event);
        inner.records.push(Record::Received(Receipt { device, session, via, event }));
    }

    /// Records what stands in one place of a conversation once everything has arrived: it must be
    /// what devices received.
    pub fn reading(&self, reading: Reading) {
        let Reading { source, conversation, events, states } = reading;
        let mut inner = self.inner();
        let number = inner.readings_count;
        inner.readings_count += 1;
        inner.records.push(Record::Reading(Box::new(Place { source, conversation })));
        for event in events {
            let event = inner.event(event);
            inner.records.push(Record::Read { reading: number, event });
        }
        let states = states.into_iter().map(|state| Record::State { reading: number, state: Box::new(state) });
        inner.records.extend(states);
    }

    /// Records that somebody is about to say how far they have read.
    pub fn reads(&self, reader: Reader) {
        self.inner().records.push(Record::Reads(Box::new(reader)));
    }

    /// Records how far a device is told that somebody has come. The calls for one device have to be in
    /// the order in which it was told.
    pub fn mark(&self, mark: Mark) {
        self.inner().records.push(Record::Mark(Box::new(mark)));
    }

    /// Records a span of membership. One that begins with the same entry replaces the earlier
    /// record, so that a span can be opened first and closed later.
    pub fn member(&self, span: Span) {
        self.inner().records.push(Record::Member(Box::new(span)));
    }

    /// Records from which entry on a device is owed a conversation's entries. Without this a
    /// device is owed everything that its user is.
    pub fn start(&self, start: DeviceStart) {
        self.inner().records.push(Record::Start(Box::new(start)));
    }

    /// Everything recorded so far.
    pub fn history(&self) -> History {
        History { records: self.inner().records.clone() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change is a push that happens or does not: a panic elsewhere leaves it whole.
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.tell_time();
        inner
    }
}

impl Inner {
    fn tell_time(&mut self) {
        let now = ms(self.clock.elapsed());
        if now > self.now {
            self.now = now;
            self.records.push(Record::At(now));
        }
    }

    fn device(&mut self, owner: Owner) -> u32 {
        if let Some(number) = self.devices.get(&owner) {
            return *number;
        }
        let number = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        self.records.push(Record::Device(Box::new(owner.clone())));
        self.devices.insert(owner, number);
        number
    }

    fn event(&mut self, event: Event) -> u32 {
        let versions = self.events.entry((event.conversation.clone(), event.seq)).or_default();
        let same = |place: &usize| matches!(&self.records[*place], Record::Event(known) if **known == event);
        if let Some((_, number)) = versions.iter().find(|(place, _)| same(place)) {
            return *number;
        }
        let number = self.events_count;
        versions.push((self.records.len(), number));
        self.records.push(Record::Event(Box::new(event)));
        self.events_count += 1;
        number
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
