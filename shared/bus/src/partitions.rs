//! Hands a service the partitions that this replica owns, each in order, one batch at a time.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use async_nats::jetstream::kv;
use futures_util::StreamExt;
use natter_ids::{GatewayId, Partition, Seq};
use natter_telemetry::metrics;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use crate::{Bus, LeaseAction, LeaseTable, LogRecord, Service, reader::PartitionReader, spans::BatchSpans, subjects};

/// Why a batch is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// Not now: the same batch comes again after the wait.
    #[error("{reason}")]
    Retry {
        /// How long to wait.
        after: Duration,
        /// For operators.
        reason: String,
    },
    /// Another replica has gone on: this one must start over from what is done.
    #[error("another replica has gone on: {reason}")]
    Fenced {
        /// For operators.
        reason: String,
    },
}

/// What a service does with the log.
pub trait PartitionWorker: Send + Sync + 'static {
    /// Called when this replica becomes the owner: forget what is known of the partition and tell
    /// where to read on (after `Some(seq)`; `None`: after what is acknowledged).
    fn begin(&self, partition: Partition) -> impl Future<Output = Result<Option<Seq>, WorkError>> + Send;

    /// Told once the first number to come is known, before the first batch.
    fn began(&self, _partition: Partition, _after: Seq) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// How long entries are gathered into a batch after the first; nothing: what is there at once.
    fn gather(&self) -> Duration {
        Duration::ZERO
    }

    /// Does the work for a batch, in order. After `Ok` the batch is acknowledged; until then it
    /// comes again, to this or another replica.
    fn process(&self, partition: Partition, batch: &[LogRecord]) -> impl Future<Output = Result<(), WorkError>> + Send;

    /// Called when this replica is no longer the owner.
    fn ended(&self, _partition: Partition) {}
}

impl Bus {
    /// Owns a fair share of the partitions and works on them until cancelled, then gives them
    /// back. Needs no restart whatever happens to NATS.
    pub async fn run_partitions<W: PartitionWorker>(
        &self,
        service: Service,
        worker: Arc<W>,
        cancel: CancellationToken,
    ) {
        while !cancel.is_cancelled() {
            let mut owner = Owner::new(self.clone(), service, Arc::clone(&worker));
            if let Err(reason) = owner.run(&cancel).await {
                tracing::warn!(service = service.name(), reason, "partition leases are out of reach; trying again");
            }
            owner.stop_all().await;
            let _ = cancel.run_until_cancelled(tokio::time::sleep(Duration::from_millis(500))).await;
        }
    }
}

struct Running {
    /// Stops the task, also when the owner itself is dropped.
    cancel: DropGuard,
    task: JoinHandle<()>,
}

struct Owner<W> {
    bus: Bus,
    service: Service,
    worker: Arc<W>,
    table: LeaseTable,
    running: BTreeMap<Partition, Running>,
}

impl<W: PartitionWorker> Owner<W> {
    fn new(bus: Bus, service: Service, worker: Arc<W>) -> Self {
        let ttl = Duration::from_millis(bus.config().lease_ms.into());
        let table = LeaseTable::new(bus.instance().clone(), bus.partitions(), ttl, std::time::Instant::now());
        Self { bus, service, worker, table, running: BTreeMap::new() }
    }

