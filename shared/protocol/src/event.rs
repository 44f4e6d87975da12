//! What happens in a conversation, as stored in its log and as clients see it.

use natter_ids::{ClientId, ConversationId, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Created the group; may remove members.
    Owner,
    /// Reads, writes, adds members and leaves.
    Member,
}

/// One lasting change of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// A direct conversation begins.
    DirectOpened {
        /// Its two users; the same one twice for notes to oneself.
        peers: [UserId; 2],
    },
    /// A group begins.
    GroupCreated {
        /// What people call it.
        name: String,
        /// Its first members, the creator among them.
        members: Vec<UserId>,
    },
    /// Somebody says something.
    Message {
        /// The text, byte for byte as sent.
        text: String,
    },
    /// The sender adds a user to the group. Changes nothing for a user who is a member.
    MemberAdded {
        /// Who is a member from this entry on.
        user: UserId,
    },
    /// The sender, an owner, removes a member. The last entry that this member receives.
    MemberRemoved {
        /// Who is no longer a member.
        user: UserId,
    },
    /// The sender leaves. The last entry that the sender receives.
    MemberLeft {},
}

impl Change {
    /// The user whose membership this entry alone changes, given who sent it.
    pub fn changed_member<'a>(&'a self, sender: &'a UserId) -> Option<&'a UserId> {
        match self {
            Self::MemberAdded { user } | Self::MemberRemoved { user } => Some(user),
            Self::MemberLeft {} => Some(sender),
            Self::DirectOpened { .. } | Self::GroupCreated { .. } | Self::Message { .. } => None,
        }
    }

    /// Whether the conversation begins with this entry.
    pub fn is_beginning(&self) -> bool {
        matches!(self, Self::DirectOpened { .. } | Self::GroupCreated { .. })
    }

    /// Whether this entry makes `user` a member, so that their chain of links begins here.
    pub fn admits(&self, user: &UserId) -> bool {
        match self {
            Self::DirectOpened { peers } => peers.contains(user),
            Self::GroupCreated { members, .. } => members.contains(user),
            Self::MemberAdded { user: added } => added == user,
            _ => false,
        }
    }
}

/// An entry of a conversation's log, as stored on `chat.<shard>.<conversation>.…`.
///
/// The subject tells the conversation and the log the number; neither is repeated here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Who did it.
    pub sender: UserId,
    /// The client's id of the message, by which a retry is recognised; absent for changes that
    /// carry none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// When the gateway accepted it, in milliseconds since 1970 UTC.
    pub time: u64,
    /// What happened.
    #[serde(flatten)]
    pub change: Change,
}

/// An entry of a conversation's log, as clients receive it, live, on resume and from history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Where it happened.
    pub conversation: ConversationId,
    /// Its number: larger is later within the conversation, for everybody.
    pub seq: Seq,
    /// The number of the entry before it in this conversation, 0 for the first, and where what came before it is not
    /// shown. A client that was a member then and has not seen that entry knows that it misses something.
    pub prev: Seq,
    /// The entry itself.
    #[serde(flatten)]
    pub entry: Entry,
}
