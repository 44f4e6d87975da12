//! Reads one partition's log strictly in order through a durable consumer.
//!
//! A durable consumer alone promises no order: after a failover or a lost delivery it hands out
//! newer entries first and the unacknowledged ones later. This reader therefore resets the
//! consumer (server 2.14, ADR-60) whenever it takes over and whenever an entry is missing, and
//! drops whatever it has read before.
//!
//! That nothing is missing shows in the log's own numbers. The consumer's count of deliveries
//! cannot tell: an owner that was frozen and thaws reads the consumer beside its successor for a
//! moment, each resets it, and the count that starts anew fits either of them by chance.

use std::{future::Future, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::pull,
    context::{ConsumerInfoError, ConsumerInfoErrorKind},
    stream::RawMessageErrorKind,
};
use futures_util::{FutureExt, StreamExt};
use natter_ids::{Partition, Seq};
use natter_telemetry::metrics;

use crate::{Bus, LogRecord, Service, log, subjects};

/// Most entries handed over at once.
const BATCH: usize = 512;
/// A pull that nobody stands behind any more ends well before its owner's lease does.
const PULL_EXPIRES: Duration = Duration::from_millis(2_000);

pub(crate) struct PartitionReader {
    partition: Partition,
    stream: jetstream::stream::Stream<()>,
    consumer: jetstream::consumer::Consumer<pull::Config>,
    /// `None` from a missing entry until the consumer is reset.
    messages: Option<pull::Stream>,
    /// The last entry handed over.
    last: Seq,
}

pub(crate) struct Batch {
    pub(crate) records: Vec<LogRecord>,
    ack: jetstream::Message,
}

impl Batch {
    /// Acknowledges this batch and everything before it.
    pub(crate) async fn ack(&self) -> Result<(), String> {
        self.ack.ack().await.map_err(|error| error.to_string())
    }
}

impl PartitionReader {
    /// Takes the consumer over, reading after `after`, or after what is acknowledged.
    pub(crate) async fn open(
        bus: &Bus,
        service: Service,
        partition: Partition,
        after: Option<Seq>,
    ) -> Result<Self, String> {
        let stream = bus.stream(partition).await?;
        let (mut consumer, after) = match stream.get_consumer(subjects::consumer(service)).await {
            Ok(consumer) => (consumer, after),
            Err(error) if is_missing(&error) => make_anew(bus, service, partition, after).await?,
            Err(error) => return Err(error.to_string()),
        };
        let last = reset(&mut consumer, after).await?;
        let messages = Some(pull(&consumer).await?);
        Ok(Self { partition, stream, consumer, messages, last })
    }

    /// The last entry handed over, or the one before the first.
    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    /// The next entries, in order and without a gap. Waits for the first, then takes what is there.
    ///
    /// To be called again only once the batch before is done: after a missing entry the
    /// consumer goes on behind what was handed over, and counts that as acknowledged.
    pub(crate) async fn next_batch(&mut self, gather: Duration) -> Result<Batch, String> {
        loop {
            let mut messages = match self.messages.take() {
                Some(messages) => messages,
                None => self.recover().await?,
            };
            let mut batch: Option<Batch> = None;
            let mut pending = Some(messages.next().await);
            let mut intact = true;
            let mut gathered = gather.is_zero();
            while let Some(message) = pending.take() {
                let message = match message {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => {
                        tracing::debug!(partition = %self.partition, %error, "the pull ended");
                        intact = false;
                        break;
                    }
                    None => return Err("the subscription ended".to_owned()),
                };
                intact = self.take(message, &mut batch).await?;
                let full = batch.as_ref().is_some_and(|batch| batch.records.len() >= BATCH);
                if intact && !full {
                    pending = messages.next().now_or_never();
                    if pending.is_none() && !std::mem::replace(&mut gathered, true) {
                        tokio::time::sleep(gather).await;
                        pending = messages.next().now_or_never();
                    }
                }
            }
            self.messages = intact.then_some(messages);
            if let Some(batch) = batch {
                return Ok(batch);
            }
        }
    }

    /// Adds a message to the batch; `false` when an entry before it is missing.
    async fn take(&mut self, message: jetstream::Message, batch: &mut Option<Batch>) -> Result<bool, String> {
        let record = log::record(self.partition, &message)?;
        if record.seq <= self.last {
            // It comes again because its acknowledgement was lost.
            if batch.is_none() {
                message.ack().await.map_err(|error| error.to_string())?;
            }
            return Ok(true);
        }
        if record.seq > self.last + 1 && self.next_in_log().await? != Some(record.seq) {
            return Ok(false);
        }
        self.last = record.seq;
        let batch = batch.get_or_insert_with(|| Batch { records: Vec::new(), ack: message.clone() });
        batch.records.push(record);
        batch.ack = message;
        Ok(true)
    }

    /// The number after the last that the log holds an entry under. Others have expired, or were
    /// left out by a restore.
    async fn next_in_log(&self) -> Result<Option<Seq>, String> {
        match self.stream.get_first_raw_message_by_subject(">", self.last + 1).await {
            Ok(message) => Ok(Some(message.sequence)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Goes on behind what was handed over. The old pull must be gone before: it would take the
    /// first entries after the reset.
    async fn recover(&mut self) -> Result<pull::Stream, String> {
        metrics::CONSUMER_RESETS.add(1, []);
        reset(&mut self.consumer, Some(self.last)).await?;
        pull(&self.consumer).await
    }
}

fn is_missing(error: &async_nats::Error) -> bool {
    let error = error.downcast_ref::<ConsumerInfoError>();
    error.is_some_and(|error| matches!(error.kind(), ConsumerInfoErrorKind::NotFound))
}

/// Somebody has deleted the consumer, and with it how far the service had come. Who does not know
/// that by itself goes on behind what is archived: from there on devices miss nothing, and what
/// they miss before, they read from the archive.
async fn make_anew(
    bus: &Bus,
    service: Service,
    partition: Partition,
    after: Option<Seq>,
) -> Result<(jetstream::consumer::Consumer<pull::Config>, Option<Seq>), String> {
    let consumer = crate::definitions::make_consumer(bus, service, partition).await?;
    metrics::CONSUMERS_MADE_ANEW.add(1, [service.name().into()]);
    tracing::error!(service = service.name(), %partition, "the consumer was gone and is made anew");
    let after = match after {
        Some(after) => after,
        None => bus.progress(partition).await.map_err(|error| error.to_string())?.archived,
    };
    Ok((consumer, Some(after)))
}

/// Makes the consumer deliver from just after `after` again; returns what it starts after.
async fn reset(consumer: &mut jetstream::consumer::Consumer<pull::Config>, after: Option<Seq>) -> Result<Seq, String> {
    let reset = consumer.reset(after.map(|seq| seq + 1)).await.map_err(|error| error.to_string())?;
    Ok(after.unwrap_or_else(|| reset.reset_seq.saturating_sub(1)))
}

fn pull(consumer: &jetstream::consumer::Consumer<pull::Config>) -> impl Future<Output = Result<pull::Stream, String>> {
    let messages = consumer
        .stream()
        .max_messages_per_batch(BATCH * 2)
        .expires(PULL_EXPIRES)
        .heartbeat(PULL_EXPIRES / 4)
        .messages();
    messages.map(|result| result.map_err(|error| error.to_string()))
}
