//! Groups: their members, roles and settings.

use natter_bus::storage_api::{Membership, MembershipReply};
use natter_ids::{ClientId, ConversationId, Partition, Seq, UserId};
use natter_protocol::{Change, Entry, ErrorBody, ErrorCode, GroupPatch, Request, Role};

use crate::{
    members::{Member, not_a_member, refusal, unavailable},
    posting::{Accepted, check_name, too_large},
    rights::Needs,
    server::Shared,
};

/// So close to being full, members are counted exactly.
const COUNTED_EXACTLY: u32 = 1_000;

/// Who wants a group changed, and under which id.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    user: &'a UserId,
    group: &'a ConversationId,
    client_id: Option<ClientId>,
}

/// What a request changes of a group, and under which id.
pub(crate) fn group_change(request: &Request) -> Option<(Option<ClientId>, Change)> {
    let (client_id, change) = match request {
        Request::AddMember { client_id, user, .. } => (client_id, Change::MemberAdded { user: user.clone() }),
        Request::RemoveMember { client_id, user, .. } => (client_id, Change::MemberRemoved { user: user.clone() }),
        Request::BanMember { client_id, user, .. } => (client_id, Change::MemberBanned { user: user.clone() }),
        Request::UnbanMember { client_id, user, .. } => (client_id, Change::MemberUnbanned { user: user.clone() }),
        Request::ChangeRole { client_id, user, role, .. } => {
            (client_id, Change::RoleChanged { user: user.clone(), role: *role })
        }
        Request::ChangeGroup { client_id, patch, .. } => (client_id, Change::GroupChanged { patch: patch.clone() }),
        Request::Leave { client_id, .. } => (client_id, Change::MemberLeft {}),
        _ => return None,
    };
    Some((*client_id, change))
}

impl Shared {
    /// Changes a group or who is in it.
    pub(crate) async fn change_group(
        &self,
        user: &UserId,
        group: &ConversationId,
        client_id: Option<ClientId>,
        change: Change,
    ) -> Result<Accepted, ErrorBody> {
        let asked = Asked { user, group, client_id };
        let again = change.clone();
        let work = async {
            match change {
                Change::MemberAdded { user: added } => self.add_member(asked, added).await,
                Change::MemberRemoved { user: gone } => self.remove_member(asked, gone).await,
                Change::MemberBanned { user: barred } => self.ban(asked, barred).await,
                Change::MemberUnbanned { user: barred } => self.unban(asked, barred).await,
                Change::RoleChanged { user: of, role } => self.change_role(asked, of, role).await,
                Change::GroupChanged { patch } => self.set_up(asked, patch).await,
                Change::MemberLeft {} => self.leave(asked).await,
                _ => Err(ErrorCode::Internal.into()),
            }
        };
        let accepted = self.change_group_once(user, group, client_id, &again, work).await?;
        if let Change::RoleChanged { user: to, role: Role::Owner } = &again {
            self.hand_over(user, group, to).await?;
        }
        Ok(accepted)
    }

    /// Adds a user to a group.
    async fn add_member(&self, asked: Asked<'_>, added: UserId) -> Result<Accepted, ErrorBody> {
        let Asked { user, group, .. } = asked;
        let (_, found) = self.group_of(user, group).await?;
        let standing = self.members.standing(group, &added).await?;
        if standing.member().is_some() {
            return Ok(self.done_before(standing.fence));
        }
        if standing.banned {
            return Err(ErrorBody::new(ErrorCode::NotAllowed).because("That user is barred from the group."));
        }
        self.room_for_one_more(user, group, &found).await?;
        self.change_group_log(asked, Change::MemberAdded { user: added }, found.settings.add.into()).await
    }

    pub(crate) async fn room_for_one_more(
        &self,
        user: &UserId,
        group: &ConversationId,
        found: &MembershipReply,
    ) -> Result<(), ErrorBody> {
        let max = self.live.get().limits.group_members_max;
        // Far from full it does not matter how far the archive is.
        if found.members + COUNTED_EXACTLY < max || self.members_now(user, group).await? < max {
            return Ok(());
        }
        Err(ErrorBody::new(ErrorCode::GroupFull).limit("group_members_max"))
    }

