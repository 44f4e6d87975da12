//! The last thing that happened in a conversation, as a list shows it: as it is now, and not too long.

use natter_protocol::{Change, Entry, Event};
use sqlx::Row;

use crate::{
    Store,
    entries::RANGES_MAX,
    sql::{statement, to_sql},
    unheard::Blocks,
};

/// Longest text of a preview, in bytes.
const TEXT_BYTES: usize = 256;
/// Most users named in a preview.
const USERS_MAX: usize = 10;
/// A preview that cannot be cut to this is left out.
const PREVIEW_BYTES: usize = 16 * 1024;

/// The event, and whether it was cut.
pub(crate) type Preview = (Option<Event>, bool);

impl Store {
    /// Puts the text that counts now into messages that were edited.
    pub(crate) async fn preview_edits(&self, last: &mut [Preview], blocks: &Blocks<'_>) -> Result<(), sqlx::Error> {
        let mut messages: Vec<_> = last
            .iter_mut()
            .filter_map(|(event, cut)| Some((event.as_mut()?, cut)))
            .filter(|(event, _)| matches!(event.entry.change, Change::Message { .. }))
            .collect();
        // Where somebody is blocked the text that counts for others may not: each is looked up alone.
        for (event, was_cut) in &mut messages {
            let Some(block) = blocks.get(&event.conversation) else { continue };
            let now = self.text_now(&event.conversation, event.seq, Some(block)).await?;
            if let (Change::Message { text, mentions, .. }, Some(now)) = (&mut event.entry.change, now) {
                (*text, *mentions) = now;
                **was_cut = cut(&mut event.entry.change);
            }
        }
        messages.retain(|(event, _)| !blocks.contains_key(&event.conversation));
        for piece in messages.chunks_mut(RANGES_MAX) {
            let mut select = statement(edits_text(piece.len()));
            for (event, _) in piece.iter() {
                select = select.bind(event.conversation.as_str()).bind(to_sql(event.seq));
            }
            for _ in piece.len()..piece.len().next_power_of_two() {
                select = select.bind("").bind(0_i64);
            }
            for row in select.fetch_all(&self.pool).await? {
                let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
                let Some((event, was_cut)) = piece.get_mut(place) else { continue };
                let by: Entry =
                    serde_json::from_str(row.try_get(1)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
                if let (Change::Message { text, mentions, .. }, Change::Edited { text: now, mentions: named, .. }) =
                    (&mut event.entry.change, by.change)
                {
                    (*text, *mentions) = (now, named);
                    **was_cut = cut(&mut event.entry.change);
                }
            }
        }
        Ok(())
    }
}

/// What a list shows of an event.
pub(crate) fn preview(mut event: Event) -> Preview {
    let was_cut = cut(&mut event.entry.change);
    // Of a kind that a later version knows, nobody can tell what may be left out.
    match serde_json::to_vec(&event) {
        Ok(json) if json.len() <= PREVIEW_BYTES => (Some(event), was_cut),
        _ => (None, true),
    }
}

/// Cuts what is long; whether anything was.
fn cut(change: &mut Change) -> bool {
    match change {
        Change::Message { text, mentions, .. } => {
            let was_cut = mentions.len() > USERS_MAX;
            mentions.truncate(USERS_MAX);
            cut_text(text) || was_cut
        }
        Change::GroupCreated { members, .. } => {
            let was_cut = members.len() > USERS_MAX;
            members.truncate(USERS_MAX);
            was_cut
        }
        Change::GroupChanged { patch } => patch.description.as_mut().is_some_and(cut_text),
        _ => false,
    }
}

fn cut_text(text: &mut String) -> bool {
    let was_cut = text.len() > TEXT_BYTES;
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    was_cut
}

/// The edits that count now of several messages.
pub(crate) fn edits_text(count: usize) -> String {
    let part = |index: usize| {
        let (conversation, seq) = (2 * index + 1, 2 * index + 2);
        format!(
            "SELECT {index} AS place, e.entry FROM edits s JOIN entries e ON e.conversation = s.conversation \
             AND e.seq = s.by_seq WHERE s.conversation = ${conversation} AND s.seq = ${seq}"
        )
    };
    (0..count.next_power_of_two()).map(part).collect::<Vec<_>>().join(" UNION ALL ")
}
