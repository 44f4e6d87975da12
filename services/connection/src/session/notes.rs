//! Notes for a client: marks and settings. While the client takes nothing, only the newest of each
//! is kept, so that what waits is bounded by what there is to know, and at last by a number. Pure.

use std::collections::HashMap;

use natter_bus::Note;
use natter_ids::{ConversationId, UserId};
use natter_protocol::{ArrangementView, MarkView, MarksView, ServerFrame, SettingsView};

/// Most marks and arrangements that wait for a client. Who lets more than this gather does not read.
const WAITING_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Notes {
    marks: HashMap<ConversationId, HashMap<UserId, MarkView>>,
    /// How many marks and arrangements there are.
    waiting: usize,
    arranged: HashMap<ConversationId, ArrangementView>,
    settings: Option<SettingsView>,
}

impl Notes {
    /// Takes a note in; `false`: there is no room for it.
    #[must_use]
    pub(crate) fn add(&mut self, note: Note) -> bool {
        match note {
            Note::Settings(settings) => self.settings = Some(settings),
            Note::Arrangement(arranged) => {
                let before = self.arranged.insert(arranged.conversation.clone(), arranged);
                self.waiting += usize::from(before.is_none());
            }
            Note::Marks(MarksView { conversation, marks }) => {
                let kept = self.marks.entry(conversation).or_default();
                let before = kept.len();
                for mark in marks {
                    let last = kept.entry(mark.user.clone()).or_insert_with(|| mark.clone());
                    last.delivered = last.delivered.max(mark.delivered);
                    last.read = last.read.max(mark.read);
                }
                self.waiting += kept.len() - before;
            }
        }
        self.waiting <= WAITING_MAX
    }

    /// Everything that waits, as frames.
    pub(crate) fn take(&mut self) -> Vec<ServerFrame> {
        if self.waiting == 0 && self.settings.is_none() {
            return Vec::new();
        }
        let Self { marks, arranged, settings, .. } = std::mem::take(self);
        let marks = marks.into_iter().map(|(conversation, marks)| {
            let marks = MarksView { conversation, marks: marks.into_values().collect() };
            ServerFrame::MarksChanged { marks }
        });
        let arranged = arranged.into_values().map(|arranged| ServerFrame::ArrangementChanged { arranged });
        marks.chain(arranged).chain(settings.map(|settings| ServerFrame::SettingsChanged { settings })).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_protocol::Strangers;

    use super::*;

    fn note(name: &str, delivered: u64, read: u64) -> Note {
        let user = UserId::new(name).unwrap();
        let conversation = ConversationId::direct(&UserId::new("alice").unwrap(), &UserId::new("bob").unwrap());
        Note::Marks(MarksView { conversation, marks: vec![MarkView { user, delivered, read }] })
    }

    #[test]
    fn only_the_largest_of_each_waits() {
        let mut notes = Notes::default();
        let settings = SettingsView { read_receipts: false, strangers: Strangers::Allow };
        assert!(notes.take().is_empty());
        for number in [3, 9, 5] {
            assert!(notes.add(note("alice", number, 10 - number)));
            assert!(notes.add(Note::Settings(SettingsView { read_receipts: number == 9, ..settings.clone() })));
        }
        let taken = notes.take();
        let Note::Marks(marks) = note("alice", 9, 7) else { unreachable!() };
        assert_eq!(taken, [ServerFrame::MarksChanged { marks }, ServerFrame::SettingsChanged { settings }]);
        assert!(notes.take().is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut notes = Notes::default();
        let room = (0..WAITING_MAX).all(|number| notes.add(note(&format!("user {number}"), 1, 0)));
        assert!(room && notes.add(note("user 0", 2, 0)));
        assert!(!notes.add(note("one more", 1, 0)));
    }
}
