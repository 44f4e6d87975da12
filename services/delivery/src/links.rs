//! The last event sent to each user, per partition: what the next one links to.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use natter_ids::{Partition, Seq, UserId};

/// The links of a partition.
#[derive(Default)]
pub(crate) struct Lane {
    /// The last event sent to each user who is, or was lately, online.
    last: HashMap<UserId, Seq>,
    /// Since when this replica sends: nobody outside `last` has been sent an event since.
    since: Seq,
}

impl Lane {
    /// The last event sent to the user.
    pub(crate) fn of(&self, user: &UserId) -> Seq {
        self.last.get(user).copied().unwrap_or(self.since)
    }

    /// Notes an event that is sent to the user; returns the one before.
    pub(crate) fn advance(&mut self, user: &UserId, seq: Seq) -> Seq {
        match self.last.get_mut(user) {
            Some(last) => std::mem::replace(last, seq),
            None => {
                self.last.insert(user.clone(), seq);
                self.since
            }
        }
    }
}

/// Links of the owned partitions. Locks are held for a few look-ups only.
pub(crate) struct Links(Box<[Mutex<Lane>]>);

impl Links {
    pub(crate) fn new(partitions: u16) -> Self {
        Self(Partition::all(partitions).map(|_| Mutex::default()).collect())
    }

    pub(crate) fn lane(&self, partition: Partition) -> MutexGuard<'_, Lane> {
        self.0[partition.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This replica becomes the owner and has sent nothing.
    pub(crate) fn begin(&self, partition: Partition, since: Seq) {
        *self.lane(partition) = Lane { last: HashMap::new(), since };
    }

    /// Forgets users who are offline, so that memory follows who is online.
    pub(crate) fn sweep(&self, partition: Partition, may_be_online: impl Fn(&UserId) -> bool) {
        self.lane(partition).last.retain(|user, _| may_be_online(user));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_event_to_event() {
        let (links, partition) = (Links::new(2), Partition(1));
        let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
        links.begin(partition, 7);
        assert_eq!(links.lane(partition).of(&alice), 7);
        assert_eq!(links.lane(partition).advance(&alice, 9), 7);
        assert_eq!(links.lane(partition).advance(&alice, 12), 9);
        assert_eq!(links.lane(partition).of(&alice), 12);
        assert_eq!(links.lane(partition).of(&bob), 7);
        links.sweep(partition, |user| user == &bob);
        assert_eq!(links.lane(partition).of(&alice), 7);
        links.begin(partition, 20);
        assert_eq!(links.lane(partition).of(&alice), 20);
    }
}
