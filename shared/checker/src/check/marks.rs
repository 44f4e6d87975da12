//! How far people have come: never back, and never further than they said.

use std::collections::HashMap;

use natter_ids::{ConversationId, DeviceId, Seq, UserId};

use crate::{Mark, Reader, Violation};

/// Somebody in a conversation.
type Whose = (UserId, ConversationId);

/// Entries that somebody has received, and read.
type Reached = (Seq, Seq);

#[derive(Default)]
pub(super) struct Marks {
    said: HashMap<Whose, Seq>,
    /// What each device was told.
    told: HashMap<(UserId, DeviceId), HashMap<Whose, Reached>>,
    /// The most that anybody who asked was told.
    answered: HashMap<Whose, Reached>,
    pub violations: Vec<Violation>,
}

impl Marks {
    pub fn said(&mut self, Reader { user, conversation, read }: &Reader) {
        let said = self.said.entry((user.clone(), conversation.clone())).or_default();
        *said = (*said).max(*read);
    }

    pub fn told(&mut self, mark: &Mark) {
        let whose = (mark.user.clone(), mark.conversation.clone());
        let said = self.said.get(&whose).copied().unwrap_or(0);
        let device = self.told.entry((mark.told.clone(), mark.device.clone())).or_default();
        let mut before = rise(device.entry(whose.clone()).or_default(), mark);
        if mark.asked {
            let answered = rise(self.answered.entry(whose).or_default(), mark);
            before = (before.0.max(answered.0), before.1.max(answered.1));
        }
        let fell = |what, before, now| Violation::MarkFell {
            told: mark.told.clone(),
            device: mark.device.clone(),
            user: mark.user.clone(),
            conversation: mark.conversation.clone(),
            what,
            before,
            now,
        };
        let both = [("received", before.0, mark.delivered), ("read", before.1, mark.read)];
        let fallen = both.into_iter().filter(|(_, before, now)| now < before);
        self.violations.extend(fallen.map(|(what, before, now)| fell(what, before, now)));
        if mark.read > said {
            self.violations.push(Violation::MarkAhead {
                told: mark.told.clone(),
                device: mark.device.clone(),
                user: mark.user.clone(),
                conversation: mark.conversation.clone(),
                read: mark.read,
                said,
            });
        }
    }
}

/// Takes a mark in; returns what was known before.
fn rise(known: &mut Reached, mark: &Mark) -> Reached {
    let risen = (known.0.max(mark.delivered), known.1.max(mark.read));
    std::mem::replace(known, risen)
}
