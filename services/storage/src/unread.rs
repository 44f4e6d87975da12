//! What waits for a user: messages that are unread, and those that mean them.

use natter_ids::{Seq, UserId};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    entries::RANGES_MAX,
    mentions::mentions_text,
    overview::Entry,
    said::said_text,
    sql::{from_sql, statement, to_sql},
};

/// What waits for the user in a conversation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waiting {
    /// Messages of others.
    pub(crate) unread: u64,
    /// How many of them mean the user.
    pub(crate) mentions: u64,
}

impl Store {
    /// How many messages of others stand behind what the user has read, or said, in each: the number
    /// of all messages without that of those up to there, and of those that are gone since. Two look-ups, however many there are; and one
    /// for those that mean the user, which are few.
    pub(crate) async fn waiting(&self, user: &UserId, all: &[Entry]) -> Result<Vec<Waiting>, sqlx::Error> {
        let mut waiting = vec![Waiting::default(); all.len()];
        let open: Vec<_> = all
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.messages > 0 && entry.read.max(entry.joined) < entry.active_seq)
            .collect();
        for piece in open.chunks(RANGES_MAX) {
            let mut select = statement(said_text(piece.len()));
            for (_, entry) in piece {
                select = select.bind(entry.conversation.as_str()).bind(user.as_str());
            }
            for _ in piece.len()..piece.len().next_power_of_two() {
                select = select.bind("").bind("");
            }
            let mut upto: Vec<_> = piece.iter().map(|(_, entry)| entry.read.max(entry.joined)).collect();
            for (index, said) in numbers(select.fetch_all(&self.pool).await?)? {
                if let Some(upto) = upto.get_mut(index) {
                    *upto = said.max(*upto);
                }
            }
            let mut select = statement(ordinals_text(piece.len()));
            for ((_, entry), upto) in piece.iter().zip(&upto) {
                select = select.bind(entry.conversation.as_str()).bind(to_sql(*upto));
            }
            for _ in piece.len()..piece.len().next_power_of_two() {
                select = select.bind("").bind(0_i64);
            }
            for (index, ordinal) in numbers(select.fetch_all(&self.pool).await?)? {
                if let Some((place, entry)) = piece.get(index)
                    && let Some(waiting) = waiting.get_mut(*place)
                {
                    waiting.unread = entry.messages.saturating_sub(ordinal);
                }
            }
            let mut select = statement(mentions_text(piece.len()));
            for ((_, entry), upto) in piece.iter().zip(&upto) {
                select = select.bind(user.as_str()).bind(entry.conversation.as_str()).bind(to_sql(*upto));
            }
            for _ in piece.len()..piece.len().next_power_of_two() {
                select = select.bind("").bind("").bind(0_i64);
            }
            for (index, mentions) in numbers(select.fetch_all(&self.pool).await?)? {
                if let Some(waiting) = piece.get(index).and_then(|(place, _)| waiting.get_mut(*place)) {
                    waiting.mentions = mentions;
                }
            }
        }
        Ok(waiting)
    }
}

fn numbers(rows: Vec<AnyRow>) -> Result<Vec<(usize, Seq)>, sqlx::Error> {
    let pair = |row: &AnyRow| {
        let index = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
        Ok((index, from_sql(row.try_get(1)?)))
    };
    rows.iter().map(pair).collect()
}

/// How many messages stand up to a number in each of several conversations, and how many after it are gone.
pub(crate) fn ordinals_text(count: usize) -> String {
    let part = |index: usize| {
        let (conversation, upto) = (2 * index + 1, 2 * index + 2);
        format!(
            "SELECT {index} AS place, COALESCE((SELECT e.ordinal FROM entries e WHERE e.conversation = ${conversation} \
             AND e.seq <= ${upto} ORDER BY e.seq DESC LIMIT 1), 0) \
             + (SELECT COUNT(*) FROM gone g WHERE g.conversation = ${conversation} AND g.seq > ${upto}) AS number"
        )
    };
    (0..count.next_power_of_two()).map(part).collect::<Vec<_>>().join(" UNION ALL ")
}
