//! Frames that clients send.

use natter_ids::{ClientId, ConversationId, DeviceId, Position, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::PrivacyView;

/// A number that the client gives a request; the answer carries it back. Any number will do;
/// using each once per session makes answers unambiguous.
pub type RequestId = u64;

/// A frame from client to gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame of a session.
    Hello(Hello),
    /// Asks for a `pong`, to measure the way or to keep the connection open.
    Ping {
        /// Comes back in the answer.
        #[serde(default)]
        id: RequestId,
    },
    /// The user is writing something; said again every few seconds while they go on. It is never answered: what is
    /// too much, or comes from no member, is dropped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Whether they have stopped, without sending anything.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stopped: bool,
    },
    /// Everything that is answered by a reply or an error with the same id.
    #[serde(untagged)]
    Request {
        /// Comes back in the answer.
        id: RequestId,
        /// The client's own trace, which the request becomes a part of (W3C Trace Context). Whether
        /// it is recorded is decided by the gateway; a text that is none is ignored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
        /// What is asked.
        #[serde(flatten)]
        request: Request,
    },
}

/// How a session begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// Which installation this is.
    pub device: DeviceId,
    /// What people call the device, such as `Alice's phone`, up to `device_name_bytes_max` bytes; absent:
    /// the one that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the device stopped; absent for a new device, which starts at the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// A token, when none came with the HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A request, answered by one frame with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Says something. Answered by `accepted` once the log has stored it.
    Send {
        /// Where.
        conversation: ConversationId,
        /// Made once per message and kept for retries.
        client_id: ClientId,
        /// What, up to `message_bytes_max` bytes.
        text: String,
    },
    /// Opens the direct conversation with a user, or finds it. Answered by `conversation`.
    OpenDirect {
        /// With whom.
        user: UserId,
    },
    /// Creates a group. Answered by `conversation`; a retry with the same client id finds it.
    CreateGroup {
        /// Made once per group and kept for retries.
        client_id: ClientId,
        /// What people call it, up to `group_name_bytes_max` bytes.
        name: String,
        /// Its first members besides the creator.
        #[serde(default)]
        members: Vec<UserId>,
    },
    /// Adds a user to a group. Answered by `accepted`.
    AddMember {
        /// Which group.
        conversation: ConversationId,
        /// Whom.
        user: UserId,
    },
    /// Removes a member of a group; for its owner. Answered by `accepted`.
    RemoveMember {
        /// Which group.
        conversation: ConversationId,
        /// Whom.
        user: UserId,
    },
    /// Leaves a group. Answered by `accepted`.
    Leave {
        /// Which group.
        conversation: ConversationId,
    },
    /// Lists the user's conversations by id. Answered by `conversations`.
    Conversations {
        /// The last conversation of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<ConversationId>,
        /// How many at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Lists the members of a conversation by id. Answered by `members`.
    Members {
        /// Which conversation.
        conversation: ConversationId,
        /// The last member of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<UserId>,
        /// How many at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Reads history in order of the log: the newest page when neither bound is given, the page
    /// that ends just before `before`, or the page that begins just after `after`. Answered by
    /// `history`.
    History {
        /// Which conversation.
        conversation: ConversationId,
        /// Only entries with a smaller number, nearest first chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Seq>,
        /// Only entries with a larger number, nearest first chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Seq>,
        /// How many at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Asks who is online, among users one shares a conversation with. Answered by `presence`.
    Presence {
        /// Whom, up to `presence_users_max`.
        users: Vec<UserId>,
    },
    /// Like `presence`, and `presence_changed` follows for each change. Replaces the users
    /// watched before; an empty list ends the watch.
    WatchPresence {
        /// Whom, up to `presence_users_max`.
        users: Vec<UserId>,
    },
    /// Says whether the user is at this device. While all connected devices are left, others see the user as
    /// `away`. Lasts as long as the session. Answered by `done`.
    SetAway {
        /// Whether they are not.
        away: bool,
    },
    /// Lists whom the user has blocked. Answered by `blocks`.
    Blocks,
    /// Blocks a user: from now on nothing that they say in the direct conversation is shown on any device, nor that
    /// they are writing, and they do not see whether the user is online. They are not told. Answered by `blocks`.
    Block {
        /// Whom.
        user: UserId,
    },
    /// Lifts a block. What was said meanwhile is in the history; `unblocked` tells every device so. Answered by
    /// `blocks`.
    Unblock {
        /// Whom.
        user: UserId,
    },
    /// Asks what the user lets others see. Answered by `privacy`.
    Privacy,
    /// Changes what the user lets others see, everywhere and for good. Answered by `privacy`.
    SetPrivacy {
        /// All of it.
        #[serde(flatten)]
        privacy: PrivacyView,
    },
    /// Lists the user's devices. Answered by `devices`.
    Devices,
    /// Signs a device of the user out, for good: its sessions are closed now, everywhere, and it may
    /// not come back. Answered by `devices`, with those that are left.
    RevokeDevice {
        /// Which.
        device: DeviceId,
    },
    /// Replaces the session's token before it expires. Answered by `refreshed`.
    RefreshToken {
        /// A token of the same user.
        token: String,
    },
}

impl Request {
    /// Its `type` on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::OpenDirect { .. } => "open_direct",
            Self::CreateGroup { .. } => "create_group",
            Self::AddMember { .. } => "add_member",
            Self::RemoveMember { .. } => "remove_member",
            Self::Leave { .. } => "leave",
            Self::Conversations { .. } => "conversations",
            Self::Members { .. } => "members",
            Self::History { .. } => "history",
            Self::Presence { .. } => "presence",
            Self::WatchPresence { .. } => "watch_presence",
            Self::SetAway { .. } => "set_away",
            Self::Blocks => "blocks",
            Self::Block { .. } => "block",
            Self::Unblock { .. } => "unblock",
            Self::Privacy => "privacy",
            Self::SetPrivacy { .. } => "set_privacy",
            Self::Devices => "devices",
            Self::RevokeDevice { .. } => "revoke_device",
            Self::RefreshToken { .. } => "refresh_token",
        }
    }
}
