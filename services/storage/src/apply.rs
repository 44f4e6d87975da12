//! Archiving a batch: one transaction, fenced by the partition's checkpoint.

use std::collections::HashSet;

use natter_ids::{ConversationId, Partition, Seq};
use natter_protocol::{Change, Entry, Role};
use sqlx::{Any, Row, Transaction};

use crate::{
    Store,
    fold::{Folded, Heads, MemberOp},
    sql::{OPEN, ROWS, from_sql, list, rows, to_sql},
};

/// A number of the log and what stands there; `None` for an entry that cannot be read, which
/// keeps its number and leaves no trace.
#[derive(Debug, Clone)]
pub struct Record {
    /// The number.
    pub seq: Seq,
    /// Conversation and entry.
    pub body: Option<(ConversationId, Entry)>,
}

/// Why a batch was not archived; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The partition is archived up to another number than the batch follows: another replica
    /// has gone on.
    #[error("the partition is not archived up to {after}")]
    Fenced {
        /// What the batch follows.
        after: Seq,
    },
    /// The database cannot be reached or refuses a statement.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
}

type Tx<'a> = Transaction<'a, Any>;

impl Store {
    /// How far a partition is archived.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn checkpoint(&self, partition: Partition) -> Result<Seq, sqlx::Error> {
        let row = sqlx::query("SELECT seq FROM checkpoints WHERE part = $1")
            .bind(i64::from(partition.0))
            .fetch_optional(&self.pool)
            .await?;
        row.map_or(Ok(0), |row| row.try_get::<i64, _>(0).map(from_sql))
    }

    /// Archives the records that follow `after`, in order.
    ///
    /// # Errors
    /// [`ApplyError`]; the archive is then as it was.
    pub async fn apply(&self, partition: Partition, after: Seq, records: &[Record]) -> Result<(), ApplyError> {
        let Some(last) = records.last() else { return Ok(()) };
        let _turn = match &self.writer {
            Some(writer) => Some(writer.lock().await),
            None => None,
        };
        // SQLite must take the write lock at the start: a read that turns into a write may fail.
        let begin = if self.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let mut tx = self.pool.begin_with(begin).await?;
        move_checkpoint(&mut tx, partition, after, last.seq).await?;
        let void = note_message_ids(&mut tx, records).await?;
        let bodies = || records.iter().filter(|record| !void.contains(&record.seq)).filter_map(|record| Some((record.seq, record.body.as_ref()?)));
        let mut heads = load_heads(&mut tx, bodies().map(|(_, (conversation, _))| conversation)).await?;
        let folded: Vec<_> = bodies().map(|(seq, (conversation, entry))| heads.fold(seq, conversation, entry)).collect();
        insert_entries(&mut tx, &folded).await?;
        save_heads(&mut tx, partition, &heads).await?;
        for entry in folded.iter().filter(|entry| !entry.members.is_empty()) {
            save_members(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn move_checkpoint(tx: &mut Tx<'_>, partition: Partition, after: Seq, to: Seq) -> Result<(), ApplyError> {
    if after == 0 {
        sqlx::query("INSERT INTO checkpoints (part, seq) VALUES ($1, 0) ON CONFLICT (part) DO NOTHING")
            .bind(i64::from(partition.0))
            .execute(&mut **tx)
            .await?;
    }
    let moved = sqlx::query("UPDATE checkpoints SET seq = $1 WHERE part = $2 AND seq = $3")
        .bind(to_sql(to))
        .bind(i64::from(partition.0))
        .bind(to_sql(after))
        .execute(&mut **tx)
        .await?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(ApplyError::Fenced { after }) }
}

/// Notes which messages exist; returns the numbers of those that repeat an earlier one.
async fn note_message_ids(tx: &mut Tx<'_>, records: &[Record]) -> Result<HashSet<Seq>, sqlx::Error> {
    let messages: Vec<_> = records
        .iter()
        .filter_map(|record| {
            let (conversation, entry) = record.body.as_ref()?;
            let client_id = entry.client_id.filter(|_| matches!(entry.change, Change::Message { .. }))?;
            Some((record.seq, conversation, &entry.sender, client_id.to_string()))
        })
        .collect();
    let mut void = HashSet::new();
    for chunk in messages.chunks(ROWS) {
        let text = format!(
            "INSERT INTO message_ids (conversation, sender, client_id, seq) VALUES {} ON CONFLICT DO NOTHING",
            rows(chunk.len(), 4)
        );
        let mut insert = sqlx::query(sqlx::AssertSqlSafe(text));
        for (seq, conversation, sender, client_id) in chunk {
            insert = insert.bind(conversation.as_str()).bind(sender.as_str()).bind(client_id).bind(to_sql(*seq));
        }
        let inserted = insert.execute(&mut **tx).await?.rows_affected();
        if inserted == chunk.len() as u64 {
            continue;
        }
        for (seq, conversation, sender, client_id) in chunk {
            let first = sqlx::query("SELECT seq FROM message_ids WHERE conversation = $1 AND sender = $2 AND client_id = $3")
                .bind(conversation.as_str())
                .bind(sender.as_str())
                .bind(client_id)
                .fetch_one(&mut **tx)
                .await?;
            if from_sql(first.try_get(0)?) != *seq {
                void.insert(*seq);
            }
        }
    }
    Ok(void)
}

async fn load_heads<'a>(
    tx: &mut Tx<'_>,
    conversations: impl Iterator<Item = &'a ConversationId>,
) -> Result<Heads, sqlx::Error> {
    let mut wanted: Vec<_> = conversations.collect();
    wanted.sort();
    wanted.dedup();
    let mut heads = Heads::default();
    for chunk in wanted.chunks(ROWS) {
        let text = format!("SELECT id, last_seq FROM conversations WHERE id IN ({})", list(chunk.len()));
        let mut select = sqlx::query(sqlx::AssertSqlSafe(text));
        for conversation in chunk {
            select = select.bind(conversation.as_str());
        }
        for row in select.fetch_all(&mut **tx).await? {
            if let Ok(conversation) = ConversationId::parse(row.try_get(0)?) {
                heads.last.insert(conversation, from_sql(row.try_get(1)?));
            }
        }
    }
    Ok(heads)
}

async fn insert_entries(tx: &mut Tx<'_>, entries: &[Folded<'_>]) -> Result<(), sqlx::Error> {
    for chunk in entries.chunks(ROWS) {
        let text = format!("INSERT INTO entries (conversation, seq, prev, entry) VALUES {}", rows(chunk.len(), 4));
        let mut insert = sqlx::query(sqlx::AssertSqlSafe(text));
        for entry in chunk {
            let json = serde_json::to_string(entry.entry).map_err(|error| sqlx::Error::Encode(error.into()))?;
            insert = insert.bind(entry.conversation.as_str()).bind(to_sql(entry.seq)).bind(to_sql(entry.prev)).bind(json);
        }
        insert.execute(&mut **tx).await?;
    }
    Ok(())
}

