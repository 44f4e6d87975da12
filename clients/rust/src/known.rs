//! How far members have come, on its way to the application; it only rises.

use std::collections::HashMap;

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{MarkView, MarkedView, MarksView, ServerFrame};

/// Members whose marks are remembered; then the conversations are forgotten of which nothing was heard for
/// longest, and an older mark of theirs that comes late may be told once.
const KNOWN_MAX: usize = 16 * 1024;

/// So many other members a conversation has in which marks are told as they rise, unless its operator allows for
/// more; then one such mark makes it known.
const SMALL: u32 = 100;

/// The largest marks that the application was told.
#[derive(Debug, Default)]
pub(crate) struct Known {
    conversations: HashMap<ConversationId, KnownHere>,
    /// Members in all of them.
    members: usize,
    /// Counts what is heard.
    now: u64,
}

#[derive(Debug, Default)]
struct KnownHere {
    marks: HashMap<UserId, (Seq, Seq)>,
    heard: u64,
}

impl Known {
    /// What of these marks is news; none of it goes below what was told before.
    pub fn rise(&mut self, marks: MarksView) -> Option<MarksView> {
        self.make_room(marks.marks.len());
        self.now += 1;
        let MarksView { conversation, marks } = marks;
        let here = self.conversations.entry(conversation.clone()).or_default();
        here.heard = self.now;
        let before = here.marks.len();
        let mut news = Vec::new();
        for mut mark in marks {
            let known = here.marks.entry(mark.user.clone()).or_default();
            let risen = (mark.delivered.max(known.0), mark.read.max(known.1));
            if risen != std::mem::replace(known, risen) {
                (mark.delivered, mark.read) = risen;
                news.push(mark);
            }
        }
        self.members += here.marks.len() - before;
        (!news.is_empty()).then_some(MarksView { conversation, marks: news })
    }

    /// Raises what an answer tells of marks, of the user `me` or others, to what the application was told while the
    /// answer was on its way.
    pub fn lift(&self, me: Option<&UserId>, answer: &mut ServerFrame) {
        match (answer, me) {
            (ServerFrame::Marked { marked: MarkedView { conversation, delivered, read }, .. }, Some(me)) => {
                self.raise(conversation, me, delivered, read);
            }
            (ServerFrame::Marks { page, .. }, _) => {
                for MarksView { conversation, marks } in &mut page.conversations {
                    marks.iter_mut().for_each(|mark| self.raise_view(conversation, mark));
                }
            }
            (ServerFrame::Receipts { page, .. }, _) => {
                page.marks.iter_mut().for_each(|mark| self.raise_view(&page.conversation, mark));
            }
            _ => {}
        }
    }

    fn raise_view(&self, conversation: &ConversationId, MarkView { user, delivered, read }: &mut MarkView) {
        self.raise(conversation, user, delivered, read);
    }

    fn raise(&self, conversation: &ConversationId, user: &UserId, delivered: &mut Seq, read: &mut Seq) {
        let known = self.conversations.get(conversation).and_then(|here| here.marks.get(user));
        if let Some(known) = known {
            (*delivered, *read) = ((*delivered).max(known.0), (*read).max(known.1));
        }
    }

    /// What the application has learnt from an answer.
    pub fn learn(&mut self, learnt: Learnt) {
        for view in learnt.marks {
            if !learnt.perhaps_large || self.conversations.contains_key(&view.conversation) {
                self.rise(view);
            }
        }
    }

    /// Forgets conversations until there is room for so many members, and some more.
    fn make_room(&mut self, members: usize) {
        if self.members + members <= KNOWN_MAX {
            return;
        }
        let mut by_age: Vec<_> = self.conversations.iter().map(|(id, here)| (here.heard, id.clone())).collect();
        by_age.sort_unstable_by_key(|(heard, _)| *heard);
        for (_, conversation) in by_age {
            if self.members + members <= KNOWN_MAX / 4 * 3 {
                return;
            }
            self.members -= self.conversations.remove(&conversation).map_or(0, |here| here.marks.len());
        }
    }
}

/// Marks that an answer tells.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    marks: Vec<MarksView>,
    /// Whether they may be of a conversation of which no marks are told as they rise.
    perhaps_large: bool,
}

