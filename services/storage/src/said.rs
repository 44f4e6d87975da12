//! The last message of each user in each conversation: who answers has read what stood before.

use std::collections::BTreeMap;

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::Change;

use crate::{
    apply::Tx,
    fold::Folded,
    sql::{pieces, rows, statement, to_sql},
};

/// How many of a user's newest entries are looked through where the release before has archived them.
const LOOK_BACK: u32 = 64;

pub(crate) async fn save_said(tx: &mut Tx<'_>, entries: &[Folded<'_>]) -> Result<(), sqlx::Error> {
    let mut last: BTreeMap<(&ConversationId, &UserId), Seq> = BTreeMap::new();
    for Folded { conversation, seq, entry, .. } in entries {
        if matches!(entry.change, Change::Message { .. }) {
            last.insert((*conversation, &entry.sender), *seq);
        }
    }
    let last: Vec<_> = last.into_iter().collect();
    for piece in pieces(&last) {
        let mut upsert = statement(format!(
            "INSERT INTO last_said (conversation, user_id, seq) VALUES {} \
             ON CONFLICT (conversation, user_id) DO UPDATE SET seq = excluded.seq",
            rows(tx, piece.len(), 3)
        ));
        for ((conversation, user), seq) in piece {
            upsert = upsert.bind(conversation.as_str()).bind(user.as_str()).bind(to_sql(*seq));
        }
        upsert.execute(&mut **tx).await?;
    }
    Ok(())
}

/// The last message of a user in each of several conversations. Where the release before has archived
/// it, it is looked for among their newest entries; client ids sort by time.
pub(crate) fn said_text(count: usize) -> String {
    let part = |index: usize| {
        let (conversation, user) = (2 * index + 1, 2 * index + 2);
        format!(
            "SELECT {index} AS place, COALESCE((SELECT s.seq FROM last_said s WHERE s.conversation = ${conversation} \
             AND s.user_id = ${user}), (SELECT MAX(recent.seq) FROM (SELECT i.conversation, i.seq FROM message_ids i \
             WHERE i.conversation = ${conversation} AND i.sender = ${user} ORDER BY i.client_id DESC LIMIT {LOOK_BACK}) \
             AS recent JOIN entries e ON e.conversation = recent.conversation AND e.seq = recent.seq \
             WHERE e.entry LIKE '%\"kind\":\"message\"%' OR e.entry LIKE '%\"was\":\"message\"%'), 0) AS number"
        )
    };
    (0..count.next_power_of_two()).map(part).collect::<Vec<_>>().join(" UNION ALL ")
}
