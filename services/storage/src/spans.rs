//! Spans of membership: who was a member from which entry to which.

use natter_bus::storage_api::StorageFault;
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Past, Role};
use sqlx::Row;

use crate::{
    Store,
    apply::Tx,
    fold::{Folded, MemberOp},
    reads::database,
    sql::{OPEN, from_sql, pieces, rows, statement, to_sql},
};

/// One span, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) joined: Seq,
    /// The largest number while it lasts.
    pub(crate) left: Seq,
    pub(crate) role: Role,
}

impl Span {
    pub(crate) fn is_open(&self) -> bool {
        self.left == from_sql(OPEN)
    }

    pub(crate) fn covers(&self, seq: Seq) -> bool {
        (self.joined..=self.left).contains(&seq)
    }
}

impl Store {
    /// The user's spans in a conversation, oldest first.
    pub(crate) async fn spans(&self, conversation: &ConversationId, user: &UserId) -> Result<Vec<Span>, StorageFault> {
        let select = sqlx::query(
            "SELECT joined_seq, left_seq, role FROM members WHERE conversation = $1 AND user_id = $2 \
             ORDER BY joined_seq",
        );
        let rows = select.bind(conversation.as_str()).bind(user.as_str()).fetch_all(&self.pool).await;
        let span = |row: &sqlx::any::AnyRow| -> Result<Span, sqlx::Error> {
            let role: String = row.try_get(2)?;
            Ok(Span { joined: from_sql(row.try_get(0)?), left: from_sql(row.try_get(1)?), role: role_of(&role) })
        };
        rows.and_then(|rows| rows.iter().map(span).collect()).map_err(database)
    }

    /// What a user, a member now, may see of a conversation, oldest first: what was said while they were one, or
    /// everything where the group shows its past.
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub(crate) async fn visible_spans(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Vec<Span>, StorageFault> {
        let spans = self.seen_spans(conversation, user).await?;
        if spans.last().is_some_and(Span::is_open) { Ok(spans) } else { Err(StorageFault::NotAMember) }
    }

    /// The same of anybody: what was said while they were a member, at least.
    pub(crate) async fn seen_spans(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Vec<Span>, StorageFault> {
        let spans = self.spans(conversation, user).await?;
        match (spans.first(), spans.last().filter(|span| span.is_open())) {
            // Who has been there all along sees everything anyway.
            (Some(first), Some(last))
                if (first.joined > 1 || spans.len() > 1) && self.shows_past(conversation).await? =>
            {
                Ok(vec![Span { joined: 0, ..*last }])
            }
            _ => Ok(spans),
        }
    }

    /// Whether a group shows its past to whoever comes.
    pub(crate) async fn shows_past(&self, conversation: &ConversationId) -> Result<bool, StorageFault> {
        Ok(!conversation.is_direct() && self.group_settings(conversation).await?.past == Past::All)
    }

    /// The role of a user who is a member now.
    pub(crate) async fn role(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<Role>, StorageFault> {
        let spans = self.spans(conversation, user).await?;
        Ok(spans.last().filter(|span| span.is_open()).map(|span| span.role))
    }
}

/// Carries out what an entry does to membership; returns how many members it adds (or takes).
pub(crate) async fn save_members(tx: &mut Tx<'_>, entry: &Folded<'_>) -> Result<i64, sqlx::Error> {
    let (conversation, seq) = (entry.conversation.as_str(), to_sql(entry.seq));
    let gained = match &entry.op {
        None => 0,
        Some(MemberOp::Begin(members)) => begin(tx, conversation, seq, members).await?,
        Some(MemberOp::Join(user)) => {
            let insert = sqlx::query(
                "INSERT INTO members (conversation, user_id, joined_seq, left_seq, role) \
                 SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM members \
                 WHERE conversation = $1 AND user_id = $2 AND left_seq = $4)",
            );
            let insert = insert.bind(conversation).bind(user.as_str()).bind(seq).bind(OPEN);
            count(insert.bind(role_text(Role::Member)).execute(&mut **tx).await?)
        }
        Some(MemberOp::Leave(user)) => {
            let update = sqlx::query(
                "UPDATE members SET left_seq = $1 WHERE conversation = $2 AND user_id = $3 AND left_seq = $4",
            );
            -count(update.bind(seq).bind(conversation).bind(user.as_str()).bind(OPEN).execute(&mut **tx).await?)
        }
        Some(MemberOp::Role(user, role)) => {
            let update =
                sqlx::query("UPDATE members SET role = $1 WHERE conversation = $2 AND user_id = $3 AND left_seq = $4");
            update.bind(role_text(*role)).bind(conversation).bind(user.as_str()).bind(OPEN).execute(&mut **tx).await?;
            0
        }
    };
    if let Some(user) = entry.entry.change.changed_member(&entry.entry.sender) {
        let upsert = sqlx::query(
            "INSERT INTO fences (conversation, user_id, seq) VALUES ($1, $2, $3) \
             ON CONFLICT (conversation, user_id) DO UPDATE SET seq = excluded.seq",
        );
        upsert.bind(conversation).bind(user.as_str()).bind(seq).execute(&mut **tx).await?;
    }
    Ok(gained)
}

async fn begin(tx: &mut Tx<'_>, conversation: &str, seq: i64, members: &[(&UserId, Role)]) -> Result<i64, sqlx::Error> {
    let mut gained = 0;
    for piece in pieces(members) {
        let mut insert = statement(format!(
            "INSERT INTO members (conversation, user_id, joined_seq, left_seq, role) VALUES {}",
            rows(tx, piece.len(), 5)
        ));
        for (user, role) in piece {
            insert = insert.bind(conversation).bind(user.as_str()).bind(seq).bind(OPEN).bind(role_text(*role));
        }
        gained += count(insert.execute(&mut **tx).await?);
    }
    Ok(gained)
}

fn count(result: sqlx::any::AnyQueryResult) -> i64 {
    i64::try_from(result.rows_affected()).unwrap_or(i64::MAX)
}

fn role_text(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

pub(crate) fn role_of(text: &str) -> Role {
    match text {
        "owner" => Role::Owner,
        "admin" => Role::Admin,
        _ => Role::Member,
    }
}
