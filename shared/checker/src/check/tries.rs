//! What was tried to be sent, and what came of it.

use std::collections::HashMap;

use natter_ids::{ClientId, Seq};
use natter_protocol::{Change, Event};

use crate::{Attempt, Forgery, Outcome};

/// One message: all attempts to send the same text under the same id.
pub(super) struct Try<'a> {
    pub attempt: &'a Attempt,
    /// When it was attempted first: the place of that record in the history.
    pub tried_at: usize,
    /// When it was accepted first, and under which number.
    pub accepted: Option<(usize, Seq)>,
    /// Further acceptances, under other numbers.
    pub accepted_again: Vec<Seq>,
    /// When it was attempted last, and when that was answered, in milliseconds.
    pub asked_ms: u64,
    pub answered_ms: Option<u64>,
    /// When it was accepted first, in milliseconds.
    pub accepted_ms: Option<u64>,
    /// Attempts without a known end.
    open: u32,
    refused: bool,
}

impl Try<'_> {
    /// Whether nobody may ever receive it. A refusal says nothing about an earlier attempt that
    /// nobody answered.
    fn is_refused(&self) -> bool {
        self.refused && self.open == 0 && self.accepted.is_none()
    }
}

#[derive(Default)]
pub(super) struct Tries<'a> {
    all: Vec<Try<'a>>,
    by_id: HashMap<ClientId, Vec<usize>>,
    newest: HashMap<ClientId, usize>,
}

impl<'a> Tries<'a> {
    pub fn attempt(&mut self, attempt: &'a Attempt, now: usize, ms: u64) {
        let same_id = self.by_id.entry(attempt.client_id).or_default();
        let known = same_id.iter().copied().find(|index| self.all[*index].attempt == attempt);
        let index = known.unwrap_or_else(|| {
            let (accepted, accepted_again) = (None, Vec::new());
            self.all.push(Try {
                attempt,
                tried_at: now,
                accepted,
                accepted_again,
                asked_ms: ms,
                answered_ms: None,
                accepted_ms: None,
                open: 0,
                refused: false,
            });
            same_id.push(self.all.len() - 1);
            self.all.len() - 1
        });
        let tried = &mut self.all[index];
        tried.open += 1;
        (tried.asked_ms, tried.answered_ms) = (ms, None);
        self.newest.insert(attempt.client_id, index);
    }

    /// An outcome of what was never attempted belongs nowhere and is left out.
    pub fn outcome(&mut self, client_id: ClientId, outcome: Outcome, now: usize, ms: u64) {
        let Some(index) = self.newest.get(&client_id) else { return };
        let tried = &mut self.all[*index];
        tried.answered_ms = Some(ms);
        match outcome {
            Outcome::Accepted { seq } => {
                tried.open = tried.open.saturating_sub(1);
                tried.accepted_ms.get_or_insert(ms);
                match tried.accepted {
                    None => tried.accepted = Some((now, seq)),
                    Some((_, first)) if first != seq => tried.accepted_again.push(seq),
                    Some(_) => {}
                }
            }
            Outcome::Refused => {
                tried.open = tried.open.saturating_sub(1);
                tried.refused = true;
            }
            // It stays open for ever.
            Outcome::Unknown => {}
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Try<'a>> {
        self.all.iter()
    }

    /// Finds what was tried for a message that somebody received.
    pub fn origin(&self, event: &Event) -> Result<(), Forgery> {
        let Change::Message { text, .. } = &event.entry.change else { return Ok(()) };
        let same_id = event.entry.client_id.and_then(|id| self.by_id.get(&id)).ok_or(Forgery::NeverAttempted)?;
        let of_sender: Vec<_> = same_id
            .iter()
            .map(|index| &self.all[*index])
            .filter(|it| it.attempt.sender == event.entry.sender)
            .collect();
        if of_sender.is_empty() {
            return Err(Forgery::NeverAttempted);
        }
        let mut here = of_sender.iter().filter(|it| it.attempt.conversation == event.conversation).peekable();
        here.peek().ok_or(Forgery::OtherConversation)?;
        let tried = here.find(|it| it.attempt.text == *text).ok_or(Forgery::OtherText)?;
        if tried.is_refused() { Err(Forgery::Refused) } else { Ok(()) }
    }
}
