//! What a violation says besides its sort.

use std::{fmt, time::Duration};

use natter_ids::{DeviceId, UserId};

use crate::{Kind, Source};

/// Why a message is one that nobody sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forgery {
    /// Nobody tried to send anything under this sender and client id.
    #[error("nobody tried to send it")]
    NeverAttempted,
    /// It was refused.
    #[error("it was refused")]
    Refused,
    /// The text, or the change, differs from what was sent.
    #[error("it does not say what was sent")]
    OtherContent,
    /// It was sent to another conversation.
    #[error("it was sent to another conversation")]
    OtherConversation,
}

/// In what two versions of an entry differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Who did it, under which id.
    #[error("sender or client id")]
    Author,
    /// What happened: for a message, its text.
    #[error("content")]
    Content,
    /// When it was accepted.
    #[error("time")]
    Time,
    /// Which entry is said to be the one before.
    #[error("link")]
    Link,
}

/// How long something took that has a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// From the moment on at which nothing was in its way.
    pub took: Duration,
    /// How long it may take.
    pub bound: Duration,
    /// What was broken before and mended at that moment; none when nothing was.
    pub after: Option<String>,
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, bound, after } = self;
        let after = after
            .as_ref()
            .map(|what| format!(" after {what} was mended"))
            .unwrap_or_else(|| " after it could have".to_owned());
        write!(f, "{:.1} s{after}: {:.1} s is the bound", took.as_secs_f64(), bound.as_secs_f64())
    }
}

/// How a reading differs from what devices received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It lacks an entry that stands elsewhere.
    #[error("lacks")]
    Lacks,
    /// It lacks an entry that was accepted, and so does every other place.
    #[error("lacks, like everybody else,")]
    LacksLikeAll,
    /// It holds an entry twice.
    #[error("repeats")]
    Repeats,
    /// It shows an entry behind a later one.
    #[error("puts behind a later one")]
    Misplaces,
    /// It shows an entry that only changes a message.
    #[error("shows, though it only changes a message,")]
    ShowsChange,
    /// It shows a message with another text than it has after the last edit.
    #[error("shows a text that is not the last one of")]
    OtherText,
    /// It tells of edits or reactions otherwise than the entries.
    #[error("is wrong about edits of or reactions to")]
    OtherState,
    /// It holds the text of what is deleted.
    #[error("holds the text of deleted")]
    KeepsDeleted,
    /// It lacks the text of what nobody has deleted.
    #[error("lacks the text, which nobody deleted, of")]
    LacksText,
    /// It shows an entry of another conversation, or of a time at which the reader was no member.
    #[error("shows, without a right to it,")]
    Leaks,
}

impl Mismatch {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Lacks | Self::Repeats | Self::Misplaces | Self::ShowsChange | Self::OtherText | Self::OtherState => {
                Kind::Divergent
            }
            Self::LacksLikeAll | Self::LacksText => Kind::Lost,
            Self::Leaks | Self::KeepsDeleted => Kind::Leaked,
        }
    }
}

/// Where a version of an entry was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// On a device.
    Device {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
    },
    /// In a reading.
    Source(Source),
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { user, device } => write!(f, "{user:?} on device {device}"),
            Self::Source(source) => source.fmt(f),
        }
    }
}