/// What an answer tells of marks, of the user `me` or others.
pub(crate) fn learnt(me: Option<&UserId>, answer: &ServerFrame) -> Learnt {
    let marks = match (answer, me) {
        (ServerFrame::Marked { marked, .. }, Some(me)) => vec![of_user(me, marked.clone())],
        (ServerFrame::Marks { page, .. }, _) => page.conversations.clone(),
        (ServerFrame::Receipts { page, .. }, _) => {
            let marks = vec![MarksView { conversation: page.conversation.clone(), marks: page.marks.clone() }];
            // Only the first page counts them; a later one is of a conversation that the first made known.
            return Learnt { marks, perhaps_large: page.members == 0 || page.members > SMALL };
        }
        _ => Vec::new(),
    };
    Learnt { marks, perhaps_large: false }
}

/// The user's own marks, as others' are told.
pub(crate) fn of_user(me: &UserId, marked: MarkedView) -> MarksView {
    let MarkedView { conversation, delivered, read } = marked;
    MarksView { conversation, marks: vec![MarkView { user: me.clone(), delivered, read }] }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_protocol::ReceiptPage;

    use super::*;

    fn conversation(peer: &str) -> ConversationId {
        ConversationId::direct(&UserId::new("alice").unwrap(), &UserId::new(peer).unwrap())
    }

    fn mark(name: &str, delivered: Seq, read: Seq) -> MarkView {
        MarkView { user: UserId::new(name).unwrap(), delivered, read }
    }

    fn note(peer: &str, mark: MarkView) -> MarksView {
        MarksView { conversation: conversation(peer), marks: vec![mark] }
    }

    fn receipts(members: u32, marks: Vec<MarkView>, more: bool) -> Learnt {
        let (delivered, read) = (0, 0);
        let page = ReceiptPage { conversation: conversation("bob"), seq: 4, members, delivered, read, marks, more };
        learnt(None, &ServerFrame::Receipts { id: 2, page })
    }

    #[test]
    fn an_answer_is_not_taken_back_by_a_note_that_was_slower() {
        let me = UserId::new("alice").unwrap();
        let mut known = Known::default();
        let marked = MarkedView { conversation: conversation("bob"), delivered: 9, read: 8 };
        known.learn(learnt(Some(&me), &ServerFrame::Marked { id: 1, marked }));
        assert_eq!(known.rise(note("bob", mark("alice", 7, 7))), None);
        known.learn(receipts(2, vec![mark("bob", 5, 4)], true));
        assert_eq!(known.rise(note("bob", mark("bob", 3, 3))), None);
        assert_eq!(known.rise(note("bob", mark("bob", 6, 3))), Some(note("bob", mark("bob", 6, 4))));
    }

    #[test]
    fn who_is_in_a_large_room_fills_no_memory() {
        let page = || (0..200).map(|number| mark(&format!("member {number}"), 5, 4)).collect::<Vec<_>>();
        let mut known = Known::default();
        known.learn(receipts(1_000, page(), true));
        known.learn(receipts(0, page(), false));
        assert_eq!(known.members, 0);
        // Of a room of which marks are told as they rise, every page counts.
        known.rise(note("bob", mark("member 7", 1, 1)));
        known.learn(receipts(0, page(), true));
        assert_eq!(known.rise(note("bob", mark("member 8", 4, 4))), None);
    }

    #[test]
    fn what_nobody_has_spoken_of_for_longest_is_forgotten() {
        let mut known = Known::default();
        known.rise(note("first", mark("bob", 5, 5)));
        known.rise(note("often", mark("bob", 5, 5)));
        for number in 3..KNOWN_MAX {
            known.rise(note(&format!("{number}"), mark("bob", 5, 5)));
        }
        known.rise(note("often", mark("bob", 9, 9)));
        known.rise(note("one more", mark("bob", 5, 5)));
        assert_eq!(known.members, KNOWN_MAX);
        known.rise(note("last", mark("bob", 5, 5)));
        assert!((KNOWN_MAX / 2..=KNOWN_MAX).contains(&known.members), "{}", known.members);
        let counted: usize = known.conversations.values().map(|here| here.marks.len()).sum();
        assert_eq!(known.members, counted);
        assert_eq!(known.rise(note("often", mark("bob", 8, 8))), None, "spoken of lately");
        assert!(known.rise(note("first", mark("bob", 4, 4))).is_some(), "forgotten");
    }

    #[test]
    fn the_application_is_never_told_less() {
        let mut known = Known::default();
        let mut told = |delivered, read| {
            let news = known.rise(note("bob", mark("bob", delivered, read)));
            news.map(|news| (news.marks[0].delivered, news.marks[0].read))
        };
        assert_eq!(
            [told(5, 3), told(5, 3), told(4, 1), told(4, 4), told(9, 0)],
            [Some((5, 3)), None, None, Some((5, 4)), Some((9, 4))]
        );
    }
}
