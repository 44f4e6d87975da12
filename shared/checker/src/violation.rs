//! What can be wrong with a history.

use std::fmt;

use natter_ids::{ClientId, ConversationId, DeviceId, Seq, UserId};

use crate::{Delay, Difference, Forgery, Mismatch, Source, Witness};

/// The name of a sort of [`Violation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Somebody misses an entry.
    Lost,
    /// Something came twice.
    Duplicated,
    /// A message that nobody sent.
    Phantom,
    /// Something came in the wrong order.
    Reordered,
    /// Two saw different things in one place.
    Divergent,
    /// Somebody saw what they must not see.
    Leaked,
    /// An event does not link to the entry before it.
    Unlinked,
    /// Something came later than it may.
    Stuck,
    /// A mark went back.
    Regressed,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Phantom => "phantom",
            Self::Reordered => "reordered",
            Self::Divergent => "divergent",
            Self::Leaked => "leaked",
            Self::Unlinked => "unlinked",
            Self::Stuck => "stuck",
            Self::Regressed => "regressed",
        })
    }
}

/// Something that breaks a guarantee. Its text is a sentence for people, without message texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A device of a member never got an entry that exists: that was accepted, that somebody got,
    /// or that another event links to.
    #[error("lost: {user:?} on device {device} never got entry {seq} of {conversation} ({})", of(*client_id))]
    Lost {
        /// Whose device.
        user: UserId,
        /// Which device.
        device: DeviceId,
        /// Where.
        conversation: ConversationId,
        /// The entry that is missing.
        seq: Seq,
        /// The client id, when the entry is known and has one.
        client_id: Option<ClientId>,
    },
    /// An entry came twice in one session.
    #[error("duplicated: {user:?} on device {device} got entry {seq} of {conversation} twice in session {session}")]
    Duplicated {
        /// Whose device.
        user: UserId,
        /// Which device.
        device: DeviceId,
        /// Which session.
        session: u64,
        /// Where.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
    },
    /// One message has two numbers.
    #[error("duplicated: message {client_id} of {sender:?} is entry {first} and entry {second} of {conversation}")]
    DuplicatedMessage {
        /// Who sent it.
        sender: UserId,
        /// Its id.
        client_id: ClientId,
        /// Where.
        conversation: ConversationId,
        /// The smaller number.
        first: Seq,
        /// The larger number.
        second: Seq,
    },
    /// A message or a change came that nobody sent.
    #[error("phantom: {witness} got entry {seq} of {conversation}, said to be from {sender:?} ({}): {why}", of(*client_id))]
    Phantom {
        /// Who got it first.
        witness: Witness,
        /// Where.
        conversation: ConversationId,
        /// Its number.
        seq: Seq,
        /// Who is said to have sent it.
        sender: UserId,
        /// Its id.
        client_id: Option<ClientId>,
        /// What is wrong with it.
        why: Forgery,
    },
    /// A device got an entry after a later one.
    #[error(
        "reordered: {user:?} on device {device} got entry {seq} of {conversation} after entry {after} (session {session})"
    )]
    Reordered {
        /// Whose device.
        user: UserId,
        /// Which device.
        device: DeviceId,
        /// The session in which it came late.
        session: u64,
        /// Where.
        conversation: ConversationId,
        /// The entry that came late.
        seq: Seq,
        /// The larger number that was there before it.
        after: Seq,
    },
    /// A message that was sent after another one had been accepted comes before it in the log.
    #[error(
        "reordered: message {client_id} of {sender:?} is entry {seq} of {conversation}, though it was sent after entry {after} had been accepted"
    )]
    ReorderedMessage {
        /// Who sent the later message.
        sender: UserId,
        /// Its id.
        client_id: ClientId,
        /// Where.
        conversation: ConversationId,
        /// Its number.
        seq: Seq,
        /// The larger number that had been accepted before it was sent.
        after: Seq,
    },
    /// Somebody got another version of an entry than somebody before.
    #[error("divergent: {witness} got entry {seq} of {conversation} with another {difference} than others")]
    Divergent {
        /// Who got the second version.
        witness: Witness,
        /// Where.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
        /// In what it differs.
        difference: Difference,
    },
    /// A message was accepted under a number that holds something else.
    #[error(
        "divergent: message {client_id} of {sender:?} was accepted as entry {seq} of {conversation}, which is another one"
    )]
    DivergentMessage {
        /// Who sent it.
        sender: UserId,
        /// Its id.
        client_id: ClientId,
        /// Where.
        conversation: ConversationId,
        /// The number it was accepted under.
        seq: Seq,
    },
    /// A device got an entry although its user was no member then.
    #[error("leaked: {user:?} on device {device} got entry {seq} of {conversation} without being a member then")]
    Leaked {
        /// Whose device.
        user: UserId,
        /// Which device.
        device: DeviceId,
        /// Where.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
    },
    /// An event does not name the entry before it, so that clients cannot tell what they miss.
    #[error("unlinked: entry {seq} of {conversation} links to {prev}, but the entry before it is {before}")]
    Unlinked {
        /// Where.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
        /// What it names.
        prev: Seq,
        /// What it should name.
        before: Seq,
    },
    /// A device got an entry later than it may.
    #[error("stuck: {user:?} on device {device} got entry {seq} of {conversation} only {delay}")]
    Stuck {
        /// Whose device.
        user: UserId,
        /// Which device.
        device: DeviceId,
        /// Where.
        conversation: ConversationId,
        /// The entry that came late.
        seq: Seq,
        /// How late.
        delay: Delay,
    },
    /// A message was answered later than it may be, or not at all.
    #[error("stuck: message {client_id} of {sender:?} to {conversation} was not answered, or only {delay}")]
    StuckMessage {
        /// Who sent it.
        sender: UserId,
        /// Its id.
        client_id: ClientId,
        /// Where to.
        conversation: ConversationId,
        /// How late.
        delay: Delay,
    },
    /// A device was told that somebody has come less far than was told before: to this device, or to
    /// whom one asked.
    #[error(
        "regressed: {told:?} on device {device} was told that {user:?} has {what} entry {now} of {conversation}, after entry {before}"
    )]
    MarkFell {
        /// Who was told.
        told: UserId,
        /// On which device.
        device: DeviceId,
        /// Whose mark it is.
        user: UserId,
        /// Where.
        conversation: ConversationId,
        /// `received` or `read`.
        what: &'static str,
        /// What was told before.
        before: Seq,
        /// What was told now.
        now: Seq,
    },
    /// A device was told that somebody has read more than they ever said.
    #[error(
        "phantom: {told:?} on device {device} was told that {user:?} has read entry {read} of {conversation}, but they said {said} at most"
    )]
    MarkAhead {
        /// Who was told.
        told: UserId,
        /// On which device.
        device: DeviceId,
        /// Whose mark it is.
        user: UserId,
        /// Where.
        conversation: ConversationId,
        /// What was told.
        read: Seq,
        /// The most that they have said.
        said: Seq,
    },
    /// A place that holds a conversation differs from what devices received.
    #[error("{}: {place} {mismatch} entry {seq} of {conversation}", mismatch.kind())]
    Reading {
        /// Which place.
        place: Source,
        /// Where.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
        /// How it differs.
        mismatch: Mismatch,
    },
}

impl Violation {
    /// The sort of violation.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Lost { .. } => Kind::Lost,
            Self::Duplicated { .. } | Self::DuplicatedMessage { .. } => Kind::Duplicated,
            Self::Phantom { .. } | Self::MarkAhead { .. } => Kind::Phantom,
            Self::MarkFell { .. } => Kind::Regressed,
            Self::Reordered { .. } | Self::ReorderedMessage { .. } => Kind::Reordered,
            Self::Divergent { .. } | Self::DivergentMessage { .. } => Kind::Divergent,
            Self::Leaked { .. } => Kind::Leaked,
            Self::Unlinked { .. } => Kind::Unlinked,
            Self::Stuck { .. } | Self::StuckMessage { .. } => Kind::Stuck,
            Self::Reading { mismatch, .. } => mismatch.kind(),
        }
    }
}

fn of(client_id: Option<ClientId>) -> String {
    client_id.map_or_else(|| "no client id".to_owned(), |id| format!("client id {id}"))
}
