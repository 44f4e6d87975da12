//! Archives the partitions that this replica owns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use natter_bus::{Bus, LogRecord, PartitionWorker, WorkError};
use natter_ids::{Partition, Seq};
use natter_telemetry::metrics;

use crate::{Accepted, ApplyError, Config, Record, Store};

const RETRY: Duration = Duration::from_millis(250);
/// Nothing changes before somebody acts.
const RETRY_BEHIND: Duration = Duration::from_secs(5);

pub(crate) struct Archiver {
    bus: Bus,
    store: Arc<Store>,
    /// After how long the database counts as silent.
    limit: Duration,
    gather: Duration,
    /// How far each owned partition is archived; what comes again is skipped.
    archived: Box<[AtomicU64]>,
}

impl Archiver {
    pub(crate) fn new(bus: Bus, store: Arc<Store>, config: &Config) -> Self {
        let archived = Partition::all(bus.partitions()).map(|_| AtomicU64::new(0)).collect();
        let gather = Duration::from_millis(config.gather_ms.into());
        Self { bus, store, limit: config.answer_limit(), gather, archived }
    }

    /// Tells that requests were accepted, as far as that works: who misses it asks for what has changed.
    async fn tell_accepted(&self, accepted: &[Accepted]) {
        for accepted in accepted {
            let notices = tokio::time::timeout(self.limit, self.store.accepted_notices(accepted)).await;
            for notice in notices.ok().and_then(Result::ok).unwrap_or_default() {
                if let Err(error) = self.bus.notify(&notice).await {
                    tracing::debug!(error, "nobody is told now that a request was accepted");
                }
            }
        }
    }

    async fn announce(&self, partition: Partition, seq: Seq) {
        self.archived[partition.index()].store(seq, Ordering::Relaxed);
        if let Err(error) = self.bus.announce_archived(partition, seq).await {
            tracing::debug!(error, "the archive's progress could not be announced; waiters look themselves");
        }
    }
}

fn not_now(error: &dyn std::error::Error) -> WorkError {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let reason = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    WorkError::Retry { after: RETRY, reason }
}

impl PartitionWorker for Archiver {
    fn gather(&self) -> Duration {
        self.gather
    }

    async fn begin(&self, partition: Partition) -> Result<Option<Seq>, WorkError> {
        let asked = tokio::time::timeout(self.limit, self.store.checkpoint(partition)).await;
        let archived = asked.map_err(|late| not_now(&late))?.map_err(|error| not_now(&error))?;
        self.announce(partition, archived).await;
        // A log that was put back from an older copy would give numbers twice, and what it takes
        // under them would never be archived.
        let newest = self.bus.newest_seq(partition).await.map_err(|error| not_now(&error))?;
        if newest < archived {
            metrics::STORAGE_LOG_BEHIND.add(1, [partition.to_string().into()]);
            let reason = format!(
                "the log of partition {partition} ends at {newest} and the archive at {archived}: stop all services \
                 and run `natter restore`"
            );
            return Err(WorkError::Retry { after: RETRY_BEHIND, reason });
        }
        Ok(Some(archived))
    }

    async fn process(&self, partition: Partition, batch: &[LogRecord]) -> Result<(), WorkError> {
        let after = self.archived[partition.index()].load(Ordering::Relaxed);
        let fresh: Vec<_> = batch.iter().filter(|record| record.seq > after).collect();
        let Some(last) = fresh.last().map(|record| record.seq) else { return Ok(()) };
        let records: Vec<_> = fresh.iter().map(|record| Record::from((*record).clone())).collect();
        let started = Instant::now();
        let applied = tokio::time::timeout(self.limit, self.store.apply(partition, after, &records)).await;
        match applied.map_err(|late| not_now(&late))? {
            Ok(accepted) => self.tell_accepted(&accepted).await,
            Err(error @ ApplyError::Database(_)) => return Err(not_now(&error)),
            Err(error) => return Err(WorkError::Fenced { reason: format!("partition {partition}: {error}") }),
        }
        metrics::STORAGE_ENTRIES.add(records.len() as u64, []);
        metrics::STORAGE_COMMIT.took(started.elapsed(), []);
        let now = self.bus.now_ms();
        for record in fresh {
            metrics::MESSAGE_STORED.took(Duration::from_millis(now.saturating_sub(record.stored_at)), []);
            report_poison(record);
        }
        self.announce(partition, last).await;
        Ok(())
    }
}

fn report_poison(record: &LogRecord) {
    if let Err(poison) = &record.body {
        metrics::STORAGE_POISON.add(1, []);
        tracing::error!(partition = %record.partition, seq = record.seq, %poison, "an entry is left out of the archive");
    }
}
