//! The last event sent to each user, per partition: what the next one links to.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use natter_ids::{Partition, Seq, UserId};

#[derive(Default)]
struct Lane {
    /// The last event of each user who is, or was lately, online: sent, or left out because they
    /// seemed offline. A link to one left out makes an inbox that was there after all look for it.
    last: HashMap<UserId, Seq>,
    /// Since when this replica sends: nobody outside `last` has had an event since.
    since: Seq,
}

impl Lane {
    fn advance(&mut self, user: &UserId, seq: Seq) -> Seq {
        let since = self.since;
        match self.last.get_mut(user) {
            Some(last) => std::mem::replace(last, seq),
            None => {
                self.last.insert(user.clone(), seq);
                since
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

    fn lane(&self, partition: Partition) -> MutexGuard<'_, Lane> {
        self.0[partition.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This replica becomes the owner and has sent nothing.
    pub(crate) fn begin(&self, partition: Partition, since: Seq) {
        *self.lane(partition) = Lane { last: HashMap::new(), since };
    }

    /// Notes an event of the user; returns what it links to.
    pub(crate) fn advance(&self, partition: Partition, user: &UserId, seq: Seq) -> Seq {
        self.lane(partition).advance(user, seq)
    }

    /// Notes an event of several users; returns what it links to for each.
    pub(crate) fn advance_all(&self, partition: Partition, users: &[UserId], seq: Seq) -> Vec<Seq> {
        let mut lane = self.lane(partition);
        users.iter().map(|user| lane.advance(user, seq)).collect()
    }

    /// What the user's next event links to.
    pub(crate) fn of(&self, partition: Partition, user: &UserId) -> Seq {
        let lane = self.lane(partition);
        lane.last.get(user).copied().unwrap_or(lane.since)
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
        assert_eq!(links.of(partition, &alice), 7);
        assert_eq!(links.advance(partition, &alice, 9), 7);
        assert_eq!(links.advance(partition, &alice, 12), 9);
        assert_eq!((links.of(partition, &alice), links.of(partition, &bob)), (12, 7));
        links.sweep(partition, |user| user == &bob);
        assert_eq!(links.of(partition, &alice), 7);
        links.begin(partition, 20);
        assert_eq!(links.of(partition, &alice), 20);
    }
}
