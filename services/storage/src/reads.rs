//! Reads of conversations and their members. Each decides membership by itself.

use natter_bus::storage_api::{
    Acquaintances, Conversations, FindMessage, FoundMessage, Members, Membership, MembershipReply, Roster, RosterReply,
    StorageFault,
};
use natter_ids::{ConversationId, Partition, Position, UserId};
use natter_protocol::{Change, ConversationPage, ConversationView, Entry, MemberPage, MemberView};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    entries::Room,
    groups::settings_at,
    spans::role_of,
    sql::{OPEN, from_sql, list, statement, to_sql},
};

type Answer<T> = Result<T, StorageFault>;

/// Most conversations or members in an answer, whatever is asked.
const PAGE_MAX: u32 = 1_000;
/// Most members in a page for delivery: with ids of 128 bytes, of which JSON may escape each, it stays
/// below what NATS carries.
const ROSTER_PAGE: u32 = 3_000;

pub(crate) const CONVERSATIONS: &str = "SELECT c.id, c.name, c.last_seq, m.role, \
     (SELECT MIN(o.user_id) FROM members o WHERE o.conversation = c.id AND o.user_id <> $1), c.settings, \
     COALESCE((SELECT t.seconds FROM timers t WHERE t.conversation = c.id), 0) \
     FROM members m JOIN conversations c ON c.id = m.conversation \
     WHERE m.user_id = $1 AND m.left_seq = $2 AND m.conversation > $3 ORDER BY m.conversation LIMIT $4";

pub(crate) const MEMBERS: &str = "SELECT user_id, role FROM members \
     WHERE conversation = $1 AND left_seq = $2 AND user_id > $3 ORDER BY user_id LIMIT $4";

pub(crate) const ROSTER: &str = "SELECT user_id FROM members \
     WHERE conversation = $1 AND joined_seq < $2 AND left_seq >= $2 AND user_id > $3 ORDER BY user_id LIMIT $4";

impl Store {
    /// How far every partition is archived.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn archived(&self) -> Answer<Position> {
        let rows = sqlx::query("SELECT part, seq FROM checkpoints").fetch_all(&self.pool).await.map_err(database)?;
        let mut position = Position::start(self.partitions);
        for row in rows {
            let part: i64 = row.try_get(0).map_err(database)?;
            let partition = Partition(u16::try_from(part).unwrap_or(u16::MAX));
            position.advance(partition, from_sql(row.try_get(1).map_err(database)?));
        }
        Ok(position)
    }

    /// Answers [`Conversations`].
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn conversations(&self, asked: &Conversations) -> Answer<ConversationPage> {
        let limit = asked.limit.clamp(1, PAGE_MAX);
        let after = asked.after.as_ref().map_or("", ConversationId::as_str);
        let select = sqlx::query(CONVERSATIONS).bind(asked.user.as_str()).bind(OPEN).bind(after);
        let rows = select.bind(i64::from(limit) + 1).fetch_all(&self.pool).await.map_err(database)?;
        let views = rows.iter().take(limit as usize).map(|row| conversation_view(&asked.user, row));
        // Settings of groups are long: a page ends where its bytes do.
        let (mut room, mut conversations) = (Room::new(limit), Vec::new());
        for view in views {
            let view = view.map_err(database)?;
            if !room.take(json_bytes(&view)) {
                break;
            }
            conversations.push(view);
        }
        Ok(ConversationPage { more: rows.len() > conversations.len(), conversations })
    }

    /// Answers [`Members`].
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub async fn members(&self, asked: &Members) -> Answer<MemberPage> {
        self.role(&asked.conversation, &asked.user).await?.ok_or(StorageFault::NotAMember)?;
        let limit = asked.limit.clamp(1, PAGE_MAX);
        let after = asked.after.as_ref().map_or("", UserId::as_str);
        let select = sqlx::query(MEMBERS).bind(asked.conversation.as_str()).bind(OPEN).bind(after);
        let rows = select.bind(i64::from(limit) + 1).fetch_all(&self.pool).await.map_err(database)?;
        let mut members = Vec::new();
        for row in rows.iter().take(limit as usize) {
            let role: String = row.try_get(1).map_err(database)?;
            members.push(MemberView { user: user_at(row, 0)?, role: role_of(&role) });
        }
        Ok(MemberPage { conversation: asked.conversation.clone(), more: rows.len() > members.len(), members })
    }

    /// Answers [`Membership`] as of what is archived now.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn membership(&self, asked: &Membership) -> Answer<Option<MembershipReply>> {
        // One statement, so that role, fence and number are of one moment.
        let select = sqlx::query(
            "SELECT c.name, c.last_seq, c.members, \
             COALESCE((SELECT f.seq FROM fences f WHERE f.conversation = c.id AND f.user_id = $2), 0), \
             COALESCE((SELECT m.role FROM members m WHERE m.conversation = c.id AND m.user_id = $2 \
             AND m.left_seq = $3), ''), c.settings, \
             (SELECT COUNT(*) FROM bans b WHERE b.conversation = c.id AND b.user_id = $2), \
             (SELECT COUNT(*) FROM requests q WHERE q.conversation = c.id AND q.user_id = $2 AND q.accepted = 0), \
             COALESCE((SELECT t.seconds FROM timers t WHERE t.conversation = c.id), 0) \
             FROM conversations c WHERE c.id = $1",
        );
        let select = select.bind(asked.conversation.as_str()).bind(asked.user.as_str()).bind(OPEN);
        let row = select.fetch_optional(&self.pool).await.map_err(database)?;
        row.map(|row| membership_reply(&row)).transpose().map_err(database)
    }

    /// Answers [`Roster`] as of what is archived now.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn roster(&self, asked: &Roster) -> Answer<RosterReply> {
        let (conversation, before) = (asked.conversation.as_str(), to_sql(asked.before));
        let after = asked.after.as_ref().map_or("", UserId::as_str);
        let select = sqlx::query(ROSTER).bind(conversation).bind(before).bind(after).bind(i64::from(ROSTER_PAGE) + 1);
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        let page = rows.iter().take(ROSTER_PAGE as usize);
        let members = page.map(|row| user_at(row, 0)).collect::<Answer<Vec<_>>>()?;
        let select = sqlx::query("SELECT COALESCE(MAX(seq), 0) FROM entries WHERE conversation = $1 AND seq < $2");
        let last = select.bind(conversation).bind(before).fetch_one(&self.pool).await.map_err(database)?;
        let more = rows.len() > members.len();
        Ok(RosterReply { members, last_seq: from_sql(last.try_get(0).map_err(database)?), more })
    }

    /// Answers [`FindMessage`] as of what is archived now.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn find_message(&self, asked: &FindMessage) -> Answer<Option<FoundMessage>> {
        let select = sqlx::query(
            "SELECT e.seq, e.entry FROM message_ids i JOIN entries e ON e.conversation = i.conversation \
             AND e.seq = i.seq WHERE i.conversation = $1 AND i.sender = $2 AND i.client_id = $3",
        );
        let select = select.bind(asked.conversation.as_str()).bind(asked.sender.as_str());
        let row = select.bind(asked.client_id.to_string()).fetch_optional(&self.pool).await.map_err(database)?;
        let Some(row) = row else { return Ok(None) };
        let text: &str = row.try_get(1).map_err(database)?;
        let Entry { time, change, .. } = serde_json::from_str(text).map_err(|_| StorageFault::Database)?;
        let text = if let Change::Message { text, .. } = &change { text.clone() } else { String::new() };
        let seq = from_sql(row.try_get(0).map_err(database)?);
        Ok(Some(FoundMessage { seq, time, text, change: Some(change) }))
    }

    /// Answers [`Acquaintances`]; of more than 1,000 others, the first 1,000.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn acquaintances(&self, asked: &Acquaintances) -> Answer<Vec<UserId>> {
        let others: Vec<_> = asked.others.iter().take(PAGE_MAX as usize).collect();
        let Some(last) = others.last() else { return Ok(Vec::new()) };
        // Few different statements stay prepared; the last name is repeated.
        let count = others.len().next_power_of_two();
        let mut select = statement(acquaintances_text(count)).bind(asked.user.as_str()).bind(OPEN);
        for index in 0..count {
            select = select.bind(others.get(index).unwrap_or(last).as_str());
        }
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        let mut known = rows.iter().map(|row| user_at(row, 0)).collect::<Answer<Vec<_>>>()?;
        if others.contains(&&asked.user) && !known.contains(&asked.user) {
            known.push(asked.user.clone());
        }
        Ok(known)
    }
}

