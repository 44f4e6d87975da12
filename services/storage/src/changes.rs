//! What later entries make of messages: edits, deletions, reactions, pins. Worked out when the entry
//! is archived, in the same transaction. An entry that breaks a rule changes nothing: gateways check
//! first, so it is one that lost a race.

use natter_bus::{FRESH_ID_AGE_MS, FUTURE_ID_MS};
use natter_ids::{ConversationId, Partition, Seq};
use natter_protocol::{Change, Entry, PINNED_MAX, Role, is_emoji};
use sqlx::Row;

use crate::{
    apply::{Tx, json},
    derived::derived_after,
    fold::Folded,
    mentions::replace_mentions,
    reactions::{REACTION_BYTES, different, react},
    runs::only_changes,
    spans::role_of,
    sql::{OPEN, from_sql, to_sql},
};

/// What an edited message weighs in an answer besides the entry of its edit, at most.
const AROUND_EDIT: usize = 512;

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) partition: Partition,
    pub(crate) conversation: &'a ConversationId,
    pub(crate) seq: Seq,
}

/// Carries out what an entry does to a message.
pub(crate) async fn save_change(tx: &mut Tx<'_>, partition: Partition, folded: &Folded<'_>) -> Result<(), sqlx::Error> {
    let Some(target) = folded.entry.change.target() else { return Ok(()) };
    let Folded { conversation, seq, entry, .. } = *folded;
    let at = At { partition, conversation, seq };
    if only_changes(&entry.change) {
        note(tx, conversation, seq, target).await?;
    }
    if matches!(entry.change, Change::Edited { .. }) {
        note_text(tx, conversation, seq, target).await?;
    }
    let Some(message) = entry_at(tx, conversation, target).await? else { return Ok(()) };
    match (&message.change, &entry.change) {
        (Change::Message { .. }, Change::Edited { mentions, .. }) if message.sender == entry.sender => {
            edit(tx, conversation, (target, &message), (seq, entry)).await?;
            replace_mentions(tx, conversation, target, &message, mentions).await?;
        }
        (Change::Message { .. }, Change::Deleted { .. })
            if message.sender == entry.sender || manages(tx, conversation, entry).await? =>
        {
            delete(tx, At { seq: target, ..at }, &message).await?;
        }
        (Change::Message { .. }, Change::Reacted { emoji, on, .. }) if is_emoji(emoji) => {
            react(tx, conversation, target, (seq, entry), emoji, *on).await?;
        }
        (Change::Message { .. }, Change::Pinned { .. }) => pin(tx, conversation, target, seq).await?,
        (Change::Message { .. }, Change::Unpinned { .. }) => {
            forget(tx, "DELETE FROM pins WHERE conversation = $1 AND seq = $2", conversation, target).await?;
        }
        // Too late: whoever edited had not seen the deletion. The text must not stay.
        (Change::Erased { .. }, Change::Edited { .. }) => erase(tx, at, entry).await?,
        _ => {}
    }
    Ok(())
}

/// Notes that a message, or a change of one, stands in the log a second time, void: it is erased with
/// the message.
pub(crate) async fn note_repeat(
    tx: &mut Tx<'_>,
    partition: Partition,
    conversation: &ConversationId,
    (seq, entry): (Seq, &Entry),
    first: Seq,
) -> Result<(), sqlx::Error> {
    let target = entry.change.target().unwrap_or(first);
    note(tx, conversation, seq, target).await?;
    note_text(tx, conversation, seq, target).await?;
    let is_erased = |entry: Entry| matches!(entry.change, Change::Erased { .. });
    if entry_at(tx, conversation, target).await?.is_some_and(is_erased) {
        erase_from_log(tx, partition, seq, entry).await?;
    }
    Ok(())
}

async fn note(tx: &mut Tx<'_>, conversation: &ConversationId, seq: Seq, target: Seq) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO changes (conversation, seq, target) VALUES ($1, $2, $3)");
    insert.bind(conversation.as_str()).bind(to_sql(seq)).bind(to_sql(target)).execute(&mut **tx).await.map(drop)
}

