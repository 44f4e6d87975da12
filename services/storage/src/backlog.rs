//! Everything a user missed: an indexed read that costs what was missed.
//!
//! First the user's conversations that have moved are found. Then, partition by partition, a few
//! entries of each are read and merged by number; a page never reads much more than it returns,
//! however long the device was away and however much else happened.

use natter_bus::storage_api::{ArchivedEvent, Backlog, BacklogReply, StorageFault};
use natter_ids::{ConversationId, Partition, Position, Seq, UserId};
use serde_json::value::RawValue;
use sqlx::Row;

use crate::{
    Store,
    sql::{from_sql, to_sql},
};

/// Most bytes of events in a page; NATS carries messages up to 1 MiB.
const PAGE_BYTES: usize = 512 * 1024;

/// A part of a conversation that the user has not seen.
struct Missed {
    conversation: ConversationId,
    /// Larger numbers than this.
    after: Seq,
    /// Up to and including this.
    upto: Seq,
}

struct Page {
    events: Vec<ArchivedEvent>,
    bytes: usize,
    limit: usize,
}

impl Page {
    fn room(&self) -> usize {
        if self.bytes >= PAGE_BYTES { 0 } else { self.limit.saturating_sub(self.events.len()) }
    }
}

impl Store {
    /// Answers [`Backlog`]; the caller has made sure that `upto` is archived.
    pub(crate) async fn backlog(&self, asked: &Backlog, upto: &Position) -> Result<BacklogReply, StorageFault> {
        let mut page = Page { events: Vec::new(), bytes: 0, limit: asked.limit.clamp(1, 1_000) as usize };
        let mut position = Position::start(self.partitions);
        for partition in Partition::all(self.partitions) {
            position.advance(partition, asked.after.get(partition));
        }
        let mut missed = self.missed(&asked.user, &asked.after, upto).await?;
        for partition in Partition::all(self.partitions) {
            while let Some(parts) = missed.get_mut(partition.index()).filter(|parts| !parts.is_empty()) {
                if page.room() == 0 {
                    return Ok(BacklogReply { events: page.events, position, more: true });
                }
                let reached = self.read_some(partition, parts, &mut page).await?;
                position.advance(partition, reached);
                parts.iter_mut().for_each(|part| part.after = part.after.max(reached));
                parts.retain(|part| part.after < part.upto);
            }
            position.advance(partition, upto.get(partition));
        }
        Ok(BacklogReply { events: page.events, position, more: false })
    }

    /// The unseen parts of the user's conversations, by partition.
    async fn missed(&self, user: &UserId, after: &Position, upto: &Position) -> Result<Vec<Vec<Missed>>, StorageFault> {
        let cases: String = (0..self.partitions).map(|p| format!(" WHEN {p} THEN ${}", p + 2)).collect();
        let seen = format!("CASE c.part{cases} ELSE 0 END");
        let text = format!(
            "SELECT c.id, c.part, m.joined_seq, m.left_seq FROM members m JOIN conversations c ON c.id = m.conversation \
             WHERE m.user_id = $1 AND c.last_seq > {seen} AND m.left_seq > {seen}"
        );
        let mut select = sqlx::query(sqlx::AssertSqlSafe(text)).bind(user.as_str());
        for partition in Partition::all(self.partitions) {
            select = select.bind(to_sql(after.get(partition)));
        }
        let mut missed: Vec<Vec<Missed>> = Partition::all(self.partitions).map(|_| Vec::new()).collect();
        for row in select.fetch_all(&self.pool).await.map_err(database)? {
            let id: String = row.try_get(0).map_err(database)?;
            let number: i64 = row.try_get(1).map_err(database)?;
            let joined = from_sql(row.try_get(2).map_err(database)?);
            let left = from_sql(row.try_get(3).map_err(database)?);
            let Ok(conversation) = ConversationId::parse(&id) else { continue };
            let partition = Partition(u16::try_from(number).unwrap_or(u16::MAX));
            let part = Missed {
                conversation,
                after: after.get(partition).max(joined.saturating_sub(1)),
                upto: upto.get(partition).min(left),
            };
            if let Some(parts) = missed.get_mut(partition.index()).filter(|_| part.after < part.upto) {
                parts.push(part);
            }
        }
        Ok(missed)
    }

    /// Reads a few entries of each part and keeps those that certainly come next. Returns the
    /// number up to which the partition is now read.
    async fn read_some(&self, partition: Partition, parts: &[Missed], page: &mut Page) -> Result<Seq, StorageFault> {
        let each = (2 * page.room() / parts.len()).clamp(8, page.room().max(8));
        let mut found = Vec::new();
        // Beyond the last entry read of a part that has more, other entries may come first.
        let mut certain = Seq::MAX;
        for part in parts {
            let entries = self.entries(part, each).await?;
            if entries.len() == each {
                certain = certain.min(entries.last().map_or(part.upto, |(seq, _)| *seq));
            }
            found.extend(entries.into_iter().map(|(seq, event)| (seq, &part.conversation, event)));
        }
        found.sort_by_key(|(seq, ..)| *seq);
        let mut reached =
            if certain == Seq::MAX { parts.iter().map(|part| part.upto).max().unwrap_or(0) } else { certain };
        for (seq, conversation, event) in found.into_iter().filter(|(seq, ..)| *seq <= certain) {
            if page.room() == 0 {
                reached = page.events.last().map_or(0, |event| event.seq);
                break;
            }
            page.bytes += event.len();
            let event = RawValue::from_string(event).map_err(|_| StorageFault::Database)?;
            page.events.push(ArchivedEvent { partition, seq, conversation: conversation.clone(), event });
        }
        Ok(reached)
    }

    async fn entries(&self, part: &Missed, limit: usize) -> Result<Vec<(Seq, String)>, StorageFault> {
        let select = sqlx::query(
            "SELECT seq, prev, entry FROM entries WHERE conversation = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
        )
        .bind(part.conversation.as_str())
        .bind(to_sql(part.after))
        .bind(to_sql(part.upto))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        rows.iter().map(|row| event_json(&part.conversation, row).map_err(database)).collect()
    }
}

/// The JSON of a [`natter_protocol::Event`], from a row of number, link and entry.
pub(crate) fn event_json(conversation: &ConversationId, row: &sqlx::any::AnyRow) -> Result<(Seq, String), sqlx::Error> {
    let (seq, prev): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let entry: String = row.try_get(2)?;
    let rest = entry.strip_prefix('{').unwrap_or(&entry);
    let event = format!("{{\"conversation\":\"{conversation}\",\"seq\":{seq},\"prev\":{prev},{rest}");
    Ok((from_sql(seq), event))
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(crate) fn database(error: sqlx::Error) -> StorageFault {
    tracing::warn!(%error, "the database refused a query or cannot be reached");
    StorageFault::Database
}
