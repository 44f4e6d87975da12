//! How far members have come: marks, receipts and what one shows of them.

use natter_ids::{ConversationId, Position, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a member has come in a conversation. Both numbers only rise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkView {
    /// Who.
    pub user: UserId,
    /// A device of theirs has every entry up to this number.
    pub delivered: Seq,
    /// They have read every entry up to this number, as far as it is shown: who has switched read
    /// receipts off shows nothing of what they read from then on, and is shown nothing of others.
    pub read: Seq,
}

/// Marks of members of one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarksView {
    /// Where.
    pub conversation: ConversationId,
    /// At most one for each member.
    pub marks: Vec<MarkView>,
}

/// The user's own marks in a conversation, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkedView {
    /// Where.
    pub conversation: ConversationId,
    /// A device of the user has every entry up to this number.
    pub delivered: Seq,
    /// The user has read every entry up to this number.
    pub read: Seq,
}

/// What `POST …/marks` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
pub struct MarkDraft {
    /// A device has every entry up to this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Seq>,
    /// The user has read every entry up to this number, which tells that they are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Seq>,
}

/// A page of the marks that have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkPage {
    /// By conversation, the user's own marks among them.
    pub conversations: Vec<MarksView>,
    /// What to present as `since` next time.
    pub position: Position,
    /// Whether to ask again at once.
    pub more: bool,
}

/// How many members, of those other than the user who asks, have received and read an entry, and
/// a page of them by id. They are counted on the first page only: with `after`, the three counts are 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptPage {
    /// Where.
    pub conversation: ConversationId,
    /// Which entry.
    pub seq: Seq,
    /// How many other members there are who may see it; 0 with `after`.
    pub members: u32,
    /// How many of them have it on a device; 0 with `after`.
    pub delivered: u32,
    /// How many of them have read it, as far as it is shown; 0 with `after`.
    pub read: u32,
    /// Other members, by id, and how far each has come.
    pub marks: Vec<MarkView>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// What a direct conversation is that somebody begins with whom the user shares no other one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strangers {
    /// A conversation like any other.
    #[default]
    Allow,
    /// A request, until the user accepts it.
    Request,
}

/// What a user has set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsView {
    /// Whether others see what the user reads, and the user what they read.
    pub read_receipts: bool,
    /// What conversations are that strangers begin. Absent from gateways of the release before.
    #[serde(default)]
    pub strangers: Strangers,
}

/// What `POST /v1/settings` takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
pub struct SettingsDraft {
    /// Whether others see what the user reads, and the user what they read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_receipts: Option<bool>,
    /// What conversations are that strangers begin from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strangers: Option<Strangers>,
}
