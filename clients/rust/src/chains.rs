//! Tells repeats and holes from what comes next, by the links that events carry.

use std::collections::HashMap;

use natter_ids::{ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::Event;

/// What an event is, given those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The next one.
    Next,
    /// Seen in this session.
    RepeatInSession,
    /// Seen in a session before, and the position presented says so.
    RepeatAcrossSessions,
    /// Something before it is missing.
    Hole,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    seq: Seq,
    session: u64,
}

/// The newest entry seen of every conversation.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    last: HashMap<ConversationId, Link>,
    /// Everything up to here was received before this client began; known from the position it
    /// started with, or from the first `caught_up`.
    baseline: Option<Position>,
    session: u64,
}

impl Chains {
    pub fn new(start: Option<Position>) -> Self {
        Self { baseline: start, ..Self::default() }
    }

    pub fn begin_session(&mut self) {
        self.session += 1;
    }

    /// Whatever comes next begins new chains.
    pub fn forget(&mut self) {
        self.last.clear();
        self.baseline = None;
    }

    /// A new device begins at the position of its first `caught_up`.
    pub fn caught_up(&mut self, position: &Position) {
        self.baseline.get_or_insert_with(|| position.clone());
    }

    /// The newest entry of a conversation that was received; `None` when any may come next.
    pub fn reached(&self, conversation: &ConversationId) -> Option<Seq> {
        let known = self.last.get(conversation).map(|link| link.seq);
        known.or_else(|| {
            let baseline = self.baseline.as_ref()?;
            Some(baseline.get(Partition::of(conversation, baseline.partitions())))
        })
    }

    /// Judges an event; only [`Verdict::Next`] is remembered.
    pub fn judge(&mut self, event: &Event, user: Option<&UserId>) -> Verdict {
        let admitted = || user.is_some_and(|user| event.entry.change.admits(&event.entry.sender, user));
        self.follow(&event.conversation, event.seq, event.prev, admitted)
    }

    /// Judges a link. `admitted` tells whether the chain of links may begin with it.
    pub fn follow(
        &mut self,
        conversation: &ConversationId,
        seq: Seq,
        prev: Seq,
        admitted: impl FnOnce() -> bool,
    ) -> Verdict {
        let known = self.last.get(conversation).copied();
        if let Some(reached) = self.reached(conversation) {
            if seq <= reached {
                let here = known.is_some_and(|link| link.session == self.session);
                return if here { Verdict::RepeatInSession } else { Verdict::RepeatAcrossSessions };
            }
            if prev > reached && !admitted() {
                return Verdict::Hole;
            }
        }
        self.last.insert(conversation.clone(), Link { seq, session: self.session });
        Verdict::Next
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use natter_protocol::{Change, Entry};

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn event(seq: Seq, prev: Seq, change: Change) -> Event {
        let conversation = ConversationId::direct(&user("alice"), &user("bob"));
        Event { conversation, seq, prev, entry: Entry { sender: user("bob"), client_id: None, time: 0, change } }
    }

    fn text(seq: Seq, prev: Seq) -> Event {
        event(seq, prev, Change::message("x"))
    }

    #[test]
    fn links_are_followed() {
        let mut chains = Chains::new(None);
        chains.begin_session();
        assert_eq!(chains.judge(&text(5, 4), None), Verdict::Next, "a new device may begin anywhere");
        assert_eq!(chains.judge(&text(9, 5), None), Verdict::Next);
        assert_eq!(chains.judge(&text(9, 5), None), Verdict::RepeatInSession);
        assert_eq!(chains.judge(&text(20, 12), None), Verdict::Hole);
        assert_eq!(chains.judge(&text(12, 9), None), Verdict::Next, "a hole is not remembered");
        chains.begin_session();
        assert_eq!(chains.judge(&text(12, 9), None), Verdict::RepeatAcrossSessions);
        assert_eq!(chains.judge(&text(20, 12), None), Verdict::Next);
    }

    #[test]
    fn the_start_position_begins_every_chain() {
        let mut chains = Chains::new(Some(Position::from_seqs([10_u64])));
        assert_eq!(chains.judge(&text(10, 3), None), Verdict::RepeatAcrossSessions);
        assert_eq!(chains.judge(&text(15, 12), None), Verdict::Hole);
        assert_eq!(chains.judge(&text(12, 7), None), Verdict::Next);
    }

    #[test]
    fn coming_back_into_a_group_begins_a_chain() {
        let mut chains = Chains::new(Some(Position::from_seqs([10_u64])));
        let alice = user("alice");
        let added = |seq, prev| event(seq, prev, Change::MemberAdded { user: user("alice") });
        assert_eq!(chains.judge(&added(30, 20), Some(&alice)), Verdict::Next);
        assert_eq!(chains.judge(&text(31, 30), Some(&alice)), Verdict::Next);
        assert_eq!(chains.judge(&added(50, 40), Some(&user("carol"))), Verdict::Hole, "somebody else's admission");
        assert_eq!(chains.judge(&added(50, 40), Some(&alice)), Verdict::Next);
    }
}
