//! Reactions: who has which one on a message, and how many there are of each, counted as they come and
//! go. However many people react, one more costs the same.

use natter_ids::{ConversationId, Seq};
use natter_protocol::{Entry, REACTIONS_MAX};
use sqlx::Row;

use crate::{
    apply::Tx,
    sql::{list, to_sql},
};

/// What a reaction adds to a message's weight in an answer, at most.
pub(crate) const REACTION_BYTES: i64 = 128;

/// Takes in that somebody reacts to a message, or takes a reaction back.
pub(crate) async fn react(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    target: Seq,
    (by, entry): (Seq, &Entry),
    emoji: &str,
    on: bool,
) -> Result<(), sqlx::Error> {
    let counts = counts(tx, conversation, target).await?;
    let known = counts.iter().find(|(other, _)| other == emoji).map(|(_, count)| *count);
    if on && known.is_none() && counts.len() >= REACTIONS_MAX {
        return Ok(());
    }
    let text = match on {
        true => {
            "INSERT INTO reactions (conversation, seq, user_id, emoji, by_seq) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT DO NOTHING"
        }
        false => "DELETE FROM reactions WHERE conversation = $1 AND seq = $2 AND user_id = $3 AND emoji = $4",
    };
    let change = sqlx::query(text).bind(conversation.as_str()).bind(to_sql(target)).bind(entry.sender.as_str());
    let change = if on { change.bind(emoji).bind(to_sql(by)) } else { change.bind(emoji) };
    if change.execute(&mut **tx).await?.rows_affected() == 0 {
        return Ok(());
    }
    match (on, known) {
        (true, None) => {
            let insert = sqlx::query(
                "INSERT INTO reaction_counts (conversation, seq, emoji, count, first_seq) VALUES ($1, $2, $3, 1, $4)",
            );
            let insert = insert.bind(conversation.as_str()).bind(to_sql(target)).bind(emoji).bind(to_sql(by));
            insert.execute(&mut **tx).await?;
            weigh(tx, conversation, target, REACTION_BYTES).await
        }
        (false, None | Some(..=1)) => {
            let delete = "DELETE FROM reaction_counts WHERE conversation = $1 AND seq = $2 AND emoji = $3";
            let delete = sqlx::query(delete).bind(conversation.as_str()).bind(to_sql(target)).bind(emoji);
            delete.execute(&mut **tx).await?;
            weigh(tx, conversation, target, -REACTION_BYTES).await
        }
        (_, Some(_)) => {
            let update = sqlx::query(
                "UPDATE reaction_counts SET count = count + $1 WHERE conversation = $2 AND seq = $3 AND emoji = $4",
            );
            let update = update.bind(if on { 1_i64 } else { -1 }).bind(conversation.as_str()).bind(to_sql(target));
            update.bind(emoji).execute(&mut **tx).await.map(drop)
        }
    }
}

/// How many different reactions a message has.
pub(crate) async fn different(tx: &mut Tx<'_>, conversation: &ConversationId, target: Seq) -> Result<i64, sqlx::Error> {
    let counts = counts(tx, conversation, target).await?;
    Ok(i64::try_from(counts.len()).unwrap_or(i64::MAX))
}

/// How many there are of each, counted now where the release before has left them uncounted.
async fn counts(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    target: Seq,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let counts = counted(tx, conversation, target).await?;
    match counts.is_empty() && count_all(tx, conversation, target).await? {
        true => counted(tx, conversation, target).await,
        false => Ok(counts),
    }
}

async fn counted(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    target: Seq,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let select = sqlx::query("SELECT emoji, count FROM reaction_counts WHERE conversation = $1 AND seq = $2");
    let rows = select.bind(conversation.as_str()).bind(to_sql(target)).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Counts what the release before has left uncounted; whether there was any.
async fn count_all(tx: &mut Tx<'_>, conversation: &ConversationId, target: Seq) -> Result<bool, sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO reaction_counts (conversation, seq, emoji, count, first_seq) \
         SELECT conversation, seq, emoji, COUNT(*), MIN(by_seq) FROM reactions \
         WHERE conversation = $1 AND seq = $2 GROUP BY conversation, seq, emoji",
    );
    let counted = insert.bind(conversation.as_str()).bind(to_sql(target)).execute(&mut **tx).await?;
    Ok(counted.rows_affected() > 0)
}

/// Pages of history are planned by what stands here.
async fn weigh(tx: &mut Tx<'_>, conversation: &ConversationId, target: Seq, bytes: i64) -> Result<(), sqlx::Error> {
    let update = sqlx::query("UPDATE entries SET bytes = bytes + $1 WHERE conversation = $2 AND seq = $3");
    update.bind(bytes).bind(conversation.as_str()).bind(to_sql(target)).execute(&mut **tx).await.map(drop)
}

/// Number, emoji, how many, and 1 where the reader is one of them.
pub(crate) fn counts_text(seqs: usize) -> String {
    format!(
        "SELECT n.seq, n.emoji, n.count, (SELECT COUNT(*) FROM reactions r WHERE r.conversation = $1 AND r.seq = n.seq \
         AND r.user_id = ${} AND r.emoji = n.emoji) FROM reaction_counts n \
         WHERE n.conversation = $1 AND n.seq IN ({}) ORDER BY n.seq, n.first_seq",
        seqs + 2,
        list(2, seqs)
    )
}

/// The same of messages that nobody has reacted to since the release before.
pub(crate) fn uncounted_text(seqs: usize) -> String {
    format!(
        "SELECT seq, emoji, COUNT(*), COUNT(CASE WHEN user_id = ${} THEN 1 END) FROM reactions \
         WHERE conversation = $1 AND seq IN ({}) GROUP BY seq, emoji ORDER BY seq, MIN(by_seq)",
        seqs + 2,
        list(2, seqs)
    )
}
