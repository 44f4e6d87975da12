//! What a history is made of.

use std::fmt;

use natter_ids::{ClientId, ConversationId, DeviceId, Seq, UserId};
use natter_protocol::Event;
use serde::{Deserialize, Serialize};

/// A message that a client is about to send, for the first time or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who sends it.
    pub sender: UserId,
    /// Where to.
    pub conversation: ConversationId,
    /// The id that it is sent under.
    pub client_id: ClientId,
    /// The text, byte for byte.
    pub text: String,
}

/// How the newest attempt under a client id ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The log has stored it.
    Accepted {
        /// Under this number.
        seq: Seq,
    },
    /// Refused for good: nobody may ever receive it.
    Refused,
    /// No answer came. It may appear, once and for everybody, or not.
    Unknown,
}

/// The way by which a device got an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Pushed in a session: missed before it, or live.
    Session,
    /// Pulled by position.
    Pull,
}

/// An event that a device got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Whose device.
    pub user: UserId,
    /// Which device.
    pub device: DeviceId,
    /// Number of the session, different for each session of the device. For [`Via::Pull`]: of one
    /// pulling from end to end.
    pub session: u64,
    /// The way it came.
    pub via: Via,
    /// The event, as it came.
    pub event: Event,
}

/// From which entry to which a user is a member. They must have these entries, and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Who.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// The entry that made them a member.
    pub from: Seq,
    /// The last entry that they receive; none when they are a member to the end.
    pub to: Option<Seq>,
}

/// A device that began when the conversation had begun already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStart {
    /// Whose device.
    pub user: UserId,
    /// Which device.
    pub device: DeviceId,
    /// In which conversation.
    pub conversation: ConversationId,
    /// The first entry that the device is owed; it may have earlier ones.
    pub from: Seq,
}

/// A place that holds a conversation from its first entry to its last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What a new device of the user is sent that presents the position before the first entry.
    Resume(UserId),
    /// The conversation's history as the user reads it, page by page.
    History(UserId),
    /// The rows of the archive.
    Archive,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resume(user) => write!(f, "a new device of {user:?}"),
            Self::History(user) => write!(f, "the history that {user:?} reads"),
            Self::Archive => f.write_str("the archive"),
        }
    }
}

/// A conversation, read from one end to the other when nothing was on its way any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Where it was read.
    pub source: Source,
    /// Which conversation.
    pub conversation: ConversationId,
    /// What stood there, in the order in which it stands there.
    pub events: Vec<Event>,
}

/// A device of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub user: UserId,
    pub device: DeviceId,
}

/// One thing observed. Devices and events are spelt out once and then called by their number, so
/// that a receipt is small: a room of three hundred devices receives each event three hundred times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    Attempt(Box<Attempt>),
    Outcome {
        client_id: ClientId,
        outcome: Outcome,
    },
    Member(Box<Span>),
    Start(Box<DeviceStart>),
    /// Gives a device the next number, from 0.
    Device(Box<Owner>),
    /// Gives an event the next number, from 0.
    Event(Box<Event>),
    Received(Receipt),
    /// Gives a reading the next number, from 0.
    Reading(Box<Place>),
    /// What follows happened at this time, in milliseconds since the recorder began.
    At(u64),
    /// How soon everything has to happen, in milliseconds, while nothing is broken.
    Bound(u64),
    /// Something was broken on purpose.
    Broken(String),
    /// It was mended.
    Mended,
    /// An entry of a reading, both by number.
    Read {
        reading: u32,
        event: u32,
    },
}

/// What is read, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub source: Source,
    pub conversation: ConversationId,
}

/// An event that a device got, both by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub device: u32,
    pub session: u64,
    pub via: Via,
    pub event: u32,
}
