//! Lets messages disappear that are due, and erases from the log what was deleted: after the archive has let go of it, after everybody who
//! reads the log is past it, and after its id has become too old to be recognised by the log alone.

use std::{future::Future, sync::Arc, time::Duration};

use natter_bus::{Bus, EraseError, LookupError};
use natter_ids::{Partition, Seq};
use sqlx::Row;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Store,
    sql::{from_sql, list, pieces, statement, to_sql},
};

const EVERY: Duration = Duration::from_secs(1);
/// Most entries erased, and most messages that disappear, in one transaction. Whoever archives waits for it.
const AT_ONCE: u32 = 256;

/// Erases what is due of one partition, again and again: one that is stuck holds up no other. Every
/// replica may do so: what is done twice is done once.
pub(crate) struct Eraser {
    bus: Bus,
    store: Arc<Store>,
    partition: Partition,
    /// After how long the database counts as silent.
    limit: Duration,
}

impl Eraser {
    pub(crate) fn new(bus: Bus, store: Arc<Store>, partition: Partition, config: &Config) -> Self {
        Self { bus, store, partition, limit: config.answer_limit() }
    }

    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = false;
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            if cancel.run_until_cancelled(self.round(&mut told)).await.is_none() {
                return;
            }
        }
    }

    /// Everything that is due by now, however much it is.
    async fn round(&self, told: &mut bool) {
        let partition = self.partition;
        if let Err(error) = self.let_disappear().await {
            tracing::debug!(%partition, %error, "messages that are due cannot disappear now; tried again");
        }
        match self.erase().await {
            Ok(()) => {}
            Err(EraseError::Denied) if *told => {}
            Err(EraseError::Denied) => {
                *told = true;
                tracing::warn!(
                    %partition,
                    "the log was made by an earlier release and lets nobody delete entries: deleted messages are gone \
                     from the archive and from every answer, and stay in the log until it drops them by age; a restore \
                     from a backup makes the log anew"
                );
            }
            Err(EraseError::Log(error)) => {
                tracing::debug!(%partition, %error, "nothing can be erased now; tried again")
            }
        }
    }

    async fn let_disappear(&self) -> Result<(), sqlx::Error> {
        loop {
            let expired = self.within(self.store.expire(self.partition, self.bus.now_ms(), AT_ONCE)).await?;
            if expired < AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    async fn erase(&self) -> Result<(), EraseError> {
        let (partition, now) = (self.partition, self.bus.now_ms());
        // How far the log is read is asked only where something waits.
        if self.due(now, Seq::MAX, 1).await?.is_empty() {
            return Ok(());
        }
        let progress = self.bus.progress(partition).await?;
        let reached = progress.delivered.min(progress.archived);
        loop {
            let due = self.due(now, reached, AT_ONCE).await?;
            let (mut done, mut erased) = (Vec::new(), Ok(()));
            for seq in &due {
                erased = self.bus.erase(partition, *seq).await;
                if erased.is_err() {
                    break;
                }
                done.push(*seq);
            }
            self.within(self.store.erased(partition, &done)).await.map_err(unavailable)?;
            erased?;
            if due.len() < AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    async fn due(&self, now: u64, upto: Seq, limit: u32) -> Result<Vec<Seq>, EraseError> {
        let due = self.store.due_erasures(self.partition, now, upto, limit);
        self.within(due).await.map_err(unavailable)
    }

    /// A database that went silent must not hold it up for ever.
    async fn within<T>(&self, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        timeout(self.limit, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn unavailable(error: sqlx::Error) -> EraseError {
    LookupError(error.to_string()).into()
}

impl Store {
    /// What the log of a partition is to erase by now, of the entries up to a number.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn due_erasures(
        &self,
        partition: Partition,
        now: u64,
        upto: Seq,
        limit: u32,
    ) -> Result<Vec<Seq>, sqlx::Error> {
        let select = sqlx::query(
            "SELECT seq FROM erasures WHERE part = $1 AND seq <= $2 AND not_before <= $3 ORDER BY seq LIMIT $4",
        );
        let select = select.bind(i64::from(partition.0)).bind(to_sql(upto)).bind(to_sql(now)).bind(i64::from(limit));
        let rows = select.fetch_all(&self.pool).await?;
        rows.iter().map(|row| row.try_get(0).map(from_sql)).collect()
    }

    /// The log has erased these.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn erased(&self, partition: Partition, seqs: &[Seq]) -> Result<(), sqlx::Error> {
        for piece in pieces(seqs) {
            let mut delete =
                statement(format!("DELETE FROM erasures WHERE part = $1 AND seq IN ({})", list(2, piece.len())));
            delete = delete.bind(i64::from(partition.0));
            for seq in piece {
                delete = delete.bind(to_sql(*seq));
            }
            delete.execute(&self.writing).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "eraser_tests.rs"]
mod tests;
