//! Messages as they are in the end: what their changes make of them, in the order of the log.

use std::collections::{BTreeMap, HashMap, HashSet};

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Event, MessageState, Past, REACTIONS_MAX, ReactionView};

use super::{
    index::{Index, Reading, Room},
    readings::violation,
};
use crate::{Mismatch, Source, Violation};

pub(super) fn check(index: &Index<'_>, violations: &mut Vec<Violation>) {
    let mut folded: HashMap<&ConversationId, Folded<'_>> = HashMap::new();
    for reading in &index.readings {
        let conversation = &reading.place.conversation;
        let Some(room) = index.rooms.get(conversation) else { continue };
        let folded = folded.entry(conversation).or_insert_with(|| Folded::of(conversation, room));
        let own = reading.events.iter().filter(|event| event.conversation == *conversation);
        let wrong = own.filter_map(|event| Some(violation(reading, event.seq, folded.text(reading, room, event)?)));
        violations.extend(wrong);
        if let Source::History(reader) = &reading.place.source {
            violations.extend(folded.states(reading, reader).map(|seq| violation(reading, seq, Mismatch::OtherState)));
        }
    }
}

/// Whether an entry only changes a message, so that it has no place of its own in history.
pub(super) fn only_changes(change: &Change) -> bool {
    match change {
        Change::Edited { .. } | Change::Deleted { .. } | Change::Reacted { .. } => true,
        Change::Erased { was } => ["edited", "deleted", "reacted"].contains(&was.as_str()),
        _ => false,
    }
}

/// A message after some of the entries behind it.
struct Message<'a> {
    sender: &'a UserId,
    /// Absent where nobody saw it before it was deleted.
    text: Option<&'a str>,
    edited_at: Option<u64>,
    /// By emoji and user, the entry that put it there.
    reactions: BTreeMap<(&'a str, &'a UserId), Seq>,
}

#[derive(Default)]
struct Folded<'a> {
    messages: HashMap<Seq, Message<'a>>,
    deleted: HashSet<Seq>,
    /// Changes, and their messages.
    targets: HashMap<Seq, Seq>,
    /// Whether the group has ever shown its past: then who came later may see anything of it.
    shows_past: bool,
}

impl<'a> Folded<'a> {
    fn of(conversation: &ConversationId, room: &Room<'a>) -> Self {
        let mut folded = Self::default();
        for versions in room.versions.values() {
            let mut as_made = versions.iter().filter(|it| it.forged.is_none() && !it.as_now).map(|it| it.event);
            let first = as_made.clone().next();
            let complete = as_made.find(|event| !matches!(event.entry.change, Change::Erased { .. }));
            if let Some(event) = complete.or(first) {
                folded.take_in(conversation, event);
            }
        }
        folded
    }

