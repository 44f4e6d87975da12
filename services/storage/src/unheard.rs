//! What a block hides from the one who has set it: messages as they were before the other one changed them, without
//! what they have put on them since, and a list that stands as if they had said nothing.

use std::collections::HashMap;

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{BlockView, Change, Entry};
use sqlx::Row;

use crate::{
    Store,
    entries::RANGES_MAX,
    overview,
    sql::{from_sql, list, statement, to_sql},
    states::{edits_text, entry, pins_text},
};

/// How many entries are looked through for the newest one that counts as activity.
const LOOK_BACK: u32 = 64;

/// What counts as activity in a direct conversation: the same as when it was archived, and what is left of it.
const ACTIVITY: &str = "(e.entry LIKE '%\"kind\":\"message\"%' OR e.entry LIKE '%\"was\":\"message\"%' \
     OR e.entry LIKE '%\"kind\":\"timer_set\"%' OR e.entry LIKE '%\"kind\":\"direct_opened\"%')";

/// The edits of a message up to a number, newest first.
pub(crate) const EARLIER_EDITS: &str = "SELECT e.entry FROM changes c JOIN entries e ON e.conversation = c.conversation \
     AND e.seq = c.seq WHERE c.conversation = $1 AND c.target = $2 AND c.seq <= $3 \
     AND e.entry LIKE '%\"kind\":\"edited\"%' ORDER BY c.seq DESC LIMIT 1";

/// Whether a block hides what somebody has put here under this number.
pub(crate) fn hides(block: Option<&BlockView>, sender: &UserId, seq: Seq) -> bool {
    block.is_some_and(|block| *sender == block.user && seq > block.after)
}

/// A reader's blocks, each under the conversation it is about.
pub(crate) type Blocks<'a> = HashMap<&'a ConversationId, &'a BlockView>;

/// Finds a block by its conversation.
pub(crate) fn by_conversation(blocks: &[BlockView]) -> Blocks<'_> {
    blocks.iter().map(|block| (&block.conversation, block)).collect()
}

impl Store {
    /// The edit that counts of each of these messages, for a reader with this block.
    pub(crate) async fn edits_now(
        &self,
        conversation: &ConversationId,
        seqs: &[Seq],
        block: Option<&BlockView>,
    ) -> Result<HashMap<Seq, Entry>, sqlx::Error> {
        let mut edits = HashMap::new();
        for row in self.select(&edits_text(seqs.len()), conversation, seqs).await? {
            let (seq, by, by_seq) = (row.try_get(0)?, entry(&row, 1)?, from_sql(row.try_get(2)?));
            let counts = match block.filter(|block| hides(Some(block), &by.sender, by_seq)) {
                None => Some(by),
                Some(BlockView { after, .. }) => {
                    let select = sqlx::query(EARLIER_EDITS).bind(conversation.as_str()).bind(seq).bind(to_sql(*after));
                    select.fetch_optional(&self.pool).await?.map(|row| entry(&row, 0)).transpose()?
                }
            };
            edits.extend(counts.map(|counts| (from_sql(seq), counts)));
        }
        Ok(edits)
    }

    /// Those of these messages that are pinned, for a reader with this block.
    pub(crate) async fn pinned_now(
        &self,
        conversation: &ConversationId,
        seqs: &[Seq],
        block: Option<&BlockView>,
    ) -> Result<Vec<Seq>, sqlx::Error> {
        let mut pinned = Vec::new();
        for row in self.select(&pins_text(seqs.len()), conversation, seqs).await? {
            if self.shows_pin(conversation, from_sql(row.try_get(1)?), block).await? {
                pinned.push(from_sql(row.try_get(0)?));
            }
        }
        Ok(pinned)
    }

    /// Whether the pin that an entry has set is shown.
    pub(crate) async fn shows_pin(
        &self,
        conversation: &ConversationId,
        by: Seq,
        block: Option<&BlockView>,
    ) -> Result<bool, sqlx::Error> {
        if block.is_none_or(|block| by <= block.after) {
            return Ok(true);
        }
        let select = sqlx::query("SELECT entry FROM entries WHERE conversation = $1 AND seq = $2");
        let row = select.bind(conversation.as_str()).bind(to_sql(by)).fetch_optional(&self.pool).await?;
        let by_whom = row.map(|row| entry(&row, 0)).transpose()?;
        Ok(by_whom.is_none_or(|entry| !hides(block, &entry.sender, by)))
    }

