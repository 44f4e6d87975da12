//! Archiving a batch: one transaction, fenced by the partition's checkpoint.

use std::collections::HashMap;

use natter_bus::LogRecord;
use natter_ids::{ConversationId, Partition, Seq, UserId};
use natter_protocol::Entry;
use sqlx::{Any, AnyConnection, Connection, Row, Transaction};

use crate::{
    Store,
    changes::{note_repeat, save_change},
    derived::{derived_upto, forget_stale},
    fold::{Folded, Head, Heads},
    groups::save_group,
    mentions::save_mentions,
    requests::{Accepted, save_request},
    runs::{Run, save_runs},
    said::save_said,
    spans::save_members,
    sql::{from_sql, list, pieces, rows, statement, to_sql},
    timers::save_timer,
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

impl From<LogRecord> for Record {
    fn from(record: LogRecord) -> Self {
        Self { seq: record.seq, body: record.body.ok() }
    }
}

/// Why a batch was not archived; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The partition is not archived up to the number that the batch follows: another replica
    /// has gone on.
    #[error("the partition is archived up to {archived}")]
    Fenced {
        /// How far it is archived.
        archived: Seq,
    },
    /// The numbers do not rise from the one that the batch follows: a mistake of the caller.
    #[error("the batch is out of order at {seq}")]
    OutOfOrder {
        /// The first number that does not rise.
        seq: Seq,
    },
    /// The database cannot be reached or refuses a statement.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
}

pub(crate) type Tx<'a> = Transaction<'a, Any>;

impl Store {
    /// How far a partition is archived.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn checkpoint(&self, partition: Partition) -> Result<Seq, sqlx::Error> {
        let select = sqlx::query("SELECT seq FROM checkpoints WHERE part = $1").bind(i64::from(partition.0));
        let row = select.fetch_optional(&self.pool).await?;
        row.map_or(Ok(0), |row| row.try_get::<i64, _>(0).map(from_sql))
    }

    /// Archives the records that follow `after`, in order, and moves the partition's checkpoint
    /// to the last of them. A message that repeats the client id of an earlier one of the same
    /// sender in the same conversation is void: it leaves no trace, as if it could not be read.
    /// Returns the requests that were accepted by what was said.
    ///
    /// # Errors
    /// [`ApplyError`]; the archive is then as it was.
    pub async fn apply(
        &self,
        partition: Partition,
        after: Seq,
        records: &[Record],
    ) -> Result<Vec<Accepted>, ApplyError> {
        let mut last = after;
        for record in records {
            if record.seq <= last {
                return Err(ApplyError::OutOfOrder { seq: record.seq });
            }
            last = record.seq;
        }
        if last == after {
            return Ok(Vec::new());
        }
        let mut connection = self.writing.acquire().await?;
        let applied = self.apply_on(&mut connection, partition, after, last, records).await;
        if matches!(applied, Err(ApplyError::Database(_))) {
            // SQLite ends a transaction by itself when the disk is full, and sqlx, which does not
            // know, would begin no other on this connection.
            connection.close_on_drop();
        }
        applied
    }

    async fn apply_on(
        &self,
        connection: &mut AnyConnection,
        partition: Partition,
        after: Seq,
        last: Seq,
        records: &[Record],
    ) -> Result<Vec<Accepted>, ApplyError> {
        let mut tx = connection.begin_with(self.begin_statement()).await?;
        move_checkpoint(&mut tx, partition, after, last).await?;
        let void = note_message_ids(&mut tx, records).await?;
        for record in records {
            if let (Some(first), Some((conversation, entry))) = (void.get(&record.seq), &record.body) {
                note_repeat(&mut tx, partition, conversation, (record.seq, entry), *first).await?;
            }
        }
        let valid = records.iter().filter(|record| !void.contains_key(&record.seq));
        let bodies: Vec<_> = valid.filter_map(|record| Some((record.seq, record.body.as_ref()?))).collect();
        let mut heads = load_heads(&mut tx, bodies.iter().map(|(_, (conversation, _))| conversation)).await?;
        let folded: Vec<_> =
            bodies.into_iter().map(|(seq, (conversation, entry))| heads.fold(seq, conversation, entry)).collect();
        insert_entries(&mut tx, &folded).await?;
        save_said(&mut tx, &folded).await?;
        let mut accepted = Vec::new();
        for entry in &folded {
            let gained = save_members(&mut tx, entry).await?;
            if let Some(head) = heads.0.get_mut(entry.conversation) {
                head.gained += gained;
                save_timer(&mut tx, partition, entry, head).await?;
                accepted.extend(save_request(&mut tx, partition, entry, head).await?);
            }
            save_mentions(&mut tx, entry).await?;
            save_change(&mut tx, partition, entry).await?;
        }
        save_heads(&mut tx, partition, &heads).await?;
        save_runs(&mut tx, &heads).await?;
        for entry in &folded {
            save_group(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(accepted)
    }

    /// SQLite must take the write lock at the start: a read that turns into a write may fail.
    pub(crate) fn begin_statement(&self) -> &'static str {
        if self.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN" }
    }

    /// Begins to write.
    pub(crate) async fn begin(&self) -> Result<Tx<'static>, sqlx::Error> {
        self.writing.begin_with(self.begin_statement()).await
    }
}

