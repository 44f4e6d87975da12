//! Messages that are due and still there, because the eraser has not come to them: every answer shows them
//! as it will leave them.

use std::collections::HashSet;

use natter_ids::{ConversationId, Seq};
use natter_protocol::{Change, Event};
use sqlx::Row;

use crate::{
    Store,
    entries::Found,
    sql::{from_sql, pieces, rows_after, statement, to_sql},
};

type Key = (ConversationId, Seq);

impl Store {
    /// Takes the texts out of what is due: of messages, and of edits of them.
    pub(crate) async fn hide_due(&self, events: &mut [Found]) -> Result<(), sqlx::Error> {
        let now = self.now_ms();
        if events.is_empty() || !self.any_due(now).await? {
            return Ok(());
        }
        let mut told = Vec::new();
        for (index, found) in events.iter().enumerate() {
            let event: Event = serde_json::from_str(&found.event).map_err(|error| sqlx::Error::Decode(error.into()))?;
            if let Some(seq) = message_of(&event) {
                told.push((index, (event.conversation.clone(), seq), event));
            }
        }
        let keys: Vec<_> = told.iter().map(|(_, key, _)| key.clone()).collect();
        let due = self.due_among(&keys, now).await?;
        for (index, _, mut event) in told.into_iter().filter(|(_, key, _)| due.contains(key)) {
            event.entry.change = Change::Erased { was: event.entry.change.kind().to_owned() };
            if let Some(found) = events.get_mut(index) {
                found.event = serde_json::to_string(&event).map_err(|error| sqlx::Error::Encode(error.into()))?;
            }
        }
        Ok(())
    }

    /// Whether a message is due.
    pub(crate) async fn is_due(&self, conversation: &ConversationId, seq: Seq) -> Result<bool, sqlx::Error> {
        let due = self.due_among(&[(conversation.clone(), seq)], self.now_ms()).await?;
        Ok(!due.is_empty())
    }

    /// Mostly none is, and that costs one look into an index.
    async fn any_due(&self, now: u64) -> Result<bool, sqlx::Error> {
        let select = sqlx::query("SELECT seq FROM expirations WHERE due <= $1 LIMIT 1").bind(to_sql(now));
        select.fetch_optional(&self.pool).await.map(|row| row.is_some())
    }

    async fn due_among(&self, keys: &[Key], now: u64) -> Result<HashSet<Key>, sqlx::Error> {
        let mut due = HashSet::new();
        for piece in pieces(keys) {
            let (first, rows) = rows_after(self.is_sqlite(), piece.len(), 2);
            let mut select = statement(format!(
                "SELECT conversation, seq FROM expirations WHERE due <= {first} AND (conversation, seq) IN (VALUES {rows})"
            ));
            select = select.bind(to_sql(now));
            for (conversation, seq) in piece {
                select = select.bind(conversation.as_str()).bind(to_sql(*seq));
            }
            for row in select.fetch_all(&self.pool).await? {
                let conversation = ConversationId::parse(row.try_get(0)?);
                let conversation = conversation.map_err(|error| sqlx::Error::Decode(error.into()))?;
                due.insert((conversation, from_sql(row.try_get(1)?)));
            }
        }
        Ok(due)
    }
}

/// The number of the message whose text this is.
fn message_of(event: &Event) -> Option<Seq> {
    match &event.entry.change {
        Change::Message { .. } => Some(event.seq),
        Change::Edited { target, .. } => Some(*target),
        _ => None,
    }
}
