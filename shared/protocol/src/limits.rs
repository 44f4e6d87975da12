//! Limits that clients can meet, named as in the configuration and in errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a client may send and ask for. Told in `welcome`; each can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Longest text of a message, in bytes of UTF-8.
    pub message_bytes_max: u32,
    /// Longest frame that a client may send, in bytes.
    pub frame_bytes_max: u32,
    /// Most members of a group.
    pub group_members_max: u32,
    /// Longest name of a group, in bytes.
    pub group_name_bytes_max: u32,
    /// Most conversations, members or history entries in one page.
    pub page_items_max: u32,
    /// Most users whose presence one session watches or asks for at once.
    pub presence_users_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 64 * 1024,
            // A text may grow sixfold in JSON (every byte a \u00XX) and still has to fit.
            frame_bytes_max: 400 * 1024,
            group_members_max: 1000,
            group_name_bytes_max: 256,
            page_items_max: 200,
            presence_users_max: 200,
        }
    }
}
