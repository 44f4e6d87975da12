//! What a request is called, and which keep their order.

use natter_ids::{ClientId, ConversationId};

use crate::Request;

impl Request {
    /// A `send` that is nothing but its text.
    pub fn send(conversation: ConversationId, client_id: ClientId, text: impl Into<String>) -> Self {
        Self::Send { conversation, client_id, text: text.into(), reply_to: None, mentions: Vec::new() }
    }

    /// Its `type` on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::Forward { .. } => "forward",
            Self::OpenDirect { .. } => "open_direct",
            Self::CreateGroup { .. } => "create_group",
            Self::AddMember { .. } => "add_member",
            Self::RemoveMember { .. } => "remove_member",
            Self::Leave { .. } => "leave",
            Self::ChangeGroup { .. } => "change_group",
            Self::ChangeRole { .. } => "change_role",
            Self::BanMember { .. } => "ban_member",
            Self::UnbanMember { .. } => "unban_member",
            Self::CreateInvite { .. } => "create_invite",
            Self::RevokeInvite { .. } => "revoke_invite",
            Self::Invites { .. } => "invites",
            Self::Join { .. } => "join",
            Self::Conversations { .. } => "conversations",
            Self::Members { .. } => "members",
            Self::History { .. } => "history",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
            Self::Pin { .. } => "pin",
            Self::Unpin { .. } => "unpin",
            Self::SetTimer { .. } => "set_timer",
            Self::Pinned { .. } => "pinned",
            Self::Reactors { .. } => "reactors",
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
            Self::Mark { .. } => "mark",
            Self::Marks { .. } => "marks",
            Self::Receipts { .. } => "receipts",
            Self::Overview { .. } => "overview",
            Self::Arrange { .. } => "arrange",
            Self::ChangeSettings { .. } => "change_settings",
        }
    }

    /// The conversation in which the request is carried out in order with others. Such requests of a session are answered in the order in
    /// which they came, and a client sends them in the order in which they were made.
    pub const fn writes_to(&self) -> Option<&ConversationId> {
        match self {
            Self::Send { conversation, .. }
            | Self::Forward { conversation, .. }
            | Self::Edit { conversation, .. }
            | Self::Delete { conversation, .. }
            | Self::React { conversation, .. }
            | Self::Pin { conversation, .. }
            | Self::Unpin { conversation, .. }
            | Self::SetTimer { conversation, .. }
            | Self::AddMember { conversation, .. }
            | Self::RemoveMember { conversation, .. }
            | Self::ChangeGroup { conversation, .. }
            | Self::ChangeRole { conversation, .. }
            | Self::BanMember { conversation, .. }
            | Self::UnbanMember { conversation, .. }
            | Self::RevokeInvite { conversation, .. }
            | Self::Leave { conversation, .. } => Some(conversation),
            _ => None,
        }
    }
}
