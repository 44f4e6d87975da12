//! What can be configured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the delivery service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many conversations a replica remembers the members of; others are read from storage
    /// when something happens in them.
    pub conversations_cached: u32,
    /// How many members of conversations a replica remembers in all: a room of 100,000 counts for as
    /// many.
    pub members_cached: u32,
    /// From how many members on an event of a conversation is sent once to each gateway where members
    /// are, instead of once to each member who is online.
    pub gateway_sends_members_min: u32,
    /// How many conversations are read from storage at once.
    pub lookups_at_once: u16,
    /// Most members of a conversation in which they are told who is writing.
    pub typing_members_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            conversations_cached: 200_000,
            members_cached: 5_000_000,
            gateway_sends_members_min: 32,
            lookups_at_once: 64,
            typing_members_max: 100,
        }
    }
}
