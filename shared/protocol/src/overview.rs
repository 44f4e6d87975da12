//! A user's list of conversations, by last activity.

use std::fmt;

use natter_ids::{ConversationId, Position, Seq};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConversationView, Event, MarkView};

/// Why a text is no token of an overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token of an overview is one that Natter handed out; this is none")]
pub struct InvalidOverviewToken;

/// How far a device knows the user's list: an opaque token, `<position>~<position>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "How far a device knows the user's list. An opaque token: kept and presented, never read by clients.",
    extend("pattern" = r"^[A-Za-z0-9_.~-]+$")
)]
pub struct OverviewPosition {
    /// Up to where entries are known.
    pub entries: Position,
    /// Up to where marks and arrangements are.
    pub marks: Position,
}

/// Where the next page of an overview begins: an opaque token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "Where the next page of an overview begins. An opaque token: presented, never read by clients.",
    extend("pattern" = r"^[A-Za-z0-9_.~-]+$")
)]
pub struct OverviewCursor {
    /// Whether the last conversation of the page before is pinned.
    pub pinned: bool,
    /// When something last happened in it.
    pub active_at: u64,
    /// Which one it is.
    pub conversation: ConversationId,
    /// What the first page was as of.
    pub position: OverviewPosition,
}

impl fmt::Display for OverviewPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.entries, self.marks)
    }
}

impl TryFrom<String> for OverviewPosition {
    type Error = InvalidOverviewToken;

    fn try_from(text: String) -> Result<Self, InvalidOverviewToken> {
        let (entries, marks) = text.split_once('~').ok_or(InvalidOverviewToken)?;
        let parse = |text| Position::parse(text).map_err(|_| InvalidOverviewToken);
        let (entries, marks) = (parse(entries)?, parse(marks)?);
        if entries.partitions() == marks.partitions() { Ok(Self { entries, marks }) } else { Err(InvalidOverviewToken) }
    }
}

impl From<OverviewPosition> for String {
    fn from(position: OverviewPosition) -> Self {
        position.to_string()
    }
}

impl fmt::Display for OverviewCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pinned, active_at, conversation, position } = self;
        write!(f, "{}~{active_at}~{conversation}~{position}", u8::from(*pinned))
    }
}

impl TryFrom<String> for OverviewCursor {
    type Error = InvalidOverviewToken;

    fn try_from(text: String) -> Result<Self, InvalidOverviewToken> {
        let invalid = |_| InvalidOverviewToken;
        let mut parts = text.splitn(4, '~');
        let mut next = || parts.next().ok_or(InvalidOverviewToken);
        let pinned = match next()? {
            "0" => false,
            "1" => true,
            _ => return Err(InvalidOverviewToken),
        };
        let active_at = next()?.parse().map_err(|_| InvalidOverviewToken)?;
        let conversation = ConversationId::parse(next()?).map_err(|_| InvalidOverviewToken)?;
        let position = OverviewPosition::try_from(next()?.to_owned()).map_err(invalid)?;
        Ok(Self { pinned, active_at, conversation, position })
    }
}

impl From<OverviewCursor> for String {
    fn from(cursor: OverviewCursor) -> Self {
        cursor.to_string()
    }
}

/// How a user has arranged a conversation in their list: the same on all their devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arrangement {
    /// Until when nothing shall ring, in milliseconds since 1970 UTC; absent: it is not muted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<u64>,
    /// Whether it stands before the others.
    pub pinned: bool,
    /// Whether it is put away.
    pub archived: bool,
    /// Whether a stranger began it, and the user has not accepted it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub request: bool,
}

/// Which conversations a list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShowRequests {
    /// Those that are no requests.
    #[default]
    Without,
    /// All.
    With,
    /// Requests.
    Only,
}

impl ShowRequests {
    /// Whether it is what is meant when nothing is said.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "asked for by serde")]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A change of an arrangement: what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
pub struct ArrangementDraft {
    /// Until when nothing shall ring, in milliseconds since 1970 UTC; 0: no longer muted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<u64>,
    /// Whether it stands before the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// Whether it is put away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// `true` accepts a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
}

/// A conversation and how the user has arranged it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArrangementView {
    /// Which conversation.
    pub conversation: ConversationId,
    /// How it is arranged.
    #[serde(flatten)]
    pub arrangement: Arrangement,
}

/// A conversation in the user's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OverviewItem {
    /// The conversation.
    #[serde(flatten)]
    pub view: ConversationView,
    /// When something last happened in it, in milliseconds since 1970 UTC.
    pub active_at: u64,
    /// The last thing that happened, as it is now; what is long in it is cut. Absent when it is of a kind
    /// that cannot be cut and too large for a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Event>,
    /// Whether there is more of `last`: of its text, its mentions or its members.
    pub cut: bool,
    /// How many messages of others stand behind what the user has read or said themselves.
    pub unread: u64,
    /// How many of those mention the user, as their texts are now; deleted ones do not count. Absent from
    /// gateways of the release before.
    #[serde(default)]
    pub mentions: u64,
    /// A device of the user has every entry up to here.
    pub delivered: Seq,
    /// The user has read every entry up to here.
    pub read: Seq,
    /// The other user's marks in a direct conversation, once there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<MarkView>,
    /// How the user has arranged it.
    #[serde(flatten)]
    pub arrangement: Arrangement,
}

/// A page of the user's list: pinned ones first, then by last activity, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OverviewPage {
    /// The conversations; with `since`, those in which anything has changed.
    pub conversations: Vec<OverviewItem>,
    /// Conversations that the user has left, or was removed from, since; in a list of requests also those that
    /// were accepted. On the first page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<ConversationId>,
    /// What to present as `since` once all pages are kept: the same on all of them.
    pub position: OverviewPosition,
    /// What to present as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<OverviewCursor>,
}
