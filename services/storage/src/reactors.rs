//! Who has reacted to a message.

use natter_bus::storage_api::{Reaction, Reactors, ReactorsReply, StorageFault};
use natter_ids::UserId;
use natter_protocol::{Change, Entry, REACTIONS_MAX};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    reads::database,
    spans::Span,
    sql::{from_sql, to_sql},
};

/// Most users in an answer, whatever is asked.
const PAGE_MAX: u32 = 1_000;

pub(crate) const REACTORS: &str = "SELECT user_id, emoji, by_seq FROM reactions \
     WHERE conversation = $1 AND seq = $2 AND user_id > $3 ORDER BY user_id LIMIT $4";

const REACTORS_WITH: &str = "SELECT user_id, emoji, by_seq FROM reactions \
     WHERE conversation = $1 AND seq = $2 AND user_id > $3 AND emoji = $5 ORDER BY user_id LIMIT $4";

impl Store {
    /// Answers [`Reactors`] as of what is archived now.
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub async fn reactors(&self, asked: &Reactors) -> Result<Option<ReactorsReply>, StorageFault> {
        let spans = self.visible_spans(&asked.conversation, &asked.user).await?;
        if !spans.iter().any(|span: &Span| span.covers(asked.target)) {
            return Ok(None);
        }
        self.read_reactors(asked).await.map_err(database)
    }

    async fn read_reactors(&self, asked: &Reactors) -> Result<Option<ReactorsReply>, sqlx::Error> {
        let (conversation, target) = (asked.conversation.as_str(), to_sql(asked.target));
        let select = sqlx::query("SELECT entry FROM entries WHERE conversation = $1 AND seq = $2");
        let row = select.bind(conversation).bind(target).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let Entry { sender, change, .. } =
            serde_json::from_str(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let deleted = match change {
            Change::Message { .. } => false,
            Change::Erased { was } if was == "message" => true,
            _ => return Ok(None),
        };
        let limit = asked.limit.clamp(1, PAGE_MAX) as usize;
        // Nobody has more on a message than there are different ones: so many rows are of one user more, at least.
        let rows = i64::try_from((limit + 1) * REACTIONS_MAX).unwrap_or(i64::MAX);
        let after = asked.after.as_ref().map_or("", UserId::as_str);
        let select = sqlx::query(if asked.emoji.is_some() { REACTORS_WITH } else { REACTORS });
        let mut select = select.bind(conversation).bind(target).bind(after).bind(rows);
        if let Some(emoji) = &asked.emoji {
            select = select.bind(emoji.as_str());
        }
        let rows = select.fetch_all(&self.pool).await?;
        let mut reactions = rows.iter().map(reaction_at).collect::<Result<Vec<_>, _>>()?;
        reactions.sort_by(|one, other| (&one.user, one.seq).cmp(&(&other.user, other.seq)));
        let mut users: Vec<_> = reactions.iter().map(|reaction| reaction.user.clone()).collect();
        users.dedup();
        let more = users.len() > limit;
        if let Some(first) = users.get(limit) {
            reactions.retain(|reaction| reaction.user < *first);
        }
        Ok(Some(ReactorsReply { sender, deleted, reactions, more }))
    }
}

fn reaction_at(row: &AnyRow) -> Result<Reaction, sqlx::Error> {
    let user = UserId::new(row.try_get::<&str, _>(0)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Reaction { user, emoji: row.try_get(1)?, seq: from_sql(row.try_get(2)?) })
}
