//! Spans of what travels over NATS, by OpenTelemetry's semantic conventions for messaging (1.37).
//!
//! Only what is recorded has spans, and only what is recorded carries `traceparent`. Names and
//! attributes hold templates of subjects: the subjects themselves name users and conversations.

use async_nats::HeaderMap;
use natter_ids::{Partition, Seq};
use natter_telemetry::{TRACEPARENT, Trace};
use tracing::{Span, field::Empty, info_span};

use crate::{LogRecord, Service};

/// The subject of logs, as spans name it.
const LOG: &str = "chat.{shard}.{conversation}.log";

/// A span with the attributes that all of them have.
macro_rules! messaging_span {
    ($(parent: $parent:expr,)? $name:literal, $shown:expr, $kind:literal, $operation:literal, $sort:literal, $($rest:tt)*) => {
        info_span!(
            $(parent: $parent,)?
            $name,
            otel.name = $shown,
            otel.kind = $kind,
            messaging.system = "nats",
            messaging.operation.name = $operation,
            messaging.operation.type = $sort,
            $($rest)*
        )
    };
}

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
    let shown = format!("publish {LOG}");
    messaging_span!("append", shown, "producer", "publish", "send", messaging.destination.template = LOG)
}

/// Asking storage.
pub(crate) fn ask(request: &'static str) -> Span {
    if Trace::current().is_none() {
        return Span::none();
    }
    let subject = format!("storage.ask.{request}");
    let shown = format!("request {subject}");
    messaging_span!("ask", shown, "client", "request", "send", messaging.destination.name = subject)
}

/// Answering for storage.
pub(crate) fn answer(request: &'static str, headers: Option<&HeaderMap>) -> Span {
    let Some(trace) = headers.and_then(sent_by) else { return Span::none() };
    let subject = format!("storage.ask.{request}");
    let shown = format!("process {subject}");
    let span = messaging_span!(
        "answer",
        shown,
        "server",
        "process",
        "process",
        trace_id = Empty,
        messaging.destination.name = subject,
        messaging.consumer.group.name = "storage",
    );
    trace.adopt(&span);
    span
}

/// The way of an event to one device: from the inbox until it is written to the socket.
pub fn push(trace: &Trace) -> Span {
    let span = messaging_span!(
        parent: None,
        "push",
        "process user.{user}.inbox",
        "consumer",
        "process",
        "process",
        trace_id = Empty,
        messaging.destination.template = "user.{user}.inbox",
        network.protocol.name = "websocket",
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
    messaging_span!(
        parent: None,
        "batch",
        format!("process {LOG} batch"),
        "consumer",
        "process",
        "process",
        messaging.destination.template = LOG,
        messaging.destination.partition.id = %partition,
        messaging.consumer.group.name = service.name(),
        messaging.batch.message_count = count,
    )
}

fn entry_span(service: Service, partition: Partition, seq: Seq) -> Span {
    messaging_span!(
        parent: None,
        "entry",
        format!("process {LOG}"),
        "consumer",
        "process",
        "process",
        trace_id = Empty,
        messaging.destination.template = LOG,
        messaging.destination.partition.id = %partition,
        messaging.consumer.group.name = service.name(),
        natter.seq = seq,
    )
}
