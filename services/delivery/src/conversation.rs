//! A conversation as delivery sees it: who is a member after each entry. Pure.

use std::sync::Arc;

use natter_ids::{Seq, UserId};
use natter_protocol::{Change, Entry};

use crate::listeners::Listeners;

/// The members just after the last entry seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// Sorted. Shared with the entries that are on their way to them: a room of 100,000 is not copied
    /// for each.
    members: Arc<Vec<UserId>>,
    last_seq: Seq,
    listeners: Listeners,
}

/// Whom an entry goes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The entry before it; 0 for the first.
    pub(crate) prev: Seq,
    /// Who receives it.
    pub(crate) recipients: Recipients,
}

/// Members, and who has just ceased to be one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recipients {
    pub(crate) members: Arc<Vec<UserId>>,
    pub(crate) removed: Option<UserId>,
}

impl Recipients {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &UserId> {
        self.members.iter().chain(&self.removed)
    }
}

impl Conversation {
    /// A conversation as storage tells it, just after the entry `last_seq`.
    pub(crate) fn new(mut members: Vec<UserId>, last_seq: Seq) -> Self {
        members.sort();
        Self { members: Arc::new(members), last_seq, listeners: Listeners::default() }
    }

    /// Takes the next entry in. The last entry that a removed member receives is the removal.
    pub(crate) fn step(&mut self, seq: Seq, entry: &Entry) -> Step {
        let prev = std::mem::replace(&mut self.last_seq, seq);
        let begun = prev != 0;
        let mut removed = None;
        match &entry.change {
            Change::DirectOpened { peers } if !begun => self.begin(peers),
            Change::GroupCreated { members, .. } if !begun => self.begin(members),
            Change::MemberAdded { user } => self.admit(user),
            Change::MemberJoined { .. } => self.admit(&entry.sender),
            change => removed = change.takes_out(&entry.sender).and_then(|user| self.remove(user)),
        }
        Step { prev, recipients: Recipients { members: Arc::clone(&self.members), removed } }
    }

    /// The members, sorted.
    pub(crate) fn members(&self) -> &Arc<Vec<UserId>> {
        &self.members
    }

    /// Which of the members are online.
    pub(crate) fn listeners(&mut self) -> &mut Listeners {
        &mut self.listeners
    }

    fn begin(&mut self, members: &[UserId]) {
        let all = Arc::make_mut(&mut self.members);
        all.extend_from_slice(members);
        all.sort();
        all.dedup();
    }

    fn admit(&mut self, user: &UserId) {
        if let Err(index) = self.members.binary_search(user) {
            Arc::make_mut(&mut self.members).insert(index, user.clone());
            self.listeners.admit(user);
        }
    }

    fn remove(&mut self, user: &UserId) -> Option<UserId> {
        let index = self.members.binary_search(user).ok()?;
        self.listeners.remove(user);
        Some(Arc::make_mut(&mut self.members).remove(index))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_ids::InviteId;
    use natter_protocol::Role;

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn entry(sender: &str, change: Change) -> Entry {
        Entry { sender: user(sender), client_id: None, time: 0, change }
    }

    fn names(step: &Step) -> Vec<&str> {
        step.recipients.iter().map(UserId::as_str).collect()
    }

    #[test]
    fn members_follow_the_log() {
        let mut group = Conversation::default();
        let members = vec![user("b"), user("a")];
        let created = group.step(3, &entry("a", Change::GroupCreated { name: "g".into(), members }));
        assert_eq!((created.prev, names(&created)), (0, vec!["a", "b"]));

        let added = group.step(5, &entry("a", Change::MemberAdded { user: user("c") }));
        assert_eq!((added.prev, names(&added)), (3, vec!["a", "b", "c"]));
        let again = group.step(6, &entry("a", Change::MemberAdded { user: user("c") }));
        assert_eq!(names(&again), ["a", "b", "c"]);

        let removed = group.step(7, &entry("a", Change::MemberRemoved { user: user("b") }));
        assert_eq!(names(&removed), ["a", "c", "b"]);
        let after = group.step(9, &entry("a", Change::message("x")));
        assert_eq!((after.prev, names(&after)), (7, vec!["a", "c"]));

        let invite = InviteId::new("i").unwrap();
        let joined = group.step(10, &entry("d", Change::MemberJoined { invite }));
        assert_eq!(names(&joined), ["a", "c", "d"]);
        let role = group.step(11, &entry("a", Change::RoleChanged { user: user("d"), role: Role::Admin }));
        assert_eq!(names(&role), ["a", "c", "d"]);
        let banned = group.step(12, &entry("a", Change::MemberBanned { user: user("d") }));
        assert_eq!(names(&banned), ["a", "c", "d"], "the ban is the last that they get");

        let left = group.step(13, &entry("c", Change::MemberLeft {}));
        assert_eq!(names(&left), ["a", "c"]);
        assert_eq!(names(&group.step(14, &entry("a", Change::message("y")))), ["a"]);
        assert_eq!(names(&group.step(11, &entry("a", Change::message("y")))), ["a"]);
    }

    #[test]
    fn a_second_beginning_changes_nothing() {
        let mut direct = Conversation::new(vec![user("b"), user("a")], 4);
        let step = direct.step(8, &entry("a", Change::DirectOpened { peers: [user("a"), user("z")] }));
        assert_eq!((step.prev, names(&step)), (4, vec!["a", "b"]));
    }
}
