//! What can be configured.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the storage service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `postgres://user:password@host/database` or `sqlite:///path/file.db`; absent: a SQLite
    /// file in the data directory.
    pub url: Option<String>,
    /// Most connections to the database.
    pub connections_max: u32,
    /// How long a connection may be waited for, in milliseconds.
    pub acquire_timeout_ms: u32,
    /// How long a request waits for the archive to reach a number, in milliseconds.
    pub wait_ms: u32,
    /// Most requests of one kind answered at once.
    pub requests_at_once: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: None, connections_max: 16, acquire_timeout_ms: 3_000, wait_ms: 2_000, requests_at_once: 64 }
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
        let fail = |key, reason| Err(InvalidConfig { key, reason });
        let known = |url: &String| url.starts_with("postgres://") || url.starts_with("postgresql://") || url.starts_with("sqlite:");
        match self {
            Self { url: Some(url), .. } if !known(url) => fail("url", "must begin with postgres:// or sqlite:"),
            Self { connections_max: 0, .. } => fail("connections_max", "must be at least 1"),
            Self { requests_at_once: 0, .. } => fail("requests_at_once", "must be at least 1"),
            _ => Ok(()),
        }
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms.into())
    }
}
