//! Servers that have just started elect their leaders first, and refuse until then.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{ApplyError, Change, apply};
use crate::Bus;

const AGAIN: Duration = Duration::from_millis(500);

/// Like [`apply`], trying again for so long while the server refuses or is not there.
///
/// # Errors
/// [`ApplyError`]: the last one when the time is over, `Destructive` at once.
pub async fn apply_patiently(bus: &Bus, check_only: bool, patience: Duration) -> Result<Vec<Change>, ApplyError> {
    let end = Instant::now() + patience;
    let mut last = None;
    loop {
        let again = match timeout_at(end, apply(bus, check_only)).await {
            Ok(Err(error @ ApplyError::Server { .. })) => error,
            Ok(done) => return done,
            Err(_) => last.unwrap_or_else(|| ApplyError::Server {
                what: "NATS".to_owned(),
                reason: "does not answer: is `nats.url` right, and may this user speak to it?".to_owned(),
            }),
        };
        if Instant::now() + AGAIN >= end {
            return Err(again);
        }
        tracing::info!(reason = %again, "NATS cannot be used yet: trying again");
        last = Some(again);
        sleep(AGAIN).await;
    }
}