    /// Removes a member of a group who stands below.
    async fn remove_member(&self, asked: Asked<'_>, gone: UserId) -> Result<Accepted, ErrorBody> {
        let Asked { user, group, .. } = asked;
        self.member_of(user, group).await?;
        let standing = self.members.standing(group, &gone).await?;
        let Some(member) = standing.member() else {
            let was_one = standing.fence > 0;
            return if was_one { Ok(self.done_before(standing.fence)) } else { Err(no_such_member()) };
        };
        let change = Change::MemberRemoved { user: gone.clone() };
        let accepted = self.change_group_log(asked, change, Needs::Above(member.role)).await?;
        self.members.forget(group, &gone).await;
        Ok(accepted)
    }

    /// Bars a user from a group, whether they are a member or not.
    async fn ban(&self, asked: Asked<'_>, barred: UserId) -> Result<Accepted, ErrorBody> {
        let Asked { user, group, .. } = asked;
        self.member_of(user, group).await?;
        let standing = self.members.standing(group, &barred).await?;
        if standing.banned {
            return Ok(self.done_before(standing.fence));
        }
        let needs = standing.member().map_or(Needs::Management, |member| Needs::Above(member.role));
        let change = Change::MemberBanned { user: barred.clone() };
        let accepted = self.change_group_log(asked, change, needs).await?;
        self.members.forget(group, &barred).await;
        Ok(accepted)
    }

    /// Lets a barred user be added again.
    async fn unban(&self, asked: Asked<'_>, barred: UserId) -> Result<Accepted, ErrorBody> {
        let Asked { user, group, .. } = asked;
        self.member_of(user, group).await?;
        let standing = self.members.standing(group, &barred).await?;
        if !standing.banned {
            return Ok(self.done_before(standing.fence));
        }
        self.change_group_log(asked, Change::MemberUnbanned { user: barred }, Needs::Management).await
    }

    /// Gives a member a role.
    async fn change_role(&self, asked: Asked<'_>, of: UserId, role: Role) -> Result<Accepted, ErrorBody> {
        let Asked { user, group, .. } = asked;
        self.member_of(user, group).await?;
        if of == *user {
            let said =
                "Nobody changes their own role: an owner hands the group over by making another member the owner.";
            return Err(ErrorBody::new(ErrorCode::NotAllowed).because(said));
        }
        let member = self.members.member_now(group, &of).await?.ok_or_else(no_such_member)?;
        let accepted = if member.role == role {
            self.done_before(member.fence)
        } else {
            let change = Change::RoleChanged { user: of.clone(), role };
            self.change_group_log(asked, change, Needs::Ownership).await?
        };
        self.members.forget(group, &of).await;
        Ok(accepted)
    }

    /// Makes an owner who has made another member one an admin: the group is handed over. A retry of the first finds
    /// it done, or does it.
    async fn hand_over(&self, user: &UserId, group: &ConversationId, to: &UserId) -> Result<(), ErrorBody> {
        let me = self.members.member_now(group, user).await?;
        if me.is_none_or(|me| me.role != Role::Owner) {
            return Ok(());
        }
        // Whoever went in this very moment is no owner, and the group keeps the one it has.
        let now = self.members.member_now(group, to).await?;
        if now.is_none_or(|member| member.role != Role::Owner) {
            return Err(no_such_member());
        }
        let change = Change::RoleChanged { user: user.clone(), role: Role::Admin };
        self.append_to_group(user, group, change, Needs::Ownership).await?;
        self.members.forget(group, user).await;
        Ok(())
    }

