//! What a client tells its application.

use std::time::Duration;

use natter_ids::{ConversationId, Position, Seq, SessionId, UserId};
use natter_protocol::{ArrangementView, CloseCode, ErrorBody, Event, Limits, MarksView, PresenceView, SettingsView};

use crate::Fatal;

/// A session that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The address of the gateway.
    pub gateway: String,
    /// The session, for support requests.
    pub session: SessionId,
    /// Whom the token names.
    pub user: UserId,
    /// When the token expires, in milliseconds since 1970 UTC.
    pub token_expires_at: u64,
    /// What may be sent and asked for.
    pub limits: Limits,
}

/// Why a session ended, or none began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The gateway closed it with this code.
    Closed(CloseCode),
    /// The gateway announced that it goes away, and the time has come.
    GoingAway,
    /// The connection broke.
    Lost(String),
    /// Nothing was heard for twice the gateway's ping interval.
    Silent,
    /// An event did not link to the one before it, so something is missing: the client asks for
    /// it again from the position that it has kept.
    Hole,
    /// No connection could be made.
    Unreachable(String),
    /// The gateway refused the session for now.
    Refused(ErrorBody),
    /// The token source failed.
    NoToken(String),
}

/// What a client tells its application, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// A session has begun.
    Connected(Box<SessionInfo>),
    /// Everything missed has been told; what follows happens now. With the position reached. A client without
    /// a position begins here: the end of a history that was read before may be missing, so read what is after
    /// it once this has come.
    CaughtUp(Position),
    /// Something happened in a conversation. With the position to store once it is kept.
    Event(Box<Event>, Position),
    /// Somebody is writing something.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// For how long to show it, unless it comes again or a message does; zero: they have stopped.
        expires_in: Duration,
    },
    /// A block was lifted, here or on another device: read what was said meanwhile from the history.
    Unblocked {
        /// Who.
        user: UserId,
        /// The direct conversation with them.
        conversation: ConversationId,
        /// What was not shown has larger numbers.
        after: Seq,
    },
    /// A watched user came online or went offline.
    PresenceChanged(PresenceView),
    /// Members have come further in a conversation; the user on other devices too. Never less than
    /// was told before.
    MarksChanged(MarksView),
    /// The user has arranged a conversation on some device.
    ArrangementChanged(ArrangementView),
    /// The user has changed their settings on some device.
    SettingsChanged(SettingsView),
    /// The gateway does not know the position that the device presented: Natter was restored from
    /// an older backup, or it is another Natter. The client has forgotten it and goes on as a new
    /// device, at the present. Read each conversation's history to see what holds now: it may
    /// lack what the device received last, and hold what the device has not received.
    PositionRefused,
    /// Missed events come later: the named part of Natter cannot be reached.
    ResumeDelayed(String),
    /// The session has ended; the client connects again by itself.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
        /// After which time.
        retry_in: Duration,
    },
    /// The client has given up; nothing follows.
    Fatal(Fatal),
}
