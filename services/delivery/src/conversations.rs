//! The conversations of a partition whose members are remembered.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::Entry;

use crate::{
    conversation::{Conversation, Step},
    listeners::Listeners,
};

/// Those that something happened in lately, bounded by how many they are and by their members.
pub(crate) struct Conversations {
    known: LruCache<ConversationId, Conversation>,
    /// Of all of them together.
    members: usize,
    members_max: usize,
}

impl Conversations {
    pub(crate) fn new(conversations_max: usize, members_max: usize) -> Self {
        let capacity = NonZeroUsize::new(conversations_max).unwrap_or(NonZeroUsize::MIN);
        Self { known: LruCache::new(capacity), members: 0, members_max }
    }

    pub(crate) fn contains(&self, id: &ConversationId) -> bool {
        self.known.contains(id)
    }

    pub(crate) fn insert(&mut self, id: ConversationId, conversation: Conversation) {
        self.members += conversation.members().len();
        if let Some((_, gone)) = self.known.push(id, conversation) {
            self.members -= gone.members().len();
        }
    }

    /// Takes the next entry of a conversation in; one that is not known begins.
    pub(crate) fn step(&mut self, id: &ConversationId, seq: Seq, entry: &Entry) -> Step {
        if !self.contains(id) {
            self.insert(id.clone(), Conversation::default());
        }
        let Some(conversation) = self.known.get_mut(id) else { return Conversation::default().step(seq, entry) };
        let before = conversation.members().len();
        let step = conversation.step(seq, entry);
        self.members = self.members - before + conversation.members().len();
        step
    }

    pub(crate) fn members(&mut self, id: &ConversationId) -> Option<Arc<Vec<UserId>>> {
        self.known.get(id).map(|conversation| Arc::clone(conversation.members()))
    }

    /// Which members of a conversation are online.
    pub(crate) fn listeners(&mut self, id: &ConversationId) -> Option<&mut Listeners> {
        self.known.get_mut(id).map(Conversation::listeners)
    }

    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.members = 0;
    }

    /// Forgets the least recently used while there are too many members.
    pub(crate) fn shrink(&mut self) {
        while self.members > self.members_max && self.known.len() > 1 {
            if let Some((_, gone)) = self.known.pop_lru() {
                self.members -= gone.members().len();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_protocol::Change;

    use super::*;

    fn user(number: usize) -> UserId {
        UserId::new(format!("u{number}")).unwrap()
    }

    fn group(number: usize) -> ConversationId {
        ConversationId::direct(&user(number), &user(0))
    }

    #[test]
    fn large_rooms_are_forgotten_before_memory_is_full() {
        let mut all = Conversations::new(100, 50);
        for number in 1..=10 {
            let members = (0..10).map(user).collect();
            all.insert(group(number), Conversation::new(members, 1));
        }
        assert_eq!(all.members, 100);
        all.shrink();
        assert_eq!((all.members, all.known.len()), (50, 5));
        assert!(all.contains(&group(10)) && !all.contains(&group(5)), "the oldest went");
        let entry =
            |user| Entry { sender: self::user(0), client_id: None, time: 0, change: Change::MemberAdded { user } };
        all.step(&group(10), 2, &entry(user(11)));
        all.step(&group(10), 3, &entry(user(11)));
        assert_eq!(all.members, 51);
        all.clear();
        all.shrink();
        assert_eq!(all.members, 0);
    }

    #[test]
    fn the_count_follows_what_is_replaced_and_pushed_out() {
        let mut all = Conversations::new(2, 50);
        all.insert(group(1), Conversation::new(vec![user(1)], 1));
        all.insert(group(1), Conversation::new(vec![user(1), user(2)], 2));
        all.insert(group(2), Conversation::new(vec![user(1)], 1));
        assert_eq!(all.members, 3);
        all.insert(group(3), Conversation::new(vec![user(1)], 1));
        assert_eq!((all.members, all.known.len()), (2, 2));
    }
}
