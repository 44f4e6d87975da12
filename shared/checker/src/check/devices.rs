//! What each device must have, and must not have.

use std::collections::BTreeSet;

use natter_ids::{ClientId, ConversationId, Seq};

use super::index::{Device, Index, Room};
use crate::Violation;

pub(super) fn check(index: &Index<'_>, violations: &mut Vec<Violation>) {
    for (conversation, room) in &index.rooms {
        for device in room.users().iter().filter_map(|user| index.owed.get(*user)).flatten() {
            violations.extend(lost(index, conversation, room, *device));
        }
        violations.extend(leaked(index, conversation, room));
    }
}

/// The numbers, rising, each once.
pub(super) fn rising(seqs: impl Iterator<Item = Seq>) -> Vec<Seq> {
    let mut seqs: Vec<Seq> = seqs.collect();
    seqs.sort_unstable();
    seqs.dedup();
    seqs
}

/// Those of `due` that `have` lacks; both rise.
pub(super) fn missing(due: impl Iterator<Item = Seq>, have: &[Seq]) -> Vec<Seq> {
    let mut have = have.iter().copied().peekable();
    due.filter(|seq| {
        while have.next_if(|had| had < seq).is_some() {}
        have.peek() != Some(seq)
    })
    .collect()
}

fn lost(index: &Index<'_>, conversation: &ConversationId, room: &Room<'_>, device: Device) -> Vec<Violation> {
    let owner = index.owner(device);
    let have = rising(room.arrivals.get(&device).into_iter().flatten().map(|arrival| arrival.seq));
    let missing = missing(room.due(&owner.user, room.start(device)), &have);
    let violation = |seq| Violation::Lost {
        user: owner.user.clone(),
        device: owner.device.clone(),
        conversation: conversation.clone(),
        seq,
        client_id: client_id(room, seq),
    };
    missing.into_iter().map(violation).collect()
}

fn client_id(room: &Room<'_>, seq: Seq) -> Option<ClientId> {
    let received = room.versions.get(&seq).and_then(|versions| versions.first());
    received.map_or_else(|| room.accepted.get(&seq).copied(), |version| version.event.entry.client_id)
}

fn leaked(index: &Index<'_>, conversation: &ConversationId, room: &Room<'_>) -> Vec<Violation> {
    let mut leaks: BTreeSet<(Device, Seq)> = BTreeSet::new();
    let sent = room.arrivals.iter().flat_map(|(device, all)| all.iter().map(|arrival| (*device, arrival.seq)));
    leaks.extend(sent.filter(|(device, seq)| !room.is_member(&index.owner(*device).user, *seq)));
    let violation = |(device, seq)| {
        let owner = index.owner(device);
        Violation::Leaked {
            user: owner.user.clone(),
            device: owner.device.clone(),
            conversation: conversation.clone(),
            seq,
        }
    };
    leaks.into_iter().map(violation).collect()
}
