//! Spans of what travels over NATS, by OpenTelemetry's semantic conventions for messaging (1.37).
//!
//! Only what is recorded has spans, and only what is recorded carries `traceparent`. Names and
//! attributes hold templates of subjects: the subjects themselves name users and conversations.

use async_nats::HeaderMap;
use natter_ids::Partition;
use natter_telemetry::{TRACEPARENT, Trace};
use tracing::{Span, field::Empty, info_span};

use crate::{LogRecord, Service};

/// The trace of whoever sent a message.
pub(crate) fn sent_by(headers: &HeaderMap) -> Option<Trace> {
    Trace::parse(headers.get(TRACEPARENT)?.as_str())
}

pub(crate) fn header(trace: &Trace) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TRACEPARENT, trace.traceparent());
    headers
}

/// Appending to a log, inside of a client's request.
pub(crate) fn append() -> Span {
    if Trace::current().is_none() {
        return Span::none();
    }
    info_span!(
        "append",
        otel.name = "publish chat.{shard}.{conversation}.log",
        otel.kind = "producer",
        messaging.system = "nats",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.template = "chat.{shard}.{conversation}.log",
    )
}

/// Asking storage.
pub(crate) fn ask(request: &'static str) -> Span {
    if Trace::current().is_none() {
        return Span::none();
    }
    info_span!(
        "ask",
        otel.name = format!("request storage.ask.{request}"),
        otel.kind = "client",
        messaging.system = "nats",
        messaging.operation.name = "request",
        messaging.operation.type = "send",
        messaging.destination.name = format!("storage.ask.{request}"),
    )
}

/// Answering for storage.
pub(crate) fn answer(request: &'static str, headers: Option<&HeaderMap>) -> Span {
    let Some(trace) = headers.and_then(sent_by) else { return Span::none() };
    let span = info_span!(
        "answer",
        trace_id = Empty,
        otel.name = format!("process storage.ask.{request}"),
        otel.kind = "server",
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = format!("storage.ask.{request}"),
        messaging.consumer.group.name = "storage",
    );
    trace.adopt(&span);
    span
}

/// The spans of a batch of entries that a service works on: one of each recorded entry, in the
/// trace of its message, and one of the batch, in a trace of its own. They link to each other.
pub(crate) struct BatchSpans {
    batch: Span,
    _entries: Vec<Span>,
}

impl BatchSpans {
    /// Begins them; the recorded entries belong to their new spans from now on. Without any,
    /// there is no span at all.
    pub(crate) fn begin(service: Service, partition: Partition, records: &mut [LogRecord]) -> Self {
        let count = records.len();
        let mut batch = Span::none();
        let mut entries = Vec::new();
        for record in records {
            let Some(sent) = record.trace.take() else { continue };
            if batch.is_none() {
                batch = batch_span(service, partition, count);
            }
            let entry = entry_span(service, partition, record.seq);
            sent.adopt(&entry);
            sent.link_from(&batch);
            if let Some(joined) = Trace::of(&batch) {
                joined.link_from(&entry);
            }
            record.trace = Trace::of(&entry);
            entries.push(entry);
        }
        Self { batch, _entries: entries }
    }

    /// The span in which the batch is worked on.
    pub(crate) fn batch(&self) -> Span {
        self.batch.clone()
    }
}

fn batch_span(service: Service, partition: Partition, count: usize) -> Span {
    info_span!(
        parent: None,
        "batch",
        otel.name = "process chat.{shard}.{conversation}.log batch",
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.template = "chat.{shard}.{conversation}.log",
        messaging.destination.partition.id = %partition,
        messaging.consumer.group.name = service.name(),
        messaging.batch.message_count = count,
    )
}

fn entry_span(service: Service, partition: Partition, seq: natter_ids::Seq) -> Span {
    info_span!(
        parent: None,
        "entry",
        trace_id = Empty,
        otel.name = "process chat.{shard}.{conversation}.log",
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.template = "chat.{shard}.{conversation}.log",
        messaging.destination.partition.id = %partition,
        messaging.consumer.group.name = service.name(),
        natter.seq = seq,
    )
}
