//! The seam between what a device missed and what happens now. Pure: told what arrives, asked
//! what to do.
//!
//! Each partition is in one of three phases. It waits for a marker, which proves that live events
//! reach this inbox and tells up to which number the archive must be read; it is behind, while
//! the archive is read and later events are held; or it is live. A hole, or the mere suspicion of
//! one, leads back to the first phase, from the position reached: resuming and healing are one.
//! An event that comes before the one that it links to waits for it a moment: the two may have
//! taken different ways.
//!
//! Invariant: every event of this user with a number up to the position was handed to the client
//! or lies before the device's own start.

use natter_bus::{Arrival, LiveEvent, Marker, Reached};
use natter_ids::{Partition, Position, Seq};
use natter_telemetry::Trace;

/// An event for the client, and where the device is with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deliver {
    pub(crate) position: Position,
    pub(crate) json: bytes::Bytes,
    pub(crate) stored_at: Option<u64>,
    pub(crate) trace: Option<Trace>,
}

#[derive(Debug)]
enum Phase {
    /// Events that come meanwhile are dropped; the archive has them. `fresh`: the device starts
    /// at the present.
    AwaitMarker { dropped_to: Seq, fresh: bool },
    /// The archive is read up to `upto`; later events are held, in order. `round`: of the marker
    /// that ended the wait.
    Behind { upto: Seq, held: Vec<Arrival>, held_bytes: usize, round: u32 },
    /// `early`: events whose link shows that one is still to come, in order. Events come by two ways
    /// (see [`natter_bus::Shipment`]), of which either may be the faster.
    Live { round: u32, early: Vec<Arrival> },
}

/// The seam of one session.
#[derive(Debug)]
pub(crate) struct Seam {
    position: Position,
    phases: Box<[Phase]>,
    /// The number of the markers waited for.
    round: u32,
    held_bytes_max: usize,
    /// Whether the client was told that it has caught up since the last hole.
    told: bool,
}

impl Seam {
    /// A session of a device that stopped at `position`, or of a new one.
    pub(crate) fn new(position: Option<Position>, partitions: u16, held_bytes_max: usize) -> Self {
        let fresh = position.is_none();
        let phases = Partition::all(partitions).map(|_| Phase::AwaitMarker { dropped_to: 0, fresh }).collect();
        let position = position.unwrap_or_else(|| Position::start(partitions));
        Self { position, phases, round: 1, held_bytes_max, told: false }
    }

    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// The number that marker requests carry now.
    pub(crate) fn round(&self) -> u32 {
        self.round
    }

    /// Whether some partition waits for a marker.
    pub(crate) fn needs_marker(&self) -> bool {
        self.phases.iter().any(|phase| matches!(phase, Phase::AwaitMarker { .. }))
    }

    /// Up to where the archive must be read, if it must: the position itself where it need not.
    pub(crate) fn wants_backlog(&self) -> Option<Position> {
        let mut upto = self.position.clone();
        for (partition, phase) in Partition::all(self.position.partitions()).zip(&*self.phases) {
            if let Phase::Behind { upto: number, .. } = phase {
                upto.advance(partition, *number);
            }
        }
        (upto != self.position).then_some(upto)
    }

    /// Whether the client lacks something, or may.
    pub(crate) fn is_behind(&self) -> bool {
        !self.told
    }

    /// Whether the client must now be told that it has caught up; says so once.
    pub(crate) fn newly_caught_up(&mut self) -> bool {
        let live = self.phases.iter().all(|phase| matches!(phase, Phase::Live { .. }));
        live && !std::mem::replace(&mut self.told, live)
    }

    /// Something may have been lost: every partition starts from its position again.
    pub(crate) fn suspect(&mut self) {
        self.round += 1;
        self.told = false;
        for phase in &mut self.phases {
            let (dropped_to, fresh) = match phase {
                Phase::AwaitMarker { dropped_to, fresh } => (*dropped_to, *fresh),
                Phase::Behind { upto, held, .. } => (held.last().map_or(*upto, |last| last.event.seq), false),
                Phase::Live { early, .. } => (early.last().map_or(0, |last| last.event.seq), false),
            };
            *phase = Phase::AwaitMarker { dropped_to, fresh };
        }
    }

    /// Asks for new markers without doubting: they show events that never came.
    pub(crate) fn audit(&mut self) {
        self.round += 1;
    }

    /// A live event arrives.
    pub(crate) fn on_event(&mut self, arrival: Arrival) -> Option<Deliver> {
        let LiveEvent { partition, seq, .. } = arrival.event;
        if seq <= self.position.get(partition) {
            return None;
        }
        match self.phases.get_mut(partition.index())? {
            Phase::AwaitMarker { dropped_to, .. } => *dropped_to = seq.max(*dropped_to),
            Phase::Behind { upto, .. } if seq <= *upto => {}
            Phase::Behind { held, held_bytes, .. } => {
                *held_bytes += insert(held, arrival);
                if *held_bytes > self.held_bytes_max {
                    let last = held.last().map_or(seq, |last| last.event.seq);
                    self.lose(partition, last);
                }
            }
            Phase::Live { .. } if arrival.link <= self.position.get(partition) => {
                return Some(self.deliver(arrival.event));
            }
            Phase::Live { early, .. } => {
                insert(early, arrival);
                if bytes(early) > self.held_bytes_max {
                    let last = early.last().map_or(seq, |last| last.event.seq);
                    self.lose(partition, last);
                }
            }
        }
        None
    }

