//! What storage answers over NATS request/reply, as types. No logic.
//!
//! Every request names the user it is for and storage decides membership itself (G8), so that a
//! mistake in a caller cannot show a conversation to a stranger. Numbers are per partition.

use natter_ids::{ConversationId, InviteId, Partition, Position, Seq, UserId};
use natter_protocol::{
    ArrangementView, BlockView, ConversationPage, GroupSettings, HistoryPage, InvitePage, MarkPage, MarkedView,
    MemberPage, OverviewPage, ReceiptPage, Role, SettingsView,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use crate::{
    marks_api::{Arrange, Marks, Overview, Receipts, Settings, Unblocked, UserMark, Withheld, WriteMarks},
    message_api::{
        FindMessage, FoundMessage, Latecomers, LatecomersReply, Message, MessageReply, Pinned, Reaction, Reactors,
        ReactorsReply,
    },
};

/// A request to storage and the type of its answer.
pub trait StorageRequest: Serialize + serde::de::DeserializeOwned + Send + Sync {
    /// What a successful answer holds.
    type Reply: Serialize + serde::de::DeserializeOwned + Send;
    /// Last token of the subject `storage.<NAME>`.
    const NAME: &'static str;
}

macro_rules! storage_requests {
    ($($request:ident -> $reply:ty = $name:literal;)*) => {
        $(impl StorageRequest for $request {
            type Reply = $reply;
            const NAME: &'static str = $name;
        })*
    };
}

storage_requests! {
    Backlog -> BacklogReply = "backlog";
    Archived -> Position = "archived";
    History -> HistoryPage = "history";
    Conversations -> ConversationPage = "conversations";
    Members -> MemberPage = "members";
    Membership -> Option<MembershipReply> = "membership";
    Roster -> RosterReply = "roster";
    FindMessage -> Option<FoundMessage> = "find_message";
    Message -> Option<MessageReply> = "message";
    Pinned -> HistoryPage = "pinned";
    Reactors -> Option<ReactorsReply> = "reactors";
    Acquaintances -> Vec<UserId> = "acquaintances";
    Withheld -> Vec<UserId> = "withheld";
    Invite -> Option<InviteReply> = "invite";
    Invites -> InvitePage = "invites";
    WriteMarks -> Vec<Option<MarkedView>> = "write_marks";
    Marks -> MarkPage = "marks";
    Receipts -> ReceiptPage = "receipts";
    Settings -> SettingsView = "settings";
    Overview -> OverviewPage = "overview";
    Arrange -> ArrangementView = "arrange";
    Unblocked -> () = "unblocked";
    Latecomers -> LatecomersReply = "latecomers";
}

/// Why storage did not answer a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum StorageFault {
    /// The archive has not reached the number asked for within the wait; ask again.
    #[error("the archive has not reached that position yet")]
    Behind,
    /// The user is no member of the conversation, or there is none.
    #[error("not a member of such a conversation")]
    NotAMember,
    /// The position lies where a restore has left numbers out: no log that there is has given it.
    #[error("a restore has left the position's numbers out")]
    InGap,
    /// The database cannot be reached or refused the query.
    #[error("the database cannot be used now")]
    Database,
    /// The request could not be read: caller and storage differ in version.
    #[error("the request could not be read")]
    Malformed,
}

impl StorageFault {
    /// How metrics call it: as on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::NotAMember => "not_a_member",
            Self::InGap => "in_gap",
            Self::Database => "database",
            Self::Malformed => "malformed",
        }
    }
}

/// Everything a user missed: entries of their conversations after `after`, up to and including
/// `upto`, restricted to the spans of their membership (first and last entry of a span included).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backlog {
    /// Whose.
    pub user: UserId,
    /// Where the device is.
    pub after: Position,
    /// Where to stop. Storage waits (bounded) until it has archived that much; absent: as far as
    /// is archived now.
    pub upto: Option<Position>,
    /// Most events in the answer.
    pub limit: u32,
}

/// A page of a backlog: by partition, and within a partition by number.
#[derive(Debug, Serialize, Deserialize)]
pub struct BacklogReply {
    /// The events.
    pub events: Vec<ArchivedEvent>,
    /// The device's position once it has these: ask for the next page after it. Equals `upto`
    /// when `more` is false.
    pub position: Position,
    /// Whether there is more up to `upto`.
    pub more: bool,
}