    /// Changes how a group is set up.
    async fn set_up(&self, asked: Asked<'_>, patch: GroupPatch) -> Result<Accepted, ErrorBody> {
        let Asked { user, group, .. } = asked;
        let limits = self.live.get().limits.clone();
        if patch.is_empty() {
            return Err(ErrorBody::new(ErrorCode::Malformed).because("Say what to change of the group."));
        }
        patch.name.as_ref().map_or(Ok(()), |name| check_name(name, &limits))?;
        for (text, limit, max, what) in [
            (&patch.description, "group_description_bytes_max", limits.group_description_bytes_max, "A description"),
            (&patch.avatar, "group_avatar_bytes_max", limits.group_avatar_bytes_max, "A reference to a picture"),
        ] {
            if text.as_ref().is_some_and(|text| text.len() > max as usize) {
                return Err(too_large(limit, max, what, "bytes"));
            }
        }
        self.member_of(user, group).await?;
        let change = Change::GroupChanged { patch: patch.clone() };
        let accepted = self.change_group_log(asked, change, Needs::Management).await?;
        self.group_settings.changed(group, accepted.seq, &patch);
        Ok(accepted)
    }

    /// Leaves a group.
    async fn leave(&self, asked: Asked<'_>) -> Result<Accepted, ErrorBody> {
        let Asked { user, group, .. } = asked;
        let said = "Make another member the owner first: a group is not left without one.";
        let owns = || ErrorBody::new(ErrorCode::NotAllowed).because(said);
        let needs = match self.member_of(user, group).await?.role {
            Role::Owner if self.members_now(user, group).await? > 1 => return Err(owns()),
            Role::Owner => Needs::Nothing,
            // Nor are they made the owner in this very moment.
            _ => Needs::NoOwnership,
        };
        let left = self.change_group_log(asked, Change::MemberLeft {}, needs).await;
        let accepted = left.map_err(|error| if error.code == ErrorCode::NotAllowed { owns() } else { error })?;
        self.members.forget(group, user).await;
        Ok(accepted)
    }

    /// How many members the group has, as of everything accepted so far.
    async fn members_now(&self, user: &UserId, group: &ConversationId) -> Result<u32, ErrorBody> {
        let partition = Partition::of(group, self.bus.partitions());
        let at_least = self.bus.newest_seq(partition).await.map_err(unavailable)?;
        let asked = Membership { user: user.clone(), conversation: group.clone(), at_least };
        let reply = self.bus.ask(&asked).await.map_err(refusal)?;
        Ok(reply.map_or(0, |reply| reply.members))
    }

    async fn change_group_log(&self, asked: Asked<'_>, change: Change, needs: Needs) -> Result<Accepted, ErrorBody> {
        let Asked { user, group, client_id } = asked;
        match client_id {
            Some(client_id) => self.append_once(user, group, client_id, change, needs).await,
            None => self.append_to_group(user, group, change, needs).await,
        }
    }

    /// Appends a change of a group that nothing is known by but itself.
    pub(crate) async fn append_to_group(
        &self,
        user: &UserId,
        group: &ConversationId,
        change: Change,
        needs: Needs,
    ) -> Result<Accepted, ErrorBody> {
        let entry = Entry { sender: user.clone(), client_id: None, time: self.bus.now_ms(), change };
        let stored = self.append_as_member(group, &entry, needs).await?;
        Ok(Accepted { seq: stored.seq, time: entry.time })
    }

    /// Said twice, done once.
    pub(crate) fn done_before(&self, seq: Seq) -> Accepted {
        Accepted { seq: seq.max(1), time: self.bus.now_ms() }
    }

    /// The user as a member of a group, as of everything accepted so far: mostly the log alone tells.
    pub(crate) async fn member_of(&self, user: &UserId, group: &ConversationId) -> Result<Member, ErrorBody> {
        let member = self.members.member_now(group, user).await?.ok_or_else(not_a_member)?;
        if group.is_direct() {
            let said = "A direct conversation is of its two users, and there is nothing to set up.";
            return Err(ErrorBody::new(ErrorCode::NotAllowed).because(said));
        }
        Ok(member)
    }

    /// The same, and the group as the archive knows it.
    pub(crate) async fn group_of(
        &self,
        user: &UserId,
        group: &ConversationId,
    ) -> Result<(Member, MembershipReply), ErrorBody> {
        let member = self.member_of(user, group).await?;
        let found = self.members.archived(group, user).await?.ok_or_else(not_a_member)?;
        Ok((member, found))
    }
}

fn no_such_member() -> ErrorBody {
    ErrorBody::new(ErrorCode::NotAMember).because("That user is not a member of the group.")
}