    /// The next of the events that came early and whose turn it is now: to be asked for after each event
    /// that is handed on.
    pub(crate) fn next_early(&mut self, partition: Partition) -> Option<Deliver> {
        let position = self.position.get(partition);
        let Some(Phase::Live { early, .. }) = self.phases.get_mut(partition.index()) else { return None };
        while early.first().is_some_and(|first| first.event.seq <= position) {
            early.remove(0);
        }
        early.first().filter(|first| first.link <= position)?;
        let next = early.remove(0);
        Some(self.deliver(next.event))
    }

    /// Whether something came early and what it waits for has not come yet.
    pub(crate) fn waits(&self) -> bool {
        self.phases.iter().any(|phase| matches!(phase, Phase::Live { early, .. } if !early.is_empty()))
    }

    /// What is waited for does not come: it is read from the archive.
    pub(crate) fn give_up_waiting(&mut self) {
        for partition in Partition::all(self.position.partitions()) {
            if let Some(Phase::Live { early, .. }) = self.phases.get(partition.index())
                && let Some(last) = early.last()
            {
                self.lose(partition, last.event.seq);
            }
        }
    }

    /// A partition has a hole before, or no room for, the event with this number.
    fn lose(&mut self, partition: Partition, seq: Seq) {
        self.told = false;
        self.round += 1;
        if let Some(phase) = self.phases.get_mut(partition.index()) {
            *phase = Phase::AwaitMarker { dropped_to: seq, fresh: false };
        }
    }

    /// A marker arrives.
    pub(crate) fn on_marker(&mut self, marker: &Marker) {
        if marker.round != self.round {
            return;
        }
        let round = self.round;
        for Reached { partition, seq: reached, link } in marker.reached.iter().copied() {
            let position = self.position.get(partition);
            let Some(phase) = self.phases.get_mut(partition.index()) else { continue };
            let (upto, held, round) = match phase {
                Phase::AwaitMarker { dropped_to, fresh: true } => {
                    self.position.advance(partition, reached.max(*dropped_to));
                    *phase = Phase::Live { round, early: Vec::new() };
                    continue;
                }
                Phase::AwaitMarker { dropped_to, .. } => (reached.max(*dropped_to), Vec::new(), round),
                // A second owner, or a later look: what it has sent must have come, or is read.
                Phase::Behind { upto, held, round, .. } => (reached.max(*upto), std::mem::take(held), *round),
                // Since an earlier round every event has gone to this inbox, each with its link.
                Phase::Live { round: since, .. } if *since != round && link <= position => continue,
                Phase::Live { round: since, early } => (reached, std::mem::take(early), *since),
            };
            let held: Vec<_> = held.into_iter().filter(|arrival| arrival.event.seq > upto).collect();
            let held_bytes = bytes(&held);
            *phase = if upto > position {
                Phase::Behind { upto, held, held_bytes, round }
            } else {
                Phase::Live { round, early: held }
            };
        }
    }

    /// An event read from the archive, in the order of the archive's answer.
    pub(crate) fn on_archived(&mut self, event: LiveEvent) -> Option<Deliver> {
        (event.seq > self.position.get(event.partition)).then(|| self.deliver(event))
    }

    /// The archive's answer is complete up to here. Returns the held events that follow.
    pub(crate) fn on_archived_upto(&mut self, reached: &Position) -> Vec<Deliver> {
        let mut delivered = Vec::new();
        for partition in Partition::all(self.position.partitions()) {
            self.position.advance(partition, reached.get(partition));
            let position = self.position.get(partition);
            let Some(phase) = self.phases.get_mut(partition.index()) else { continue };
            let Phase::Behind { upto, held, round, .. } = phase else { continue };
            if *upto > position {
                continue;
            }
            let (held, round) = (std::mem::take(held), *round);
            *phase = Phase::Live { round, early: held };
            delivered.extend(std::iter::from_fn(|| self.next_early(partition)));
        }
        delivered
    }

    fn deliver(&mut self, event: LiveEvent) -> Deliver {
        self.position.advance(event.partition, event.seq);
        let LiveEvent { json, stored_at, trace, .. } = event;
        Deliver { position: self.position.clone(), json, stored_at, trace }
    }
}

/// Puts an event where its number belongs; returns by how many bytes that adds.
fn insert(events: &mut Vec<Arrival>, arrival: Arrival) -> usize {
    let index = events.partition_point(|other| other.event.seq < arrival.event.seq);
    match events.get_mut(index).filter(|other| other.event.seq == arrival.event.seq) {
        // Sent again by another owner.
        Some(known) => {
            known.link = known.link.min(arrival.link);
            0
        }
        None => {
            let bytes = arrival.event.json.len();
            events.insert(index, arrival);
            bytes
        }
    }
}

fn bytes(events: &[Arrival]) -> usize {
    events.iter().map(|arrival| arrival.event.json.len()).sum()
}

#[cfg(test)]
#[path = "seam_tests.rs"]
mod tests;
