//! Frames that gateways send.

use natter_ids::{ClientId, ConversationId, Position, Seq, SessionId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ArrangementView, BlockPage, ConversationPage, ConversationView, DevicePage, ErrorBody, Event, HistoryPage,
    InvitePage, InviteView, Limits, MarkPage, MarkedView, MarksView, MemberPage, OverviewPage, PresenceView,
    PrivacyView, ReactorPage, ReceiptPage, RequestId, SettingsView,
};

/// A frame from gateway to client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The session has begun. Missed events follow, then `caught_up`.
    Welcome {
        /// This session, for support requests and logs.
        session: SessionId,
        /// Whom the token names.
        user: UserId,
        /// The gateway's clock, in milliseconds since 1970 UTC.
        server_time: u64,
        /// How often the gateway pings, in milliseconds; a client that hears nothing for twice
        /// as long should connect again.
        ping_interval_ms: u32,
        /// When the token expires, in milliseconds since 1970 UTC.
        token_expires_at: u64,
        /// What the client may send and ask for.
        limits: Limits,
    },
    /// Everything missed has been sent; what follows is live. Comes again after the gateway has
    /// closed a gap.
    CaughtUp {
        /// Where the device is now.
        position: Position,
    },
    /// Missed events cannot be read now; they follow as soon as they can, nothing is lost.
    ResumeDelayed {
        /// Which part is missing: `storage`, or `delivery`, also when the gateway has lost its
        /// way to it.
        waiting_for: String,
    },
    /// Something happened in a conversation.
    Event {
        /// Where the device is once it has kept this event. Presented in the next `hello`.
        position: Position,
        /// What happened.
        #[serde(flatten)]
        event: Event,
    },
    /// The log has stored it.
    Accepted {
        /// Of the request.
        id: RequestId,
        /// Where.
        conversation: ConversationId,
        /// The client id of a message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Its number in the conversation.
        seq: Seq,
        /// When it was accepted first, in milliseconds since 1970 UTC.
        time: u64,
    },
    /// Answers `create_invite`.
    Invite {
        /// Of the request.
        id: RequestId,
        /// The invite, with its code.
        #[serde(flatten)]
        invite: InviteView,
    },
    /// Answers `invites`.
    Invites {
        /// Of the request.
        id: RequestId,
        /// Those that hold.
        #[serde(flatten)]
        page: InvitePage,
    },
    /// Answers `open_direct`, `create_group` and `join`.
    Conversation {
        /// Of the request.
        id: RequestId,
        /// The conversation.
        #[serde(flatten)]
        conversation: ConversationView,
    },
    /// Answers `conversations`.
    Conversations {
        /// Of the request.
        id: RequestId,
        /// The page.
        #[serde(flatten)]
        page: ConversationPage,
    },
    /// Answers `members`.
    Members {
        /// Of the request.
        id: RequestId,
        /// The page.
        #[serde(flatten)]
        page: MemberPage,
    },
    /// Answers `history`.
    History {
        /// Of the request.
        id: RequestId,
        /// The page.
        #[serde(flatten)]
        page: HistoryPage,
    },
    /// Answers `presence` and `watch_presence`. Users one shares no conversation with are left out.
    Presence {
        /// Of the request.
        id: RequestId,
        /// One entry per user.
        users: Vec<PresenceView>,
    },
    /// A watched user came online or went offline.
    PresenceChanged {
        /// The user as they are now.
        #[serde(flatten)]
        presence: PresenceView,
    },
    /// Answers `blocks`, `block` and `unblock`.
    Blocks {
        /// Of the request.
        id: RequestId,
        /// The blocks.
        #[serde(flatten)]
        page: BlockPage,
    },
    /// A block was lifted, here or on another device, perhaps while this one was away: read what was said meanwhile
    /// from the history of the direct conversation.
    Unblocked {
        /// Who.
        user: UserId,
        /// The direct conversation with them.
        conversation: ConversationId,
        /// What was not shown has larger numbers.
        after: Seq,
    },
    /// Answers `privacy` and `set_privacy`.
    Privacy {
        /// Of the request.
        id: RequestId,
        /// What others may see.
        #[serde(flatten)]
        privacy: PrivacyView,
    },
    /// It is done, and there is nothing to tell. Answers `set_away`.
    Done {
        /// Of the request.
        id: RequestId,
    },
    /// Answers `devices` and `revoke_device`.
    Devices {
        /// Of the request.
        id: RequestId,
        /// The devices.
        #[serde(flatten)]
        page: DevicePage,
    },
    /// Somebody else is writing something in a conversation that is not too large for it. It may be lost, and never
    /// comes later.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// For how long to show it, unless it comes again or a message does, in milliseconds; 0: they have stopped.
        expires_in_ms: u32,
    },
    /// The token expires soon: send `refresh_token`.
    TokenExpiring {
        /// When, in milliseconds since 1970 UTC.
        expires_at: u64,
    },
    /// Answers `refresh_token`.
    Refreshed {
        /// Of the request.
        id: RequestId,
        /// When the new token expires, in milliseconds since 1970 UTC.
        expires_at: u64,
    },
    /// Answers `ping`.
    Pong {
        /// Of the `ping`.
        id: RequestId,
    },
    /// The gateway will close the session soon: connect again after the wait, to any gateway.
    GoingAway {
        /// How long to wait, in milliseconds; differs from client to client, to spread them.
        reconnect_after_ms: u32,
    },
    /// Answers `mark`.
    Marked {
        /// Of the request.
        id: RequestId,
        /// What is stored now.
        #[serde(flatten)]
        marked: MarkedView,
    },
    /// Answers `marks`.
    Marks {
        /// Of the request.
        id: RequestId,
        /// The page.
        #[serde(flatten)]
        page: MarkPage,
    },
    /// Members have come further in a conversation, on whichever device. Marks only rise: a number
    /// smaller than one seen before is an older one that came late.
    MarksChanged {
        /// Which conversation, and whose marks.
        #[serde(flatten)]
        marks: MarksView,
    },
    /// Who has reacted to a message.
    Reactors {
        /// Of the request.
        id: RequestId,
        /// The page.
        #[serde(flatten)]
        page: ReactorPage,
    },
    /// Answers `receipts`.
    Receipts {
        /// Of the request.
        id: RequestId,
        /// The page.
        #[serde(flatten)]
        page: ReceiptPage,
    },
    /// Answers `overview`.
    Overview {
        /// Of the request.
        id: RequestId,
        /// The page.
        #[serde(flatten)]
        page: OverviewPage,
    },
    /// Answers `arrange`.
    Arranged {
        /// Of the request.
        id: RequestId,
        /// How the conversation is arranged now.
        #[serde(flatten)]
        arranged: ArrangementView,
    },
    /// The user has arranged a conversation, on whichever device.
    ArrangementChanged {
        /// How the conversation is arranged now.
        #[serde(flatten)]
        arranged: ArrangementView,
    },
    /// Answers `change_settings`.
    Settings {
        /// Of the request.
        id: RequestId,
        /// What holds now.
        #[serde(flatten)]
        settings: SettingsView,
    },
    /// The user has changed their settings, on whichever device.
    SettingsChanged {
        /// What holds now.
        #[serde(flatten)]
        settings: SettingsView,
    },
    /// A refusal; of a request when it carries an id, of the session otherwise.
    Error {
        /// Of the request, when it could be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// The refusal.
        #[serde(flatten)]
        error: ErrorBody,
    },
}

