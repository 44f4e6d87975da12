//! How long to wait before connecting again.

use std::time::Duration;

use rand::Rng;

/// Doubles from `min` to `max`, each wait drawn from its upper half, so that clients that lost
/// their gateway together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), attempts: 0 }
    }

    /// After a session that worked, the next wait is the shortest again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    pub fn next(&mut self) -> Duration {
        let full = self.min.saturating_mul(1_u32 << self.attempts.min(16)).min(self.max);
        self.attempts = self.attempts.saturating_add(1);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

/// A wait that the gateway asked for, and up to a quarter more.
pub(crate) fn spread(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(1.0..=1.25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_start_over() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(min, max);
        for attempt in 0..100 {
            let full = min.saturating_mul(1 << attempt.min(16)).min(max);
            let wait = backoff.next();
            assert!(wait >= full / 2 && wait <= full, "attempt {attempt}: {wait:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= min);
    }
}
