//! Whom the session hears: what blocks change in it.

use std::sync::Arc;

use natter_bus::{Typing, users::Lifted};
use natter_protocol::{PresenceView, ServerFrame};

use super::{super::socket::Socket, Session};
use crate::blocks::unseen;

impl Session<'_> {
    /// Tells how watched users are, those who let this one see it.
    pub(super) fn show_presence(&mut self, views: Vec<PresenceView>, socket: &mut Socket) {
        for presence in views.into_iter().filter(|view| !self.blocks.is_by(&view.user)) {
            socket.push(&ServerFrame::PresenceChanged { presence });
        }
    }

    pub(super) fn on_typing(&mut self, typing: Typing) {
        if self.blocks.of(&typing.user).is_none() && !self.blocks.is_by(&typing.user) {
            self.whispers.add(typing);
        }
    }

    /// Tells of blocks that were lifted while the device was away.
    pub(super) fn tell_lifted(&mut self, socket: &mut Socket) {
        for lifted in std::mem::take(&mut self.signed_in.lifted) {
            push_unblocked(lifted, socket);
        }
    }

    /// What was told to the user of their blocks holds for all that comes after it.
    pub(super) fn go_by_newest_blocks(&mut self, socket: &mut Socket) {
        if self.signed_in.blocks.has_changed().is_ok_and(|changed| changed) {
            self.on_blocks(socket);
        }
    }

    /// Somebody was blocked, or is no more, by this user or by others.
    pub(super) fn on_blocks(&mut self, socket: &mut Socket) {
        let now = Arc::clone(&self.signed_in.blocks.borrow_and_update());
        let before = std::mem::replace(&mut self.blocks, Arc::clone(&now));
        for block in before.by_me().iter().filter(|block| now.of(&block.user).is_none()) {
            let lifted = now.lifted().iter().rev().find(|lifted| lifted.user == block.user);
            lifted.cloned().into_iter().for_each(|lifted| push_unblocked(lifted, socket));
        }
        let mut seen_again = Vec::new();
        for user in &self.watching.users {
            match (before.is_by(user), now.is_by(user)) {
                // As if they had gone: whoever is blocked does not learn it.
                (false, true) => socket.push(&ServerFrame::PresenceChanged { presence: unseen(user.clone()) }),
                (true, false) => seen_again.push(user.clone()),
                _ => {}
            }
        }
        self.look_at(seen_again);
    }
}

fn push_unblocked(Lifted { user, conversation, after, .. }: Lifted, socket: &mut Socket) {
    socket.push(&ServerFrame::Unblocked { user, conversation, after });
}
