//! Who is meant by which message: written once with the message, and anew with each edit of it.

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Entry};

use crate::{
    apply::Tx,
    fold::Folded,
    sql::{pieces, rows, statement, to_sql},
};

/// Notes whom a new message means.
pub(crate) async fn save_mentions(tx: &mut Tx<'_>, folded: &Folded<'_>) -> Result<(), sqlx::Error> {
    let Folded { conversation, seq, entry, .. } = *folded;
    match &entry.change {
        Change::Message { mentions, .. } => insert(tx, conversation, seq, entry, mentions).await,
        _ => Ok(()),
    }
}

/// Notes whom a message means since it was edited.
pub(crate) async fn replace_mentions(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    seq: Seq,
    message: &Entry,
    mentions: &[UserId],
) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM mentions WHERE conversation = $1 AND seq = $2");
    delete.bind(conversation.as_str()).bind(to_sql(seq)).execute(&mut **tx).await?;
    insert(tx, conversation, seq, message, mentions).await
}

async fn insert(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    seq: Seq,
    message: &Entry,
    mentions: &[UserId],
) -> Result<(), sqlx::Error> {
    // Nobody has to be told what they said themselves.
    let meant: Vec<_> = mentions.iter().filter(|user| **user != message.sender).collect();
    for piece in pieces(&meant) {
        let mut insert = statement(format!(
            "INSERT INTO mentions (user_id, conversation, seq) VALUES {} ON CONFLICT DO NOTHING",
            rows(tx, piece.len(), 3)
        ));
        for user in piece {
            insert = insert.bind(user.as_str()).bind(conversation.as_str()).bind(to_sql(seq));
        }
        insert.execute(&mut **tx).await?;
    }
    Ok(())
}

/// How many messages after a number mean a user, in each of several conversations.
pub(crate) fn mentions_text(count: usize) -> String {
    let part = |index: usize| {
        let (user, conversation, after) = (3 * index + 1, 3 * index + 2, 3 * index + 3);
        format!(
            "SELECT {index} AS place, (SELECT COUNT(*) FROM mentions n WHERE n.user_id = ${user} \
             AND n.conversation = ${conversation} AND n.seq > ${after}) AS number"
        )
    };
    (0..count.next_power_of_two()).map(part).collect::<Vec<_>>().join(" UNION ALL ")
}