/// An event as archived, with what a gateway needs to route it without reading its JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct ArchivedEvent {
    /// The partition of its conversation.
    pub partition: Partition,
    /// Its number.
    pub seq: Seq,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The [`natter_protocol::Event`] as JSON text.
    pub event: Box<RawValue>,
}

/// How far each partition is archived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Archived {}

/// A page of history that `user`, a member now, may see.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    /// Who asks.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// Only smaller numbers.
    pub before: Option<Seq>,
    /// Only larger numbers.
    pub after: Option<Seq>,
    /// Most events in the answer.
    pub limit: u32,
    /// Every entry as it was first said; otherwise messages come as they are now, and entries
    /// that only change them are left out.
    #[serde(default)]
    pub edits: bool,
    /// The user's block in this conversation: nothing that it hides is in the states of messages, nor in their texts.
    #[serde(default)]
    pub block: Option<BlockView>,
}

/// A page of the conversations that `user` is a member of now, by id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conversations {
    /// Who asks.
    pub user: UserId,
    /// The last conversation of the page before.
    pub after: Option<ConversationId>,
    /// Most conversations in the answer.
    pub limit: u32,
}

/// A page of the members of a conversation that `user` is a member of now, by id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Members {
    /// Who asks.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// The last member of the page before.
    pub after: Option<UserId>,
    /// Most members in the answer.
    pub limit: u32,
}

/// Whether a user is a member, as of an archive that has reached `at_least` in the
/// conversation's partition (storage waits for it, bounded). `None`: there is no such conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Membership {
    /// Who.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// How much must be archived for the answer to count.
    pub at_least: Seq,
}

/// What a gateway must know before it appends for a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipReply {
    /// The user's role; absent when they are no member now.
    pub role: Option<Role>,
    /// The number of the last entry that changed this user's membership alone
    /// ([`natter_protocol::Change::changed_member`]); 0 when there is none. The log refuses an
    /// append that is fenced on an older number.
    pub fence: Seq,
    /// How many members the conversation has now.
    pub members: u32,
    /// The name of a group.
    pub name: Option<String>,
    /// The number of the newest archived entry.
    pub last_seq: Seq,
    /// How a group is set up.
    #[serde(default)]
    pub settings: GroupSettings,
    /// Whether the user is barred from it.
    #[serde(default)]
    pub banned: bool,
    /// Whether a stranger began it, and the user has not accepted it.
    #[serde(default)]
    pub request: bool,
    /// After how many seconds what is said in it disappears; absent when messages stay.
    #[serde(default)]
    pub timer_seconds: Option<u32>,
}

/// An invite, as of an archive that has reached `at_least`. `None`: there is no such.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invite {
    /// Into which group.
    pub conversation: ConversationId,
    /// Which.
    pub invite: InviteId,
    /// How much must be archived for the answer to count.
    pub at_least: Seq,
}

/// An invite as the log has left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteReply {
    /// Until when it holds, in milliseconds since 1970 UTC.
    pub expires_at: Option<u64>,
    /// How many may join with it.
    pub uses_max: Option<u32>,
    /// How many have.
    pub uses: u32,
    /// Whether it was ended.
    pub revoked: bool,
}

/// The invites into a group that are not revoked and not expired at `now`, for a member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invites {
    /// Who asks.
    pub user: UserId,
    /// Which group.
    pub conversation: ConversationId,
    /// In milliseconds since 1970 UTC.
    pub now: u64,
}

/// The members just before entry `before`, for delivery. Storage waits (bounded) until it has
/// archived `before - 1` in the conversation's partition, and ignores later entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Roster {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The number of the entry to be delivered.
    pub before: Seq,
    /// The last member of the page before: of one conversation before one entry, all pages together
    /// are the members of one moment.
    #[serde(default)]
    pub after: Option<UserId>,
}

/// A conversation as of a moment of its log. Empty when it had not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterReply {
    /// Its members, or a page of them, by id.
    pub members: Vec<UserId>,
    /// The number of its last entry before the moment; 0 when there is none.
    pub last_seq: Seq,
    /// Whether there are more members.
    #[serde(default)]
    pub more: bool,
}

/// Those of `others` who share a conversation with `user` now (and `user` themselves).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Acquaintances {
    /// Who asks.
    pub user: UserId,
    /// About whom.
    pub others: Vec<UserId>,
}