    /// Lets blocked conversations stand in the list where they stood, or where the user has moved them themselves.
    pub(crate) async fn stand_still(
        &self,
        user: &UserId,
        all: &mut [overview::Entry],
        blocks: &Blocks<'_>,
    ) -> Result<(), sqlx::Error> {
        let mut still: Vec<_> = all
            .iter_mut()
            .filter_map(|it| blocks.get(&it.conversation).map(|block| (it, block.after)))
            .filter(|(it, after)| it.last_seq > *after)
            .collect();
        for piece in still.chunks_mut(RANGES_MAX) {
            let mut select = statement(heard_text(piece.len()));
            for (it, after) in piece.iter() {
                select = select.bind(it.conversation.as_str()).bind(to_sql(*after)).bind(user.as_str());
            }
            for _ in piece.len()..piece.len().next_power_of_two() {
                select = select.bind("").bind(0_i64).bind("");
            }
            for row in select.fetch_all(&self.pool).await? {
                let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
                if let Some((it, after)) = piece.get_mut(place) {
                    it.last_seq = from_sql(row.try_get(1)?).max(*after);
                    it.active_seq = from_sql(row.try_get(2)?);
                }
            }
            let seqs: Vec<_> = piece.iter().map(|(it, _)| (it.conversation.clone(), it.active_seq)).collect();
            let times = self.times(&seqs).await?;
            for ((it, _), time) in piece.iter_mut().zip(times) {
                it.active_at = time;
            }
        }
        Ok(())
    }

    /// When these entries were accepted; 0 where there is none.
    async fn times(&self, of: &[(ConversationId, Seq)]) -> Result<Vec<u64>, sqlx::Error> {
        let mut times = vec![0; of.len()];
        let mut select = statement(entries_text(of.len()));
        for (conversation, seq) in of {
            select = select.bind(conversation.as_str()).bind(to_sql(*seq));
        }
        for _ in of.len()..of.len().next_power_of_two() {
            select = select.bind("").bind(0_i64);
        }
        for row in select.fetch_all(&self.pool).await? {
            let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
            if let Some(time) = times.get_mut(place) {
                *time = entry(&row, 1)?.time;
            }
        }
        Ok(times)
    }

    /// The text that counts of a message, for a reader with this block; `None`: it was never edited.
    pub(crate) async fn text_now(
        &self,
        conversation: &ConversationId,
        seq: Seq,
        block: Option<&BlockView>,
    ) -> Result<Option<(String, Vec<UserId>)>, sqlx::Error> {
        let edit = self.edits_now(conversation, &[seq], block).await?.remove(&seq);
        Ok(edit.and_then(|edit| match edit.change {
            Change::Edited { text, mentions, .. } => Some((text, mentions)),
            _ => None,
        }))
    }
}

/// Number, emoji, how many, and 1 where the reader is one of them: without what a user has put on them after a number.
/// The values: the conversation, the messages, the reader, the user, the number.
pub(crate) fn heard_reactions_text(seqs: usize) -> String {
    let (reader, user, after) = (seqs + 2, seqs + 3, seqs + 4);
    format!(
        "SELECT seq, emoji, COUNT(*), COUNT(CASE WHEN user_id = ${reader} THEN 1 END) FROM reactions \
         WHERE conversation = $1 AND seq IN ({}) AND (user_id <> ${user} OR by_seq <= ${after}) \
         GROUP BY seq, emoji ORDER BY seq, MIN(by_seq)",
        list(2, seqs)
    )
}

/// In each of several direct conversations, blocked after a number: the newest entry of the user's own after it, and
/// the newest one that counts as activity, of theirs or from before. Client ids sort by time.
pub(crate) fn heard_text(count: usize) -> String {
    let part = |index: usize| {
        let (conversation, after, user) = (3 * index + 1, 3 * index + 2, 3 * index + 3);
        let own = format!(
            "(SELECT i.conversation, i.seq FROM message_ids i WHERE i.conversation = ${conversation} \
             AND i.sender = ${user} ORDER BY i.client_id DESC LIMIT {LOOK_BACK}) AS own"
        );
        let before = format!(
            "(SELECT b.seq, b.entry FROM entries b WHERE b.conversation = ${conversation} AND b.seq <= ${after} \
             ORDER BY b.seq DESC LIMIT {LOOK_BACK}) AS e"
        );
        format!(
            "SELECT {index} AS place, COALESCE((SELECT MAX(own.seq) FROM {own}), 0) AS last, \
             COALESCE((SELECT MAX(own.seq) FROM {own} JOIN entries e ON e.conversation = own.conversation \
             AND e.seq = own.seq WHERE own.seq > ${after} AND {ACTIVITY}), \
             (SELECT MAX(e.seq) FROM {before} WHERE {ACTIVITY}), ${after}) AS active"
        )
    };
    (0..count.next_power_of_two()).map(part).collect::<Vec<_>>().join(" UNION ALL ")
}

fn entries_text(count: usize) -> String {
    let part = |index: usize| {
        let (conversation, seq) = (2 * index + 1, 2 * index + 2);
        format!("SELECT {index} AS place, entry FROM entries WHERE conversation = ${conversation} AND seq = ${seq}")
    };
    (0..count.next_power_of_two()).map(part).collect::<Vec<_>>().join(" UNION ALL ")
}
