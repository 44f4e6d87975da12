//! How fast sessions are closed when the gateway stops, so that clients do not return as a herd.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Hands out moments to close at, evenly spread from the first request on.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: AtomicU32,
    given: AtomicU64,
    began: OnceLock<Instant>,
}

impl Pace {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: AtomicU32::new(per_second.max(1)), given: AtomicU64::new(0), began: OnceLock::new() }
    }

    pub(crate) fn set(&self, per_second: u32) {
        self.per_second.store(per_second.max(1), Ordering::Relaxed);
    }

    pub(crate) fn next_slot(&self) -> Instant {
        let began = *self.began.get_or_init(Instant::now);
        let turn = self.given.fetch_add(1, Ordering::Relaxed);
        began
            + Duration::from_micros(turn.saturating_mul(1_000_000) / u64::from(self.per_second.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_holds_as_many_as_configured() {
        let pace = Pace::new(500);
        let slots: Vec<_> = (0..1_001).map(|_| pace.next_slot()).collect();
        assert_eq!(slots[500] - slots[0], Duration::from_secs(1));
        assert_eq!(slots[1_000] - slots[0], Duration::from_secs(2));
    }
}
