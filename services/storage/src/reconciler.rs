//! Compares the log, the archive and the consumers, again and again, and tells what is late, lost
//! or different. It repairs nothing: what it finds has a cause that people must know.

use std::{sync::Arc, time::Duration};

use natter_bus::{Bus, LogRecord, LookupError, Service};
use natter_ids::{Partition, Seq};
use natter_protocol::{Change, Entry};
use natter_telemetry::metrics;
use sqlx::Row;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    Store,
    sql::{from_sql, to_sql},
};

/// After so long without an answer the archive counts as out of reach.
const SILENT: Duration = Duration::from_secs(2);

/// What waits at the end of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Late {
    /// How many entries.
    pub entries: u64,
    /// For how long the oldest of them has been accepted.
    pub oldest: Duration,
}

/// What a look at one partition found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Findings {
    /// Accepted and not archived.
    pub unarchived: Late,
    /// Accepted and not handed to who is online.
    pub undelivered: Late,
    /// Entries that neither the log nor the archive holds: lost.
    pub lost: u64,
    /// Whether the entry that was looked at stands differently, or not at all, in the archive.
    pub divergent: bool,
}

/// The database, or NATS, could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// NATS.
    #[error(transparent)]
    Log(#[from] LookupError),
    /// The database.
    #[error("the archive cannot be read")]
    Archive(#[from] sqlx::Error),
}

/// Looks at every partition at a pace.
pub struct Reconciler {
    bus: Bus,
    store: Arc<Store>,
}

impl Reconciler {
    /// Compares what this bus and this archive hold.
    pub fn new(bus: Bus, store: Arc<Store>) -> Self {
        Self { bus, store }
    }

    pub(crate) async fn run(self, every: Duration, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut round: u64 = 0;
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            round = round.wrapping_add(1);
            for partition in Partition::all(self.bus.partitions()) {
                match self.look(partition, round).await {
                    Ok(findings) => tell(partition, &findings),
                    Err(error) => tracing::debug!(%partition, %error, "a partition cannot be compared now"),
                }
            }
        }
    }

    /// Looks at a partition. `sample` chooses, by its remainder, an archived entry to compare.
    ///
    /// # Errors
    /// [`ReconcileError`]. An archive that cannot be read is as far as storage has acknowledged,
    /// so that its outage is told as what it is.
    pub async fn look(&self, partition: Partition, sample: u64) -> Result<Findings, ReconcileError> {
        let progress = self.bus.progress(partition).await?;
        let asked = timeout(SILENT, self.store.checkpoint(partition)).await;
        let checkpoint = asked.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let archived = checkpoint.as_ref().copied().unwrap_or(progress.archived);
        let lost = progress.first.saturating_sub(archived + 1);
        let held = archived.saturating_sub(progress.first.saturating_sub(1));
        let divergent = match sample.checked_rem(held) {
            Some(offset) if checkpoint.is_ok() => {
                differs(&self.bus, &self.store, partition, progress.first + offset).await?
            }
            _ => false,
        };
        Ok(Findings {
            unarchived: self.late(partition, archived, progress.newest).await?,
            undelivered: self.late(partition, progress.delivered, progress.newest).await?,
            lost,
            divergent,
        })
    }

    async fn late(&self, partition: Partition, done: Seq, newest: Seq) -> Result<Late, ReconcileError> {
        if done >= newest {
            return Ok(Late::default());
        }
        let oldest = self.bus.record_at(partition, done + 1).await?;
        let age = oldest
            .map_or(Duration::ZERO, |record| Duration::from_millis(self.bus.now_ms().saturating_sub(record.stored_at)));
        Ok(Late { entries: newest - done, oldest: age })
    }
}

/// Whether an entry of the log stands differently, or not at all, in the archive.
pub(crate) async fn differs(bus: &Bus, store: &Store, partition: Partition, seq: Seq) -> Result<bool, ReconcileError> {
    match bus.record_at(partition, seq).await? {
        // Gone from the log meanwhile, or unreadable: then it left no trace in the archive.
        None | Some(LogRecord { body: Err(_), .. }) => Ok(false),
        Some(LogRecord { body: Ok((conversation, entry)), .. }) => {
            Ok(!store.holds(conversation.as_str(), seq, &entry).await?)
        }
    }
}

impl Store {
    /// Whether the archive holds this entry, or what a deletion has left of it, or rightly does
    /// not: a message whose id an earlier one has.
    async fn holds(&self, conversation: &str, seq: Seq, entry: &Entry) -> Result<bool, sqlx::Error> {
        let select = sqlx::query("SELECT entry FROM entries WHERE conversation = $1 AND seq = $2");
        let row = select.bind(conversation).bind(to_sql(seq)).fetch_optional(&self.pool).await?;
        if let Some(row) = row {
            return Ok(
                serde_json::from_str::<Entry>(row.try_get(0)?).is_ok_and(|archived| is_left_of(&archived, entry))
            );
        }
        let Some(client_id) = entry.once_id() else { return Ok(false) };
        let select =
            sqlx::query("SELECT seq FROM message_ids WHERE conversation = $1 AND sender = $2 AND client_id = $3")
                .bind(conversation)
                .bind(entry.sender.as_str())
                .bind(client_id.to_string());
        let first = select.fetch_optional(&self.pool).await?;
        first.map_or(Ok(false), |row| row.try_get::<i64, _>(0).map(|first| from_sql(first) < seq))
    }
}

/// Whether this is the entry, or what a deletion has left of it: the log erases it a moment later.
fn is_left_of(archived: &Entry, entry: &Entry) -> bool {
    match &archived.change {
        Change::Erased { was } if was == entry.change.kind() => {
            (&archived.sender, archived.client_id, archived.time) == (&entry.sender, entry.client_id, entry.time)
        }
        _ => archived == entry,
    }
}

#[allow(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn tell(partition: Partition, findings: &Findings) {
    let label = partition.to_string();
    for (service, late) in [(Service::Storage, findings.unarchived), (Service::Delivery, findings.undelivered)] {
        let labels = || [service.name().into(), label.clone().into()];
        metrics::CONSUMER_LAG.set(late.entries as f64, labels());
        metrics::CONSUMER_OLDEST.set(late.oldest.as_secs_f64(), labels());
    }
    metrics::RECONCILER_LOST.set(findings.lost as f64, [label.clone().into()]);
    if findings.lost > 0 {
        tracing::error!(%partition, entries = findings.lost, "the log has dropped entries that are not archived");
    }
    if findings.divergent {
        metrics::RECONCILER_DIVERGENT.add(1, [label.into()]);
        tracing::error!(%partition, "an entry stands differently in the log and in the archive");
    }
}