/// What something weighs in an answer.
pub(crate) fn json_bytes<T: serde::Serialize>(part: &T) -> usize {
    serde_json::to_vec(part).map_or(usize::MAX / 2, |json| json.len())
}

pub(crate) fn acquaintances_text(others: usize) -> String {
    format!(
        "SELECT DISTINCT o.user_id FROM members m JOIN members o ON o.conversation = m.conversation \
         WHERE m.user_id = $1 AND m.left_seq = $2 AND o.left_seq = $2 AND o.user_id IN ({})",
        list(3, others)
    )
}

fn membership_reply(row: &AnyRow) -> Result<MembershipReply, sqlx::Error> {
    let role: &str = row.try_get(4)?;
    Ok(MembershipReply {
        role: (!role.is_empty()).then(|| role_of(role)),
        fence: from_sql(row.try_get(3)?),
        members: u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
        name: name_at(row, 0)?,
        last_seq: from_sql(row.try_get(1)?),
        settings: settings_at(row, 5)?,
        banned: row.try_get::<i64, _>(6)? > 0,
        request: row.try_get::<i64, _>(7)? > 0,
        timer_seconds: timer_at(row, 8)?,
    })
}

fn conversation_view(user: &UserId, row: &AnyRow) -> Result<ConversationView, sqlx::Error> {
    let conversation = ConversationId::parse(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let other: Option<String> = row.try_get(4)?;
    // A direct conversation without another user is one's notes to oneself.
    let other = other.and_then(|other| UserId::new(other).ok()).unwrap_or_else(|| user.clone());
    Ok(ConversationView {
        peer: conversation.is_direct().then_some(other),
        name: name_at(row, 1)?,
        role: role_of(row.try_get(3)?),
        last_seq: from_sql(row.try_get(2)?),
        group: (!conversation.is_direct()).then(|| settings_at(row, 5)).transpose()?,
        timer_seconds: timer_at(row, 6)?,
        conversation,
    })
}

/// After how many seconds messages disappear, of a column in which 0 says that they stay.
pub(crate) fn timer_at(row: &AnyRow, column: usize) -> Result<Option<u32>, sqlx::Error> {
    Ok(u32::try_from(row.try_get::<i64, _>(column)?).ok().filter(|seconds| *seconds > 0))
}

pub(crate) fn name_at(row: &AnyRow, column: usize) -> Result<Option<String>, sqlx::Error> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(crate) fn user_at(row: &AnyRow, column: usize) -> Answer<UserId> {
    let text: &str = row.try_get(column).map_err(database)?;
    UserId::new(text).map_err(|_| StorageFault::Database)
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(crate) fn database(error: sqlx::Error) -> StorageFault {
    tracing::warn!(%error, "the database refused a query or cannot be reached");
    StorageFault::Database
}
