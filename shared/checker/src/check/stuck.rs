//! What took longer than it may.

use std::collections::{BTreeMap, HashSet};

use natter_ids::{ConversationId, Seq};

use super::index::{Index, Room};
use crate::Violation;

pub(super) fn check(index: &Index<'_>, violations: &mut Vec<Violation>) {
    if index.times.bound.is_none() {
        return;
    }
    violations.extend(unanswered(index));
    let mut accepted: BTreeMap<(&ConversationId, Seq), u64> = BTreeMap::new();
    for tried in index.tries.iter() {
        if let (Some((_, seq)), Some(at)) = (tried.accepted, tried.accepted_ms) {
            accepted.insert((&tried.attempt.conversation, seq), at);
        }
    }
    for (conversation, room) in &index.rooms {
        violations.extend(late(index, conversation, room, &accepted));
    }
}

fn unanswered(index: &Index<'_>) -> Vec<Violation> {
    let violation = |tried: &super::tries::Try<'_>| {
        let delay = index.times.late(tried.asked_ms, tried.answered_ms.unwrap_or(index.times.now))?;
        Some(Violation::StuckMessage {
            sender: tried.attempt.sender.clone(),
            client_id: tried.attempt.client_id,
            conversation: tried.attempt.conversation.clone(),
            delay,
        })
    };
    index.tries.iter().filter_map(violation).collect()
}

/// An entry can be on its way once it is accepted, or once anybody has it: an acceptance may be
/// told late. One that never comes is lost.
fn late(
    index: &Index<'_>,
    conversation: &ConversationId,
    room: &Room<'_>,
    accepted: &BTreeMap<(&ConversationId, Seq), u64>,
) -> Vec<Violation> {
    let mut since: BTreeMap<Seq, u64> = BTreeMap::new();
    for arrival in room.arrivals.values().flatten() {
        let first = accepted.get(&(conversation, arrival.seq)).copied().unwrap_or(u64::MAX).min(arrival.at);
        since.entry(arrival.seq).and_modify(|at| *at = first.min(*at)).or_insert(first);
    }
    let mut violations = Vec::new();
    for (device, arrivals) in &room.arrivals {
        let owner = index.owner(*device);
        let mut had = HashSet::new();
        for arrival in arrivals.iter().filter(|arrival| had.insert(arrival.seq)) {
            let began = since.get(&arrival.seq).copied().unwrap_or(arrival.at);
            violations.extend(index.times.late(began, arrival.at).map(|delay| Violation::Stuck {
                user: owner.user.clone(),
                device: owner.device.clone(),
                conversation: conversation.clone(),
                seq: arrival.seq,
                delay,
            }));
        }
    }
    violations
}
