//! The pace of somebody in a crowd.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};

/// Turns to do something, at a pace, until told to stop.
pub(super) struct Turns {
    tick: Interval,
    stopped: watch::Receiver<bool>,
    number: u64,
}

impl Turns {
    pub(super) fn new(stopped: watch::Receiver<bool>, pause: Duration) -> Self {
        let mut tick = interval(pause);
        // Whoever was kept waiting does not hurry afterwards.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { tick, stopped, number: 0 }
    }

    /// Waits for the next turn; returns its number, from 0 on, or `None` once told to stop.
    pub(super) async fn next(&mut self) -> Option<u64> {
        self.tick.tick().await;
        let number = self.number;
        self.number += 1;
        (!*self.stopped.borrow()).then_some(number)
    }
}
