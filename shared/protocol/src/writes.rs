//! Which requests become an entry of a conversation's log.

use natter_ids::ConversationId;

use crate::Request;

impl Request {
    /// The conversation that the request writes to. Such requests of a session are answered in the order in
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
            | Self::Leave { conversation } => Some(conversation),
            _ => None,
        }
    }
}
