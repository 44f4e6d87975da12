//! Messages of one's own between Enter and their place in the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use natter_ids::ClientId;

/// After how long a message that is not back is shown as being sent; most are back sooner.
const SHOW_AFTER: Duration = Duration::from_millis(300);
/// How long the event of an accepted message may take before the answer alone counts.
const EVENT_WITHIN: Duration = Duration::from_secs(1);
/// Most messages that wait; more are refused.
const WAITING_MAX: usize = 100;

#[derive(Debug)]
struct Waiting {
    text: String,
    since: Instant,
    shown: bool,
    accepted: Option<(Instant, u64)>,
}

/// What to show.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is on its way.
    Sending(ClientId, String),
    /// It is stored, accepted at this time; its event has not come.
    Stored(ClientId, String, u64),
}

/// The messages that are not on the screen as stored yet. Ids sort by time.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: BTreeMap<ClientId, Waiting>,
    /// Shown as stored before their event came.
    early: BTreeSet<ClientId>,
}

impl Outbox {
    /// Takes a message; `false`: too many wait.
    pub fn add(&mut self, id: ClientId, text: String, now: Instant) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        self.waiting.insert(id, Waiting { text, since: now, shown: false, accepted: None });
        true
    }

    /// The log has stored it, at this time.
    pub fn accepted(&mut self, id: ClientId, time: u64, now: Instant) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.accepted = Some((now, time));
        }
    }

    /// It will not be stored; returns its text.
    pub fn refused(&mut self, id: ClientId) -> Option<String> {
        self.waiting.remove(&id).map(|waiting| waiting.text)
    }

    /// Its event has come; whether it is to be shown.
    pub fn arrived(&mut self, id: ClientId) -> bool {
        self.waiting.remove(&id);
        !self.early.remove(&id)
    }

    /// How many are not stored, as far as is known.
    pub fn unconfirmed(&self) -> usize {
        self.waiting.len()
    }

    /// What is to be shown by now.
    pub fn due(&mut self, now: Instant) -> Vec<Shown> {
        let mut due = Vec::new();
        for (id, waiting) in &mut self.waiting {
            match waiting.accepted {
                Some((at, time)) if now >= at + EVENT_WITHIN => {
                    due.push(Shown::Stored(*id, waiting.text.clone(), time));
                    self.early.insert(*id);
                }
                None if !waiting.shown && now >= waiting.since + SHOW_AFTER => {
                    waiting.shown = true;
                    due.push(Shown::Sending(*id, waiting.text.clone()));
                }
                _ => {}
            }
        }
        self.waiting.retain(|id, _| !self.early.contains(id));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_message_is_shown_once_as_stored() {
        let (mut outbox, now, id) = (Outbox::default(), Instant::now(), ClientId::now());
        assert!(outbox.add(id, "hi".into(), now));
        assert_eq!(outbox.due(now + SHOW_AFTER / 2), []);
        outbox.accepted(id, 5, now);
        assert!(outbox.arrived(id));
        assert_eq!((outbox.unconfirmed(), outbox.due(now + EVENT_WITHIN * 2)), (0, vec![]));
    }

    #[test]
    fn a_slow_message_is_shown_as_being_sent_once() {
        let (mut outbox, now, id) = (Outbox::default(), Instant::now(), ClientId::now());
        outbox.add(id, "hi".into(), now);
        assert_eq!(outbox.due(now + SHOW_AFTER), [Shown::Sending(id, "hi".into())]);
        assert_eq!(outbox.due(now + SHOW_AFTER * 2), []);
        assert_eq!(outbox.refused(id).as_deref(), Some("hi"));
    }

    #[test]
    fn the_answer_alone_counts_when_the_event_is_late() {
        let (mut outbox, now, id) = (Outbox::default(), Instant::now(), ClientId::now());
        outbox.add(id, "hi".into(), now);
        outbox.accepted(id, 5, now);
        assert_eq!(outbox.due(now + EVENT_WITHIN), [Shown::Stored(id, "hi".into(), 5)]);
        assert_eq!(outbox.unconfirmed(), 0);
        assert!(!outbox.arrived(id), "it would be shown twice");
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        assert!((0..WAITING_MAX).all(|_| outbox.add(ClientId::now(), String::new(), now)));
        assert!(!outbox.add(ClientId::now(), String::new(), now));
    }
}
