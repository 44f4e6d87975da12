//! Reading entries in two steps: first numbers and sizes, to choose what fits into a page, then
//! the texts of exactly those. So memory is bounded by the page, however large the entries are.

use natter_ids::{ConversationId, Seq};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    sql::{from_sql, statement, to_sql},
};

/// Most ranges read by one statement.
pub(crate) const RANGES_MAX: usize = 32;

/// Most bytes of events in an answer; NATS carries messages up to 1 MiB.
pub(crate) const PAGE_BYTES: usize = 512 * 1024;

/// What an event weighs in an answer besides the text of its entry, at most.
const AROUND_ENTRY: usize = 256;

/// Entries of a conversation with numbers larger than `after`, up to and including `upto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) conversation: ConversationId,
    pub(crate) after: Seq,
    pub(crate) upto: Seq,
}

/// An entry that may go into a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sized {
    pub(crate) seq: Seq,
    pub(crate) bytes: usize,
}

/// An entry that goes into a page.
#[derive(Debug)]
pub(crate) struct Found {
    /// Which of the ranges it is from.
    pub(crate) range: usize,
    pub(crate) seq: Seq,
    /// The JSON of a [`natter_protocol::Event`].
    pub(crate) event: String,
}

/// Which entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Every one.
    Log,
    /// Those that are more than a change of a message.
    Messages,
}

impl Show {
    fn condition(self) -> &'static str {
        match self {
            Self::Log => "",
            Self::Messages => {
                " AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.conversation = entries.conversation \
                 AND changes.seq = entries.seq)"
            }
        }
    }
}

/// From which end of a range entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Oldest,
    Newest,
}

/// What may still go into a page.
#[derive(Debug)]
pub(crate) struct Room {
    entries: usize,
    bytes: usize,
    is_empty: bool,
}

impl Room {
    pub(crate) fn new(limit: u32) -> Self {
        Self { entries: limit.clamp(1, 1_000) as usize, bytes: PAGE_BYTES, is_empty: true }
    }

    /// Takes room for an entry; `false` when the page is full. The first entry always fits.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let bytes = bytes + AROUND_ENTRY;
        let fits = self.is_empty || (self.entries > 0 && bytes <= self.bytes);
        if fits {
            self.is_empty = false;
            self.entries -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        fits
    }

    /// Takes room for what is no entry.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// How many entries more fit, at most.
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }
}

impl Store {
    /// Numbers and sizes of up to `limit` entries of each range, from the end asked for.
    pub(crate) async fn sizes(
        &self,
        ranges: &[Range],
        show: Show,
        from: From,
        limit: usize,
    ) -> Result<Vec<Vec<Sized>>, sqlx::Error> {
        let mut sizes = vec![Vec::new(); ranges.len()];
        for (piece, base) in ranges.chunks(RANGES_MAX).zip((0..).step_by(RANGES_MAX)) {
            let text = sizes_text(piece.len(), show, from);
            for row in select(text, piece).bind(to_sql(limit as u64)).fetch_all(&self.pool).await? {
                let found = Sized {
                    seq: from_sql(row.try_get(1)?),
                    bytes: usize::try_from(row.try_get::<i64, _>(2)?).unwrap_or(usize::MAX),
                };
                if let Some(range) = sizes.get_mut(base + range_of(&row)?) {
                    range.push(found);
                }
            }
        }
        for range in &mut sizes {
            range.sort_by_key(|found| found.seq);
            if from == From::Newest {
                range.reverse();
            }
        }
        Ok(sizes)
    }

    /// Every event of the ranges, each range's oldest first; of messages that are due, what will be left.
    pub(crate) async fn events(&self, ranges: &[Range], show: Show) -> Result<Vec<Found>, sqlx::Error> {
        let mut events = Vec::new();
        for (piece, base) in ranges.chunks(RANGES_MAX).zip((0..).step_by(RANGES_MAX)) {
            for row in select(events_text(piece.len(), show), piece).fetch_all(&self.pool).await? {
                let index = range_of(&row)?;
                let (seq, prev): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
                let Some(range) = piece.get(index) else { continue };
                let event = event_json(&range.conversation, from_sql(seq), from_sql(prev), row.try_get(3)?);
                events.push(Found { range: base + index, seq: from_sql(seq), event });
            }
        }
        events.sort_by_key(|event| (event.range, event.seq));
        self.hide_due(&mut events).await?;
        Ok(events)
    }
}

