//! Who may do what in a conversation: one table.
//!
//! | what | who |
//! |---|---|
//! | write, pin; add members, make invites | every member, or those who manage, as the group's settings say |
//! | change the group, bar and readmit, revoke an invite, delete what others said, set the timer | those who manage |
//! | remove or bar a member | those who stand above them |
//! | give a role, hand the group over | owners |
//! | leave | every member but an owner; the last member, too |
//! | be the owner of a group without one | who comes in by an invite |
//!
//! Roles are fenced by the log: whoever has lost one appends nothing with it. Settings are known to a
//! gateway within a moment ([`crate::group_settings`]); what is said in that moment stays said.

use natter_ids::{ConversationId, UserId};
use natter_protocol::{ErrorBody, ErrorCode, Role, Who};

use crate::server::Shared;

/// What a member must be to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A member.
    Nothing,
    /// An admin or an owner.
    Management,
    /// Above a member who has this role.
    Above(Role),
    /// An owner.
    Ownership,
    /// A member who is no owner.
    NoOwnership,
}

impl Needs {
    /// Refuses a role that is not enough.
    pub(crate) fn check(self, role: Role) -> Result<(), ErrorBody> {
        let enough = match self {
            Self::Nothing => true,
            Self::Management => role.manages(),
            Self::Above(other) => role.is_above(other),
            Self::Ownership => role == Role::Owner,
            Self::NoOwnership => role != Role::Owner,
        };
        if enough { Ok(()) } else { Err(ErrorCode::NotAllowed.into()) }
    }
}

impl From<Who> for Needs {
    fn from(who: Who) -> Self {
        match who {
            Who::Everybody => Self::Nothing,
            Who::Admins => Self::Management,
        }
    }
}

impl Shared {
    /// What a member needs to write.
    pub(crate) async fn needs_to_write(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<Needs, ErrorBody> {
        if conversation.is_direct() {
            return Ok(Needs::Nothing);
        }
        Ok(Box::pin(self.group_settings.write(conversation, user)).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds() {
        let roles = [Role::Owner, Role::Admin, Role::Member];
        let allowed = |needs: Needs| roles.map(|role| needs.check(role).is_ok());
        assert_eq!(allowed(Needs::Nothing), [true, true, true]);
        assert_eq!(allowed(Needs::Management), [true, true, false]);
        assert_eq!(allowed(Needs::Ownership), [true, false, false]);
        assert_eq!(allowed(Needs::NoOwnership), [false, true, true]);
        assert_eq!(allowed(Needs::Above(Role::Member)), [true, true, false]);
        assert_eq!(allowed(Needs::Above(Role::Admin)), [true, false, false]);
        assert_eq!(allowed(Needs::Above(Role::Owner)), [false, false, false]);
        assert_eq!([Who::Everybody, Who::Admins].map(Needs::from), [Needs::Nothing, Needs::Management]);
    }
}