    fn take_in(&mut self, conversation: &ConversationId, Event { seq, entry, .. }: &'a Event) {
        if let Some(target) = entry.change.target() {
            self.targets.insert(*seq, target);
        }
        match &entry.change {
            Change::GroupChanged { patch } => self.shows_past |= patch.past == Some(Past::All),
            Change::Message { text, .. } => self.begin(*seq, &entry.sender, Some(text)),
            Change::Erased { was } if was == "message" => self.begin(*seq, &entry.sender, None),
            Change::Edited { target, text, .. } => {
                if let Some(message) = self.messages.get_mut(target).filter(|it| *it.sender == entry.sender) {
                    (message.text, message.edited_at) = (Some(text.as_str()), Some(entry.time));
                }
            }
            Change::Deleted { target } => {
                // In a group others may, too, by a role that this history does not tell of.
                let may = |it: &Message<'_>| *it.sender == entry.sender || !conversation.is_direct();
                if self.messages.get(target).is_some_and(may) {
                    self.messages.remove(target);
                    self.deleted.insert(*target);
                }
            }
            Change::Reacted { target, emoji, on } => {
                if let Some(message) = self.messages.get_mut(target) {
                    message.react(emoji, &entry.sender, *on, *seq);
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, seq: Seq, sender: &'a UserId, text: Option<&'a str>) {
        let (edited_at, reactions) = (None, BTreeMap::new());
        self.messages.insert(seq, Message { sender, text, edited_at, reactions });
    }

    /// What is wrong with the text of an entry as it was read.
    fn text(&self, reading: &Reading<'_>, room: &Room<'_>, event: &Event) -> Option<Mismatch> {
        let of = self.targets.get(&event.seq).copied().unwrap_or(event.seq);
        let deleted = self.deleted.contains(&of);
        // What changes a message of a time at which the reader was no member says nothing of it.
        let hidden = of != event.seq && !self.shows_past && !may_see(reading, room, of);
        match &event.entry.change {
            Change::Erased { .. } if hidden => None,
            Change::Message { .. } | Change::Edited { .. } if deleted => Some(Mismatch::KeepsDeleted),
            // Of a change that nobody saw otherwise it is not known of what it was.
            Change::Erased { was } if !deleted && (was == "message" || of != event.seq) => Some(Mismatch::LacksText),
            change if hidden && change.target().is_some() => Some(Mismatch::Leaks),
            Change::Message { text, .. } if reading.shows_as_now() => {
                let now = self.messages.get(&event.seq).and_then(|message| message.text)?;
                (now != text).then_some(Mismatch::OtherText)
            }
            _ => None,
        }
    }

    /// The messages of a reading whose state is told wrongly.
    fn states(&self, reading: &Reading<'_>, reader: &UserId) -> impl Iterator<Item = Seq> {
        let told: HashMap<Seq, &MessageState> = reading.states.iter().map(|state| (state.seq, *state)).collect();
        let wrong = |seq: &Seq| {
            let told = told.get(seq).map(|state| (state.edited_at, state.reactions.clone()));
            let expected = self.messages.get(seq).map(|message| (message.edited_at, message.reactions_to(reader)));
            told.unwrap_or_default() != expected.unwrap_or_default()
        };
        let shown: HashSet<Seq> = reading.events.iter().map(|event| event.seq).chain(told.keys().copied()).collect();
        let mut wrong: Vec<Seq> = shown.into_iter().filter(wrong).collect();
        wrong.sort_unstable();
        wrong.into_iter()
    }
}

fn may_see(reading: &Reading<'_>, room: &Room<'_>, seq: Seq) -> bool {
    match &reading.place.source {
        Source::Archive => true,
        Source::History(user) | Source::Resume(user) => room.is_member(user, seq),
    }
}

impl<'a> Message<'a> {
    fn react(&mut self, emoji: &'a str, user: &'a UserId, on: bool, seq: Seq) {
        if !on {
            self.reactions.remove(&(emoji, user));
            return;
        }
        let different: HashSet<_> = self.reactions.keys().map(|(emoji, _)| *emoji).collect();
        if different.contains(emoji) || different.len() < REACTIONS_MAX {
            self.reactions.entry((emoji, user)).or_insert(seq);
        }
    }

    /// In the order in which each emoji came first, of those that are there.
    fn reactions_to(&self, reader: &UserId) -> Vec<ReactionView> {
        let mut views: Vec<(Seq, ReactionView)> = Vec::new();
        for (&(emoji, user), &seq) in &self.reactions {
            let place = views.iter().position(|(_, view)| view.emoji == emoji).unwrap_or_else(|| {
                views.push((seq, ReactionView { emoji: emoji.to_owned(), count: 0, mine: false }));
                views.len() - 1
            });
            let (first, view) = &mut views[place];
            *first = seq.min(*first);
            view.count += 1;
            view.mine |= user == reader;
        }
        views.sort_by_key(|(first, _)| *first);
        views.into_iter().map(|(_, view)| view).collect()
    }
}
