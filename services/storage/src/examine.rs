//! What the database tells about itself and about the archive's tables, for operators. Nothing is
//! changed, and nothing is created.

use std::time::{Duration, Instant};

use natter_ids::{Partition, Seq};
use sqlx::{AnyConnection, ConnectOptions, Connection, Row, any::AnyConnectOptions};

use crate::{Config, StoreError, sql::from_sql, store::migrator};

/// What was found.
#[derive(Debug, Clone)]
pub struct DatabaseReport {
    /// Such as `PostgreSQL 16.4` or `SQLite 3.50.2`.
    pub version: String,
    /// How long a statement took.
    pub round_trip: Duration,
    /// Connections in use and allowed on the whole server; PostgreSQL only.
    pub connections: Option<(u64, u64)>,
    /// The state of the tables.
    pub migrations: MigrationReport,
    /// How far each partition is archived; `None` when the tables are missing.
    pub archived: Option<Vec<(Partition, Seq)>>,
}

/// Which migrations are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// Those of this release that were applied.
    pub applied: Vec<i64>,
    /// Those of this release that were not.
    pub missing: Vec<i64>,
    /// Those that this release does not know: a later one added them.
    pub later: Vec<i64>,
    /// Those whose text differs from this release's, or that were broken off.
    pub damaged: Vec<i64>,
}

impl DatabaseReport {
    /// How far a partition is archived.
    pub fn checkpoint(&self, partition: Partition) -> Option<Seq> {
        let archived = self.archived.as_ref()?;
        Some(archived.iter().find(|(known, _)| *known == partition).map_or(0, |(_, seq)| *seq))
    }
}

/// Looks at the database.
///
/// # Errors
/// [`StoreError`] when it cannot be reached.
pub async fn examine(config: &Config) -> Result<DatabaseReport, StoreError> {
    sqlx::any::install_default_drivers();
    let url = config.url.as_deref().ok_or(StoreError::NoUrl)?;
    let sqlite = url.starts_with("sqlite:");
    let options: AnyConnectOptions = url.parse()?;
    let mut connection = options.disable_statement_logging().connect().await?;
    let began = Instant::now();
    let version = version(&mut connection, sqlite).await?;
    let round_trip = began.elapsed();
    let connections = if sqlite { None } else { connections(&mut connection).await? };
    let migrations = migrations(&mut connection, sqlite).await?;
    let archived = if migrations.applied.is_empty() { None } else { Some(archived(&mut connection).await?) };
    connection.close().await?;
    Ok(DatabaseReport { version, round_trip, connections, migrations, archived })
}

async fn version(connection: &mut AnyConnection, sqlite: bool) -> Result<String, sqlx::Error> {
    let (name, question) = match sqlite {
        true => ("SQLite", "SELECT sqlite_version()"),
        false => ("PostgreSQL", "SELECT current_setting('server_version')"),
    };
    let row = sqlx::query(question).fetch_one(connection).await?;
    let version: String = row.try_get(0)?;
    Ok(format!("{name} {version}"))
}

async fn connections(connection: &mut AnyConnection) -> Result<Option<(u64, u64)>, sqlx::Error> {
    let question = "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), \
                    CAST(current_setting('max_connections') AS BIGINT)";
    let row = sqlx::query(question).fetch_one(connection).await?;
    let (used, most): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(u64::try_from(used).ok().zip(u64::try_from(most).ok()))
}

async fn has_table(connection: &mut AnyConnection, sqlite: bool, table: &str) -> Result<bool, sqlx::Error> {
    let question = match sqlite {
        true => "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1",
        false => {
            "SELECT count(*) FROM pg_catalog.pg_tables WHERE tablename = $1 AND schemaname = ANY (current_schemas(false))"
        }
    };
    let row = sqlx::query(question).bind(table).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>(0)? > 0)
}

async fn migrations(connection: &mut AnyConnection, sqlite: bool) -> Result<MigrationReport, sqlx::Error> {
    let known = migrator(sqlite);
    let mut report = MigrationReport::default();
    let mut found = Vec::new();
    if has_table(connection, sqlite, "_sqlx_migrations").await? {
        // A truth is a number on SQLite.
        let question =
            "SELECT version, CASE WHEN success THEN 1 ELSE 0 END, checksum FROM _sqlx_migrations ORDER BY version";
        for row in sqlx::query(question).fetch_all(connection).await? {
            let whole = row.try_get::<i64, _>(1).or_else(|_| row.try_get::<i32, _>(1).map(i64::from))? == 1;
            found.push((row.try_get::<i64, _>(0)?, whole, row.try_get::<Vec<u8>, _>(2)?));
        }
    }
    for migration in known.iter() {
        match found.iter().find(|(version, ..)| *version == migration.version) {
            None => report.missing.push(migration.version),
            Some((version, whole, checksum)) if *whole && checksum.as_slice() == &*migration.checksum => {
                report.applied.push(*version);
            }
            Some((version, ..)) => report.damaged.push(*version),
        }
    }
    let later = found.iter().filter(|(version, ..)| !known.iter().any(|migration| migration.version == *version));
    report.later = later.map(|(version, ..)| *version).collect();
    Ok(report)
}

async fn archived(connection: &mut AnyConnection) -> Result<Vec<(Partition, Seq)>, sqlx::Error> {
    let rows = sqlx::query("SELECT part, seq FROM checkpoints ORDER BY part").fetch_all(connection).await?;
    let checkpoint = |row: &sqlx::any::AnyRow| -> Result<_, sqlx::Error> {
        let part: i64 = row.try_get(0)?;
        Ok((Partition(u16::try_from(part).unwrap_or(u16::MAX)), from_sql(row.try_get(1)?)))
    };
    rows.iter().map(checkpoint).collect()
}
