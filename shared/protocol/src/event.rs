//! What happens in a conversation, as stored in its log and as clients see it.

use natter_ids::{ClientId, ConversationId, InviteId, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GroupPatch, Other, Role};

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
        /// The number of the message of this conversation that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<Seq>,
        /// Present when it was forwarded: the text is somebody else's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forwarded: Option<Forwarded>,
        /// Members who are meant by the text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
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
    /// The sender, an owner, gives a member another role; or has come into a group without an owner, and is it now.
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
    /// The sender gives a message of theirs another text. Changes nothing once it is deleted.
    Edited {
        /// The number of the message.
        target: Seq,
        /// The text that it has from now on.
        text: String,
        /// Members who are meant by it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// A message is deleted for everybody: no answer holds its text any more.
    Deleted {
        /// The number of the message.
        target: Seq,
    },
    /// The sender reacts to a message, or takes a reaction back. Each user has each emoji once.
    Reacted {
        /// The number of the message.
        target: Seq,
        /// Which one.
        emoji: String,
        /// `false`: it is taken back.
        on: bool,
    },
    /// A message is pinned, for everybody.
    Pinned {
        /// The number of the message.
        target: Seq,
    },
    /// A message is no longer pinned.
    Unpinned {
        /// The number of the message.
        target: Seq,
    },
    /// Messages of the conversation disappear from now on so long after they were said.
    TimerSet {
        /// After how many seconds; 0: never.
        seconds: u32,
    },
    /// Stands where a message was that is deleted or has disappeared, or an edit of it: who and
    /// when, without what.
    Erased {
        /// The `kind` that the entry had.
        was: String,
    },
    /// Something that a later version knows.
    #[serde(untagged)]
    #[schemars(skip)]
    Other(Other),
}

/// Where a forwarded message is from. The conversation is not told: readers may not know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forwarded {
    /// Who said it first; absent when whoever forwarded it did not want to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<UserId>,
}

impl Change {
    /// A message that is nothing but its text.
    pub fn message(text: impl Into<String>) -> Self {
        Self::Message { text: text.into(), reply_to: None, forwarded: None, mentions: Vec::new() }
    }

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

    /// The number of the message that this entry changes.
    pub fn target(&self) -> Option<Seq> {
        match self {
            Self::Edited { target, .. }
            | Self::Deleted { target }
            | Self::Reacted { target, .. }
            | Self::Pinned { target }
            | Self::Unpinned { target } => Some(*target),
            _ => None,
        }
    }

    /// The `kind` on the wire.
    pub fn kind(&self) -> &str {
        match self {
            Self::DirectOpened { .. } => "direct_opened",
            Self::GroupCreated { .. } => "group_created",
            Self::Message { .. } => "message",
            Self::MemberAdded { .. } => "member_added",
            Self::MemberRemoved { .. } => "member_removed",
            Self::MemberLeft {} => "member_left",
            Self::MemberJoined { .. } => "member_joined",
            Self::MemberBanned { .. } => "member_banned",
            Self::MemberUnbanned { .. } => "member_unbanned",
            Self::RoleChanged { .. } => "role_changed",
            Self::GroupChanged { .. } => "group_changed",
            Self::InviteCreated { .. } => "invite_created",
            Self::InviteUsed { .. } => "invite_used",
            Self::InviteRevoked { .. } => "invite_revoked",
            Self::Edited { .. } => "edited",
            Self::Deleted { .. } => "deleted",
            Self::Reacted { .. } => "reacted",
            Self::Pinned { .. } => "pinned",
            Self::Unpinned { .. } => "unpinned",
            Self::TimerSet { .. } => "timer_set",
            Self::Erased { .. } => "erased",
            Self::Other(other) => other.kind(),
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
    /// The client's id of the message or change, by which a retry is recognised; absent for
    /// changes that carry none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// When the gateway accepted it, in milliseconds since 1970 UTC.
    pub time: u64,
    /// What happened.
    #[serde(flatten)]
    pub change: Change,
}

impl Entry {
    /// The id under which this entry happens once, however often it is said. A beginning has none: it is fenced on
    /// there being no entry.
    pub fn once_id(&self) -> Option<ClientId> {
        self.client_id.filter(|_| !self.change.is_beginning())
    }

    /// Whether an entry under the same id as an earlier one is none. Changes of members are entries all the same: who
    /// is a member follows from the last of them in the log.
    pub fn happens_once(&self) -> bool {
        self.once_id().is_some() && self.change.changed_member(&self.sender).is_none()
    }
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
