//! How far the tables that follow from entries can be relied on. The release before does not write
//! them, and may archive before, beside and after this one: what it has touched is forgotten here and
//! found out as before.

use natter_ids::{Partition, Seq};
use sqlx::Row;

use crate::{
    apply::Tx,
    sql::{from_sql, to_sql},
};

/// Up to where a partition was archived with what follows; `None` before its first entry.
pub(crate) async fn derived_upto(tx: &mut Tx<'_>, partition: Partition) -> Result<Option<Seq>, sqlx::Error> {
    let select = sqlx::query("SELECT derived_upto FROM checkpoints WHERE part = $1").bind(i64::from(partition.0));
    select.fetch_optional(&mut **tx).await?.map(|row| row.try_get(0).map(from_sql)).transpose()
}

/// The number after which every entry was archived with what follows.
pub(crate) async fn derived_after(tx: &mut Tx<'_>, partition: Partition) -> Result<Seq, sqlx::Error> {
    let select = sqlx::query("SELECT derived_after FROM checkpoints WHERE part = $1").bind(i64::from(partition.0));
    let row = select.fetch_optional(&mut **tx).await?;
    row.map_or(Ok(0), |row| row.try_get(0).map(from_sql))
}

/// The release before has archived from here on: what followed until then may have changed.
pub(crate) async fn forget_stale(tx: &mut Tx<'_>, partition: Partition, upto: Seq) -> Result<(), sqlx::Error> {
    for text in [
        "DELETE FROM reaction_counts WHERE (conversation, seq) IN (SELECT h.conversation, h.target FROM conversations c \
         JOIN changes h ON h.conversation = c.id WHERE c.part = $1 AND c.last_seq > $2 AND h.seq > $2)",
        "DELETE FROM last_said WHERE conversation IN \
         (SELECT c.id FROM conversations c WHERE c.part = $1 AND c.last_seq > $2)",
    ] {
        sqlx::query(text).bind(i64::from(partition.0)).bind(to_sql(upto)).execute(&mut **tx).await?;
    }
    Ok(())
}
