//! Each device's own view: rising, nothing twice in a session.

use std::collections::{HashMap, HashSet};

use natter_ids::{ConversationId, Seq};

use super::index::{Arrival, Device, Index};
use crate::{Via, Violation};

pub(super) fn check(index: &Index<'_>, violations: &mut Vec<Violation>) {
    for (conversation, room) in &index.rooms {
        for (device, arrivals) in &room.arrivals {
            if !arrivals.is_sorted_by(|one, next| one.seq < next.seq) {
                violations.extend(View { index, device: *device, conversation }.judge(arrivals));
            }
        }
    }
}

struct View<'i> {
    index: &'i Index<'i>,
    device: Device,
    conversation: &'i ConversationId,
}

impl View<'_> {
    /// A later session may repeat what an earlier one brought, since the device may not have kept
    /// it. What is new to the device is newer than all it has, whatever the session: otherwise it
    /// was shown a later entry before an earlier one.
    fn judge(&self, arrivals: &[Arrival]) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut in_session: HashSet<(Via, u64, Seq)> = HashSet::new();
        let mut newest_in_session: HashMap<(Via, u64), Seq> = HashMap::new();
        let mut ever: HashSet<Seq> = HashSet::new();
        let mut newest_ever = 0;
        for Arrival { via, session, seq, .. } in arrivals.iter().copied() {
            let newest = newest_in_session.entry((via, session)).or_default();
            let new = ever.insert(seq);
            if !in_session.insert((via, session, seq)) {
                violations.push(self.duplicated(session, seq));
            } else if seq < *newest {
                violations.push(self.reordered(session, seq, *newest));
            } else if new && seq < newest_ever {
                violations.push(self.reordered(session, seq, newest_ever));
            }
            *newest = seq.max(*newest);
            newest_ever = seq.max(newest_ever);
        }
        violations
    }

    fn duplicated(&self, session: u64, seq: Seq) -> Violation {
        let owner = self.index.owner(self.device);
        Violation::Duplicated {
            user: owner.user.clone(),
            device: owner.device.clone(),
            session,
            conversation: self.conversation.clone(),
            seq,
        }
    }

    fn reordered(&self, session: u64, seq: Seq, after: Seq) -> Violation {
        let owner = self.index.owner(self.device);
        Violation::Reordered {
            user: owner.user.clone(),
            device: owner.device.clone(),
            session,
            conversation: self.conversation.clone(),
            seq,
            after,
        }
    }
}