async fn save_heads(tx: &mut Tx<'_>, partition: Partition, heads: &Heads) -> Result<(), sqlx::Error> {
    let mut all: Vec<_> = heads.last.iter().collect();
    // Always in one order, so that two transactions never wait for each other.
    all.sort();
    for chunk in all.chunks(ROWS) {
        let text = format!(
            "INSERT INTO conversations (id, part, name, last_seq) VALUES {} \
             ON CONFLICT (id) DO UPDATE SET last_seq = excluded.last_seq",
            rows(chunk.len(), 4)
        );
        let mut upsert = sqlx::query(sqlx::AssertSqlSafe(text));
        for (conversation, last) in chunk {
            let name = heads.names.get(*conversation).cloned().flatten();
            upsert = upsert.bind(conversation.as_str()).bind(i64::from(partition.0)).bind(name).bind(to_sql(**last));
        }
        upsert.execute(&mut **tx).await?;
    }
    Ok(())
}

async fn save_members(tx: &mut Tx<'_>, entry: &Folded<'_>) -> Result<(), sqlx::Error> {
    let conversation = entry.conversation.as_str();
    for op in &entry.members {
        match op {
            MemberOp::Join { user, role } => {
                sqlx::query(
                    "INSERT INTO members (conversation, user_id, joined_seq, left_seq, role) \
                     SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM members \
                     WHERE conversation = $1 AND user_id = $2 AND left_seq = $4)",
                )
                .bind(conversation)
                .bind(user.as_str())
                .bind(to_sql(entry.seq))
                .bind(OPEN)
                .bind(role_text(*role))
                .execute(&mut **tx)
                .await?;
            }
            MemberOp::Leave { user } => {
                sqlx::query("UPDATE members SET left_seq = $1 WHERE conversation = $2 AND user_id = $3 AND left_seq = $4")
                    .bind(to_sql(entry.seq))
                    .bind(conversation)
                    .bind(user.as_str())
                    .bind(OPEN)
                    .execute(&mut **tx)
                    .await?;
            }
        }
    }
    if let Some(user) = entry.entry.change.changed_member(&entry.entry.sender) {
        sqlx::query(
            "INSERT INTO fences (conversation, user_id, seq) VALUES ($1, $2, $3) \
             ON CONFLICT (conversation, user_id) DO UPDATE SET seq = excluded.seq",
        )
        .bind(conversation)
        .bind(user.as_str())
        .bind(to_sql(entry.seq))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

pub(crate) fn role_text(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Member => "member",
    }
}

pub(crate) fn role_of(text: &str) -> Role {
    if text == "owner" { Role::Owner } else { Role::Member }
}
