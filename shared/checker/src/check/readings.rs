//! What stands in history, comes by resuming and lies in the archive: what devices received.

use natter_ids::Seq;

use super::{
    devices::{missing, rising},
    index::{Index, Reading, Room},
};
use crate::{Mismatch, Source, Violation};

pub(super) fn check(index: &Index<'_>, violations: &mut Vec<Violation>) {
    for reading in &index.readings {
        let Some(room) = index.rooms.get(&reading.place.conversation) else { continue };
        violations.extend(lacks(room, reading));
        violations.extend(out_of_order(reading));
        violations.extend(leaks(room, reading));
        violations.extend(shows_changes(room, reading));
    }
}

fn lacks(room: &Room<'_>, reading: &Reading<'_>) -> Vec<Violation> {
    let have = rising(own(reading));
    let lacks = |seq| {
        let mismatch = if room.is_seen(seq) { Mismatch::Lacks } else { Mismatch::LacksLikeAll };
        violation(reading, seq, mismatch)
    };
    missing(room.shown_in(&reading.place.source).into_iter(), &have).into_iter().map(lacks).collect()
}

fn out_of_order(reading: &Reading<'_>) -> Vec<Violation> {
    let (mut newest, mut seen) = (0, std::collections::HashSet::new());
    let mut violations = Vec::new();
    for seq in own(reading) {
        if !seen.insert(seq) {
            violations.push(violation(reading, seq, Mismatch::Repeats));
        } else if seq < newest {
            violations.push(violation(reading, seq, Mismatch::Misplaces));
        }
        newest = seq.max(newest);
    }
    violations
}

fn leaks(room: &Room<'_>, reading: &Reading<'_>) -> Vec<Violation> {
    let place = reading.place;
    let may_show = |seq| match &place.source {
        Source::Archive => true,
        Source::History(user) | Source::Resume(user) => room.is_member(user, seq),
    };
    let leaks = reading.events.iter().filter(|event| event.conversation != place.conversation || !may_show(event.seq));
    leaks.map(|event| violation(reading, event.seq, Mismatch::Leaks)).collect()
}

fn shows_changes(room: &Room<'_>, reading: &Reading<'_>) -> Vec<Violation> {
    let shown = own(reading).filter(|seq| reading.shows_as_now() && room.changes.contains(seq));
    shown.map(|seq| violation(reading, seq, Mismatch::ShowsChange)).collect()
}

/// The numbers of those entries that are of the conversation read.
fn own<'r>(reading: &'r Reading<'_>) -> impl Iterator<Item = Seq> + 'r {
    let of_it = reading.events.iter().filter(|event| event.conversation == reading.place.conversation);
    of_it.map(|event| event.seq)
}

pub(super) fn violation(reading: &Reading<'_>, seq: Seq, mismatch: Mismatch) -> Violation {
    Violation::Reading {
        place: reading.place.source.clone(),
        conversation: reading.place.conversation.clone(),
        seq,
        mismatch,
    }
}
