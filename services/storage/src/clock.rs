//! What time it is for the archive: messages that are due are shown no more.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::Store;

/// Tells the time in milliseconds since 1970 UTC.
pub(crate) struct Clock(Box<dyn Fn() -> u64 + Send + Sync>);

impl Default for Clock {
    fn default() -> Self {
        let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Box::new(move || u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl Store {
    /// Goes by another clock than this machine's, which tells milliseconds since 1970 UTC.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.clock = Clock(Box::new(clock));
        self
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock.0)()
    }
}