    async fn run(&mut self, cancel: &CancellationToken) -> Result<(), String> {
        let bucket = self.bus.bucket(subjects::LEASES_BUCKET).await?;
        let mut watch =
            bucket.watch_with_history(format!("{}.>", self.service.name())).await.map_err(|error| error.to_string())?;
        let lease = Duration::from_millis(self.bus.config().lease_ms.into());
        let mut tick = tokio::time::interval_at(Instant::now(), lease / 5);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return self.leave(&bucket).await,
                entry = watch.next() => match entry {
                    Some(Ok(entry)) => if self.observe(&entry) { tick.reset_immediately() },
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("the watch ended".to_owned()),
                },
                // Whatever it waits for, this replica has stopped before another may take over.
                _ = tick.tick() => tokio::time::timeout(lease / 2, self.act(&bucket)).await.map_err(|_| "no answer in time".to_owned())??,
            }
        }
    }

    /// Takes in what the bucket says; whether somebody gave something up, which need not wait.
    fn observe(&mut self, entry: &kv::Entry) -> bool {
        let now = std::time::Instant::now();
        let mut tokens = entry.key.split('.').skip(1);
        let held = entry.operation == kv::Operation::Put;
        match (tokens.next(), tokens.next()) {
            (Some("replica"), Some(replica)) => {
                let Ok(replica) = GatewayId::new(replica) else { return false };
                self.table.observe_replica(replica, held, now);
                !held
            }
            (Some("partition"), Some(number)) => {
                let Ok(number) = number.parse() else { return false };
                let owner = std::str::from_utf8(&entry.value).ok().and_then(|owner| GatewayId::new(owner).ok());
                let owner = owner.filter(|_| held);
                let given_up = owner.is_none();
                self.table.observe_lease(Partition(number), owner, entry.revision, now);
                given_up
            }
            _ => false,
        }
    }

    async fn act(&mut self, bucket: &kv::Store) -> Result<(), String> {
        let me = self.bus.instance().clone();
        let alive = bucket.put(self.replica_key(), me.to_string().into()).await;
        alive.map_err(|error| error.to_string())?;
        let asked_at = std::time::Instant::now();
        for action in self.table.decide(asked_at) {
            let (LeaseAction::Claim(partition, revision)
            | LeaseAction::Renew(partition, revision)
            | LeaseAction::Release(partition, revision)) = action;
            let owner = (!matches!(action, LeaseAction::Release(..))).then(|| me.clone());
            if owner.is_none() {
                self.stop(partition).await;
            }
            let value = owner.as_ref().map_or_else(String::new, ToString::to_string);
            match bucket.update(self.partition_key(partition), value.into(), revision).await {
                Ok(revision) => self.table.observe_lease(partition, owner, revision, asked_at),
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {
                    self.look(bucket, partition).await?;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        self.start_and_stop().await;
        Ok(())
    }

    /// Another replica was faster, or the key was not renewed for so long that the bucket dropped
    /// it, of which the watch says nothing.
    async fn look(&mut self, bucket: &kv::Store, partition: Partition) -> Result<(), String> {
        tracing::debug!(service = self.service.name(), %partition, "the lease is not as it was known");
        match bucket.entry(self.partition_key(partition)).await.map_err(|error| error.to_string())? {
            Some(entry) => drop(self.observe(&entry)),
            None => self.table.forget_lease(partition),
        }
        Ok(())
    }

    async fn start_and_stop(&mut self) {
        let now = std::time::Instant::now();
        for partition in Partition::all(self.bus.partitions()) {
            let ended = self.running.get(&partition).is_some_and(|running| running.task.is_finished());
            match (self.table.owns(partition, now), self.running.contains_key(&partition)) {
                (true, true) if ended => {
                    self.stop(partition).await;
                    self.start(partition);
                }
                (true, false) => self.start(partition),
                (false, true) => self.stop(partition).await,
                _ => {}
            }
        }
        let owned = u32::try_from(self.running.len()).unwrap_or(0);
        metrics::PARTITIONS_OWNED.set(owned.into(), [self.service.name().into()]);
    }

    fn start(&mut self, partition: Partition) {
        let (bus, service, worker) = (self.bus.clone(), self.service, Arc::clone(&self.worker));
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        tracing::info!(service = service.name(), %partition, "owns the partition");
        metrics::PARTITION_TAKEOVERS.add(1, [service.name().into()]);
        #[allow(clippy::disallowed_methods, reason = "kept in `running`, which stops and joins it")]
        let task = tokio::spawn(async move {
            let worked = stop.run_until_cancelled(work(&bus, service, partition, &*worker)).await;
            if let Some(Err(reason)) = worked {
                tracing::warn!(service = service.name(), %partition, reason, "the partition starts over");
            }
            worker.ended(partition);
        });
        self.running.insert(partition, Running { cancel: cancel.drop_guard(), task });
    }

    async fn stop(&mut self, partition: Partition) {
        if let Some(running) = self.running.remove(&partition) {
            drop(running.cancel);
            if let Err(error) = running.task.await {
                tracing::error!(service = self.service.name(), %partition, %error, "the partition's task panicked");
            }
        }
    }

    async fn stop_all(&mut self) {
        for partition in Partition::all(self.bus.partitions()) {
            self.stop(partition).await;
        }
    }

    /// Gives everything back, so that others need not wait for the leases to expire.
    async fn leave(&mut self, bucket: &kv::Store) -> Result<(), String> {
        self.stop_all().await;
        let now = std::time::Instant::now();
        for action in self.table.decide(now) {
            if let LeaseAction::Renew(partition, revision) | LeaseAction::Release(partition, revision) = action {
                match bucket.update(self.partition_key(partition), String::new().into(), revision).await {
                    Ok(_) => {}
                    // Lost already.
                    Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
        }
        bucket.delete(self.replica_key()).await.map_err(|error| error.to_string())
    }

    fn replica_key(&self) -> String {
        format!("{}.replica.{}", self.service.name(), self.bus.instance())
    }

    fn partition_key(&self, partition: Partition) -> String {
        format!("{}.partition.{partition}", self.service.name())
    }
}

/// Works on one partition until something breaks; dropping it stops it between two steps.
async fn work<W: PartitionWorker>(bus: &Bus, service: Service, partition: Partition, worker: &W) -> Result<(), String> {
    let after = retrying(partition, || worker.begin(partition)).await?;
    let mut reader = PartitionReader::open(bus, service, partition, after).await?;
    worker.began(partition, reader.last()).await;
    loop {
        let mut batch = reader.next_batch(worker.gather()).await?;
        let spans = BatchSpans::begin(service, partition, &mut batch.records);
        let work = retrying(partition, || worker.process(partition, &batch.records));
        work.instrument(spans.batch()).await?;
        batch.ack().await?;
        let now = bus.now_ms();
        for record in &batch.records {
            let age = Duration::from_millis(now.saturating_sub(record.stored_at));
            metrics::MESSAGE_ACKNOWLEDGED.took(age, [service.name().into()]);
        }
    }
}

async fn retrying<T, F, Fut>(partition: Partition, mut step: F) -> Result<T, String>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, WorkError>>,
{
    loop {
        match step().await {
            Ok(done) => return Ok(done),
            Err(WorkError::Fenced { reason }) => return Err(reason),
            Err(WorkError::Retry { after, reason }) => {
                tracing::warn!(%partition, reason, "the batch waits and is tried again");
                tokio::time::sleep(after).await;
            }
        }
    }
}