impl ServerFrame {
    /// The request that this frame answers; none for what comes by itself.
    pub fn answers(&self) -> Option<RequestId> {
        match self {
            Self::Accepted { id, .. }
            | Self::Conversation { id, .. }
            | Self::Conversations { id, .. }
            | Self::Members { id, .. }
            | Self::Invite { id, .. }
            | Self::Invites { id, .. }
            | Self::History { id, .. }
            | Self::Presence { id, .. }
            | Self::Marked { id, .. }
            | Self::Marks { id, .. }
            | Self::Receipts { id, .. }
            | Self::Reactors { id, .. }
            | Self::Settings { id, .. }
            | Self::Overview { id, .. }
            | Self::Arranged { id, .. }
            | Self::Devices { id, .. }
            | Self::Privacy { id, .. }
            | Self::Blocks { id, .. }
            | Self::Refreshed { id, .. }
            | Self::Done { id } => Some(*id),
            Self::Error { id, .. } => *id,
            Self::Welcome { .. }
            | Self::CaughtUp { .. }
            | Self::ResumeDelayed { .. }
            | Self::Event { .. }
            | Self::PresenceChanged { .. }
            | Self::MarksChanged { .. }
            | Self::ArrangementChanged { .. }
            | Self::SettingsChanged { .. }
            | Self::Typing { .. }
            | Self::Unblocked { .. }
            | Self::TokenExpiring { .. }
            | Self::GoingAway { .. }
            | Self::Pong { .. } => None,
        }
    }
}

/// How an event frame begins; see [`event_frame`].
pub const EVENT_FRAME_PREFIX: &str = "{\"type\":\"event\",\"position\":\"";

/// Builds the text of an event frame around an event that is JSON already.
///
/// Delivery writes the JSON of an event once; each session only puts its own position in front.
/// `event` must be a JSON object with at least one field. The result parses as
/// [`ServerFrame::Event`].
pub fn event_frame(position: &Position, event: &str) -> String {
    let token = position.to_string();
    let mut frame = String::with_capacity(EVENT_FRAME_PREFIX.len() + token.len() + event.len() + 2);
    frame.push_str(EVENT_FRAME_PREFIX);
    frame.push_str(&token);
    frame.push_str("\",");
    frame.push_str(event.strip_prefix('{').unwrap_or(event));
    frame
}
