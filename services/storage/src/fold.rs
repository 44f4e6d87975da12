//! What a batch of entries changes, worked out in memory. Pure.

use std::collections::HashMap;

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Entry, Role};

/// A change of membership, in the order of the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MemberOp {
    /// A span begins, unless one is open.
    Join { user: UserId, role: Role },
    /// The open span ends, if there is one.
    Leave { user: UserId },
}

/// An entry with its link, and what it changes besides.
#[derive(Debug)]
pub(crate) struct Folded<'a> {
    pub(crate) conversation: &'a ConversationId,
    pub(crate) seq: Seq,
    pub(crate) prev: Seq,
    pub(crate) entry: &'a Entry,
    pub(crate) members: Vec<MemberOp>,
}

/// The last number of each conversation touched, and the name of those that begin.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    pub(crate) last: HashMap<ConversationId, Seq>,
    pub(crate) names: HashMap<ConversationId, Option<String>>,
}

impl Heads {
    /// Takes the next entry in.
    pub(crate) fn fold<'a>(&mut self, seq: Seq, conversation: &'a ConversationId, entry: &'a Entry) -> Folded<'a> {
        let prev = self.last.insert(conversation.clone(), seq).unwrap_or(0);
        let mut members = Vec::new();
        let join = |user: &UserId, role| MemberOp::Join { user: user.clone(), role };
        match &entry.change {
            Change::DirectOpened { peers } if prev == 0 => {
                self.names.insert(conversation.clone(), None);
                members.push(join(&peers[0], Role::Member));
                if peers[1] != peers[0] {
                    members.push(join(&peers[1], Role::Member));
                }
            }
            Change::GroupCreated { name, members: first } if prev == 0 => {
                self.names.insert(conversation.clone(), Some(name.clone()));
                let mut unique = first.clone();
                unique.sort();
                unique.dedup();
                let role = |user: &UserId| if *user == entry.sender { Role::Owner } else { Role::Member };
                members.extend(unique.iter().map(|user| join(user, role(user))));
            }
            Change::MemberAdded { user } => members.push(join(user, Role::Member)),
            Change::MemberRemoved { user } => members.push(MemberOp::Leave { user: user.clone() }),
            Change::MemberLeft {} => members.push(MemberOp::Leave { user: entry.sender.clone() }),
            Change::DirectOpened { .. } | Change::GroupCreated { .. } | Change::Message { .. } => {}
        }
        Folded { conversation, seq, prev, entry, members }
    }
}
