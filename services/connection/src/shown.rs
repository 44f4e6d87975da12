//! Pages of a conversation's messages as one user sees them: without what they have blocked.

use natter_bus::storage_api::{History, Pinned, StorageRequest};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{BlockView, ErrorBody, HistoryPage};

use crate::{screen::Screen, server::Shared};

/// Entries in a further page, read where nothing of the first one is shown.
const FURTHER: u32 = 1_000;

/// A question whose answer is a page of messages.
pub(crate) trait Paged: StorageRequest<Reply = HistoryPage> {
    /// Most messages in the answer.
    fn limit(&self) -> u32;
    /// Whether it goes from old to new.
    fn is_forward(&self) -> bool;
    /// Asks for what there is without what a block hides.
    fn heed(&mut self, block: Option<BlockView>);
    /// Asks for what follows a page with these ends.
    fn go_on(&mut self, oldest: Seq, newest: Seq, limit: u32);
}

impl Paged for History {
    fn limit(&self) -> u32 {
        self.limit
    }

    fn is_forward(&self) -> bool {
        self.after.is_some()
    }

    fn heed(&mut self, block: Option<BlockView>) {
        self.block = block;
    }

    fn go_on(&mut self, oldest: Seq, newest: Seq, limit: u32) {
        self.limit = limit;
        match self.is_forward() {
            true => self.after = Some(newest),
            false => self.before = Some(oldest),
        }
    }
}

impl Paged for Pinned {
    fn limit(&self) -> u32 {
        self.limit
    }

    fn is_forward(&self) -> bool {
        false
    }

    fn heed(&mut self, block: Option<BlockView>) {
        self.block = block;
    }

    fn go_on(&mut self, oldest: Seq, _: Seq, limit: u32) {
        (self.before, self.limit) = (Some(oldest), limit);
    }
}

impl Shared {
    /// Reads a page, and on where nothing of it is shown: whoever asks for more names an entry of the page,
    /// so there has to be one.
    pub(crate) async fn shown_page<R: Paged>(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        mut asked: R,
    ) -> Result<HistoryPage, ErrorBody> {
        let limit = asked.limit() as usize;
        let blocks = self.blocks_of(user).await?;
        asked.heed(blocks.here(conversation).cloned());
        loop {
            let mut page = self.ask_as_member(user, conversation, &asked).await?;
            let ends = page.events.first().zip(page.events.last()).map(|(first, last)| (first.seq, last.seq));
            Screen::page(&blocks, &mut page);
            cut(&mut page, limit, asked.is_forward());
            let Some((oldest, newest)) = ends.filter(|_| page.more && page.events.is_empty()) else { return Ok(page) };
            asked.go_on(oldest, newest, FURTHER.max(asked.limit()));
        }
    }
}

/// Keeps as many as were asked for: those next to where the page begins.
fn cut(page: &mut HistoryPage, limit: usize, is_forward: bool) {
    let Some(over) = page.events.len().checked_sub(limit).filter(|over| *over > 0) else { return };
    page.more = true;
    match is_forward {
        true => page.events.truncate(limit),
        false => drop(page.events.drain(..over)),
    }
    let shown = |seq| page.events.binary_search_by_key(&seq, |event| event.seq).is_ok();
    page.states.retain(|state| shown(state.seq));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_protocol::{Change, Entry, Event, MessageState};

    use super::*;

    fn page() -> HistoryPage {
        let alice = UserId::new("alice").unwrap();
        let entry = Entry { sender: alice.clone(), client_id: None, time: 0, change: Change::message("x") };
        let conversation = ConversationId::direct(&alice, &UserId::new("bob").unwrap());
        let event = |seq| Event { conversation: conversation.clone(), seq, prev: 0, entry: entry.clone() };
        let state = |seq| MessageState { seq, ..MessageState::default() };
        HistoryPage { events: (1..=4).map(event).collect(), states: [1, 4].map(state).into(), more: false }
    }

    /// What is left of the page, of its states, and whether there is more.
    fn cut_to(limit: usize, is_forward: bool) -> (Vec<Seq>, Vec<Seq>, bool) {
        let mut page = page();
        cut(&mut page, limit, is_forward);
        (
            page.events.iter().map(|event| event.seq).collect(),
            page.states.iter().map(|state| state.seq).collect(),
            page.more,
        )
    }

    #[test]
    fn a_page_holds_what_was_asked_for_and_no_more() {
        assert_eq!(cut_to(4, true), (vec![1, 2, 3, 4], vec![1, 4], false));
        assert_eq!(cut_to(3, true), (vec![1, 2, 3], vec![1], true));
        assert_eq!(cut_to(3, false), (vec![2, 3, 4], vec![4], true));
    }
}
