//! The archive's own rows, past everything that reads them for people.

use std::collections::BTreeMap;

use natter_ids::ConversationId;
use natter_protocol::{Entry, Event};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row, any::AnyRow};

/// Every entry in the archive at that URL, by conversation and number, as the rows say.
///
/// # Errors
/// The database cannot be read, or a row holds no entry.
pub async fn entries(url: &str) -> anyhow::Result<Vec<Event>> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await?;
    let select = sqlx::query("SELECT conversation, seq, prev, entry FROM entries ORDER BY conversation, seq");
    let rows = select.fetch_all(&mut connection).await?;
    connection.close().await?;
    rows.iter().map(event).collect()
}

/// How many rows each table of the archive at that URL has.
///
/// # Errors
/// The database cannot be read.
pub async fn tables(url: &str) -> anyhow::Result<BTreeMap<String, i64>> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await?;
    let names = match connection.backend_name() {
        "SQLite" => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        _ => "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()",
    };
    let mut tables = BTreeMap::new();
    for row in sqlx::query(names).fetch_all(&mut connection).await? {
        let name: String = row.try_get(0)?;
        let count =
            sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) FROM {name}"))).fetch_one(&mut connection).await?;
        tables.insert(name, count.try_get(0)?);
    }
    connection.close().await?;
    Ok(tables)
}

fn event(row: &AnyRow) -> anyhow::Result<Event> {
    let (seq, prev): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    let entry: Entry = serde_json::from_str(row.try_get(3)?)?;
    let conversation = ConversationId::parse(row.try_get(0)?)?;
    Ok(Event { conversation, seq: seq.try_into()?, prev: prev.try_into()?, entry })
}