pub(crate) async fn move_checkpoint(
    tx: &mut Tx<'_>,
    partition: Partition,
    after: Seq,
    to: Seq,
) -> Result<(), ApplyError> {
    let part = i64::from(partition.0);
    if after == 0 {
        let insert = "INSERT INTO checkpoints (part, seq) VALUES ($1, 0) ON CONFLICT (part) DO NOTHING";
        sqlx::query(insert).bind(part).execute(&mut **tx).await?;
    }
    let derived = derived_upto(tx, partition).await?.unwrap_or(0);
    // Where the release before has gone on, what follows is known from here on anew.
    let update = sqlx::query(
        "UPDATE checkpoints SET seq = $1, derived_upto = $1, \
         derived_after = CASE WHEN derived_upto = $3 THEN derived_after ELSE $3 END WHERE part = $2 AND seq = $3",
    );
    let moved = update.bind(to_sql(to)).bind(part).bind(to_sql(after)).execute(&mut **tx).await?;
    if moved.rows_affected() == 1 {
        if derived > 0 && derived != after {
            forget_stale(tx, partition, derived).await?;
        }
        return Ok(());
    }
    let row = sqlx::query("SELECT seq FROM checkpoints WHERE part = $1").bind(part).fetch_optional(&mut **tx).await?;
    let archived = row.map_or(Ok(0), |row| row.try_get::<i64, _>(0))?;
    Err(ApplyError::Fenced { archived: from_sql(archived) })
}

struct Message<'a> {
    seq: Seq,
    conversation: &'a ConversationId,
    sender: &'a str,
    client_id: String,
    /// A repeat of it is no entry. A change of a member is one: who is a member follows from the last of them.
    happens_once: bool,
}

/// Notes which messages, and changes of them, exist; returns the numbers of those that repeat an
/// earlier one, with that one's.
async fn note_message_ids(tx: &mut Tx<'_>, records: &[Record]) -> Result<HashMap<Seq, Seq>, sqlx::Error> {
    let messages: Vec<_> = records
        .iter()
        .filter_map(|record| {
            let (conversation, entry) = record.body.as_ref()?;
            let client_id = entry.once_id()?.to_string();
            let happens_once = entry.happens_once();
            Some(Message { seq: record.seq, conversation, sender: entry.sender.as_str(), client_id, happens_once })
        })
        .collect();
    let mut void = HashMap::new();
    for piece in pieces(&messages) {
        let values = rows(tx, piece.len(), 4);
        let mut insert = statement(format!(
            "INSERT INTO message_ids (conversation, sender, client_id, seq) VALUES {values} ON CONFLICT DO NOTHING"
        ));
        for message in piece {
            let Message { seq, conversation, sender, client_id, .. } = message;
            insert = insert.bind(conversation.as_str()).bind(*sender).bind(client_id.as_str()).bind(to_sql(*seq));
        }
        if insert.execute(&mut **tx).await?.rows_affected() < piece.len() as u64 {
            for message in piece {
                let first = first_of(tx, message).await?;
                if first != message.seq && message.happens_once {
                    void.insert(message.seq, first);
                }
            }
        }
    }
    Ok(void)
}

