//! Whom a user does not want to hear from.

use natter_ids::{ConversationId, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A user who is blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockView {
    /// Who.
    pub user: UserId,
    /// The direct conversation with them, whether it has begun or not.
    pub conversation: ConversationId,
    /// What they say in it after this number is not shown for as long as they are blocked.
    pub after: Seq,
    /// Since when, in milliseconds since 1970 UTC.
    pub since: u64,
}

/// Everybody whom the user has blocked, the one blocked last at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockPage {
    /// The blocks.
    pub blocks: Vec<BlockView>,
}
