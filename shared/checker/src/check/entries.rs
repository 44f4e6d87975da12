//! Entries as everybody sees them: the same, from somebody who sent them, each linked to the one
//! before.

use natter_protocol::Event;

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
    let Some((first, others)) = versions.split_first() else { return Vec::new() };
    let violation = |other: &Version<'_>| Violation::Divergent {
        witness: index.witness(other.first),
        conversation: other.event.conversation.clone(),
        seq: other.event.seq,
        difference: difference(first.event, other.event),
    };
    others.iter().map(violation).collect()
}

fn difference(one: &Event, other: &Event) -> Difference {
    let author = |event: &Event| (event.entry.sender.clone(), event.entry.client_id);
    if author(one) != author(other) {
        Difference::Author
    } else if one.entry.change != other.entry.change {
        Difference::Content
    } else if one.entry.time != other.entry.time {
        Difference::Time
    } else {
        Difference::Link
    }
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
