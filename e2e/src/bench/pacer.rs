//! Even rates: says when each message is due, whether or not the last one has arrived.
//!
//! Latency counts from the moment a message was due, so a system that stalls is charged for
//! every message that it kept waiting (no coordinated omission).

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::sync::oneshot;

/// How many messages were given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paced {
    /// Taken.
    pub given: u64,
    /// Not taken, because the taker's queue was full.
    pub dropped: u64,
}

/// Calls `give` with the number and due time of each message, from a thread of its own: the
/// runtime's timers only tell milliseconds.
///
/// # Errors
/// The thread cannot be started.
pub async fn pace(rate: u32, time: Duration, give: impl FnMut(u64, Instant) -> bool + Send + 'static) -> Result<Paced> {
    let (done, paced) = oneshot::channel();
    thread::Builder::new()
        .name("pacer".to_owned())
        .spawn(move || done.send(run(rate, time, give)))
        .context("the pacing thread cannot be started")?;
    paced.await.context("the pacing thread ended early")
}

#[allow(clippy::disallowed_methods, reason = "a thread of its own, which no task waits for")]
fn run(rate: u32, time: Duration, mut give: impl FnMut(u64, Instant) -> bool) -> Paced {
    let start = Instant::now();
    let mut paced = Paced { given: 0, dropped: 0 };
    for number in 0.. {
        let due = Duration::from_nanos(number * 1_000_000_000 / u64::from(rate.max(1)));
        if due >= time {
            break;
        }
        thread::sleep((start + due).saturating_duration_since(Instant::now()));
        if give(number, start + due) {
            paced.given += 1;
        } else {
            paced.dropped += 1;
        }
    }
    paced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the slowness itself")]
    fn a_slow_taker_does_not_move_what_is_due() {
        let mut due = Vec::new();
        let paced = run(1_000, Duration::from_millis(20), |number, at| {
            if number == 0 {
                thread::sleep(Duration::from_millis(10));
            }
            due.push(at);
            number % 2 == 0
        });
        assert_eq!(paced, Paced { given: 10, dropped: 10 });
        let steps: Vec<_> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(steps, [Duration::from_millis(1); 19]);
    }
}
