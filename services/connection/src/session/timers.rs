//! Waits of a session.

use std::time::Duration;

use tokio::time::Instant;

/// A wait that doubles from the first to the longest, each time drawn from its upper half.
#[derive(Debug)]
pub(crate) struct Retry {
    first: Duration,
    longest: Duration,
    tries: u32,
    /// When to try next; in the past: at once.
    at: Instant,
}

impl Retry {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, tries: 0, at: Instant::now() }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at <= now
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// How often it was tried in vain.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// A try begins now, or has just failed: the next one waits.
    pub(crate) fn wait(&mut self) {
        let full = self.first.saturating_mul(1 << self.tries.min(16)).min(self.longest);
        self.tries += 1;
        self.at = Instant::now() + jitter(full);
    }

    /// The next try comes at once, and waits start over.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
        self.at = Instant::now();
    }
}

/// Between half of a duration and all of it, so that sessions do not act together.
pub(crate) fn jitter(full: Duration) -> Duration {
    full.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_and_start_over() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut retry = Retry::new(first, longest);
        assert!(retry.is_due(Instant::now()));
        for tries in 0..10 {
            retry.wait();
            let full = first.saturating_mul(1 << tries).min(longest);
            let wait = retry.at() - Instant::now();
            assert!(wait >= full / 2 && wait <= full, "{tries}: {wait:?}");
        }
        assert_eq!(retry.tries(), 10);
        retry.reset();
        assert!(retry.is_due(Instant::now()));
    }
}
