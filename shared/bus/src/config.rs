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
    /// File with the nkey seed of a NATS user, as `natter nats users` makes them. Answers then
    /// arrive below `_INBOX.` and the user's public key.
    pub nkey_file: Option<PathBuf>,
    /// Below which subject answers arrive; absent: `_INBOX`, or with `nkey_file` as said there.
    pub inbox_prefix: Option<String>,
    /// Never speak to NATS without TLS, also when a server does not ask for it.
    pub tls_required: bool,
    /// File with PEM root certificates to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// File with a PEM certificate to show to NATS. Read at each connection, as its key is.
    pub client_cert_file: Option<PathBuf>,
    /// File with the PEM key of `client_cert_file`.
    pub client_key_file: Option<PathBuf>,
    /// How many streams the log is spread over. Fixed once messages exist.
    pub partitions: u16,
    /// How many servers keep each stream: 1, 3 or 5.
    pub replicas: u8,
    /// Name of the NATS cluster that is to keep the streams; absent: the one that is asked.
    pub placement_cluster: Option<String>,
    /// Tags (`server_tags`) that every server which keeps a stream must have.
    pub placement_tags: Vec<String>,
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
            nkey_file: None,
            inbox_prefix: None,
            tls_required: false,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            partitions: 4,
            replicas: 1,
            placement_cluster: None,
            placement_tags: Vec::new(),
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
            Self { credentials_file: Some(_), nkey_file: Some(_), .. } => {
                fail("nkey_file", "cannot be set beside `credentials_file`")
            }
            Self { client_cert_file: Some(_), client_key_file: None, .. } => {
                fail("client_key_file", "must be set beside `client_cert_file`")
            }
            Self { client_cert_file: None, client_key_file: Some(_), .. } => {
                fail("client_cert_file", "must be set beside `client_key_file`")
            }
            Self { inbox_prefix: Some(prefix), .. } if !is_literal(prefix) => {
                fail("inbox_prefix", "must be a subject without wildcards, such as _INBOX.natter")
            }
            Self { placement_tags, .. } if placement_tags.iter().any(|tag| tag.trim().is_empty()) => {
                fail("placement_tags", "must not hold an empty tag")
            }
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

/// Whether a text is a subject that one can publish to.
fn is_literal(subject: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_graphic() && letter != '*' && letter != '>';
    subject.split('.').all(|token| !token.is_empty() && token.chars().all(legal))
}
