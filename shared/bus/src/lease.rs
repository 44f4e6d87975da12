//! Who owns which partition: a pure table, told what the bucket says, asked what to do.
//!
//! Each replica keeps two kinds of keys: one that says it lives, and one per partition it owns.
//! Every change goes through a revision check in the bucket, so two replicas never both succeed.
//! Clocks of different machines are never compared: a lease is expired when *this* process has
//! seen no renewal for the whole lease time. Partitions are spread over the living replicas in
//! the order of their names, and move when that changes, one release at a time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use natter_ids::{GatewayId, Partition};

/// What the bucket says of one partition.
#[derive(Debug, Clone)]
struct Lease {
    /// `None`: released by its owner.
    owner: Option<GatewayId>,
    revision: u64,
    seen: Instant,
}

/// What to do next. Carry it out, then tell the table what the bucket answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAction {
    /// Write this replica as owner, if the key still has the revision (0: no such key).
    Claim(Partition, u64),
    /// Write this replica as owner again.
    Renew(Partition, u64),
    /// Stop working on the partition, then write that nobody owns it.
    Release(Partition, u64),
}

/// One replica's view of the leases of its service.
#[derive(Debug)]
pub struct LeaseTable {
    me: GatewayId,
    partitions: u16,
    ttl: Duration,
    leases: BTreeMap<Partition, Lease>,
    replicas: BTreeMap<GatewayId, Instant>,
    started: Instant,
}

impl LeaseTable {
    /// An empty table.
    pub fn new(me: GatewayId, partitions: u16, ttl: Duration, now: Instant) -> Self {
        Self { me, partitions, ttl, leases: BTreeMap::new(), replicas: BTreeMap::new(), started: now }
    }

    /// The bucket says: a partition has this owner, as of this revision.
    pub fn observe_lease(&mut self, partition: Partition, owner: Option<GatewayId>, revision: u64, now: Instant) {
        let known = self.leases.get(&partition).map_or(0, |lease| lease.revision);
        // An echo of an older write must not bring back what a newer one changed.
        if revision > known || known == 0 {
            self.leases.insert(partition, Lease { owner, revision, seen: now });
        }
    }

    /// The bucket says: there is no key for this partition any more.
    pub fn forget_lease(&mut self, partition: Partition) {
        self.leases.remove(&partition);
    }

    /// The bucket says: a replica lives, or has ended by itself.
    pub fn observe_replica(&mut self, replica: GatewayId, alive: bool, now: Instant) {
        if alive {
            self.replicas.insert(replica, now);
        } else {
            self.replicas.remove(&replica);
        }
    }

    /// Forgets what was seen: the view may be stale after the connection broke. Nothing counts as
    /// expired before a whole lease time was watched again.
    pub fn restart(&mut self, now: Instant) {
        self.leases.clear();
        self.replicas.clear();
        self.started = now;
    }

    /// Whether this replica owns the partition, for certain, now.
    pub fn owns(&self, partition: Partition, now: Instant) -> bool {
        self.leases
            .get(&partition)
            .is_some_and(|lease| lease.owner.as_ref() == Some(&self.me) && !self.expired(lease, now))
    }

    /// What to do now. Ask again several times per lease time.
    pub fn decide(&self, now: Instant) -> Vec<LeaseAction> {
        Partition::all(self.partitions).filter_map(|partition| self.decide_one(partition, now)).collect()
    }

    fn decide_one(&self, partition: Partition, now: Instant) -> Option<LeaseAction> {
        let mine_by_share = self.share_of(partition, now) == &self.me;
        match self.leases.get(&partition) {
            // Not knowing the key yet is not the same as knowing that there is none.
            None => (mine_by_share && now >= self.started + self.ttl / 4).then_some(LeaseAction::Claim(partition, 0)),
            Some(lease) if lease.owner.as_ref() == Some(&self.me) => Some(if mine_by_share || self.is_new(now) {
                LeaseAction::Renew(partition, lease.revision)
            } else {
                LeaseAction::Release(partition, lease.revision)
            }),
            Some(lease) => {
                let free = lease.owner.is_none() || self.expired(lease, now);
                (free && mine_by_share).then_some(LeaseAction::Claim(partition, lease.revision))
            }
        }
    }

    /// The replica that should own a partition: the living ones in order of their names, round
    /// robin.
    fn share_of(&self, partition: Partition, now: Instant) -> &GatewayId {
        let mut living: Vec<_> = self
            .replicas
            .iter()
            .filter(|(_, seen)| now.duration_since(**seen) < self.ttl)
            .map(|(replica, _)| replica)
            .collect();
        if !living.contains(&&self.me) {
            living.push(&self.me);
            living.sort();
        }
        living[partition.index() % living.len()]
    }

    /// While the others have not had time to be seen, nothing that is owned is given away.
    fn is_new(&self, now: Instant) -> bool {
        now.duration_since(self.started) < self.ttl
    }

    fn expired(&self, lease: &Lease, now: Instant) -> bool {
        now.duration_since(lease.seen) >= self.ttl
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
