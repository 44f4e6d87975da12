//! Another program that holds a lock on the archive.

use sqlx::{AnyConnection, Connection, Executor};

/// A transaction on the archive that keeps everybody else from writing until it is given back or
/// dropped.
#[derive(Debug)]
pub struct ArchiveLock(AnyConnection);

impl ArchiveLock {
    /// Locks the archive at a SQLite or PostgreSQL URL.
    ///
    /// # Panics
    /// When there is no archive, or it cannot be locked.
    pub async fn take(url: &str) -> Self {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(url).await.expect("a connection to the archive");
        let statements: &[&str] = if url.starts_with("sqlite") {
            &["PRAGMA busy_timeout = 60000", "BEGIN IMMEDIATE"]
        } else {
            &["BEGIN", "LOCK TABLE checkpoints, entries IN ACCESS EXCLUSIVE MODE"]
        };
        for statement in statements {
            connection.execute(*statement).await.expect("a lock on the archive");
        }
        Self(connection)
    }

    /// Gives it back.
    ///
    /// # Panics
    /// When the archive does not answer.
    pub async fn give_back(mut self) {
        self.0.execute("ROLLBACK").await.expect("the lock is given back");
    }
}
