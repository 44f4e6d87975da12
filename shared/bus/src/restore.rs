//! What a restore needs of the log: how far it goes, its entries once more, and a jump ahead.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{DeliverPolicy, pull},
    kv,
    stream::{RawMessageErrorKind, Stream},
};
use futures_util::StreamExt;
use natter_ids::{Partition, Seq};
use tokio::time::timeout;

use crate::{
    Bus, LogRecord, LookupError, definitions, log,
    presence::ReportKind,
    subjects::{self, Service},
};

/// Most entries handed over at once.
const BATCH: usize = 512;
/// After so long without an entry that must be there, reading is given up.
const SILENT: Duration = Duration::from_secs(30);
/// How long gateways may take to answer that they run.
const ANSWERS: Duration = Duration::from_millis(1_500);

/// What a partition's log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogExtent {
    /// The oldest number that it still holds; the one after the newest when it is empty.
    pub first: Seq,
    /// The newest number that it ever gave.
    pub last: Seq,
    /// When the newest entry that it holds was stored, in milliseconds since 1970 UTC; 0 when it
    /// is empty.
    pub newest_at: u64,
}

/// Entries of a partition, once more and in order, without any effect on what services read.
pub struct LogRange {
    partition: Partition,
    upto: Seq,
    reached: Seq,
    messages: pull::Ordered,
    stream: Stream<()>,
    /// Whether who hands the entries out knows of none that follows. A node that lags behind knows of less than
    /// there is.
    seems_over: bool,
}

impl LogRange {
    /// The next entries; `None` after the last.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be read on.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<LogRecord>>, LookupError> {
        let mut records = Vec::new();
        while self.reached < self.upto && records.len() < BATCH {
            if self.seems_over && !self.goes_on().await? {
                // What follows the last one was erased.
                self.reached = self.upto;
                break;
            }
            let next = timeout(SILENT, self.messages.next()).await;
            let next = next.map_err(|_| LookupError(format!("it does not hand out what follows {}", self.reached)))?;
            let message = next.ok_or_else(|| LookupError("the reading ended".to_owned()))?.map_err(lookup)?;
            let record = log::record(self.partition, &message).map_err(LookupError)?;
            self.seems_over = message.info().map_err(lookup)?.pending == 0;
            // One that lags behind begins before what it was asked for.
            if record.seq <= self.reached {
                continue;
            }
            self.reached = record.seq;
            if record.seq <= self.upto {
                records.push(record);
            }
        }
        Ok((!records.is_empty()).then_some(records))
    }

    /// Whether the log's leader holds an entry that is still to come.
    async fn goes_on(&self) -> Result<bool, LookupError> {
        match self.stream.get_first_raw_message_by_subject(">", self.reached + 1).await {
            Ok(message) => Ok(message.sequence <= self.upto),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => Err(lookup(error)),
        }
    }
}

fn lookup(error: impl std::fmt::Display) -> LookupError {
    LookupError(error.to_string())
}

impl Bus {
    /// What a partition's log holds; `None` when there is no such stream.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached.
    pub async fn log_extent(&self, partition: Partition) -> Result<Option<LogExtent>, LookupError> {
        let found = definitions::found_stream(self, &subjects::stream(partition)).await.map_err(LookupError)?;
        let Some(state) = found.map(|found| found.state) else { return Ok(None) };
        let last = state.last_sequence;
        let empty = state.messages == 0;
        let newest_at = u64::try_from(state.last_timestamp.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        Ok(Some(LogExtent {
            first: if empty { last + 1 } else { state.first_sequence },
            last,
            newest_at: if empty { 0 } else { newest_at },
        }))
    }

    /// Reads the entries with numbers above `after`, up to `upto`, which the log holds.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached.
    pub async fn read_log(&self, partition: Partition, after: Seq, upto: Seq) -> Result<LogRange, LookupError> {
        let stream = self.stream(partition).await.map_err(LookupError)?;
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ..pull::OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(lookup)?;
        let seems_over = consumer.cached_info().num_pending == 0;
        let messages = consumer.messages().await.map_err(lookup)?;
        Ok(LogRange { partition, upto, reached: after, messages, stream, seems_over })
    }

    /// Empties a partition's log and makes it go on at `next`, a number that it has not given
    /// yet. Its consumers follow.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached, or does not do so.
    pub async fn jump_log(&self, partition: Partition, next: Seq) -> Result<(), LookupError> {
        let stream = self.stream(partition).await.map_err(LookupError)?;
        stream.purge().sequence(next).await.map_err(lookup)?;
        let reached = self.newest_seq(partition).await?;
        if reached + 1 == next {
            return Ok(());
        }
        Err(LookupError(format!("{} goes on at {} instead of {next}", subjects::stream(partition), reached + 1)))
    }

    /// Which parts of Natter use this NATS now, in words. Looks for as long as a lease lasts when
    /// there is a trace of one.
    ///
    /// # Errors
    /// [`LookupError`] when NATS cannot be reached.
    pub async fn who_runs(&self) -> Result<Vec<String>, LookupError> {
        let (replicas, gateways) = tokio::try_join!(self.living_replicas(), self.gateways())?;
        let presence = self.ask_presence(&[]).await.is_ok();
        Ok(replicas.into_iter().chain(gateways).chain(presence.then(|| "presence".to_owned())).collect())
    }

    /// A replica that was killed leaves a trace; one that lives renews it.
    async fn living_replicas(&self) -> Result<Vec<String>, LookupError> {
        let name = format!("KV_{}", subjects::LEASES_BUCKET);
        if definitions::found_stream(self, &name).await.map_err(LookupError)?.is_none() {
            return Ok(Vec::new());
        }
        let bucket = self.bucket(subjects::LEASES_BUCKET).await.map_err(LookupError)?;
        let mut watch = bucket.watch_all().await.map_err(lookup)?;
        let mut traces = 0;
        let mut keys = bucket.keys().await.map_err(lookup)?;
        while let Some(key) = keys.next().await {
            traces += usize::from(replica(&key.map_err(lookup)?).is_some());
        }
        let mut living = Vec::new();
        if traces == 0 {
            return Ok(living);
        }
        let lease = Duration::from_millis(self.config().lease_ms.into());
        let look = async {
            while living.len() < traces
                && let Some(entry) = watch.next().await
            {
                let Ok(kv::Entry { key, operation: kv::Operation::Put, .. }) = entry else { continue };
                living.extend(replica(&key).filter(|name| !living.contains(name)));
            }
        };
        // Not all of the traces may be alive, so the wait mostly ends by itself.
        let _ = timeout(lease, look).await;
        Ok(living)
    }

    /// The gateways that use this NATS now, as `gateway <name>`. Waits a moment for their answers.
    ///
    /// # Errors
    /// [`LookupError`] when NATS cannot be reached.
    pub async fn gateways(&self) -> Result<Vec<String>, LookupError> {
        let mut reports = self.gateway_reports().await.map_err(LookupError)?;
        self.request_presence_refresh().await.map_err(LookupError)?;
        let mut living = Vec::new();
        let look = async {
            while let Some(report) = reports.next().await {
                let name = format!("gateway {}", report.gateway);
                if !matches!(report.kind, ReportKind::Gone { .. }) && !living.contains(&name) {
                    living.push(name);
                }
            }
        };
        let _ = timeout(ANSWERS, look).await;
        Ok(living)
    }
}

/// `storage.replica.<name>`, in words.
fn replica(key: &str) -> Option<String> {
    let (service, name) = key.split_once(".replica.")?;
    Service::ALL.iter().find(|known| known.name() == service).map(|known| format!("{} {name}", known.name()))
}
