//! Leaves out what somebody who is blocked says in a direct conversation, and keeps the links between the rest
//! whole: an event never refers to one that is not shown.

use std::collections::HashMap;

use natter_bus::users::Blocks;
use natter_ids::{ConversationId, Seq};
use natter_protocol::{Event, HistoryPage};

/// How the JSON of an event in a direct conversation begins.
const DIRECT: &str = "{\"conversation\":\"d";

/// What to do with an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is shown as it is.
    AsItIs,
    /// It is shown as this JSON.
    As(String),
    /// It is left out.
    Not,
}

/// Events in order, as one device sees them.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Where somebody is or was blocked: the newest entry, and the newest that was shown; 0: none that is known.
    last: HashMap<ConversationId, (Seq, Seq)>,
}

impl Screen {
    /// Judges the next event, by its JSON.
    pub(crate) fn show(&mut self, blocks: &Blocks, json: &str) -> Shown {
        if blocks.is_empty() || !json.starts_with(DIRECT) {
            return Shown::AsItIs;
        }
        let Ok(mut event) = serde_json::from_str::<Event>(json) else { return Shown::AsItIs };
        let prev = event.prev;
        if !self.takes(blocks, &mut event, false) {
            return Shown::Not;
        }
        match event.prev == prev {
            true => Shown::AsItIs,
            false => serde_json::to_string(&event).map_or(Shown::AsItIs, Shown::As),
        }
    }

    /// Leaves out of events what is not shown.
    pub(crate) fn events(blocks: &Blocks, events: &mut Vec<Event>) {
        let mut screen = Self::default();
        if !blocks.is_empty() {
            events.retain_mut(|event| screen.takes(blocks, event, false));
        }
    }

    /// Leaves out of a page what is not shown. Storage tells how messages were before somebody blocked has changed
    /// them; one that comes edited since, from storage of the release before, is left out too.
    pub(crate) fn page(blocks: &Blocks, page: &mut HistoryPage) {
        if blocks.is_empty() {
            return;
        }
        let (mut screen, states) = (Self::default(), &page.states);
        page.events.retain_mut(|event| {
            let Some(block) = blocks.here(&event.conversation) else { return screen.takes(blocks, event, false) };
            let state = states.iter().find(|state| state.seq == event.seq);
            let edited = state.and_then(|state| state.edited_at).is_some_and(|at| at >= block.since);
            screen.takes(blocks, event, edited && event.entry.sender == block.user)
        });
        let shown = |seq| page.events.iter().any(|event| event.seq == seq);
        page.states.retain(|state| shown(state.seq));
    }

    /// Whether an event is shown, which it is not if it is `changed`; its link leads to one that was shown, or
    /// nowhere.
    fn takes(&mut self, blocks: &Blocks, event: &mut Event, changed: bool) -> bool {
        let block = blocks.here(&event.conversation);
        if block.is_none() && !blocks.had(&event.conversation) {
            return true;
        }
        let known = self.last.get(&event.conversation).copied();
        let prev = known.filter(|(newest, _)| *newest == event.prev).map_or(0, |(_, shown)| shown);
        let hidden = changed || block.is_some_and(|block| event.entry.sender == block.user && event.seq > block.after);
        let shown = if hidden { prev } else { event.seq };
        self.last.insert(event.conversation.clone(), (event.seq, shown));
        event.prev = prev;
        !hidden
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_ids::UserId;
    use natter_protocol::{BlockView, Change, Entry, MessageState};

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn event(peer: &str, sender: &str, seq: Seq, prev: Seq) -> Event {
        let entry = Entry { sender: user(sender), client_id: None, time: 0, change: Change::message("x") };
        Event { conversation: ConversationId::direct(&user("alice"), &user(peer)), seq, prev, entry }
    }

    fn blocks() -> Blocks {
        let mut blocks = Blocks::default();
        let conversation = ConversationId::direct(&user("alice"), &user("bob"));
        blocks.block(BlockView { user: user("bob"), conversation, after: 10, since: 0 });
        blocks
    }

    /// What is shown, as numbers and links.
    fn shown(screen: &mut Screen, blocks: &Blocks, events: &[Event]) -> Vec<(Seq, Seq)> {
        let mut all = Vec::new();
        for event in events {
            let json = serde_json::to_string(event).unwrap();
            match screen.show(blocks, &json) {
                Shown::Not => {}
                Shown::AsItIs => all.push((event.seq, event.prev)),
                Shown::As(json) => {
                    let event: Event = serde_json::from_str(&json).unwrap();
                    all.push((event.seq, event.prev));
                }
            }
        }
        all
    }

    #[test]
    fn what_somebody_blocked_says_is_left_out_and_links_stay_whole() {
        let (blocks, mut screen) = (blocks(), Screen::default());
        let events = [
            event("bob", "bob", 9, 8),
            event("bob", "alice", 12, 9),
            event("bob", "bob", 14, 12),
            event("carol", "carol", 15, 3),
            event("bob", "bob", 16, 14),
            event("bob", "alice", 17, 16),
            event("bob", "alice", 20, 17),
        ];
        // The first one links to nothing that this session has seen; nobody else is concerned.
        assert_eq!(shown(&mut screen, &blocks, &events), [(9, 0), (12, 9), (15, 3), (17, 12), (20, 17)]);
    }

    #[test]
    fn a_session_that_never_saw_what_was_left_out_has_no_hole_once_the_block_is_lifted() {
        let mut blocks = blocks();
        assert!(blocks.unblock(&user("bob"), 1));
        let events = [event("bob", "bob", 21, 16), event("bob", "bob", 22, 21)];
        assert_eq!(shown(&mut Screen::default(), &blocks, &events), [(21, 0), (22, 21)]);
    }

    #[test]
    fn without_blocks_nothing_is_touched() {
        let json = serde_json::to_string(&event("bob", "bob", 14, 12)).unwrap();
        assert_eq!(Screen::default().show(&Blocks::default(), &json), Shown::AsItIs);
        assert!(json.starts_with(DIRECT), "{json}");
        let mut page = vec![event("bob", "bob", 9, 8), event("bob", "bob", 14, 9), event("bob", "alice", 15, 14)];
        Screen::events(&blocks(), &mut page);
        assert_eq!(page.iter().map(|event| event.seq).collect::<Vec<_>>(), [9, 15]);
    }

    #[test]
    fn what_was_edited_since_is_not_shown_either() {
        let state = |seq, edited_at| MessageState { seq, edited_at: Some(edited_at), ..MessageState::default() };
        let mut blocks = Blocks::default();
        let conversation = ConversationId::direct(&user("alice"), &user("bob"));
        blocks.block(BlockView { user: user("bob"), conversation, after: 10, since: 500 });
        let events = vec![
            event("bob", "bob", 7, 0),
            event("bob", "bob", 8, 7),
            event("bob", "alice", 9, 8),
            event("bob", "bob", 10, 9),
        ];
        let states = vec![state(7, 400), state(8, 600), state(9, 600)];
        let mut page = HistoryPage { events, states, more: false };
        Screen::page(&blocks, &mut page);
        let links: Vec<_> = page.events.iter().map(|event| (event.seq, event.prev)).collect();
        assert_eq!(links, [(7, 0), (9, 7), (10, 9)]);
        assert_eq!(page.states.iter().map(|state| state.seq).collect::<Vec<_>>(), [7, 9]);
    }
}
