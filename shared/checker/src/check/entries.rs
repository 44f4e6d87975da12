//! Entries as everybody sees them: the same, from somebody who sent them, each linked to the one
//! before.

use natter_protocol::{Change, Event};

use super::index::{Index, Room, Version};
use crate::{Difference, Violation};

pub(super) fn check(index: &Index<'_>, violations: &mut Vec<Violation>) {
    for room in index.rooms.values() {
        for versions in room.versions.values() {
            violations.extend(versions.iter().filter_map(|version| phantom(index, version)));
            violations.extend(divergent(index, versions));
            violations.extend(versions.iter().find(|it| it.forged.is_none()).and_then(|it| unlinked(room, it.event)));
        }
    }
}

fn phantom(index: &Index<'_>, version: &Version<'_>) -> Option<Violation> {
    let why = version.forged?;
    Some(Violation::Phantom {
        witness: index.witness(version.first),
        conversation: version.event.conversation.clone(),
        seq: version.event.seq,
        sender: version.event.entry.sender.clone(),
        client_id: version.event.entry.client_id,
        why,
    })
}

fn divergent(index: &Index<'_>, versions: &[Version<'_>]) -> Vec<Violation> {
    // The first that tells most of what the entry was made as.
    let tells = |version: &&Version<'_>| (is_erased(&version.event.entry.change), version.as_now);
    let Some(first) = versions.iter().min_by_key(tells) else { return Vec::new() };
    let violation = |other: &Version<'_>| {
        Some(Violation::Divergent {
            witness: index.witness(other.first),
            conversation: other.event.conversation.clone(),
            seq: other.event.seq,
            difference: difference(first.event, other)?,
        })
    };
    versions.iter().filter_map(violation).collect()
}

fn difference(one: &Event, version: &Version<'_>) -> Option<Difference> {
    let other = version.event;
    let author = |event: &Event| (event.entry.sender.clone(), event.entry.client_id);
    if author(one) != author(other) {
        Some(Difference::Author)
    } else if !is_version(&one.entry.change, version) {
        Some(Difference::Content)
    } else if one.entry.time != other.entry.time {
        Some(Difference::Time)
    } else {
        (one.prev != other.prev).then_some(Difference::Link)
    }
}

/// Whether an entry can be seen like this: as it was made, without its text once that is deleted, or a
/// message as it is now. Whether it may, and with which text, follows from later entries.
fn is_version(made: &Change, seen: &Version<'_>) -> bool {
    match (made, &seen.event.entry.change) {
        (made, Change::Erased { was }) if !is_erased(made) => made.kind() == was,
        (Change::Message { .. }, Change::Message { .. }) if seen.as_now => true,
        (made, seen) => made == seen,
    }
}

fn is_erased(change: &Change) -> bool {
    matches!(change, Change::Erased { .. })
}

fn unlinked(room: &Room<'_>, event: &Event) -> Option<Violation> {
    let place = room.known.partition_point(|seq| *seq < event.seq);
    let before = place.checked_sub(1).map_or(0, |place| room.known[place]);
    (event.prev != before).then(|| Violation::Unlinked {
        conversation: event.conversation.clone(),
        seq: event.seq,
        prev: event.prev,
        before,
    })
}
