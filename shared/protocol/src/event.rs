//! What happens in a conversation, as stored in its log and as clients see it.

use natter_ids::{ClientId, ConversationId, InviteId, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GroupPatch, Role};

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
    /// The sender, who stands above the member, removes them. The last entry that this member receives.
    MemberRemoved {
        /// Who is no longer a member.
        user: UserId,
    },
    /// The sender leaves. The last entry that the sender receives.
    MemberLeft {},
    /// The sender has come in by an invite.
    MemberJoined {
        /// By which.
        invite: InviteId,
    },
    /// The sender, who manages the group, bars a user: a member is none any more, and nobody can add them
    /// or let them in by an invite. The last entry that this member receives.
    MemberBanned {
        /// Who.
        user: UserId,
    },
    /// The sender, who manages the group, lets a barred user be added again.
    MemberUnbanned {
        /// Who.
        user: UserId,
    },
    /// The sender, an owner, gives a member another role.
    RoleChanged {
        /// Whom.
        user: UserId,
        /// Which.
        role: Role,
    },
    /// The sender, who manages the group, changes how it is set up.
    GroupChanged {
        /// What.
        #[serde(flatten)]
        patch: GroupPatch,
    },
    /// The sender makes an invite.
    InviteCreated {
        /// Its name, which follows from its code and does not tell it.
        invite: InviteId,
        /// Until when it holds, in milliseconds since 1970 UTC; absent: for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<u64>,
        /// How many may join with it; absent: as many as come.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uses_max: Option<u32>,
    },
    /// The sender comes in by an invite: `member_joined` follows.
    InviteUsed {
        /// Which.
        invite: InviteId,
        /// As in `invite_created`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<u64>,
        /// As in `invite_created`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uses_max: Option<u32>,
        /// How often it has been used now.
        uses: u32,
    },
    /// The sender, who manages the group, ends an invite.
    InviteRevoked {
        /// Which.
        invite: InviteId,
    },
}

impl Change {
    /// The user whose membership this entry alone changes, given who sent it.
    pub fn changed_member<'a>(&'a self, sender: &'a UserId) -> Option<&'a UserId> {
        match self {
            Self::MemberAdded { user }
            | Self::MemberRemoved { user }
            | Self::MemberBanned { user }
            | Self::MemberUnbanned { user }
            | Self::RoleChanged { user, .. } => Some(user),
            Self::MemberLeft {} | Self::MemberJoined { .. } => Some(sender),
            _ => None,
        }
    }

    /// The user who is no member any more after this entry, given who sent it.
    pub fn takes_out<'a>(&'a self, sender: &'a UserId) -> Option<&'a UserId> {
        match self {
            Self::MemberRemoved { user } | Self::MemberBanned { user } => Some(user),
            Self::MemberLeft {} => Some(sender),
            _ => None,
        }
    }

    /// The invite that this entry is about.
    pub fn changed_invite(&self) -> Option<&InviteId> {
        match self {
            Self::InviteCreated { invite, .. } | Self::InviteUsed { invite, .. } | Self::InviteRevoked { invite } => {
                Some(invite)
            }
            _ => None,
        }
    }

    /// Whether the conversation begins with this entry.
    pub fn is_beginning(&self) -> bool {
        matches!(self, Self::DirectOpened { .. } | Self::GroupCreated { .. })
    }

    /// Whether this entry of `sender` makes `user` a member, so that their chain of links begins here.
    pub fn admits(&self, sender: &UserId, user: &UserId) -> bool {
        match self {
            Self::MemberJoined { .. } => sender == user,
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
    /// The number of the entry before it in this conversation, 0 for the first. A client that
    /// was a member then and has not seen that entry knows that it misses something.
    pub prev: Seq,
    /// The entry itself.
    #[serde(flatten)]
    pub entry: Entry,
}
