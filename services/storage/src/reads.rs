//! Every other read. Each decides membership by itself.

use natter_bus::storage_api::{
    Acquaintances, Conversations, FindMessage, FoundMessage, History, Members, Membership, MembershipReply, Roster,
    RosterReply, StorageFault,
};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{
    Change, ConversationPage, ConversationView, Entry, Event, HistoryPage, MemberPage, MemberView, Role,
};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    apply::role_of,
    backlog::{database, event_json},
    sql::{OPEN, from_sql, list, to_sql},
};

type Answer<T> = Result<T, StorageFault>;

/// Most entries, conversations or members in an answer, whatever is asked.
const PAGE_MAX: u32 = 1_000;
/// Most bytes of events in an answer; NATS carries messages up to 1 MiB.
const PAGE_BYTES: usize = 512 * 1024;

impl Store {
    async fn role(&self, conversation: &ConversationId, user: &UserId) -> Answer<Option<Role>> {
        let row = sqlx::query("SELECT role FROM members WHERE conversation = $1 AND user_id = $2 AND left_seq = $3")
            .bind(conversation.as_str())
            .bind(user.as_str())
            .bind(OPEN)
            .fetch_optional(&self.pool)
            .await
            .map_err(database)?;
        row.map(|row| row.try_get::<String, _>(0).map(|role| role_of(&role))).transpose().map_err(database)
    }

    async fn require_member(&self, conversation: &ConversationId, user: &UserId) -> Answer<Role> {
        self.role(conversation, user).await?.ok_or(StorageFault::NotAMember)
    }

