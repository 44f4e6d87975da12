//! Makes a log and an archive that come from different moments one whole again.
//!
//! Three steps, in an order that makes every interruption harmless: the gap is written down, the
//! log jumps, the checkpoint follows. Whoever starts services in between starts them on a log and
//! an archive that fit; done again, the rest follows.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use natter_bus::{Bus, FRESH_ID_AGE_MS, FUTURE_ID_MS, LookupError};
use natter_ids::{Partition, Seq};
use natter_protocol::Entry;
use sqlx::Row;

use crate::{
    ApplyError, Record, Store,
    gaps::{Found, Gap, Plan},
    reconciler::{ReconcileError, differs},
};

/// So many of the newest entries that both hold are compared.
const COMPARED: Seq = 16;

/// Why a partition is not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// NATS cannot be used.
    #[error(transparent)]
    Log(#[from] LookupError),
    /// The partition has no stream.
    #[error("there is no stream of partition {0}: run `natter nats apply`")]
    NoStream(Partition),
    /// The database cannot be used.
    #[error("the archive cannot be used")]
    Archive(#[from] sqlx::Error),
    /// Something else writes into the archive, or the log is out of order.
    #[error("partition {partition} cannot be archived")]
    Apply {
        /// Which.
        partition: Partition,
        /// Why.
        source: ApplyError,
    },
    /// Log and archive hold different entries under one number.
    #[error(
        "entry {seq} of partition {partition} stands differently in the log and in the archive: they are of two \
         deployments, or services ran on a restored log before this; nothing was changed"
    )]
    Divergent {
        /// Which partition.
        partition: Partition,
        /// The number.
        seq: Seq,
    },
    /// Log and archive cannot be compared.
    #[error(transparent)]
    Compare(#[from] ReconcileError),
    /// The numbers at which logs go on follow from the clock.
    #[error("this machine's clock is wrong: partition {0} has given numbers that belong to a later time")]
    Clock(Partition),
}

/// What was found in a partition, and what is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Which partition.
    pub partition: Partition,
    /// What was found.
    pub found: Found,
    /// What is to be done.
    pub plan: Plan,
    /// When the newest entry of all was accepted, in milliseconds since 1970 UTC; 0: there is none.
    pub newest_at: u64,
}

impl Survey {
    /// From when on services may run, in milliseconds since 1970 UTC. The log forgets the ids of
    /// messages that it gave up for the archive; when this time has come every such id looks old,
    /// and gateways ask the archive about it.
    pub fn ids_are_old_at(&self) -> u64 {
        match self.newest_at {
            0 => 0,
            newest => newest + FRESH_ID_AGE_MS + FUTURE_ID_MS,
        }
    }
}

/// Restores partitions, while no service runs.
pub struct Restorer {
    bus: Bus,
    store: Arc<Store>,
}

impl Restorer {
    /// Restores what this bus and this archive hold.
    pub fn new(bus: Bus, store: Arc<Store>) -> Self {
        Self { bus, store }
    }

    /// Looks at a partition and decides; changes nothing.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub async fn survey(&self, partition: Partition) -> Result<Survey, RestoreError> {
        let extent = self.bus.log_extent(partition).await?.ok_or(RestoreError::NoStream(partition))?;
        let archived = self.store.checkpoint(partition).await?;
        let all = self.store.read_gaps().await?;
        let gaps = all.into_iter().filter(|(of, _)| *of == partition).map(|(_, gap)| gap).collect();
        let found = Found { archived, first: extent.first, last: extent.last, gaps };
        let common = archived.min(extent.last);
        for seq in extent.first.max(common.saturating_sub(COMPARED))..=common {
            if differs(&self.bus, &self.store, partition, seq).await? {
                return Err(RestoreError::Divergent { partition, seq });
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let plan = Plan::of(&found, now).ok_or(RestoreError::Clock(partition))?;
        let newest_at = extent.newest_at.max(self.store.newest_at(partition).await?);
        Ok(Survey { partition, found, plan, newest_at })
    }

    /// Does what the survey says; tells `archived` how many entries have been archived so far.
    ///
    /// # Errors
    /// [`RestoreError`]; doing it again goes on.
    pub async fn carry_out(&self, survey: &Survey, mut archived: impl FnMut(u64)) -> Result<(), RestoreError> {
        let Survey { partition, plan, found, .. } = survey;
        let failed = |source| match source {
            ApplyError::Database(error) => RestoreError::Archive(error),
            source => RestoreError::Apply { partition: *partition, source },
        };
        self.store.note_gaps(*partition, plan).await?;
        let mut reached = found.archived;
        if let Some((after, upto)) = plan.unarchived {
            let mut done = 0;
            let mut range = self.bus.read_log(*partition, after, upto).await?;
            while let Some(batch) = range.next_batch().await? {
                let records: Vec<_> = batch.into_iter().map(Record::from).collect();
                self.store.apply(*partition, reached, &records).await.map_err(failed)?;
                reached = records.last().map_or(reached, |record| record.seq);
                done += records.len() as u64;
                archived(done);
            }
        }
        self.bus.jump_log(*partition, plan.jump.next).await?;
        self.store.pass_gap(*partition, Gap { after: reached, ..plan.jump }).await.map_err(failed)
    }
}

impl Store {
    /// When the newest archived entry of a partition was accepted. Reads every conversation's
    /// head: for a restore, not for services.
    async fn newest_at(&self, partition: Partition) -> Result<u64, sqlx::Error> {
        let select = sqlx::query(
            "SELECT e.entry FROM conversations c JOIN entries e ON e.conversation = c.id AND e.seq = c.last_seq \
             WHERE c.part = $1 ORDER BY c.last_seq DESC LIMIT 1",
        );
        let row = select.bind(i64::from(partition.0)).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(0) };
        Ok(serde_json::from_str::<Entry>(row.try_get(0)?).map_or(0, |entry| entry.time))
    }
}
