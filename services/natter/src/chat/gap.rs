//! What may have been said between the history that was read and the first event that came live.
//!
//! A device without a position begins at the present, which is where its session says that it has caught up; so
//! the end of the history is read after that, and what comes meanwhile waits for it.

use std::time::Duration;

use natter_client::RequestError;
use natter_ids::{ConversationId, Seq};
use natter_protocol::{Event, HistoryPage};

use super::{answers::Answer, requests, session::Session};

/// Most events that wait for the history; then they are shown without it.
const HELD_MAX: usize = 1_000;

/// How often the archive is asked for what the event that waits follows; it may have been nothing that is shown.
const TRIES: u32 = 3;
/// How long it is given to come after.
const AGAIN: Duration = Duration::from_millis(200);

/// Whether something may be missing, and what waits until it is read.
#[derive(Debug, Default)]
pub struct Gap {
    open: bool,
    /// Whether the position was refused, after something was shown.
    refused: bool,
    /// Whether the session has begun at the present, so that what is missing can be read.
    caught_up: bool,
    held: Vec<Event>,
    /// How often the archive was asked that may have been behind.
    tries: u32,
    /// Counts the questions: only the answer to the last one counts.
    asked: u64,
    /// Whether the next event has to follow what is shown: the archive may have been behind.
    unproven: bool,
}

impl Gap {
    /// Of a visit that begins without a position, or with one.
    pub fn new(without_position: bool) -> Self {
        Self { open: without_position, ..Self::default() }
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The gateway does not know the position: the device begins at the present again.
    pub fn refused(&mut self) {
        (self.open, self.refused, self.caught_up) = (true, true, false);
        self.asked += 1;
    }

    pub fn caught_up(&mut self) {
        self.caught_up = true;
    }

    /// Whether to ask for what is missing; the number of the question.
    fn ask(&mut self) -> Option<u64> {
        (self.open && self.caught_up).then(|| {
            self.asked += 1;
            self.asked
        })
    }

    /// Takes an event of the open conversation that comes after `newest`: gives it back when it can be shown.
    fn take(&mut self, event: Event, newest: Option<Seq>) -> Option<Event> {
        if std::mem::take(&mut self.unproven) && newest.is_some_and(|newest| event.prev > newest) {
            self.open = true;
        }
        if !self.open {
            return Some(event);
        }
        self.held.push(event);
        None
    }

    /// Whether to ask once more: something before what waits is not there yet.
    fn lacks(&mut self, of: &ConversationId, newest: Seq) -> bool {
        self.tries += 1;
        let first = self.held.iter().find(|event| event.conversation == *of);
        self.tries <= TRIES && first.is_some_and(|event| event.prev > newest)
    }

    fn is_full(&self) -> bool {
        self.held.len() >= HELD_MAX
    }

    /// What waited, once what was missing is known.
    fn close(&mut self) -> Vec<Event> {
        (self.open, self.refused, self.tries) = (false, false, 0);
        std::mem::take(&mut self.held)
    }
}

impl Session {
    /// Takes an event in.
    pub(super) fn heard(&mut self, event: Event) {
        if !self.entered && !self.gap.is_open() {
            return self.missed.note(event, &self.style.me);
        }
        let here = self.transcript.as_ref().filter(|transcript| transcript.conversation == event.conversation);
        let newest = here.and_then(super::transcript::Transcript::newest);
        // Elsewhere nothing is shown that could lack anything.
        if self.entered && here.is_none() {
            return self.show(&event);
        }
        let was_open = self.gap.is_open();
        if let Some(event) = self.gap.take(event, newest) {
            self.show(&event);
        } else if self.gap.is_full() {
            self.close_gap();
        } else if !was_open {
            self.read_gap();
        }
    }

