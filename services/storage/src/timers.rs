//! Messages that disappear. How long a message stays follows from the log alone: from the timer of its
//! conversation as of the message, and from its own time.

use natter_ids::{ConversationId, Partition};
use natter_protocol::Change;
use sqlx::{AnyConnection, Connection, Row, any::AnyRow};

use crate::{
    Store,
    apply::Tx,
    changes::{At, delete, entry_at, manages},
    fold::{Folded, Head},
    sql::{from_sql, to_sql},
};

/// Takes a new timer in, and notes when a message goes.
pub(crate) async fn save_timer(
    tx: &mut Tx<'_>,
    partition: Partition,
    folded: &Folded<'_>,
    head: &mut Head<'_>,
) -> Result<(), sqlx::Error> {
    let Folded { conversation, seq, entry, .. } = *folded;
    match entry.change {
        Change::TimerSet { seconds } => {
            if !conversation.is_direct() && !manages(tx, conversation, entry).await? {
                return Ok(());
            }
            head.timer = u64::from(seconds);
            let upsert = sqlx::query(
                "INSERT INTO timers (conversation, seconds) VALUES ($1, $2) \
                 ON CONFLICT (conversation) DO UPDATE SET seconds = excluded.seconds",
            );
            upsert.bind(conversation.as_str()).bind(i64::from(seconds)).execute(&mut **tx).await?;
        }
        Change::Message { .. } if head.timer > 0 => {
            let due = entry.time.saturating_add(head.timer * 1_000);
            let insert = sqlx::query("INSERT INTO expirations (conversation, seq, part, due) VALUES ($1, $2, $3, $4)");
            let insert = insert.bind(conversation.as_str()).bind(to_sql(seq)).bind(i64::from(partition.0));
            insert.bind(to_sql(due)).execute(&mut **tx).await?;
        }
        _ => {}
    }
    Ok(())
}

impl Store {
    /// Lets messages of a partition disappear that are due, up to so many, in one transaction; returns
    /// how many were. They become what a deletion leaves of a message. Several replicas may do so at once.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn expire(&self, partition: Partition, now: u64, limit: u32) -> Result<usize, sqlx::Error> {
        let select = sqlx::query(
            "SELECT conversation, seq FROM expirations WHERE due <= $1 AND part = $2 ORDER BY due LIMIT $3",
        );
        let select = select.bind(to_sql(now)).bind(i64::from(partition.0)).bind(i64::from(limit));
        let due = select.fetch_all(&self.pool).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let mut connection = self.writing.acquire().await?;
        let expired = self.expire_on(&mut connection, partition, &due).await;
        if expired.is_err() {
            // See `Store::apply`: a transaction may have ended without sqlx knowing.
            connection.close_on_drop();
        }
        expired.map(|()| due.len())
    }

    async fn expire_on(
        &self,
        connection: &mut AnyConnection,
        partition: Partition,
        due: &[AnyRow],
    ) -> Result<(), sqlx::Error> {
        let mut tx = connection.begin_with(self.begin_statement()).await?;
        // Whoever archives holds this row too: an edit that comes just now is seen, or comes after.
        let lock = sqlx::query("UPDATE checkpoints SET seq = seq WHERE part = $1");
        lock.bind(i64::from(partition.0)).execute(&mut *tx).await?;
        for row in due {
            let conversation = ConversationId::parse(row.try_get(0)?);
            let conversation = conversation.map_err(|error| sqlx::Error::Decode(error.into()))?;
            let at = At { partition, conversation: &conversation, seq: from_sql(row.try_get(1)?) };
            match entry_at(&mut tx, at.conversation, at.seq).await? {
                Some(message) if matches!(message.change, Change::Message { .. }) => {
                    delete(&mut tx, at, &message).await?;
                }
                // Gone already: another replica was here.
                _ => await_no_more(&mut tx, at).await?,
            }
        }
        tx.commit().await
    }
}

async fn await_no_more(tx: &mut Tx<'_>, at: At<'_>) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM expirations WHERE conversation = $1 AND seq = $2");
    delete.bind(at.conversation.as_str()).bind(to_sql(at.seq)).execute(&mut **tx).await.map(drop)
}
