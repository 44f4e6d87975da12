//! What a batch of entries changes, worked out in memory. Pure.

use std::collections::HashMap;

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Entry, Role};

use crate::runs::{Run, only_changes};

/// A change of membership, in the order of the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MemberOp<'a> {
    /// The conversation begins with these members, each once.
    Begin(Vec<(&'a UserId, Role)>),
    /// A span begins, unless one is open.
    Join(&'a UserId),
    /// The open span ends, if there is one.
    Leave(&'a UserId),
    /// The open span has another role from now on, if there is one.
    Role(&'a UserId, Role),
}

/// An entry with its link, and what it changes besides.
#[derive(Debug)]
pub(crate) struct Folded<'a> {
    pub(crate) conversation: &'a ConversationId,
    pub(crate) seq: Seq,
    pub(crate) prev: Seq,
    pub(crate) entry: &'a Entry,
    /// How many messages there are up to it.
    pub(crate) ordinal: u64,
    pub(crate) op: Option<MemberOp<'a>>,
}

/// What is known of a conversation while a batch is taken in.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    /// The number of its newest entry; 0 when there is none.
    pub(crate) last_seq: Seq,
    /// The name of a group that begins in this batch.
    pub(crate) name: Option<&'a str>,
    /// The number of the newest entry that counts as activity, and its time.
    pub(crate) active: (Seq, u64),
    /// How many messages there are.
    pub(crate) messages: u64,
    /// How many members it gains (or loses) in this batch.
    pub(crate) gained: i64,
    /// For how many seconds its messages stay; 0: for ever.
    pub(crate) timer: u64,
    /// The last entries that history leaves out.
    pub(crate) run: Run,
    /// The long runs that this batch has brought, or made longer.
    pub(crate) runs: Vec<Run>,
    /// Who has not yet accepted it.
    pub(crate) asked: Option<UserId>,
}

/// Every conversation that the batch touches.
#[derive(Debug, Default)]
pub(crate) struct Heads<'a>(pub(crate) HashMap<ConversationId, Head<'a>>);

impl<'a> Heads<'a> {
    /// Takes the next entry in.
    pub(crate) fn fold(&mut self, seq: Seq, conversation: &'a ConversationId, entry: &'a Entry) -> Folded<'a> {
        let head = self.0.entry(conversation.clone()).or_default();
        let prev = std::mem::replace(&mut head.last_seq, seq);
        let op = match &entry.change {
            Change::DirectOpened { peers } if prev == 0 => Some(begin(peers, None)),
            Change::GroupCreated { name, members } if prev == 0 => {
                head.name = Some(name);
                Some(begin(members, Some(&entry.sender)))
            }
            Change::MemberAdded { user } => Some(MemberOp::Join(user)),
            Change::MemberJoined { .. } => Some(MemberOp::Join(&entry.sender)),
            Change::RoleChanged { user, role } => Some(MemberOp::Role(user, *role)),
            change => change.takes_out(&entry.sender).map(MemberOp::Leave),
        };
        if only_changes(&entry.change) {
            head.run.take(prev, seq);
            if head.run.is_long() {
                head.runs.pop_if(|run| run.first == head.run.first);
                head.runs.push(head.run);
            }
        }
        head.messages += u64::from(matches!(entry.change, Change::Message { .. }));
        // What changes a message, or is about an invite, moves no conversation to the top.
        if entry.change.target().is_none() && entry.change.changed_invite().is_none() {
            head.active = (seq, entry.time);
        }
        Folded { conversation, seq, prev, entry, ordinal: head.messages, op }
    }
}

fn begin<'a>(members: &'a [UserId], owner: Option<&UserId>) -> MemberOp<'a> {
    let mut unique: Vec<_> = members.iter().collect();
    unique.sort();
    unique.dedup();
    let role = |user: &UserId| if Some(user) == owner { Role::Owner } else { Role::Member };
    MemberOp::Begin(unique.into_iter().map(|user| (user, role(user))).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn entry(change: Change) -> Entry {
        Entry { sender: user("a"), client_id: None, time: 0, change }
    }

    #[test]
    fn links_follow_each_conversation() {
        let (one, two) =
            (ConversationId::direct(&user("a"), &user("b")), ConversationId::direct(&user("a"), &user("c")));
        let said = entry(Change::message("x"));
        let mut heads = Heads::default();
        heads.0.insert(two.clone(), Head { last_seq: 4, ..Head::default() });
        let prev: Vec<_> = [(5, &one), (6, &two), (9, &one)].map(|(seq, id)| heads.fold(seq, id, &said).prev).into();
        assert_eq!(prev, [0, 4, 5]);
        assert_eq!((heads.0[&one].last_seq, heads.0[&two].last_seq), (9, 6));
    }

    #[test]
    fn only_the_first_beginning_counts_and_each_member_once() {
        let id = ConversationId::direct(&user("a"), &user("b"));
        let members = vec![user("b"), user("a"), user("b")];
        let created = entry(Change::GroupCreated { name: "g".into(), members });
        let mut heads = Heads::default();
        let first = heads.fold(1, &id, &created);
        let (a, b) = (user("a"), user("b"));
        assert_eq!(first.op, Some(MemberOp::Begin(vec![(&a, Role::Owner), (&b, Role::Member)])));
        assert_eq!(heads.fold(2, &id, &created).op, None);
    }
}
