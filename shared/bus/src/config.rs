//! How to reach NATS, and the times that the messaging layer keeps.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach NATS. Every field has a default, except that an absent `url` means the embedded
/// server, which the binary starts and fills in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `nats://host:port`, several separated by commas; absent: an embedded server.
    pub url: Option<String>,
    /// File with NATS user credentials (JWT and nkey seed).
    pub credentials_file: Option<PathBuf>,
    /// File with PEM root certificates to trust besides the usual ones.
    pub ca_file: Option<PathBuf>,
    /// How many streams the log is spread over. Fixed once messages exist.
    pub partitions: u16,
    /// How many servers keep each stream: 1, 3 or 5.
    pub replicas: u8,
    /// How long the log keeps entries, in hours. The archive keeps them for ever.
    pub log_retention_hours: u32,
    /// Largest size of the log on disk over all partitions, in MiB; appends beyond are refused.
    /// 0 leaves it to the server.
    pub log_mib_max: u32,
    /// How long the log recognises a repeated message by itself, in seconds.
    pub duplicate_window_secs: u32,
    /// How long the log may take to acknowledge an append, in milliseconds.
    pub append_timeout_ms: u32,
    /// How long another service may take to answer, in milliseconds.
    pub request_timeout_ms: u32,
    /// After how long without renewal a partition is taken over by another replica, in
    /// milliseconds.
    pub lease_ms: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            credentials_file: None,
            ca_file: None,
            partitions: 4,
            replicas: 1,
            log_retention_hours: 7 * 24,
            log_mib_max: 0,
            duplicate_window_secs: 120,
            append_timeout_ms: 5_000,
            request_timeout_ms: 5_000,
            lease_ms: 5_000,
        }
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
    /// Checks values that depend on one another.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the first key that cannot work.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let fail = |key, reason| Err(InvalidConfig { key, reason });
        match self {
            Self { partitions: 0, .. } => fail("partitions", "must be at least 1"),
            Self { partitions, .. } if *partitions > natter_ids::SHARDS => fail("partitions", "must be at most 64"),
            Self { replicas, .. } if ![1, 3, 5].contains(replicas) => fail("replicas", "must be 1, 3 or 5"),
            Self { duplicate_window_secs, .. } if *duplicate_window_secs < 100 => {
                fail("duplicate_window_secs", "must be at least 100: messages up to 80 seconds apart rely on it")
            }
            Self { lease_ms, .. } if *lease_ms < 3_000 => fail("lease_ms", "must be at least 3000"),
            _ => Ok(()),
        }
    }
}
