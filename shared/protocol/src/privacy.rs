//! What a user lets others see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may see something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody one shares a conversation with.
    #[default]
    Contacts,
    /// Nobody. Others see a user who is offline and was never seen.
    Nobody,
}

/// What a user lets others see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrivacyView {
    /// Who may see whether the user is online, and when they were last.
    pub presence: Audience,
}
