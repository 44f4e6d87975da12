//! What a backup needs of the database, beyond what its own programs do.

use std::{path::Path, path::PathBuf, str::FromStr};

use sqlx::{AnyConnection, Connection, Row, sqlite::SqliteConnectOptions};

use crate::{Config, Store, StoreError};

impl Config {
    /// The SQLite file; `None` when the archive is in PostgreSQL.
    ///
    /// # Errors
    /// [`StoreError`] when the URL names no file.
    pub fn sqlite_file(&self) -> Result<Option<PathBuf>, StoreError> {
        let url = self.url.as_deref().ok_or(StoreError::NoUrl)?;
        if !url.starts_with("sqlite:") {
            return Ok(None);
        }
        Ok(Some(SqliteConnectOptions::from_str(url)?.get_filename().to_owned()))
    }

    /// Whether the database holds nothing: a copy can be put into it. Creates nothing.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be reached.
    pub async fn is_unused(&self) -> Result<bool, StoreError> {
        if let Some(file) = self.sqlite_file()? {
            return Ok(!file.exists());
        }
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(self.url.as_deref().ok_or(StoreError::NoUrl)?).await?;
        let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema()";
        let row = sqlx::query(tables).fetch_one(&mut connection).await?;
        let count: i64 = row.try_get(0)?;
        connection.close().await?;
        Ok(count == 0)
    }
}

impl Store {
    /// Copies a SQLite archive into a file that does not exist, as of one moment, while services
    /// go on.
    ///
    /// # Errors
    /// The database cannot be used, or the file not be written.
    pub async fn copy_sqlite(&self, to: &Path) -> Result<(), sqlx::Error> {
        let copy = sqlx::query("VACUUM INTO $1").bind(to.display().to_string());
        copy.execute(&self.pool).await.map(drop)
    }
}
