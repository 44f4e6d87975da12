//! Entries as read from the log.

use async_nats::jetstream;
use natter_ids::{ConversationId, Partition, Seq};
use natter_protocol::Entry;
use natter_telemetry::Trace;

use crate::{spans, subjects};

/// An entry that cannot be read. It keeps its number, and the shard goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the entry on {subject} cannot be read: {reason}")]
pub struct Poison {
    /// Where it stands.
    pub subject: String,
    /// Why it cannot be read; never holds the body.
    pub reason: String,
}

/// A number of the log and what stands there.
#[derive(Debug, Clone)]
pub struct LogRecord {
    /// The partition that was read.
    pub partition: Partition,
    /// The number in that partition.
    pub seq: Seq,
    /// When the log stored it, in milliseconds since 1970 UTC, by the server's clock.
    pub stored_at: u64,
    /// The conversation and entry, unless it cannot be read.
    pub body: Result<(ConversationId, Entry), Poison>,
    /// The span that it belongs to now, when its way is recorded.
    pub trace: Option<Trace>,
}

impl LogRecord {
    /// Whether the log's duplicate window cannot vouch that this message is no repeat: its client
    /// id is older (or newer) than what gateways append without asking the archive. Readers ask
    /// the archive whether such an entry is the first with its id; every repeat is such an entry.
    pub fn may_be_repeat(&self) -> bool {
        let Ok((_, entry)) = &self.body else { return false };
        let Some(id) = entry.once_id().filter(|_| entry.happens_once()) else { return false };
        let (made, stored) = (id.time_ms(), self.stored_at);
        stored.saturating_sub(made) > FRESH_ID_AGE_MS || made.saturating_sub(stored) > FUTURE_ID_MS
    }
}

/// A client id up to this old, in milliseconds, is new enough for the log's duplicate window.
pub const FRESH_ID_AGE_MS: u64 = 60_000;
/// A client id may be this far in the future, in milliseconds. Both together, with room for a
/// slow append and for clocks that differ, stay inside the duplicate window.
pub const FUTURE_ID_MS: u64 = 20_000;

pub(crate) fn decode(subject: &str, payload: &[u8]) -> Result<(ConversationId, Entry), Poison> {
    let poison = |reason: String| Poison { subject: subject.to_owned(), reason };
    let conversation = subjects::conversation_of(subject).ok_or_else(|| poison("no conversation".to_owned()))?;
    // The text of a JSON error names positions and fields, never contents.
    let entry = serde_json::from_slice(payload)
        .map_err(|error| poison(format!("{:?} at column {}", error.classify(), error.column())))?;
    Ok((conversation, entry))
}

pub(crate) fn record(partition: Partition, message: &jetstream::Message) -> Result<LogRecord, String> {
    let info = message.info().map_err(|error| error.to_string())?;
    let stored_at = u64::try_from(info.published.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let body = decode(&message.subject, &message.payload);
    let trace = message.headers.as_ref().and_then(spans::sent_by);
    Ok(LogRecord { partition, seq: info.stream_sequence, stored_at, body, trace })
}
