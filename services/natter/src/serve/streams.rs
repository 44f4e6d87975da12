//! The streams of an external NATS are made by `natter nats apply`, not by whichever replica
//! starts first: a rolling update must not run two versions' definitions against each other.

use std::time::Duration;

use natter_bus::{
    Bus,
    definitions::{self, ApplyError, Change},
};
use tokio::time::sleep;

const RETRY: Duration = Duration::from_secs(1);
/// Every so many tries the wait is mentioned again.
const REMIND: u32 = 30;

/// Waits until everything that is defined exists. What merely differs is mentioned.
///
/// # Errors
/// [`ApplyError`], when no waiting helps.
pub async fn wait_for(bus: &Bus) -> Result<(), ApplyError> {
    for attempt in 0_u32.. {
        let said = match definitions::look(bus).await {
            Ok(changes) => match missing(&changes) {
                None => {
                    report(&changes);
                    return Ok(());
                }
                Some(what) => format!("{what} is missing: run `natter nats apply`"),
            },
            Err(error @ ApplyError::Server { .. }) => format!("NATS cannot be used yet: {error}"),
            Err(error) => return Err(error),
        };
        if attempt % REMIND == 0 {
            tracing::warn!("waiting, not ready: {said}");
        }
        sleep(RETRY).await;
    }
    Ok(())
}

fn missing(changes: &[Change]) -> Option<&str> {
    changes.iter().find(|change| change.difference == "is missing").map(|change| change.what.as_str())
}

fn report(changes: &[Change]) {
    for change in changes {
        tracing::warn!(what = %change.what, difference = %change.difference, "not as defined: run `natter nats apply`");
    }
    if changes.is_empty() {
        tracing::info!("streams, replicas and consumers are as defined");
    }
}