    pub(crate) async fn history(&self, asked: &History) -> Answer<HistoryPage> {
        self.require_member(&asked.conversation, &asked.user).await?;
        let forward = asked.after.is_some() && asked.before.is_none();
        let limit = asked.limit.clamp(1, PAGE_MAX);
        let text = format!(
            "SELECT e.seq, e.prev, e.entry FROM entries e WHERE e.conversation = $1 AND e.seq > $2 AND e.seq < $3 \
             AND EXISTS (SELECT 1 FROM members m WHERE m.conversation = $1 AND m.user_id = $4 \
             AND e.seq >= m.joined_seq AND e.seq <= m.left_seq) ORDER BY e.seq {} LIMIT $5",
            if forward { "ASC" } else { "DESC" }
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(asked.conversation.as_str())
            .bind(to_sql(asked.after.unwrap_or(0)))
            .bind(asked.before.map_or(OPEN, to_sql))
            .bind(asked.user.as_str())
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(database)?;
        let mut events: Vec<Event> = Vec::new();
        let mut bytes = 0;
        for row in rows.iter().take(limit as usize) {
            let (_, json) = event_json(&asked.conversation, row).map_err(database)?;
            bytes += json.len();
            if bytes > PAGE_BYTES && !events.is_empty() {
                break;
            }
            events.push(serde_json::from_str(&json).map_err(|_| StorageFault::Database)?);
        }
        let more = rows.len() > events.len();
        if !forward {
            events.reverse();
        }
        Ok(HistoryPage { events, more })
    }

    pub(crate) async fn conversations(&self, asked: &Conversations) -> Answer<ConversationPage> {
        let limit = asked.limit.clamp(1, PAGE_MAX);
        let rows = sqlx::query(
            "SELECT c.id, c.name, c.last_seq, m.role, (SELECT MIN(o.user_id) FROM members o \
             WHERE o.conversation = c.id AND o.user_id <> $1) FROM members m JOIN conversations c ON c.id = m.conversation \
             WHERE m.user_id = $1 AND m.left_seq = $2 AND c.id > $3 ORDER BY c.id LIMIT $4",
        )
        .bind(asked.user.as_str())
        .bind(OPEN)
        .bind(asked.after.as_ref().map_or("", ConversationId::as_str))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await
        .map_err(database)?;
        let views = rows.iter().take(limit as usize).map(|row| conversation_view(&asked.user, row));
        let conversations = views.collect::<Result<Vec<_>, _>>().map_err(database)?;
        Ok(ConversationPage { more: rows.len() > conversations.len(), conversations })
    }

    pub(crate) async fn members(&self, asked: &Members) -> Answer<MemberPage> {
        self.require_member(&asked.conversation, &asked.user).await?;
        let limit = asked.limit.clamp(1, PAGE_MAX);
        let rows = sqlx::query(
            "SELECT user_id, role FROM members WHERE conversation = $1 AND left_seq = $2 AND user_id > $3 \
             ORDER BY user_id LIMIT $4",
        )
        .bind(asked.conversation.as_str())
        .bind(OPEN)
        .bind(asked.after.as_ref().map_or("", UserId::as_str))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await
        .map_err(database)?;
        let mut members = Vec::new();
        for row in rows.iter().take(limit as usize) {
            let role: String = row.try_get(1).map_err(database)?;
            members.push(MemberView { user: user_at(row, 0)?, role: role_of(&role) });
        }
        Ok(MemberPage { conversation: asked.conversation.clone(), more: rows.len() > members.len(), members })
    }

    pub(crate) async fn membership(&self, asked: &Membership) -> Answer<Option<MembershipReply>> {
        let id = asked.conversation.as_str();
        let row = sqlx::query(
            "SELECT c.name, c.last_seq, (SELECT COUNT(*) FROM members m WHERE m.conversation = c.id AND m.left_seq = $2), \
             COALESCE((SELECT f.seq FROM fences f WHERE f.conversation = c.id AND f.user_id = $3), 0) \
             FROM conversations c WHERE c.id = $1",
        )
        .bind(id)
        .bind(OPEN)
        .bind(asked.user.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(database)?;
        let Some(row) = row else { return Ok(None) };
        let members: i64 = row.try_get(2).map_err(database)?;
        Ok(Some(MembershipReply {
            role: self.role(&asked.conversation, &asked.user).await?,
            fence: from_sql(row.try_get(3).map_err(database)?),
            members: u32::try_from(members).unwrap_or(u32::MAX),
            name: row.try_get(0).map_err(database)?,
            last_seq: from_sql(row.try_get(1).map_err(database)?),
        }))
    }

    pub(crate) async fn roster(&self, asked: &Roster) -> Answer<RosterReply> {
        let rows = sqlx::query(
            "SELECT user_id FROM members WHERE conversation = $1 AND joined_seq < $2 AND left_seq >= $2 ORDER BY user_id",
        )
        .bind(asked.conversation.as_str())
        .bind(to_sql(asked.before))
        .fetch_all(&self.pool)
        .await
        .map_err(database)?;
        let members = rows.iter().map(|row| user_at(row, 0)).collect::<Answer<Vec<_>>>()?;
        let last = sqlx::query("SELECT COALESCE(MAX(seq), 0) FROM entries WHERE conversation = $1 AND seq < $2")
            .bind(asked.conversation.as_str())
            .bind(to_sql(asked.before))
            .fetch_one(&self.pool)
            .await
            .map_err(database)?;
        Ok(RosterReply { members, last_seq: from_sql(last.try_get(0).map_err(database)?) })
    }

    pub(crate) async fn find_message(&self, asked: &FindMessage) -> Answer<Option<FoundMessage>> {
        let row = sqlx::query(
            "SELECT e.seq, e.entry FROM message_ids i JOIN entries e ON e.conversation = i.conversation AND e.seq = i.seq \
             WHERE i.conversation = $1 AND i.sender = $2 AND i.client_id = $3",
        )
        .bind(asked.conversation.as_str())
        .bind(asked.sender.as_str())
        .bind(asked.client_id.to_string())
        .fetch_optional(&self.pool)
        .await
        .map_err(database)?;
        let Some(row) = row else { return Ok(None) };
        let text: String = row.try_get(1).map_err(database)?;
        let entry: Entry = serde_json::from_str(&text).map_err(|_| StorageFault::Database)?;
        let Change::Message { text } = entry.change else { return Ok(None) };
        Ok(Some(FoundMessage { seq: from_sql(row.try_get(0).map_err(database)?), time: entry.time, text }))
    }

    pub(crate) async fn acquaintances(&self, asked: &Acquaintances) -> Answer<Vec<UserId>> {
        let others: Vec<_> = asked.others.iter().take(PAGE_MAX as usize).collect();
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let text = format!(
            "SELECT DISTINCT o.user_id FROM members o JOIN members m ON m.conversation = o.conversation \
             WHERE o.user_id IN ({}) AND m.user_id = ${} AND m.left_seq = ${} AND o.left_seq = ${}",
            list(others.len()),
            others.len() + 1,
            others.len() + 2,
            others.len() + 2,
        );
        let mut select = sqlx::query(sqlx::AssertSqlSafe(text));
        for user in &others {
            select = select.bind(user.as_str());
        }
        let rows = select.bind(asked.user.as_str()).bind(OPEN).fetch_all(&self.pool).await.map_err(database)?;
        let mut known = rows.iter().map(|row| user_at(row, 0)).collect::<Answer<Vec<_>>>()?;
        if others.contains(&&asked.user) && !known.contains(&asked.user) {
            known.push(asked.user.clone());
        }
        Ok(known)
    }

    /// How far every partition is archived.
    pub(crate) async fn checkpoints(&self) -> Answer<Vec<(u16, Seq)>> {
        let rows = sqlx::query("SELECT part, seq FROM checkpoints").fetch_all(&self.pool).await.map_err(database)?;
        let read = |row: &AnyRow| -> Result<(u16, Seq), sqlx::Error> {
            Ok((u16::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u16::MAX), from_sql(row.try_get(1)?)))
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(database)
    }
}

fn user_at(row: &AnyRow, column: usize) -> Answer<UserId> {
    let text: String = row.try_get(column).map_err(database)?;
    UserId::new(text).map_err(|_| StorageFault::Database)
}

fn conversation_view(user: &UserId, row: &AnyRow) -> Result<ConversationView, sqlx::Error> {
    let id: String = row.try_get(0)?;
    let conversation = ConversationId::parse(&id).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let role: String = row.try_get(3)?;
    let other: Option<String> = row.try_get(4)?;
    let peer = conversation
        .is_direct()
        .then(|| other.and_then(|other| UserId::new(other).ok()).unwrap_or_else(|| user.clone()));
    Ok(ConversationView {
        conversation,
        name: row.try_get(1)?,
        peer,
        role: role_of(&role),
        last_seq: from_sql(row.try_get(2)?),
    })
}
