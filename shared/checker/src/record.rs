//! What a history is made of.

use std::fmt;

use natter_ids::{ClientId, ConversationId, DeviceId, Seq, UserId};
use natter_protocol::{Change, Event, MessageState};
use serde::{Deserialize, Serialize};

/// A message, or a change of one, that a client is about to send, for the first time or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who sends it.
    pub sender: UserId,
    /// Where to.
    pub conversation: ConversationId,
    /// The id that it is sent under.
    pub client_id: ClientId,
    /// What it says or changes, as it has to stand in the log.
    pub change: Change,
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

/// How far somebody says that they have read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// Who.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// The newest entry that they have read.
    pub read: Seq,
}

/// How far a device is told that somebody has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Whose device is told.
    pub told: UserId,
    /// Which device.
    pub device: DeviceId,
    /// Whether it was asked for when everything that had been told like this before was known: then
    /// nothing of that may be missing, whoever it was told to. What comes by itself may be late.
    pub asked: bool,
    /// Who has come so far.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// What they have on a device.
    pub delivered: Seq,
    /// What they have read.
    pub read: Seq,
}

/// A place that holds a conversation from its first entry to its last, with what was deleted taken out
/// of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What a new device of the user is sent that presents the position before the first entry.
    Resume(UserId),
    /// The conversation's history as the user reads it, page by page: messages as they are now, and
    /// without the entries that only change them.
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
    /// What is said besides, of messages that something has changed; in history alone.
    pub states: Vec<MessageState>,
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
    /// What a reading, by number, says besides of one message.
    State {
        reading: u32,
        state: Box<MessageState>,
    },
    /// Somebody is about to say how far they have read.
    Reads(Box<Reader>),
    Mark(Box<Mark>),
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
