//! Waiting for a condition instead of sleeping.

use std::time::Duration;

/// Calls `probe` until it gives something, at first every few milliseconds, then ten times a
/// second. The limit also cuts off a probe that hangs.
///
/// # Panics
/// When `limit` passes, naming `what` was waited for.
pub async fn wait_for<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    };
    match tokio::time::timeout(limit, poll).await {
        Ok(found) => found,
        Err(_) => panic!("waited {limit:?} in vain for {what}"),
    }
}
