//! One clock for all: that of NATS.
//!
//! Client ids carry the time at which they were made, and tickets and tokens end. Gateways whose
//! own clocks differ would not agree on what is old: a repeat of an old message could pass for a
//! new one, and a new one be refused as of the future. So each process compares its clock with that
//! of the server which leads the first partition's stream, and corrects it when they differ.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use natter_ids::Partition;
use natter_telemetry::metrics;
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_util::sync::CancellationToken;

use crate::{Bus, subjects};

const EVERY: Duration = Duration::from_secs(30);
/// An answer that took longer tells too little.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(1);
/// Differences below this are left alone: clocks that are kept in time need no correction.
const MATTERS: Duration = Duration::from_secs(1);

/// How far the clock of NATS is ahead of this machine's, in milliseconds.
#[derive(Default)]
pub(crate) struct Clock(AtomicI64);

/// The part of the answer to `STREAM.INFO` that tells when it was made (ADR-2, JetStream's API).
#[derive(Deserialize)]
struct Told {
    ts: String,
}

impl Bus {
    /// Now, in milliseconds since 1970 UTC, by the clock of NATS.
    pub fn now_ms(&self) -> u64 {
        own_ms().saturating_add_signed(self.shared.clock.0.load(Ordering::Relaxed))
    }

    /// Compares this machine's clock with that of NATS, once. What was known holds on when NATS
    /// does not answer.
    pub async fn compare_clocks(&self) {
        let Some(ahead) = self.clock_offset_ms().await else { return };
        let sign = if ahead < 0 { -1.0 } else { 1.0 };
        metrics::CLOCK_OFFSET.set(Duration::from_millis(ahead.unsigned_abs()).as_secs_f64().copysign(sign), []);
        let matters = Duration::from_millis(ahead.unsigned_abs()) >= MATTERS;
        let ahead = if matters { ahead } else { 0 };
        let before = self.shared.clock.0.swap(ahead, Ordering::Relaxed);
        if matters && before.abs_diff(ahead) >= MATTERS.as_millis() as u64 {
            tracing::warn!(
                seconds = ahead / 1_000,
                "this machine's clock is behind that of NATS by so much, and is corrected: see to both"
            );
        }
    }

    /// Compares again and again until cancelled.
    pub async fn keep_time(&self, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            self.compare_clocks().await;
        }
    }

    /// How far the clock of NATS is ahead of this machine's, in milliseconds; `None` when NATS does
    /// not answer fast enough to tell.
    pub async fn clock_offset_ms(&self) -> Option<i64> {
        let subject = format!("$JS.API.STREAM.INFO.{}", subjects::stream(Partition(0)));
        let asked_at = std::time::Instant::now();
        let asked = tokio::time::timeout(ROUND_TRIP_MAX, self.shared.client.request(subject, Bytes::new()));
        let answer = asked.await.ok()?.ok()?;
        // Half of the way was before the answer.
        let ours = i64::try_from(own_ms()).ok()? - i64::try_from(asked_at.elapsed().as_millis() / 2).ok()?;
        let told: Told = serde_json::from_slice(&answer.payload).ok()?;
        let theirs = OffsetDateTime::parse(&told.ts, &Rfc3339).ok()?.unix_timestamp_nanos() / 1_000_000;
        Some(i64::try_from(theirs).ok()? - ours)
    }
}

fn own_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
