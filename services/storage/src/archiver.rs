//! Archives the partitions that this replica owns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use natter_bus::{Bus, LogRecord, PartitionWorker, WorkError};
use natter_ids::{Partition, Seq};

use crate::{ApplyError, Record, Store};

const RETRY: Duration = Duration::from_millis(250);

pub(crate) struct Archiver {
    bus: Bus,
    store: Arc<Store>,
    /// How far each owned partition is archived; what comes again is skipped.
    archived: Box<[AtomicU64]>,
}

impl Archiver {
    pub(crate) fn new(bus: Bus, store: Arc<Store>) -> Self {
        let archived = Partition::all(bus.partitions()).map(|_| AtomicU64::new(0)).collect();
        Self { bus, store, archived }
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
    async fn begin(&self, partition: Partition) -> Result<Option<Seq>, WorkError> {
        let archived = self.store.checkpoint(partition).await.map_err(|error| not_now(&error))?;
        self.announce(partition, archived).await;
        Ok(Some(archived))
    }

    async fn process(&self, partition: Partition, batch: &[LogRecord]) -> Result<(), WorkError> {
        let after = self.archived[partition.index()].load(Ordering::Relaxed);
        let records: Vec<_> = batch.iter().filter(|record| record.seq > after).map(to_record).collect();
        let Some(last) = records.last().map(|record| record.seq) else { return Ok(()) };
        let started = std::time::Instant::now();
        match self.store.apply(partition, after, &records).await {
            Ok(()) => {}
            Err(ApplyError::Fenced { after }) => {
                return Err(WorkError::Fenced {
                    reason: format!("the archive of partition {partition} is not at {after}"),
                });
            }
            Err(error @ ApplyError::Database(_)) => return Err(not_now(&error)),
        }
        metrics::counter!("natter_storage_entries_total").increment(records.len() as u64);
        metrics::histogram!("natter_storage_commit_seconds").record(started.elapsed().as_secs_f64());
        self.announce(partition, last).await;
        Ok(())
    }
}

fn to_record(record: &LogRecord) -> Record {
    let body = match &record.body {
        Ok(body) => Some(body.clone()),
        Err(poison) => {
            metrics::counter!("natter_storage_poison_total").increment(1);
            tracing::error!(partition = %record.partition, seq = record.seq, %poison, "an entry is left out of the archive");
            None
        }
    };
    Record { seq: record.seq, body }
}
