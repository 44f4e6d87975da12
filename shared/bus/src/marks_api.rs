//! What storage is asked about marks and settings. Part of [`crate::storage_api`].

use natter_ids::{ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::{
    ArrangementDraft, BlockView, MarkDraft, OverviewCursor, OverviewPosition, SettingsDraft, ShowRequests,
};
use serde::{Deserialize, Serialize};

/// How far a user says they have come in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMark {
    /// Who.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// How far.
    #[serde(flatten)]
    pub mark: MarkDraft,
    /// Whether others are not told: the user has blocked the other one of a direct conversation.
    #[serde(default)]
    pub held: bool,
}

/// Stores marks, all of conversations of one partition. Each is answered, in the same order, by
/// what is stored then; `None`: no member now. A number beyond the newest archived entry of the
/// conversation counts as that entry's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteMarks {
    /// The partition.
    pub partition: Partition,
    /// The marks.
    pub marks: Vec<UserMark>,
}

/// The marks in a user's conversations that have changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Marks {
    /// Who asks.
    pub user: UserId,
    /// From an earlier answer; absent: none, and where the present is.
    pub since: Option<Position>,
    /// Most marks in the answer.
    pub limit: u32,
}

/// Who has received and read an entry of a conversation that `user` is a member of now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipts {
    /// Who asks.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// The number of the entry.
    pub seq: Seq,
    /// The last member of the page before.
    pub after: Option<UserId>,
    /// Most members in the answer.
    pub limit: u32,
}

/// Reads a user's settings, and changes what is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Whose.
    pub user: UserId,
    /// What changes.
    #[serde(flatten)]
    pub draft: SettingsDraft,
}

/// A page of the conversations that `user` is a member of now, by last activity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overview {
    /// Who asks.
    pub user: UserId,
    /// Only those in which anything has changed since.
    pub since: Option<OverviewPosition>,
    /// Where the page begins.
    pub after: Option<OverviewCursor>,
    /// Most conversations in the answer.
    pub limit: u32,
    /// Whether requests are among them.
    #[serde(default)]
    pub requests: ShowRequests,
    /// The user's blocks: what they hide moves no conversation.
    #[serde(default)]
    pub blocks: Vec<BlockView>,
}

/// Those of `others` who have not accepted the conversation that `user` began with them: nothing of what they do is
/// shown to `user`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Withheld {
    /// Who asks.
    pub user: UserId,
    /// About whom.
    pub others: Vec<UserId>,
}

/// Lets what was not told while `user` blocked the other one of a direct conversation count as changed now: the marks of
/// both, and the conversation in the user's list. Asked twice, it does no harm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unblocked {
    /// Who has lifted the block.
    pub user: UserId,
    /// The other one.
    pub other: UserId,
    /// The direct conversation of both.
    pub conversation: ConversationId,
}

/// Changes how a user, a member now, has arranged a conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arrange {
    /// Who.
    pub user: UserId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// What changes.
    #[serde(flatten)]
    pub draft: ArrangementDraft,
}
