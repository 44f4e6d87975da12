//! Lets messages disappear that are due, and erases from the log what was deleted: after the archive has let go of it, after everybody who
//! reads the log is past it, and after its id has become too old to be recognised by the log alone.

use std::{sync::Arc, time::Duration};

use natter_bus::{Bus, EraseError, LookupError};
use natter_ids::{Partition, Seq};
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use crate::{
    Store,
    sql::{from_sql, to_sql},
};

const EVERY: Duration = Duration::from_secs(1);
/// Most entries erased in one round.
const ROUND_MAX: i64 = 256;
/// Most messages that disappear in one round.
const EXPIRED_MAX: u32 = 256;

/// Erases the log's entries that are due, again and again. Every replica may do so: what is done twice
/// is done once.
pub(crate) struct Eraser {
    bus: Bus,
    store: Arc<Store>,
}

impl Eraser {
    pub(crate) fn new(bus: Bus, store: Arc<Store>) -> Self {
        Self { bus, store }
    }

    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = false;
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            if let Err(error) = self.store.expire(self.bus.now_ms(), EXPIRED_MAX).await {
                tracing::debug!(%error, "messages that are due cannot disappear now; tried again");
            }
            let due = match self.store.due_erasures(self.bus.now_ms(), ROUND_MAX).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::debug!(%error, "what is to be erased cannot be read now");
                    continue;
                }
            };
            match self.erase(&due).await {
                Ok(()) => {}
                Err(EraseError::Denied) if told => {}
                Err(EraseError::Denied) => {
                    told = true;
                    tracing::warn!(
                        "the log was made by an earlier release and lets nobody delete entries: deleted messages are gone \
                         from the archive and from every answer, and stay in the log until it drops them by age; a restore \
                         from a backup makes the log anew"
                    );
                }
                Err(EraseError::Log(error)) => tracing::debug!(%error, "the log cannot erase now; tried again"),
            }
        }
    }

    async fn erase(&self, due: &[(Partition, Seq)]) -> Result<(), EraseError> {
        let mut passed: Option<(Partition, Seq)> = None;
        for &(partition, seq) in due {
            let reached = match passed {
                Some((of, reached)) if of == partition => reached,
                _ => {
                    let progress = self.bus.progress(partition).await?;
                    progress.delivered.min(progress.archived)
                }
            };
            passed = Some((partition, reached));
            if seq > reached {
                continue;
            }
            self.bus.erase(partition, seq).await?;
            let done = self.store.erased(partition, seq).await;
            done.map_err(|error| LookupError(error.to_string()))?;
        }
        Ok(())
    }
}

impl Store {
    /// What the log is to erase by now, by partition.
    pub(crate) async fn due_erasures(&self, now: u64, limit: i64) -> Result<Vec<(Partition, Seq)>, sqlx::Error> {
        let select = sqlx::query("SELECT part, seq FROM erasures WHERE not_before <= $1 ORDER BY part, seq LIMIT $2");
        let rows = select.bind(to_sql(now)).bind(limit).fetch_all(&self.pool).await?;
        let at = |row: &sqlx::any::AnyRow| -> Result<_, sqlx::Error> {
            let partition = Partition(u16::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u16::MAX));
            Ok((partition, from_sql(row.try_get(1)?)))
        };
        rows.iter().map(at).collect()
    }

    /// The log has erased it.
    async fn erased(&self, partition: Partition, seq: Seq) -> Result<(), sqlx::Error> {
        let delete = sqlx::query("DELETE FROM erasures WHERE part = $1 AND seq = $2");
        delete.bind(i64::from(partition.0)).bind(to_sql(seq)).execute(&self.writing).await.map(drop)
    }
}
