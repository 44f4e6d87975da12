//! The database connection and its tables.

use std::{str::FromStr, time::Duration};

use natter_ids::Partition;
use natter_telemetry::metrics;
use sqlx::{
    AnyPool, AssertSqlSafe, Connection, Executor, SqlSafeStr,
    any::AnyPoolOptions,
    migrate::{MigrateError, Migration, Migrator},
    sqlite::SqliteConnectOptions,
};

use crate::{Config, Gap, SqliteSync, clock::Clock};

/// A connection that was used this recently is taken to be alive.
const IDLE_TRUSTED: Duration = Duration::from_secs(1);

/// How long a migration waits for a lock on PostgreSQL, and how often it tries.
const LOCK_LIMIT_MS: u32 = 1_000;
const LOCK_TRIES: u32 = 60;

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `storage.url` is not set.
    #[error("`storage.url` is not set")]
    NoUrl,
    /// The folder of the SQLite file cannot be made.
    #[error("the folder of the SQLite file cannot be made")]
    Folder(#[source] std::io::Error),
    /// The database cannot be reached or refuses a statement.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be brought up to date.
    #[error("the tables cannot be brought up to date")]
    Migrate(#[from] MigrateError),
}

impl StoreError {
    /// Whether the database may be reachable later with the same configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Database(error) | Self::Migrate(MigrateError::Execute(error)) => may_pass(error),
            _ => false,
        }
    }
}

fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        // SQLSTATE classes of connection exceptions, insufficient resources and operator
        // intervention: the server starts, stops or is full.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["08", "53", "57"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

/// The archive. Reads are safe from any replica; writes are fenced by checkpoint.
#[derive(Debug)]
pub struct Store {
    pub(crate) pool: AnyPool,
    /// For writing. SQLite has one writer at a time, and a connection's cache is void once another
    /// one has written: so there it is one connection, and always the same.
    pub(crate) writing: AnyPool,
    pub(crate) partitions: u16,
    /// As of the opening: they change while no service runs.
    pub(crate) gaps: Vec<(Partition, Gap)>,
    pub(crate) clock: Clock,
    sqlite: bool,
}

impl Store {
    /// Opens the archive, creating the SQLite file and the tables when they are missing. Several
    /// replicas may do so at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connect(config: &Config, partitions: u16) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let mut url = config.url.clone().ok_or(StoreError::NoUrl)?;
        let sqlite = url.starts_with("sqlite:");
        if sqlite {
            make_folder(&url)?;
            if !url.contains("mode=") {
                url.push_str(if url.contains('?') { "&mode=rwc" } else { "?mode=rwc" });
            }
        }
        let settings = if sqlite { sqlite_settings(config) } else { postgres_settings(config) };
        migrate(config, &url, sqlite).await?;
        let pool = pool_options(config, settings.clone()).connect(&url).await?;
        let writing = match sqlite {
            true => pool_options(config, settings).max_connections(1).connect(&url).await?,
            false => pool.clone(),
        };
        let mut store = Self { pool, writing, partitions, gaps: Vec::new(), clock: Clock::default(), sqlite };
        store.gaps = store.read_gaps().await?;
        Ok(store)
    }

    /// Shows how the pool is used.
    pub(crate) fn tell_pool(&self) {
        let (size, idle) = (self.pool.size(), u32::try_from(self.pool.num_idle()).unwrap_or(0));
        metrics::SQL_CONNECTIONS.set(idle.into(), ["idle".into()]);
        metrics::SQL_CONNECTIONS.set(size.saturating_sub(idle).into(), ["used".into()]);
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.sqlite
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.writing.close().await;
        self.pool.close().await;
    }
}

fn pool_options(config: &Config, settings: String) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(config.connections_max)
        .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms.into()))
        .after_connect(move |connection, _| {
            let settings = AssertSqlSafe(settings.clone());
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        })
        // A connection in steady use needs no question before every statement.
        .test_before_acquire(false)
        .before_acquire(|connection, known| {
            Box::pin(async move {
                if known.idle_for > IDLE_TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

fn make_folder(url: &str) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::from_str(url)?;
    match options.get_filename().parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder).map_err(StoreError::Folder),
        _ => Ok(()),
    }
}

fn sqlite_settings(config: &Config) -> String {
    let sync = match config.sqlite_sync {
        SqliteSync::Normal => "NORMAL",
        SqliteSync::Full => "FULL",
    };
    // First the wait for locks: the switch to WAL needs one. Then 32 MiB of cache, and 32 MiB of
    // WAL before it is copied into the file: most pages are written again soon. The last keeps the
    // WAL file from staying as large as it once was. What is deleted is overwritten in the file.
    format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {sync}; \
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8192; PRAGMA journal_size_limit = 67108864; \
         PRAGMA secure_delete = ON;",
        config.statement_timeout_ms
    )
}

fn postgres_settings(config: &Config) -> String {
    format!("SET statement_timeout = {}", config.statement_timeout_ms)
}

/// Texts are ordered by their bytes, as SQLite does by itself; PostgreSQL otherwise follows the
/// language it was set up with, and the indexes break when the system's tables change.
pub(crate) fn migrator(sqlite: bool) -> Migrator {
    let embedded = sqlx::migrate!("./migrations");
    if sqlite {
        return embedded;
    }
    let by_bytes = |migration: &Migration| {
        let text = migration.sql.as_str().replace(" TEXT ", " TEXT COLLATE \"C\" ");
        Migration::new(
            migration.version,
            migration.description.clone(),
            migration.migration_type,
            AssertSqlSafe(text).into_sql_str(),
            migration.no_tx,
        )
    };
    Migrator::with_migrations(embedded.iter().map(by_bytes).collect())
}

/// Brings the tables up to date. PostgreSQL locks meanwhile, so that of several replicas one does it;
/// SQLite has nothing for this, so a loser looks again. On PostgreSQL a wait for a lock is cut short and
/// begun anew: whoever waits for a table stands in the way of everybody behind.
async fn migrate(config: &Config, url: &str, sqlite: bool) -> Result<(), StoreError> {
    let mut migrator = migrator(sqlite);
    // The release after this one may have added to the tables before this one starts again: a
    // migration only ever adds, and what the release before uses goes one release later.
    migrator.set_ignore_missing(true);
    let settings = match sqlite {
        true => sqlite_settings(config),
        false => format!("{}; SET lock_timeout = {LOCK_LIMIT_MS}", postgres_settings(config)),
    };
    let (mut tries, pause) = if sqlite { (20, 100) } else { (LOCK_TRIES, 500) };
    loop {
        let pool = pool_options(config, settings.clone()).max_connections(1).connect(url).await?;
        let done = migrator.run(&pool).await;
        // After an error its connection may still hold the migrations' lock.
        pool.close().await;
        match done {
            Ok(()) => return Ok(()),
            Err(error) if tries > 0 && is_locked(&error, sqlite) => {
                tracing::debug!(%error, "tables are being brought up to date elsewhere, or are in use");
                tries -= 1;
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether somebody else was in the way: on PostgreSQL by a lock (SQLSTATE 55P03), on SQLite somehow.
fn is_locked(error: &MigrateError, sqlite: bool) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else { return false };
    sqlite || error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}
