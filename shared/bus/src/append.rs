//! Writing to a conversation's log.

use std::time::Duration;

use async_nats::jetstream::{context::PublishErrorKind, message::PublishMessage};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use natter_ids::{ConversationId, InviteId, Partition, Seq, UserId};
use natter_protocol::Entry;
use natter_telemetry::{TRACEPARENT, Trace, metrics};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use crate::{Bus, LookupError, spans, subjects};

/// What an append relies on: the log refuses it when the relied-on subject has moved.
#[derive(Debug, Clone, Copy)]
pub enum Fence<'a> {
    /// The membership of `user` was last changed alone by entry `seq` (0: never).
    Member {
        /// Who appends.
        user: &'a UserId,
        /// [`crate::storage_api::MembershipReply::fence`].
        seq: Seq,
    },
    /// The invite that the entry is about was last changed by entry `seq` (0: the log holds nothing of it).
    Invite {
        /// The number.
        seq: Seq,
    },
    /// The conversation has no entry at all: it begins with this one.
    Beginning,
}

/// An entry on its way to the log.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// Which conversation.
    pub conversation: &'a ConversationId,
    /// The entry.
    pub entry: &'a Entry,
    /// What it relies on.
    pub fence: Fence<'a>,
}

/// Which of a conversation's subjects an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The common one.
    Log,
    /// The one of a single member.
    Member(&'a UserId),
    /// The one of an invite.
    Invite(&'a InviteId),
}

impl<'a> Target<'a> {
    /// Where an entry belongs: it follows from the entry alone.
    pub fn of(entry: &'a Entry) -> Self {
        if let Some(invite) = entry.change.changed_invite() {
            return Self::Invite(invite);
        }
        entry.change.changed_member(&entry.sender).map_or(Self::Log, Self::Member)
    }
}

/// The log's acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The number of the entry: of the first one when this is a repeat.
    pub seq: Seq,
    /// Whether the log already had a message with this client id.
    pub repeat: bool,
}

/// Why nothing is known to be stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The fence no longer holds: look up the membership and decide again. Nothing was stored.
    #[error("the membership has changed meanwhile")]
    FenceMoved,
    /// The log is at its size limit. Nothing was stored.
    #[error("the log is full")]
    Full,
    /// The log did not acknowledge in time: stored or not, a retry with the same client id tells.
    #[error("the log did not acknowledge: {reason}")]
    Unavailable {
        /// For operators.
        reason: String,
    },
}

impl Bus {
    /// Appends an entry and waits until the log has stored it.
    ///
    /// # Errors
    /// [`AppendError`]; after `Unavailable` the entry may be stored or not.
    pub async fn append(&self, append: Append<'_>) -> Result<Stored, AppendError> {
        let unavailable = |reason: String| AppendError::Unavailable { reason };
        if !self.is_connected() {
            // A publish now would wait in the client's buffer and could be stored much later.
            return Err(unavailable("not connected to NATS".to_owned()));
        }
        let limit = Duration::from_millis(self.shared.config.append_timeout_ms.into());
        // From before: what is stored now may be archived before its acknowledgement is here.
        let archived = self.shared.archived.reached(Partition::of(append.conversation, self.partitions()));
        let span = spans::append();
        let publish = async {
            let payload = serde_json::to_vec(append.entry).map_err(|error| unavailable(error.to_string()))?;
            let subject = match Target::of(append.entry) {
                Target::Log => subjects::log(append.conversation),
                Target::Member(user) => subjects::member(append.conversation, user),
                Target::Invite(invite) => subjects::invite(append.conversation, invite),
            };
            let message = headers(append).payload(payload.into());
            let ack = self.shared.jetstream.send_publish(subject, message).await.map_err(refusal)?;
            ack.await.map_err(refusal)
        };
        let ack = tokio::time::timeout(limit, publish)
            .instrument(span)
            .await
            .map_err(|_| unavailable("no answer in time".to_owned()))??;
        let stored = Stored { seq: ack.sequence, repeat: ack.duplicate };
        match self.is_behind(append.conversation, stored, archived).await {
            Ok(false) => Ok(stored),
            Ok(true) => Err(unavailable("the log is behind the archive".to_owned())),
            Err(error) => Err(unavailable(format!("the log does not tell where it ends: {error}"))),
        }
    }

    /// Whether the log has gone back behind what is archived: somebody has deleted it, or put an
    /// older copy in its place. What it stores now would never be archived. `archived` is from before it was stored.
    ///
    /// # Errors
    /// [`LookupError`] when that cannot be told now, as while a leader is elected: the sender tries again.
    async fn is_behind(
        &self,
        conversation: &ConversationId,
        stored: Stored,
        archived: Seq,
    ) -> Result<bool, LookupError> {
        let partition = Partition::of(conversation, self.partitions());
        if stored.seq > archived {
            return Ok(false);
        }
        // A repeat has the number of the first one, which may be archived long since.
        if stored.repeat && self.newest_seq(partition).await? >= archived {
            return Ok(false);
        }
        metrics::LOG_BEHIND.add(1, []);
        tracing::error!(%partition, seq = stored.seq, archived, "the log is behind the archive: run `natter restore`");
        Ok(true)
    }
}

fn headers(append: Append<'_>) -> PublishMessage {
    let mut message = PublishMessage::build();
    if let Some(client_id) = append.entry.once_id() {
        message = message.message_id(message_id(append.conversation, &append.entry.sender, &client_id.to_string()));
    }
    if let Some(trace) = Trace::current() {
        message = message.header(TRACEPARENT, trace.traceparent());
    }
    match append.fence {
        Fence::Beginning => message.expected_last_subject_sequence(0),
        Fence::Invite { seq } => message.expected_last_subject_sequence(seq),
        Fence::Member { user, seq } => message
            .expected_last_subject_sequence(seq)
            .header("Nats-Expected-Last-Subject-Sequence-Subject", subjects::member(append.conversation, user)),
    }
}

/// A short stand-in for the triple that makes a message, or change of one, happen once; the log keeps it in memory
/// for the duplicate window.
fn message_id(conversation: &ConversationId, sender: &UserId, client_id: &str) -> String {
    let mut hash = Sha256::new();
    for part in [conversation.as_str(), client_id, sender.as_str()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..16])
}

/// JetStream error codes that its client does not name: "maximum bytes exceeded", "maximum
/// messages exceeded" and "insufficient resources".
const FULL: [&str; 3] = ["maximum bytes", "maximum messages", "insufficient resources"];

fn refusal(error: async_nats::jetstream::context::PublishError) -> AppendError {
    if matches!(error.kind(), PublishErrorKind::WrongLastSequence) {
        return AppendError::FenceMoved;
    }
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let reason = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // A busy fence in a replicated stream is refused by a constant error, without numbers.
    if reason.contains("wrong last sequence") {
        return AppendError::FenceMoved;
    }
    if FULL.iter().any(|text| reason.contains(text)) {
        return AppendError::Full;
    }
    AppendError::Unavailable { reason }
}
