//! What can be configured.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the storage service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `postgres://user:password@host/database` or `sqlite:///path/file.db`; absent: a SQLite
    /// file in the data directory.
    pub url: Option<String>,
    /// File with that URL, instead.
    pub url_file: Option<PathBuf>,
    /// File with the password of the URL's user, which then has none in it.
    pub password_file: Option<PathBuf>,
    /// Most connections to the database.
    pub connections_max: u32,
    /// How long a connection may be waited for, in milliseconds.
    pub acquire_timeout_ms: u32,
    /// How long one statement may take on PostgreSQL, or wait for the file's lock on SQLite, in
    /// milliseconds.
    pub statement_timeout_ms: u32,
    /// What a commit waits for on SQLite. PostgreSQL has `synchronous_commit` for this.
    pub sqlite_sync: SqliteSync,
    /// How long entries are gathered before they are archived together, in milliseconds: one
    /// commit costs nearly the same for one entry and for hundreds.
    pub gather_ms: u32,
    /// How long a request waits for the archive to reach a number, in milliseconds.
    pub wait_ms: u32,
    /// Most requests of one kind answered at once.
    pub requests_at_once: u32,
    /// How often the log, the archive and the consumers are compared, in milliseconds.
    pub reconcile_ms: u32,
    /// Up to how many members a conversation's marks are told as they rise; in larger ones, members
    /// ask who has received and read an entry.
    pub marks_members_max: u32,
}

/// What a commit waits for on SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SqliteSync {
    /// A commit survives the death of the process. The death of the machine may take the newest
    /// commits, whole ones, checkpoint included; they are then archived again from the log.
    Normal,
    /// A commit waits for the disk.
    Full,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            password_file: None,
            connections_max: 16,
            acquire_timeout_ms: 3_000,
            statement_timeout_ms: 10_000,
            sqlite_sync: SqliteSync::Normal,
            gather_ms: 5,
            wait_ms: 2_000,
            requests_at_once: 64,
            reconcile_ms: 10_000,
            marks_members_max: 100,
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
    /// Checks values.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the first key that cannot work.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let fail = |key, reason| Err(InvalidConfig { key, reason });
        let known = |url: &String| {
            let schemes = ["postgres://", "postgresql://", "sqlite:"];
            schemes.iter().any(|scheme| url.starts_with(scheme)) && !url.contains(":memory:")
        };
        match self {
            Self { url: Some(url), .. } if !known(url) => {
                fail("url", "must begin with postgres:// or sqlite: and name a file or a server")
            }
            Self { connections_max: 0, .. } => fail("connections_max", "must be at least 1"),
            Self { acquire_timeout_ms: 0, .. } => fail("acquire_timeout_ms", "must be at least 1"),
            Self { statement_timeout_ms: 0, .. } => fail("statement_timeout_ms", "must be at least 1"),
            Self { requests_at_once: 0, .. } => fail("requests_at_once", "must be at least 1"),
            Self { reconcile_ms, .. } if *reconcile_ms < 100 => fail("reconcile_ms", "must be at least 100"),
            Self { gather_ms, .. } if *gather_ms > 1_000 => fail("gather_ms", "must be at most 1000"),
            _ => Ok(()),
        }
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms.into())
    }

    /// After how long the database counts as silent: its own limits come first, unless the
    /// connection is dead without saying so.
    pub(crate) fn answer_limit(&self) -> Duration {
        Duration::from_millis(u64::from(self.acquire_timeout_ms) + u64::from(self.statement_timeout_ms) * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_that_cannot_work_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let key = |config: Config| config.validate().map_err(|error| error.key);
        for url in ["mysql://host/db", "", "sqlite::memory:"] {
            assert_eq!(key(Config { url: Some(url.into()), ..Config::default() }), Err("url"), "{url}");
        }
        for url in ["sqlite:///data/natter.db", "postgres://host/natter", "postgresql://host/natter"] {
            assert_eq!(key(Config { url: Some(url.into()), ..Config::default() }), Ok(()), "{url}");
        }
        assert_eq!(key(Config { connections_max: 0, ..Config::default() }), Err("connections_max"));
    }
}