/// Notes that the entry is erased with the message.
async fn note_text(tx: &mut Tx<'_>, conversation: &ConversationId, seq: Seq, target: Seq) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO erasables (conversation, target, seq) VALUES ($1, $2, $3)");
    insert.bind(conversation.as_str()).bind(to_sql(target)).bind(to_sql(seq)).execute(&mut **tx).await.map(drop)
}

pub(crate) async fn entry_at(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    seq: Seq,
) -> Result<Option<Entry>, sqlx::Error> {
    let select = sqlx::query("SELECT entry FROM entries WHERE conversation = $1 AND seq = $2");
    let row = select.bind(conversation.as_str()).bind(to_sql(seq)).fetch_optional(&mut **tx).await?;
    row.map(|row| serde_json::from_str(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(error.into()))).transpose()
}

/// Whether the sender manages the group, as of this entry.
pub(crate) async fn manages(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    entry: &Entry,
) -> Result<bool, sqlx::Error> {
    let select = sqlx::query("SELECT role FROM members WHERE conversation = $1 AND user_id = $2 AND left_seq = $3");
    let select = select.bind(conversation.as_str()).bind(entry.sender.as_str()).bind(OPEN);
    let row = select.fetch_optional(&mut **tx).await?;
    let role = row.map(|row| row.try_get::<&str, _>(0).map(role_of)).transpose()?;
    Ok(role.is_some_and(Role::manages) && !conversation.is_direct())
}

async fn edit(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    (target, message): (Seq, &Entry),
    (by, entry): (Seq, &Entry),
) -> Result<(), sqlx::Error> {
    let upsert = sqlx::query(
        "INSERT INTO edits (conversation, seq, by_seq) VALUES ($1, $2, $3) \
         ON CONFLICT (conversation, seq) DO UPDATE SET by_seq = excluded.by_seq",
    );
    upsert.bind(conversation.as_str()).bind(to_sql(target)).bind(to_sql(by)).execute(&mut **tx).await?;
    // Pages of history are planned by what stands here. They show the text that counts now, or, with edits,
    // the first one: the larger counts, and what people have reacted.
    let bytes = json(message)?.len().max(json(entry)?.len() + AROUND_EDIT);
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX / 2);
    let reactions = REACTION_BYTES * different(tx, conversation, target).await?;
    let update = sqlx::query("UPDATE entries SET bytes = $1 WHERE conversation = $2 AND seq = $3");
    let update = update.bind(bytes + reactions).bind(conversation.as_str()).bind(to_sql(target));
    update.execute(&mut **tx).await.map(drop)
}

/// Takes a message and everything that followed from it away.
pub(crate) async fn delete(tx: &mut Tx<'_>, at: At<'_>, message: &Entry) -> Result<(), sqlx::Error> {
    let (conversation, target) = (at.conversation, at.seq);
    // What is not counted among the messages need not be counted off.
    let gone = "INSERT INTO gone (conversation, seq) SELECT conversation, seq FROM entries \
                WHERE conversation = $1 AND seq = $2 AND ordinal > 0 ON CONFLICT DO NOTHING";
    forget(tx, gone, conversation, target).await?;
    for text in [
        "DELETE FROM edits WHERE conversation = $1 AND seq = $2",
        "DELETE FROM reactions WHERE conversation = $1 AND seq = $2",
        "DELETE FROM reaction_counts WHERE conversation = $1 AND seq = $2",
        "DELETE FROM pins WHERE conversation = $1 AND seq = $2",
        "DELETE FROM mentions WHERE conversation = $1 AND seq = $2",
        "DELETE FROM expirations WHERE conversation = $1 AND seq = $2",
    ] {
        forget(tx, text, conversation, target).await?;
    }
    erase(tx, at, message).await?;
    for (seq, text) in other_texts(tx, at).await? {
        let Some(text) = text else {
            // A repeat of the message, under the same id.
            erase_from_log(tx, at.partition, seq, message).await?;
            continue;
        };
        let entry: Entry = serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
        if matches!(entry.change, Change::Edited { .. }) {
            erase(tx, At { seq, ..at }, &entry).await?;
        }
    }
    forget(tx, "DELETE FROM erasables WHERE conversation = $1 AND target = $2", conversation, target).await
}