    /// Reads what may be missing, as soon as that can be known.
    pub(super) fn read_gap(&mut self) {
        if !self.entered {
            return;
        }
        let Some(number) = self.gap.ask() else { return };
        let Some(transcript) = &self.transcript else { return self.close_gap() };
        let (here, newest) = (transcript.conversation.clone(), transcript.newest().unwrap_or(0));
        let wait = if self.gap.tries > 0 { AGAIN } else { Duration::ZERO };
        self.ask(|client| async move {
            tokio::time::sleep(wait).await;
            Answer::Filled(number, requests::since(&client, &here, newest).await)
        });
    }

    /// Shows what was missing, then what waited for it.
    pub(super) fn filled(&mut self, number: u64, read: Result<HistoryPage, RequestError>) {
        if number != self.gap.asked || !self.gap.is_open() {
            return;
        }
        match read {
            Ok(page) => {
                if let Some(transcript) = self.transcript.as_mut().filter(|_| self.gap.refused) {
                    transcript.ends_with(&page);
                }
                self.show_page(&page);
                let shown = self.transcript.as_ref().map(|it| (&it.conversation, it.newest().unwrap_or(0)));
                if shown.is_some_and(|(here, newest)| self.gap.lacks(here, newest)) {
                    return self.read_gap();
                }
            }
            Err(error) => self.fail(&format!("what was said lately cannot be read ({error}); /history shows it")),
        }
        self.close_gap();
        self.gap.unproven = true;
    }

    fn close_gap(&mut self) {
        for event in self.gap.close() {
            if self.entered {
                self.show(&event);
            } else {
                self.missed.note(event, &self.style.me);
            }
        }
        self.keep_place();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_ids::{ConversationId, UserId};
    use natter_protocol::{Change, Entry};

    use super::*;

    fn event(seq: Seq, prev: Seq) -> Event {
        let user = |name: &str| UserId::new(name).unwrap();
        let entry = Entry { sender: user("bob"), client_id: None, time: 0, change: Change::message("x") };
        Event { conversation: ConversationId::direct(&user("alice"), &user("bob")), seq, prev, entry }
    }

    #[test]
    fn without_a_position_events_wait_for_the_history() {
        let mut gap = Gap::new(true);
        assert_eq!(gap.ask(), None, "what is missing is not known before the session has caught up");
        gap.caught_up();
        assert_eq!(gap.ask(), Some(1));
        assert_eq!(gap.take(event(5, 4), Some(3)), None);
        assert_eq!(gap.close(), [event(5, 4)]);
        assert_eq!(gap.take(event(6, 5), Some(5)), Some(event(6, 5)));
        let mut gap = Gap::new(false);
        gap.caught_up();
        assert_eq!(gap.ask(), None, "a device with a position is told what it missed");
        assert_eq!(gap.take(event(6, 5), Some(3)), Some(event(6, 5)));
    }

    #[test]
    fn an_archive_that_is_behind_is_asked_a_few_times() {
        let mut gap = Gap::new(true);
        gap.caught_up();
        let here = event(1, 0).conversation;
        assert!(!gap.lacks(&here, 3), "nothing tells of more");
        gap.close();
        gap.open = true;
        gap.take(event(5, 4), Some(3));
        assert!(!gap.lacks(&here, 4), "it is there");
        let asked = (0..10).take_while(|_| gap.lacks(&here, 3)).count();
        assert_eq!(asked, TRIES as usize - 1, "entry 4 may be one that is not shown");
    }

    #[test]
    fn a_refused_position_is_a_gap_too() {
        let mut gap = Gap::new(false);
        gap.caught_up();
        gap.refused();
        assert_eq!(gap.ask(), None);
        gap.caught_up();
        assert_eq!(gap.ask(), Some(2));
    }

    #[test]
    fn what_comes_later_may_show_that_something_is_missing() {
        let mut gap = Gap::new(true);
        gap.caught_up();
        gap.close();
        gap.unproven = true;
        assert_eq!(gap.take(event(9, 8), Some(7)), None);
        assert!(gap.is_open());
        assert_eq!(gap.close(), [event(9, 8)]);
        assert_eq!(gap.take(event(12, 11), Some(9)), Some(event(12, 11)));
        gap.unproven = true;
        assert_eq!(gap.take(event(13, 12), Some(12)), Some(event(13, 12)));
    }
}
