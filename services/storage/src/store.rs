//! The database connection and its tables.

use std::time::Duration;

use sqlx::{AnyPool, Executor, any::AnyPoolOptions};
use tokio::sync::Mutex;

use crate::Config;

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `storage.url` is not set.
    #[error("`storage.url` is not set")]
    NoUrl,
    /// The database cannot be reached or refuses a statement.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be brought up to date.
    #[error("the tables cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// The archive. Reads are safe from any replica; writes are fenced by checkpoint.
#[derive(Debug)]
pub struct Store {
    pub(crate) pool: AnyPool,
    pub(crate) partitions: u16,
    /// SQLite has one writer at a time; waiting here is cheaper than waiting there.
    pub(crate) writer: Option<Mutex<()>>,
}

impl Store {
    /// Opens the archive, creating the SQLite file and the tables when they are missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connect(config: &Config, partitions: u16) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let url = config.url.clone().ok_or(StoreError::NoUrl)?;
        let sqlite = url.starts_with("sqlite:");
        let options = AnyPoolOptions::new()
            .max_connections(config.connections_max)
            .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms.into()))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        connection.execute(SQLITE_SETTINGS).await?;
                    }
                    Ok(())
                })
            });
        let url = if sqlite && !url.contains('?') { format!("{url}?mode=rwc") } else { url };
        let pool = options.connect(&url).await?;
        migrate(&pool).await?;
        Ok(Self { pool, partitions, writer: sqlite.then(Mutex::default) })
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.writer.is_some()
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A committed transaction survives a crash of the process; a crash of the machine may take the
/// newest ones, which are then archived again from the log.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
     PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;";

/// Several replicas may start at once: SQLite has no lock for this, so a loser looks again.
async fn migrate(pool: &AnyPool) -> Result<(), StoreError> {
    let migrator = sqlx::migrate!("./migrations");
    let mut tries = 0;
    loop {
        match migrator.run(pool).await {
            Ok(()) => return Ok(()),
            Err(error) if tries >= 20 => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, "tables are being brought up to date elsewhere");
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
