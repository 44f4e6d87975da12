//! The time since a recorder began.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// Tells the time since it was made.
pub(crate) struct Clock(Box<dyn Fn() -> Duration + Send>);

impl Clock {
    pub fn new(elapsed: impl Fn() -> Duration + Send + 'static) -> Self {
        Self(Box::new(elapsed))
    }

    pub fn elapsed(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        let began = Instant::now();
        Self::new(move || began.elapsed())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.elapsed().fmt(f)
    }
}