/// The entries that may hold a text of the message besides itself; repeats have none of their own. Of what
/// the release before has archived, these are all changes of it.
async fn other_texts(tx: &mut Tx<'_>, at: At<'_>) -> Result<Vec<(Seq, Option<String>)>, sqlx::Error> {
    let (conversation, target) = (at.conversation.as_str(), to_sql(at.seq));
    let select = sqlx::query(
        "SELECT x.seq, e.entry FROM erasables x LEFT JOIN entries e ON e.conversation = x.conversation AND e.seq = x.seq \
         WHERE x.conversation = $1 AND x.target = $2",
    );
    let mut rows = select.bind(conversation).bind(target).fetch_all(&mut **tx).await?;
    let derived_after = derived_after(tx, at.partition).await?;
    if at.seq < derived_after {
        let select = sqlx::query(
            "SELECT c.seq, e.entry FROM changes c LEFT JOIN entries e ON e.conversation = c.conversation AND e.seq = c.seq \
             WHERE c.conversation = $1 AND c.target = $2 AND c.seq <= $3",
        );
        rows.extend(select.bind(conversation).bind(target).bind(to_sql(derived_after)).fetch_all(&mut **tx).await?);
    }
    rows.iter().map(|row| Ok((from_sql(row.try_get(0)?), row.try_get(1)?))).collect()
}

/// Leaves of an entry who and when, here and, soon, in the log.
async fn erase(tx: &mut Tx<'_>, at: At<'_>, entry: &Entry) -> Result<(), sqlx::Error> {
    let left = json(&Entry { change: Change::Erased { was: entry.change.kind().to_owned() }, ..entry.clone() })?;
    let bytes = i64::try_from(left.len()).unwrap_or(i64::MAX);
    let update = sqlx::query("UPDATE entries SET entry = $1, bytes = $2 WHERE conversation = $3 AND seq = $4");
    let update = update.bind(left).bind(bytes).bind(at.conversation.as_str()).bind(to_sql(at.seq));
    update.execute(&mut **tx).await?;
    erase_from_log(tx, at.partition, at.seq, entry).await
}

/// The log recognises a repeat of an entry for as long as its id is fresh, so until then it keeps it.
async fn erase_from_log(tx: &mut Tx<'_>, partition: Partition, seq: Seq, entry: &Entry) -> Result<(), sqlx::Error> {
    let not_before = entry.once_id().map_or(0, |id| id.time_ms() + FRESH_ID_AGE_MS + FUTURE_ID_MS);
    let insert = sqlx::query("INSERT INTO erasures (part, seq, not_before) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
    let insert = insert.bind(i64::from(partition.0)).bind(to_sql(seq)).bind(to_sql(not_before));
    insert.execute(&mut **tx).await.map(drop)
}

async fn pin(tx: &mut Tx<'_>, conversation: &ConversationId, target: Seq, by: Seq) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO pins (conversation, seq, by_seq) SELECT $1, $2, $3 \
         WHERE (SELECT COUNT(*) FROM pins WHERE conversation = $1) < $4 ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(conversation.as_str()).bind(to_sql(target)).bind(to_sql(by));
    insert.bind(i64::try_from(PINNED_MAX).unwrap_or(i64::MAX)).execute(&mut **tx).await.map(drop)
}

async fn forget(
    tx: &mut Tx<'_>,
    text: &'static str,
    conversation: &ConversationId,
    seq: Seq,
) -> Result<(), sqlx::Error> {
    sqlx::query(text).bind(conversation.as_str()).bind(to_sql(seq)).execute(&mut **tx).await.map(drop)
}
