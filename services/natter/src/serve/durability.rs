//! What survives a power failure is the servers' setting, not ours: they are asked, and what is
//! weaker than wanted is told, or refused.

use std::time::Duration;

use anyhow::Context;
use natter_config::{ConfigError, DurabilityConfig, WhenWeaker};
use natter_telemetry::metrics;
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

/// Compares what an external NATS promises with what is wanted.
///
/// # Errors
/// A sentence, when it is weaker and that is to be refused.
pub async fn check(wanted: &DurabilityConfig, replicas: u8) -> anyhow::Result<()> {
    let weaker = weaker(wanted, replicas).await;
    if weaker.is_empty() {
        return Ok(());
    }
    let what = weaker.join("; ");
    match wanted.when_weaker {
        WhenWeaker::Refuse => {
            Err(ConfigError::key("durability.when_weaker", format!("is `refuse`, and {what}")).into())
        }
        WhenWeaker::Warn => {
            tracing::warn!("an accepted message may not survive a power failure: {what}");
            Ok(())
        }
    }
}

/// What an external NATS promises less of than is wanted, in words.
pub async fn weaker(wanted: &DurabilityConfig, replicas: u8) -> Vec<String> {
    let mut weaker = Vec::new();
    if replicas < wanted.replicas_min {
        let few = format!("`nats.replicas` is {replicas}, and `durability.replicas_min` is {}", wanted.replicas_min);
        weaker.push(few);
    }
    if wanted.monitor_urls.is_empty() {
        weaker.push("`durability.monitor_urls` names no server to ask when it syncs".to_owned());
    }
    for url in &wanted.monitor_urls {
        match report(url, wanted.sync_interval_ms_max).await {
            Ok(None) => {}
            Ok(Some(what)) => weaker.push(what),
            Err(error) => weaker.push(format!("{error:#}")),
        }
    }
    weaker
}

/// Asks a server when it syncs; 0 milliseconds: before each acknowledgement. Returns what is weaker
/// than wanted, in words.
///
/// # Errors
/// A sentence, when the server does not tell.
pub async fn report(monitor_url: &str, most_ms: u32) -> anyhow::Result<Option<String>> {
    let asked = ask(monitor_url).await;
    let found = asked.with_context(|| format!("{monitor_url} does not tell how nats-server stores messages"))?;
    let found_ms = if found.sync_always { 0 } else { found.sync_interval / 1_000_000 };
    let server = monitor_url.to_owned().into();
    metrics::NATS_SYNC_INTERVAL.set(Duration::from_millis(found_ms).as_secs_f64(), [server]);
    if found_ms <= u64::from(most_ms) {
        tracing::info!(monitor_url, sync_interval_ms = found_ms, "acknowledged messages reach the disk as configured");
        return Ok(None);
    }
    let wanted = if most_ms == 0 { "always".to_owned() } else { format!("{most_ms} ms") };
    Ok(Some(format!("the server at {monitor_url} has a `sync_interval` of {found_ms} ms, not {wanted}")))
}

async fn ask(monitor_url: &str) -> anyhow::Result<JetStreamConfig> {
    let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let answer = http.get(format!("{}/varz", monitor_url.trim_end_matches('/'))).send().await?.error_for_status()?;
    let varz: Varz = answer.json().await?;
    Ok(varz.jetstream.config)
}
