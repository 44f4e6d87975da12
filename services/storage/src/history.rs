//! Pages of a conversation's history, in both directions.

use std::collections::VecDeque;

use natter_bus::storage_api::{History, StorageFault};
use natter_ids::Seq;
use natter_protocol::{Event, HistoryPage};

use crate::{
    Store,
    entries::{From, Range, Room, Show},
    hindsight::veil,
    reads::database,
    spans::Span,
    states::Reader,
};

impl Store {
    /// Answers [`History`]: the newest entries, those before a number or those after one, within
    /// the spans of the user's membership.
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub async fn history(&self, asked: &History) -> Result<HistoryPage, StorageFault> {
        let spans = self.visible_spans(&asked.conversation, &asked.user).await?;
        let from = if asked.after.is_some() && asked.before.is_none() { From::Oldest } else { From::Newest };
        let mut ahead = visible(asked, &spans, from);
        let show = if asked.edits { Show::Log } else { Show::Messages };
        let mut room = Room::new(asked.limit);
        let (mut chosen, mut more) = (Vec::new(), false);
        'pages: while !ahead.is_empty() {
            let piece = self.next_ranges(&mut ahead, show, from).await.map_err(database)?;
            let sizes = self.sizes(&piece, show, from, room.entries() + 1).await.map_err(database)?;
            for (range, found) in piece.iter().zip(sizes) {
                let taken: Vec<Seq> =
                    found.iter().take_while(|entry| room.take(entry.bytes)).map(|it| it.seq).collect();
                chosen.extend(between(range, &taken));
                more = taken.len() < found.len();
                if more {
                    break 'pages;
                }
            }
        }
        chosen.sort_by_key(|range| range.after);
        let mut events = self.read_events(&chosen, show).await?;
        events.iter_mut().for_each(|event| veil(event, &spans));
        let reader = Reader { user: &asked.user, block: asked.block.as_ref() };
        self.page(&asked.conversation, reader, events, more, !asked.edits).await
    }

    pub(crate) async fn read_events(&self, ranges: &[Range], show: Show) -> Result<Vec<Event>, StorageFault> {
        let found = self.events(ranges, show).await.map_err(database)?;
        let events = found.iter().map(|found| serde_json::from_str(&found.event)).collect::<Result<Vec<_>, _>>();
        events.map_err(|_| StorageFault::Database)
    }
}

/// What the user may see of what is asked for, in the direction asked for.
fn visible(asked: &History, spans: &[Span], from: From) -> VecDeque<Range> {
    let before = asked.before.map_or(Seq::MAX, |before| before.saturating_sub(1));
    let after = asked.after.unwrap_or(0);
    let range = |span: &Span| Range {
        conversation: asked.conversation.clone(),
        after: after.max(span.joined.saturating_sub(1)),
        upto: before.min(span.left),
    };
    let mut ranges: VecDeque<_> = spans.iter().map(range).filter(|range| range.after < range.upto).collect();
    if from == From::Newest {
        ranges.make_contiguous().reverse();
    }
    ranges
}

/// The part of a range from the first to the last of the entries taken, whatever their order.
fn between(range: &Range, taken: &[Seq]) -> Option<Range> {
    let (first, last) = (taken.iter().min()?, taken.iter().max()?);
    Some(Range { conversation: range.conversation.clone(), after: first.saturating_sub(1), upto: *last })
}
