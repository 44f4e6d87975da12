//! Who has blocked whom, as kept with each of both.

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::BlockView;
use serde::{Deserialize, Serialize};

/// Lifted blocks that are remembered, so that a device which was away is told.
const LIFTED_MAX: usize = 100;
/// Of those by whom a user is blocked, so many are known by name; whoever is blocked by more sees nobody.
const BLOCKED_BY_MAX: usize = 1_000;

/// A block that was lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// Who was blocked.
    pub user: UserId,
    /// The direct conversation with them.
    pub conversation: ConversationId,
    /// What was not shown has larger numbers.
    pub after: Seq,
    /// When, in milliseconds since 1970 UTC.
    pub at: u64,
}

/// The blocks of one user, by them and of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    by_me: Vec<BlockView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lifted: Vec<Lifted>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    of_me: Vec<UserId>,
    /// Those who could not be kept by name any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    of_me_more: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "asked for by serde")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Blocks {
    /// Whether there is nothing to heed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whom the user has blocked.
    pub fn by_me(&self) -> &[BlockView] {
        &self.by_me
    }

    /// Blocks that were lifted lately.
    pub fn lifted(&self) -> &[Lifted] {
        &self.lifted
    }

    /// The user's block of somebody.
    pub fn of(&self, user: &UserId) -> Option<&BlockView> {
        self.by_me.iter().find(|block| block.user == *user)
    }

    /// The user's block that concerns a conversation.
    pub fn here(&self, conversation: &ConversationId) -> Option<&BlockView> {
        self.by_me.iter().find(|block| block.conversation == *conversation)
    }

    /// Whether a conversation had a block not long ago.
    pub fn had(&self, conversation: &ConversationId) -> bool {
        self.lifted.iter().any(|lifted| lifted.conversation == *conversation)
    }

    /// Whether somebody has blocked the user.
    pub fn is_by(&self, other: &UserId) -> bool {
        self.of_me_more > 0 || self.of_me.contains(other)
    }

    /// Blocks somebody; `false` when they are blocked already.
    pub fn block(&mut self, block: BlockView) -> bool {
        if self.of(&block.user).is_some() {
            return false;
        }
        self.lifted.retain(|lifted| lifted.user != block.user);
        self.by_me.push(block);
        true
    }

    /// Lifts a block; `false` when there is none.
    pub fn unblock(&mut self, user: &UserId, now: u64) -> bool {
        let Some(at) = self.by_me.iter().position(|block| block.user == *user) else { return false };
        let BlockView { user, conversation, after, .. } = self.by_me.remove(at);
        self.lifted.push(Lifted { user, conversation, after, at: now });
        let forgotten = self.lifted.len().saturating_sub(LIFTED_MAX);
        self.lifted.drain(..forgotten);
        true
    }

    /// Somebody blocks the user.
    pub fn blocked_by(&mut self, other: &UserId) {
        if self.of_me.contains(other) {
            return;
        }
        if self.of_me.len() < BLOCKED_BY_MAX {
            self.of_me.push(other.clone());
        } else {
            self.of_me_more = self.of_me_more.saturating_add(1);
        }
    }

    /// Somebody blocks the user no more.
    pub fn unblocked_by(&mut self, other: &UserId) {
        let before = self.of_me.len();
        self.of_me.retain(|known| known != other);
        if self.of_me.len() == before {
            self.of_me_more = self.of_me_more.saturating_sub(1);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn user(name: impl ToString) -> UserId {
        UserId::new(name.to_string()).unwrap()
    }

    fn block(name: &str, after: Seq) -> BlockView {
        let conversation = ConversationId::direct(&user("me"), &user(name));
        BlockView { user: user(name), conversation, after, since: 1 }
    }

    #[test]
    fn a_block_is_lifted_and_remembered_until_it_comes_back() {
        let mut blocks = Blocks::default();
        assert!(blocks.block(block("bob", 7)));
        assert!(!blocks.block(block("bob", 9)), "said twice, done once");
        assert_eq!(blocks.here(&block("bob", 0).conversation).map(|block| block.after), Some(7));
        assert!(!blocks.unblock(&user("carol"), 2));
        assert!(blocks.unblock(&user("bob"), 2));
        assert!(blocks.of(&user("bob")).is_none() && blocks.had(&block("bob", 0).conversation));
        assert_eq!((blocks.lifted()[0].after, blocks.lifted()[0].at), (7, 2));
        assert!(blocks.block(block("bob", 12)));
        assert!(!blocks.had(&block("bob", 0).conversation));
    }

    #[test]
    fn who_is_blocked_by_very_many_sees_nobody() {
        let mut blocks = Blocks::default();
        for number in 0..BLOCKED_BY_MAX {
            blocks.blocked_by(&user(number));
            blocks.blocked_by(&user(number));
        }
        assert!(blocks.is_by(&user(5)) && !blocks.is_by(&user("carol")));
        blocks.blocked_by(&user("one more"));
        assert!(blocks.is_by(&user("carol")));
        blocks.unblocked_by(&user("one more"));
        assert!(!blocks.is_by(&user("carol")));
        blocks.unblocked_by(&user(5));
        assert!(!blocks.is_by(&user(5)));
    }
}
