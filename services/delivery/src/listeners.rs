//! The members of a large conversation who are online, so that an event costs as many look-ups and not
//! as many as there are members.

use std::collections::HashSet;

use natter_ids::UserId;

use crate::view::View;

/// Everybody who is online is among them; who is not any more is taken out when they are found to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listeners {
    users: HashSet<UserId>,
    /// How many had come when they were looked up; `None` before they were.
    as_of: Option<u64>,
}

impl Listeners {
    /// Somebody is a member now, and may be online.
    pub(crate) fn admit(&mut self, user: &UserId) {
        if self.as_of.is_some() {
            self.users.insert(user.clone());
        }
    }

    /// Somebody is a member no more, or offline.
    pub(crate) fn remove(&mut self, user: &UserId) {
        self.users.remove(user);
    }

    /// Takes in who has come since the last look. Returns whether that is known: if it is not, each
    /// member must be looked at, with [`Listeners::look`].
    pub(crate) fn refresh(&mut self, members: &[UserId], view: &View) -> bool {
        let now = view.comings();
        let as_of = self.as_of.replace(now);
        let Some(came) = as_of.and_then(|as_of| view.came_after(as_of)) else {
            self.users.clear();
            return false;
        };
        self.users.extend(came.filter(|user| members.binary_search(user).is_ok()).cloned());
        true
    }

    /// Looks at some of the members.
    pub(crate) fn look(&mut self, members: &[UserId], view: &View) {
        self.users.extend(members.iter().filter(|member| view.may_be_online(member)).cloned());
    }

    /// Them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &UserId> {
        self.users.iter()
    }
}
