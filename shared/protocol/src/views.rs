//! What requests are answered with, over WebSocket and HTTP alike.

use natter_ids::{ClientId, ConversationId, Position, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, GroupSettings, MessageState, Role};

/// A conversation as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationView {
    /// The conversation.
    pub conversation: ConversationId,
    /// What people call it; absent for a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The other user of a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserId>,
    /// How a group is set up; absent for a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupSettings>,
    /// After how many seconds what is said in it disappears; absent when messages stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer_seconds: Option<u32>,
    /// The asking member's role.
    pub role: Role,
    /// The number of its newest entry.
    pub last_seq: Seq,
}

/// A page of the user's conversations, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationPage {
    /// The conversations.
    pub conversations: Vec<ConversationView>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// A member of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
}

/// A page of a conversation's members, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberPage {
    /// Whose members.
    pub conversation: ConversationId,
    /// The members.
    pub members: Vec<MemberView>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// A page of a conversation's history, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryPage {
    /// The entries, oldest first.
    pub events: Vec<Event>,
    /// What later entries have made of messages on this page; those that nothing has changed are
    /// left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<MessageState>,
    /// Whether there are more in the direction asked.
    pub more: bool,
}

/// What a device missed, for clients that poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BacklogPage {
    /// The events after the position asked for; within a conversation in order.
    pub events: Vec<Event>,
    /// Where the device is once it has kept these events. Present it in the next request.
    pub position: Position,
    /// Whether to ask again at once.
    pub more: bool,
}

/// Whether a user is online, as far as they let the one who asks see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PresenceView {
    /// Who.
    pub user: UserId,
    /// Whether any device of theirs is connected.
    pub online: bool,
    /// Whether they are not at any of these devices, by what those have said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
    /// When the last device went, in milliseconds since 1970 UTC; absent while online or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
}

/// A single-use ticket to connect with, for browsers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketGrant {
    /// Goes into `Sec-WebSocket-Protocol` as `natter.ticket.<ticket>`.
    pub ticket: String,
    /// How long it is valid, in milliseconds.
    pub expires_in_ms: u32,
}

/// A message that the log has stored, in answer to `POST …/messages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedView {
    /// Where.
    pub conversation: ConversationId,
    /// The message's id.
    pub client_id: ClientId,
    /// Its number in the conversation.
    pub seq: Seq,
    /// When it was accepted first, in milliseconds since 1970 UTC.
    pub time: u64,
}

/// What `POST …/messages` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageDraft {
    /// Made once per message and kept for retries.
    pub client_id: ClientId,
    /// What is said, up to `message_bytes_max` bytes.
    pub text: String,
    /// The number of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Seq>,
    /// Members who are meant by it; up to 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
}

/// Who is online, of the users asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PresencePage {
    /// One entry per user one shares a conversation with.
    pub users: Vec<PresenceView>,
}
