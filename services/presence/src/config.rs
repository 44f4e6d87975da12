//! What can be configured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the presence service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// After how long of silence a gateway counts as dead, in milliseconds.
    pub lease_ms: u32,
    /// How long a user who went offline may take to come back before it is announced, in
    /// milliseconds: a reconnect is no news.
    pub offline_grace_ms: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { lease_ms: 10_000, offline_grace_ms: 2_000 }
    }
}

/// A value that cannot work, with the key it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {reason}")]
pub struct InvalidConfig {
    /// The key inside this section.
    pub key: &'static str,
    /// What is wrong with it, as the rest of a sentence.
    pub reason: &'static str,
}

impl Config {
    /// Checks values.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the first key that cannot work.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        if self.lease_ms < 5_000 {
            return Err(InvalidConfig {
                key: "lease_ms",
                reason: "must be at least 5000: gateways report every 2 seconds",
            });
        }
        Ok(())
    }
}
