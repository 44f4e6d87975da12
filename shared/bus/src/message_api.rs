//! What storage answers about single messages; see [`crate::storage_api`].

use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::{BlockView, Change, Forwarded};
use serde::{Deserialize, Serialize};

/// A page of the pinned messages that `user`, a member now, may see: those with the largest numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pinned {
    /// Who asks.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// Only smaller numbers.
    pub before: Option<Seq>,
    /// Most messages in the answer.
    pub limit: u32,
    /// The user's block in this conversation: what it hides is left out.
    #[serde(default)]
    pub block: Option<BlockView>,
}

/// What a gateway must know of a message before it lets `user`, a member now, change it; as of an
/// archive that has reached `at_least`. `None`: there is no such message that the user may see.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// Who asks.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// The number of the message.
    pub seq: Seq,
    /// How much must be archived for the answer to count.
    pub at_least: Seq,
    /// Whether its text is wanted too.
    #[serde(default)]
    pub with_text: bool,
    /// The user's block in this conversation: what it hides is left out.
    #[serde(default)]
    pub block: Option<BlockView>,
}

/// A page of the members of a group as of an entry, `seq`, who do not see a message that was said before they came:
/// none where the past is shown. By their ids; as of an archive that has all before that entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Latecomers {
    /// Which group.
    pub conversation: ConversationId,
    /// The number of the message.
    pub target: Seq,
    /// The number of the entry.
    pub seq: Seq,
    /// The last user of the page before.
    pub after: Option<UserId>,
}

/// A page of those who came too late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatecomersReply {
    /// Who.
    pub users: Vec<UserId>,
    /// Whether there may be more after the last one.
    pub more: bool,
}

/// Who has reacted to a message that `user`, a member now, may see. `None`: there is no such.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reactors {
    /// Who asks.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// The number of the message.
    pub target: Seq,
    /// Only those who have this one on it.
    pub emoji: Option<String>,
    /// The last user of the page before.
    pub after: Option<UserId>,
    /// Most users in the answer.
    pub limit: u32,
}

/// A page of reactions: all of each of its users, by their id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactorsReply {
    /// Who said the message.
    pub sender: UserId,
    /// Whether it is deleted: then there are no reactions.
    pub deleted: bool,
    /// The reactions; those of one user in the order in which they came.
    pub reactions: Vec<Reaction>,
    /// Whether there are more users after the last one.
    pub more: bool,
}

/// One emoji of one user on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// Who.
    pub user: UserId,
    /// Which one.
    pub emoji: String,
    /// The number of the entry that brought it.
    pub seq: Seq,
}

/// A message as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReply {
    /// Who said it.
    pub sender: UserId,
    /// When it was accepted, in milliseconds since 1970 UTC.
    pub time: u64,
    /// Its text, when it was asked for.
    #[serde(default)]
    pub text: Option<String>,
    /// Where it is from, when it was forwarded.
    #[serde(default)]
    pub forwarded: Option<Forwarded>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Which emoji people have on it, each once.
    pub emoji: Vec<String>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// How many messages of the conversation are pinned.
    pub pinned_in_all: u32,
}

/// Looks for an accepted message, or change of one, by its client id, as of an archive that has
/// reached `at_least`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindMessage {
    /// Where.
    pub conversation: ConversationId,
    /// Who sent it.
    pub sender: UserId,
    /// Its client id.
    pub client_id: ClientId,
    /// How much must be archived for the answer to count.
    pub at_least: Seq,
}

/// An accepted message, or change of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundMessage {
    /// Its number.
    pub seq: Seq,
    /// When it was accepted, in milliseconds since 1970 UTC.
    pub time: u64,
    /// Its text, to tell a retry from a conflict; empty when it is no message. Read by gateways of
    /// the release before, which do not know `change`.
    pub text: String,
    /// What stands there now. Absent from storage of the release before.
    #[serde(default)]
    pub change: Option<Change>,
}

impl FoundMessage {
    /// Whether this is what somebody says again. What has been erased is taken at their word: it
    /// leaves nothing behind that could tell.
    pub fn is(&self, again: &Change) -> bool {
        match (&self.change, again) {
            (Some(Change::Erased { was }), again) => was == again.kind(),
            (Some(change), again) => change == again,
            (None, Change::Message { text, .. }) => self.text == *text,
            (None, _) => false,
        }
    }
}
