//! How far this replica has decided whom to send to, per partition it owns.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use natter_ids::{Partition, Seq};

/// Not owned by this replica.
const NOT_OWNED: u64 = u64::MAX;

/// Numbers up to which recipients were chosen.
///
/// The order of two steps makes resume exact. The worker first writes here, then looks who is
/// online. A marker is answered the other way round: first the user is known to be online, then
/// the number is read. So an entry whose recipients were chosen without the user is never above
/// the marker, and what is not above the marker comes from the archive.
pub(crate) struct Progress(Box<[AtomicU64]>);

impl Progress {
    pub(crate) fn new(partitions: u16) -> Self {
        Self(Partition::all(partitions).map(|_| AtomicU64::new(NOT_OWNED)).collect())
    }

    pub(crate) fn begin(&self, partition: Partition, after: Seq) {
        self.set(partition, after);
    }

    pub(crate) fn deciding(&self, partition: Partition, upto: Seq) {
        self.set(partition, upto);
    }

    pub(crate) fn end(&self, partition: Partition) {
        self.set(partition, NOT_OWNED);
    }

    fn set(&self, partition: Partition, seq: Seq) {
        if let Some(slot) = self.0.get(partition.index()) {
            slot.store(seq, Ordering::SeqCst);
        }
    }

    /// The number of a partition, if this replica owns it.
    pub(crate) fn of(&self, partition: Partition) -> Option<Seq> {
        let seq = self.0.get(partition.index())?.load(Ordering::SeqCst);
        (seq != NOT_OWNED).then_some(seq)
    }

    /// The number of each partition; 0 where another replica owns it.
    pub(crate) fn all(&self) -> Arc<[Seq]> {
        let number = |slot: &AtomicU64| Some(slot.load(Ordering::SeqCst)).filter(|seq| *seq != NOT_OWNED);
        self.0.iter().map(|slot| number(slot).unwrap_or_default()).collect()
    }

    /// Every owned partition and its number.
    pub(crate) fn reached(&self) -> Vec<(Partition, Seq)> {
        let numbers = (0_u16..).zip(self.0.iter().map(|slot| slot.load(Ordering::SeqCst)));
        numbers.filter(|(_, seq)| *seq != NOT_OWNED).map(|(number, seq)| (Partition(number), seq)).collect()
    }
}
