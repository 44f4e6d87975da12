//! What happens to messages from before a member came: where the past is hidden, what changes them comes without
//! what it says.

use std::collections::HashMap;

use natter_bus::storage_api::{Latecomers, LatecomersReply, StorageFault};
use natter_ids::{ConversationId, UserId};
use natter_protocol::{Change, Event};

use crate::{
    Store,
    entries::Range,
    reads::{database, user_at},
    spans::Span,
    sql::to_sql,
};

/// Most users in an answer: with ids of 128 bytes, of which JSON may escape each, it stays below what NATS carries.
const PAGE: i64 = 3_000;

/// Members as of an entry who were none when another one was said.
pub(crate) const LATECOMERS: &str = "SELECT m.user_id FROM members m WHERE m.conversation = $1 \
     AND m.joined_seq > $2 AND m.joined_seq < $3 AND m.left_seq >= $3 AND m.user_id > $4 \
     AND NOT EXISTS (SELECT 1 FROM members s WHERE s.conversation = m.conversation AND s.user_id = m.user_id \
     AND s.joined_seq <= $2 AND s.left_seq >= $2) ORDER BY m.user_id LIMIT $5";

/// Takes out of an event what it says of a message outside of these spans.
pub(crate) fn veil(event: &mut Event, spans: &[Span]) {
    let change = &mut event.entry.change;
    if change.target().is_some_and(|target| !spans.iter().any(|span| span.covers(target))) {
        *change = Change::Erased { was: change.kind().to_owned() };
    }
}

/// What a user may see of conversations, as far as it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<ConversationId, Vec<Span>>);

impl Store {
    /// The event of a user's conversation without what it says of messages that they do not see; `range` lies within
    /// one span of membership.
    pub(crate) async fn veiled(
        &self,
        user: &UserId,
        range: &Range,
        json: String,
        seen: &mut Seen,
    ) -> Result<String, StorageFault> {
        if range.conversation.is_direct() || !json.contains("\"target\":") {
            return Ok(json);
        }
        let mut event: Event = serde_json::from_str(&json).map_err(|_| StorageFault::Database)?;
        if event.entry.change.target().is_none_or(|target| target > range.after) {
            return Ok(json);
        }
        if !seen.0.contains_key(&range.conversation) {
            seen.0.insert(range.conversation.clone(), self.seen_spans(&range.conversation, user).await?);
        }
        veil(&mut event, seen.0.get(&range.conversation).map_or(&[], Vec::as_slice));
        serde_json::to_string(&event).map_err(|_| StorageFault::Database)
    }

    /// Answers [`Latecomers`] as of what is archived now.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn latecomers(&self, asked: &Latecomers) -> Result<LatecomersReply, StorageFault> {
        let Latecomers { conversation, target, seq, after } = asked;
        if self.shows_past(conversation).await? {
            return Ok(LatecomersReply { users: Vec::new(), more: false });
        }
        let select = sqlx::query(LATECOMERS).bind(conversation.as_str()).bind(to_sql(*target)).bind(to_sql(*seq));
        let select = select.bind(after.as_ref().map_or("", UserId::as_str)).bind(PAGE);
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        let users = rows.iter().map(|row| user_at(row, 0)).collect::<Result<Vec<_>, _>>()?;
        Ok(LatecomersReply { more: rows.len() as i64 == PAGE, users })
    }
}
