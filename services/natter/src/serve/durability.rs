//! What survives a power failure is the server's setting, not ours: it is asked, and reported.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The part of `/varz` that says when stored messages reach the disk.
#[derive(Debug, Deserialize)]
struct Varz {
    jetstream: JetStream,
}

#[derive(Debug, Deserialize)]
struct JetStream {
    config: JetStreamConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JetStreamConfig {
    /// In nanoseconds.
    sync_interval: u64,
    sync_always: bool,
}

/// Asks a server when it syncs, and says whether that is what is configured; 0 milliseconds:
/// before each acknowledgement.
///
/// # Errors
/// A sentence, when the server does not tell.
pub async fn report(monitor_url: &str, wanted_ms: u32) -> anyhow::Result<()> {
    let found = ask(monitor_url).await.context("nats-server does not tell how it stores messages")?;
    let found_ms = if found.sync_always { 0 } else { found.sync_interval / 1_000_000 };
    metrics::gauge!("natter_nats_sync_interval_seconds").set(Duration::from_millis(found_ms).as_secs_f64());
    if found_ms == u64::from(wanted_ms) {
        tracing::info!(sync_interval_ms = found_ms, "acknowledged messages reach the disk as configured");
    } else {
        tracing::warn!(
            sync_interval_ms = found_ms,
            wanted_ms,
            "acknowledged messages do not reach the disk as configured"
        );
    }
    Ok(())
}

async fn ask(monitor_url: &str) -> anyhow::Result<JetStreamConfig> {
    let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let answer = http.get(format!("{monitor_url}/varz")).send().await?.error_for_status()?;
    let varz: Varz = answer.json().await?;
    Ok(varz.jetstream.config)
}
