//! What was tried to be sent, and what came of it.

use std::collections::HashMap;

use natter_ids::{ClientId, Seq};
use natter_protocol::{Change, Event};

use crate::{Attempt, Forgery, Outcome};

/// One message or change: all attempts to send the same under the same id.
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

    /// Finds what was tried for an entry that somebody received: as it was sent, or, where messages are
    /// shown `as_now`, with the text of an edit.
    pub fn origin(&self, event: &Event, as_now: bool) -> Result<(), Forgery> {
        let change = &event.entry.change;
        if !is_tried(change) {
            return Ok(());
        }
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
        let fits = |it: &&&Try<'_>| match (&it.attempt.change, change) {
            (tried, Change::Erased { was }) => tried.kind() == was,
            (Change::Message { .. }, Change::Message { text, .. }) if as_now && it.attempt.change != *change => {
                self.edits(event, text)
            }
            (tried, got) => tried == got,
        };
        let tried = here.find(fits).ok_or(Forgery::OtherContent)?;
        if tried.is_refused() { Err(Forgery::Refused) } else { Ok(()) }
    }

    /// Whether the sender of a message has tried to give it this text.
    fn edits(&self, message: &Event, to: &str) -> bool {
        self.all.iter().any(|it| {
            let Attempt { sender, conversation, change, .. } = it.attempt;
            (sender, conversation) == (&message.entry.sender, &message.conversation)
                && matches!(change, Change::Edited { target, text, .. } if *target == message.seq && text == to)
        })
    }
}

/// Whether only a client that said so can have caused it: messages and changes of them. The rest, such
/// as members, is not recorded when it is tried.
fn is_tried(change: &Change) -> bool {
    matches!(
        change,
        Change::Message { .. }
            | Change::Edited { .. }
            | Change::Deleted { .. }
            | Change::Reacted { .. }
            | Change::Erased { .. }
    )
}
