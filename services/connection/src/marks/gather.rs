//! What waits to be stored: for each user and conversation one mark, the largest that was said. The
//! first goes at once; what follows waits until the gathering time has passed, so that who scrolls
//! through a thousand messages costs a few writes. Pure: told the time.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use natter_bus::storage_api::UserMark;
use natter_ids::{ConversationId, UserId};
use natter_protocol::MarkDraft;
use tokio::time::Instant;

type Key = (ConversationId, UserId);

/// A mark to be stored, and who waits for that.
#[derive(Debug)]
pub(crate) struct Due<W> {
    pub(crate) mark: UserMark,
    pub(crate) waiting: Vec<W>,
}

#[derive(Debug)]
struct Slot<W> {
    /// When it is looked at next: to be stored, or, when nothing waits, to be forgotten.
    at: Instant,
    mark: MarkDraft,
    /// As said last.
    held: bool,
    waiting: Vec<W>,
}

#[derive(Debug)]
pub(crate) struct Gather<W> {
    every: Duration,
    max: usize,
    slots: HashMap<Key, Slot<W>>,
    order: BTreeSet<(Instant, Key)>,
}

impl<W> Gather<W> {
    /// `every`: how often marks of one user in one conversation are stored; `max`: of how many.
    pub(crate) fn new(every: Duration, max: usize) -> Self {
        Self { every, max, slots: HashMap::new(), order: BTreeSet::new() }
    }

    /// Takes a mark in.
    ///
    /// # Errors
    /// There is no room.
    pub(crate) fn add(&mut self, said: UserMark, waits: W, now: Instant) -> Result<(), W> {
        let UserMark { user, conversation, mark, held } = said;
        let key = (conversation, user);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.mark.delivered = slot.mark.delivered.max(mark.delivered);
            slot.mark.read = slot.mark.read.max(mark.read);
            slot.held = held;
            slot.waiting.push(waits);
            return Ok(());
        }
        if self.slots.len() >= self.max {
            return Err(waits);
        }
        self.order.insert((now, key.clone()));
        self.slots.insert(key, Slot { at: now, mark, held, waiting: vec![waits] });
        Ok(())
    }

    /// When there is something to do.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// What is to be stored by now. The next of the same user and conversation is due a gathering
    /// time later.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Due<W>> {
        let mut due = Vec::new();
        while self.order.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, key)) = self.order.pop_first() else { break };
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            if slot.waiting.is_empty() {
                self.slots.remove(&key);
                continue;
            }
            slot.at = now + self.every;
            let mark = std::mem::replace(&mut slot.mark, MarkDraft { delivered: None, read: None });
            let (conversation, user) = key.clone();
            let mark = UserMark { user, conversation, mark, held: slot.held };
            due.push(Due { mark, waiting: std::mem::take(&mut slot.waiting) });
            self.order.insert((slot.at, key));
        }
        due
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(500);

    fn said(name: &str, read: u64) -> UserMark {
        let user = UserId::new(name).unwrap();
        let conversation = ConversationId::direct(&user, &UserId::new("peer").unwrap());
        UserMark { user, conversation, mark: MarkDraft { delivered: None, read: Some(read) }, held: false }
    }

    #[test]
    fn a_thousand_marks_are_a_few_writes_and_everybody_is_answered() {
        let (mut gather, begin) = (Gather::new(EVERY, 10), Instant::now());
        let (mut writes, mut answered) = (Vec::new(), 0);
        let mut now = begin;
        for number in 1..=1_000 {
            now = begin + Duration::from_millis(number * 2);
            // Devices say it in any order.
            gather.add(said("alice", number ^ 1), number, now).unwrap();
            for due in gather.take_due(now) {
                answered += due.waiting.len();
                writes.push(due.mark.mark.read.unwrap());
            }
        }
        assert!(gather.next_due().unwrap() <= now + EVERY, "the last one does not wait for longer");
        let rest = gather.take_due(now + EVERY);
        answered += rest[0].waiting.len();
        writes.push(rest[0].mark.mark.read.unwrap());
        assert_eq!((writes.len(), answered, writes.last()), (5, 1_000, Some(&1_001)));
        assert!(writes.is_sorted());
        assert!(gather.take_due(now + EVERY * 2).is_empty());
        assert_eq!((gather.slots.len(), gather.next_due()), (0, None), "nothing is left behind");
    }

    #[test]
    fn both_numbers_keep_their_largest() {
        let (mut gather, now) = (Gather::new(EVERY, 10), Instant::now());
        let draft = |delivered, read| UserMark { mark: MarkDraft { delivered, read }, ..said("alice", 0) };
        for (delivered, read) in [(Some(7), None), (Some(3), Some(2)), (None, Some(1))] {
            gather.add(draft(delivered, read), (), now).unwrap();
        }
        assert_eq!(gather.take_due(now)[0].mark, draft(Some(7), Some(2)));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut gather, now) = (Gather::new(EVERY, 2), Instant::now());
        for name in ["a", "b"] {
            gather.add(said(name, 1), name, now).unwrap();
        }
        assert_eq!(gather.add(said("c", 1), "c", now), Err("c"));
        gather.add(said("a", 2), "a", now).unwrap();
        assert_eq!(gather.take_due(now).len(), 2);
        assert!(gather.take_due(now + EVERY).is_empty());
        gather.add(said("c", 1), "c", now + EVERY).unwrap();
    }
}