async fn first_of(tx: &mut Tx<'_>, message: &Message<'_>) -> Result<Seq, sqlx::Error> {
    let select = sqlx::query("SELECT seq FROM message_ids WHERE conversation = $1 AND sender = $2 AND client_id = $3")
        .bind(message.conversation.as_str())
        .bind(message.sender)
        .bind(message.client_id.as_str());
    select.fetch_one(&mut **tx).await?.try_get(0).map(from_sql)
}

async fn load_heads<'a>(
    tx: &mut Tx<'_>,
    conversations: impl Iterator<Item = &'a ConversationId>,
) -> Result<Heads<'a>, sqlx::Error> {
    let mut wanted: Vec<_> = conversations.collect();
    wanted.sort();
    wanted.dedup();
    let mut heads = Heads::default();
    for piece in pieces(&wanted) {
        let mut select = statement(format!(
            "SELECT id, last_seq, active_seq, active_at, messages, \
             COALESCE((SELECT t.seconds FROM timers t WHERE t.conversation = id), 0), run_first, run_last, run_entries, \
             COALESCE((SELECT q.user_id FROM requests q WHERE q.conversation = id AND q.accepted = 0), '') \
             FROM conversations WHERE id IN ({})",
            list(1, piece.len())
        ));
        for conversation in piece {
            select = select.bind(conversation.as_str());
        }
        for row in select.fetch_all(&mut **tx).await? {
            if let Ok(conversation) = ConversationId::parse(row.try_get(0)?) {
                let number = |column| row.try_get::<i64, _>(column).map(from_sql);
                let (last_seq, active, messages) = (number(1)?, (number(2)?, number(3)?), number(4)?);
                let (timer, run) = (number(5)?, Run { first: number(6)?, last: number(7)?, entries: number(8)? });
                let asked = UserId::new(row.try_get::<&str, _>(9)?).ok();
                heads.0.insert(conversation, Head { last_seq, active, messages, timer, run, asked, ..Head::default() });
            }
        }
    }
    Ok(heads)
}

async fn insert_entries(tx: &mut Tx<'_>, entries: &[Folded<'_>]) -> Result<(), sqlx::Error> {
    for piece in pieces(entries) {
        let values = rows(tx, piece.len(), 6);
        let mut insert =
            statement(format!("INSERT INTO entries (conversation, seq, prev, bytes, entry, ordinal) VALUES {values}"));
        for Folded { conversation, seq, prev, entry, ordinal, .. } in piece {
            let json = json(entry)?;
            let bytes = i64::try_from(json.len()).unwrap_or(i64::MAX);
            insert = insert.bind(conversation.as_str()).bind(to_sql(*seq)).bind(to_sql(*prev)).bind(bytes).bind(json);
            insert = insert.bind(to_sql(*ordinal));
        }
        insert.execute(&mut **tx).await?;
    }
    Ok(())
}

async fn save_heads(tx: &mut Tx<'_>, partition: Partition, heads: &Heads<'_>) -> Result<(), sqlx::Error> {
    let all: Vec<_> = heads.0.iter().collect();
    for piece in pieces(&all) {
        let mut upsert = statement(format!(
            "INSERT INTO conversations (id, part, name, last_seq, members, active_seq, active_at, messages, run_first, run_last, \
             run_entries) VALUES {} \
             ON CONFLICT (id) DO UPDATE SET last_seq = excluded.last_seq, \
             members = conversations.members + excluded.members, active_seq = excluded.active_seq, \
             active_at = excluded.active_at, messages = excluded.messages, run_first = excluded.run_first, \
             run_last = excluded.run_last, run_entries = excluded.run_entries",
            rows(tx, piece.len(), 11)
        ));
        for (conversation, head) in piece {
            let part = i64::from(partition.0);
            upsert = upsert.bind(conversation.as_str()).bind(part).bind(json(&head.name)?);
            upsert = upsert.bind(to_sql(head.last_seq)).bind(head.gained);
            upsert = upsert.bind(to_sql(head.active.0)).bind(to_sql(head.active.1)).bind(to_sql(head.messages));
            let Run { first, last, entries } = head.run;
            upsert = upsert.bind(to_sql(first)).bind(to_sql(last)).bind(to_sql(entries));
        }
        upsert.execute(&mut **tx).await?;
    }
    Ok(())
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}
