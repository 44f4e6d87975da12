//! What becomes of messages after they were said, over WebSocket and HTTP alike.

use natter_ids::{ClientId, ConversationId, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest emoji of a reaction, in bytes of UTF-8: a family with skin tones has 41.
pub const EMOJI_BYTES_MAX: usize = 48;
/// Most different emoji on one message.
pub const REACTIONS_MAX: usize = 16;
/// Most members that one message mentions.
pub const MENTIONS_MAX: usize = 50;
/// Longest time that messages stay where they disappear, in seconds: a year.
pub const TIMER_MAX_S: u32 = 365 * 24 * 3600;
/// Most pinned messages of a conversation.
pub const PINNED_MAX: usize = 100;

/// Whether a text may be the emoji of a reaction. Which pictures people use is not for a server
/// to decide; that it is one short word is.
pub fn is_emoji(text: &str) -> bool {
    let fits = |text: &str| !text.is_empty() && text.len() <= EMOJI_BYTES_MAX;
    fits(text) && !text.chars().any(|char| char.is_control() || char.is_whitespace())
}

/// What later entries have made of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageState {
    /// The number of the message.
    pub seq: Seq,
    /// When its text was edited last, in milliseconds since 1970 UTC; absent when it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<u64>,
    /// When it disappears, in milliseconds since 1970 UTC; absent: it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Reactions, in the order in which each emoji came first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionView>,
    /// Whether it is pinned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
}

/// An emoji on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactionView {
    /// Which one.
    pub emoji: String,
    /// How many users have it on the message.
    pub count: u32,
    /// Whether the asking user is one of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mine: bool,
}

/// A user who has reacted to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactorView {
    /// Who.
    pub user: UserId,
    /// With what, in the order in which they did.
    pub emoji: Vec<String>,
}

/// A page of those who have reacted to a message, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactorPage {
    /// Where.
    pub conversation: ConversationId,
    /// The number of the message.
    pub target: Seq,
    /// Who, and with what.
    pub reactors: Vec<ReactorView>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// What `POST …/messages/{seq}/edit` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditDraft {
    /// Made once per change and kept for retries.
    pub client_id: ClientId,
    /// The new text, up to `message_bytes_max` bytes.
    pub text: String,
    /// Members who are meant by it; up to 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
}

/// What `POST …/forward` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardDraft {
    /// Made once per message and kept for retries.
    pub client_id: ClientId,
    /// The conversation that the message is in.
    pub from: ConversationId,
    /// The number of the message.
    pub target: Seq,
    /// Whether it is not told who said it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hide_sender: bool,
}

/// What `POST …/messages/{seq}/react` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactionDraft {
    /// Made once per change and kept for retries.
    pub client_id: ClientId,
    /// Which one: up to 48 bytes, without spaces and control characters.
    pub emoji: String,
    /// `false` takes it back.
    pub on: bool,
}

/// What `POST …/timer` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimerDraft {
    /// Made once per change and kept for retries.
    pub client_id: ClientId,
    /// After how many seconds messages disappear, up to a year; 0: never.
    pub seconds: u32,
}

/// What `POST …/messages/{seq}/delete`, `pin` and `unpin` take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeDraft {
    /// Made once per change and kept for retries.
    pub client_id: ClientId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_one_short_word() {
        for good in ["👍", "❤️", "👨🏽‍👩🏽‍👧🏽‍👦🏽", ":+1:", "x"] {
            assert!(is_emoji(good), "{good}");
        }
        for bad in ["", " ", "two words", "a\n", "\u{0}", &"x".repeat(EMOJI_BYTES_MAX + 1)] {
            assert!(!is_emoji(bad), "{bad:?}");
        }
    }
}
