//! What becomes of messages, and who has read them.

use natter_checker::{Mark, Reader, Source};
use natter_ids::{Seq, UserId};
use natter_protocol::{Change, Event, MessageState, ReactionView};

use super::{Call, Chat, Fate, To};

const EMOJI: [&str; 3] = ["+1", "-1", "?"];

impl Chat {
    /// Some message of a room, by whoever may.
    pub(super) fn change(&mut self, user: usize, room: usize, message: usize, to: &To, fate: Fate) {
        let by = &self.users[user];
        let own = |event: &&Event| matches!(to, To::Reaction(..)) || event.entry.sender == *by;
        let messages = self.log.iter().filter(|event| event.conversation == self.rooms[room].id);
        let messages = messages.filter(|event| matches!(event.entry.change, Change::Message { .. }));
        let fitting: Vec<_> = messages.filter(own).map(|event| event.seq).collect();
        let Some(target) = (!fitting.is_empty()).then(|| fitting[message % fitting.len()]) else { return };
        let change = match to {
            To::Text(text) => Change::Edited { target, text: text.clone(), mentions: Vec::new() },
            To::Nothing => Change::Deleted { target },
            To::Reaction(which, on) => Change::Reacted { target, emoji: EMOJI[*which].to_owned(), on: *on },
        };
        self.say(user, room, change, fate);
    }

    /// Somebody has read something, and who is there is told.
    pub(super) fn read_upto(&mut self, user: usize, room: usize, entry: usize) {
        if self.log.is_empty() || !self.is_member(user, room) {
            return;
        }
        let read = self.log[entry % self.log.len()].seq;
        let known = &mut self.rooms[room].read[user];
        *known = read.max(*known);
        let (reader, conversation) = (self.users[user].clone(), self.rooms[room].id.clone());
        self.calls.push(Call::Reads(Reader { user: reader, conversation, read }));
        for device in 0..self.devices.len() {
            if self.devices[device].online && self.is_member(self.devices[device].user, room) {
                self.tell_mark(device, user, room, false);
            }
        }
    }

    /// A device that comes back asks for what it has missed.
    pub(super) fn tell_marks(&mut self, device: usize) {
        for (user, room) in (0..4).flat_map(|user| (0..3).map(move |room| (user, room))) {
            self.tell_mark(device, user, room, true);
        }
    }

    fn tell_mark(&mut self, device: usize, user: usize, room: usize, asked: bool) {
        let (it, room) = (&self.devices[device], &self.rooms[room]);
        let (told, device, read) = (self.users[it.user].clone(), it.id.clone(), room.read[user]);
        let (user, conversation) = (self.users[user].clone(), room.id.clone());
        self.calls.push(Call::Mark(Mark { told, device, asked, user, conversation, delivered: read + 1, read }));
    }

    /// An entry as the archive holds it.
    pub(super) fn archived(&self, event: &Event) -> Event {
        let mut left = event.clone();
        let of = match event.entry.change {
            Change::Edited { target, .. } => target,
            _ => event.seq,
        };
        if matches!(event.entry.change, Change::Message { .. } | Change::Edited { .. }) && self.is_deleted(of) {
            left.entry.change = Change::Erased { was: event.entry.change.kind().to_owned() };
        }
        left
    }

    /// The entry as whoever resumes gets it: of messages from before they came it says nothing.
    pub(super) fn veiled(&self, source: &Source, mut event: Event) -> Event {
        let (Source::Resume(reader), Some(target)) = (source, event.entry.change.target()) else { return event };
        let user = self.users.iter().position(|user| user == reader).unwrap();
        if !self.may_see(user, &Event { seq: target, ..event.clone() }) {
            event.entry.change = Change::Erased { was: event.entry.change.kind().to_owned() };
        }
        event
    }

    fn is_deleted(&self, seq: Seq) -> bool {
        self.log.iter().any(|event| matches!(event.entry.change, Change::Deleted { target } if target == seq))
    }

    /// Messages as they are now, with what is said besides.
    pub(super) fn as_now(&self, reader: &UserId, archived: Vec<Event>) -> (Vec<Event>, Vec<MessageState>) {
        let is_change = |event: &Event| {
            event.entry.change.target().is_some()
                || matches!(&event.entry.change, Change::Erased { was } if was == "edited")
        };
        let mut events: Vec<_> = archived.into_iter().filter(|event| !is_change(event)).collect();
        let mut states = Vec::new();
        for event in &mut events {
            let Change::Message { text, .. } = &mut event.entry.change else { continue };
            let mut state = MessageState { seq: event.seq, ..MessageState::default() };
            // Who reacted, in the order of the log.
            let mut reactions: Vec<(&str, &UserId)> = Vec::new();
            for later in &self.log {
                match &later.entry.change {
                    Change::Edited { target, text: now, .. } if *target == event.seq => {
                        (*text, state.edited_at) = (now.clone(), Some(later.entry.time));
                    }
                    Change::Reacted { target, emoji, on } if *target == event.seq => {
                        let it = (emoji.as_str(), &later.entry.sender);
                        if !on {
                            reactions.retain(|other| *other != it);
                        } else if !reactions.contains(&it) {
                            reactions.push(it);
                        }
                    }
                    _ => {}
                }
            }
            for (emoji, _) in &reactions {
                if !state.reactions.iter().any(|view| view.emoji == *emoji) {
                    let by: Vec<_> = reactions.iter().filter(|(other, _)| other == emoji).map(|(_, by)| *by).collect();
                    let (count, mine) = (by.len() as u32, by.contains(&reader));
                    state.reactions.push(ReactionView { emoji: (*emoji).to_owned(), count, mine });
                }
            }
            if state.edited_at.is_some() || !state.reactions.is_empty() {
                states.push(state);
            }
        }
        (events, states)
    }
}
