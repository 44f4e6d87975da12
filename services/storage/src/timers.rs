//! Messages that disappear. How long a message stays follows from the log alone: from the timer of its
//! conversation as of the message, and from its own time.

use natter_ids::{ConversationId, Partition};
use natter_protocol::Change;
use sqlx::Row;

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
    /// Lets messages disappear that are due, up to so many; returns how many were. They become what a
    /// deletion leaves of a message. Several replicas may do so at once.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn expire(&self, now: u64, limit: u32) -> Result<usize, sqlx::Error> {
        let select =
            sqlx::query("SELECT conversation, seq, part FROM expirations WHERE due <= $1 ORDER BY due LIMIT $2");
        let rows = select.bind(to_sql(now)).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        for row in &rows {
            let conversation = ConversationId::parse(row.try_get(0)?);
            let conversation = conversation.map_err(|error| sqlx::Error::Decode(error.into()))?;
            let part: i64 = row.try_get(2)?;
            let partition = Partition(u16::try_from(part).unwrap_or(u16::MAX));
            let at = At { partition, conversation: &conversation, seq: from_sql(row.try_get(1)?) };
            let mut tx = self.begin().await?;
            // Whoever archives holds this row too: an edit that comes just now is seen, or comes after.
            let lock = sqlx::query("UPDATE checkpoints SET seq = seq WHERE part = $1");
            lock.bind(part).execute(&mut *tx).await?;
            if let Some(message) = entry_at(&mut tx, at.conversation, at.seq).await?
                && matches!(message.change, Change::Message { .. })
            {
                delete(&mut tx, at, &message).await?;
            }
            tx.commit().await?;
        }
        Ok(rows.len())
    }
}