/// How many ranges a statement is made for: few different statements stay prepared. Those too
/// many are empty.
fn padded(ranges: usize) -> usize {
    ranges.next_power_of_two()
}

pub(crate) fn sizes_text(ranges: usize, show: Show, from: From) -> String {
    let condition = show.condition();
    let order = if from == From::Newest { "DESC" } else { "ASC" };
    let count = padded(ranges);
    let limit = 3 * count + 1;
    let part = |range: usize| {
        let (conversation, after, upto) = (3 * range + 1, 3 * range + 2, 3 * range + 3);
        format!(
            "SELECT * FROM (SELECT {range} AS range, seq, bytes FROM entries WHERE conversation = ${conversation} \
             AND seq > ${after} AND seq <= ${upto}{condition} ORDER BY seq {order} LIMIT ${limit}) AS r{range}"
        )
    };
    (0..count).map(part).collect::<Vec<_>>().join(" UNION ALL ")
}

pub(crate) fn events_text(ranges: usize, show: Show) -> String {
    let condition = show.condition();
    let part = |range: usize| {
        let (conversation, after, upto) = (3 * range + 1, 3 * range + 2, 3 * range + 3);
        format!(
            "SELECT {range} AS range, seq, prev, entry FROM entries WHERE conversation = ${conversation} \
             AND seq > ${after} AND seq <= ${upto}{condition}"
        )
    };
    (0..padded(ranges)).map(part).collect::<Vec<_>>().join(" UNION ALL ")
}

fn select(text: String, ranges: &[Range]) -> sqlx::query::Query<'_, sqlx::Any, sqlx::any::AnyArguments> {
    let mut select = statement(text);
    for range in ranges {
        select = select.bind(range.conversation.as_str()).bind(to_sql(range.after)).bind(to_sql(range.upto));
    }
    for _ in ranges.len()..padded(ranges.len()) {
        select = select.bind("").bind(0_i64).bind(0_i64);
    }
    select
}

fn range_of(row: &AnyRow) -> Result<usize, sqlx::Error> {
    Ok(usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX))
}

/// The JSON of a [`natter_protocol::Event`] around the JSON of its entry.
pub(crate) fn event_json(conversation: &ConversationId, seq: Seq, prev: Seq, entry: &str) -> String {
    let rest = entry.strip_prefix('{').unwrap_or(entry);
    // A conversation id holds nothing that JSON escapes.
    format!("{{\"conversation\":\"{conversation}\",\"seq\":{seq},\"prev\":{prev},{rest}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_ids::{ClientId, UserId};
    use natter_protocol::{Change, Entry, Event};

    use super::*;

    #[test]
    fn the_event_is_what_serde_makes() {
        let (a, b) = (UserId::new("a.b\"🦀").unwrap(), UserId::new("*").unwrap());
        let conversation = ConversationId::direct(&a, &b);
        let changes = [
            Change::message("nul \0, tab \t, quote \", slash \\, crab 🦀"),
            Change::DirectOpened { peers: [a.clone(), b.clone()] },
            Change::GroupCreated { name: "a\0b".into(), members: vec![a.clone()] },
            Change::MemberAdded { user: b },
            Change::MemberLeft {},
        ];
        for (change, client_id) in changes.into_iter().zip([Some(ClientId::now()), None].into_iter().cycle()) {
            let entry = Entry { sender: a.clone(), client_id, time: 1_700_000_000_123, change };
            let text = serde_json::to_string(&entry).unwrap();
            let event = Event { conversation: conversation.clone(), seq: 7, prev: 3, entry };
            assert_eq!(event_json(&conversation, 7, 3, &text), serde_json::to_string(&event).unwrap());
        }
    }

    #[test]
    fn a_page_has_room_for_one_entry_of_any_size() {
        let mut room = Room::new(3);
        assert!(room.take(PAGE_BYTES * 2));
        assert!(!room.take(1), "the bytes are used up");
        let mut room = Room::new(2);
        assert_eq!([room.take(1), room.take(1), room.take(1)], [true, true, false]);
    }
}
