//! Invites: ways into a group for whoever has the code.
//!
//! Every use is an entry of its own on the invite's subject, fenced on the one before: a bounded invite
//! lets in exactly as many as it says, through whatever gateways they come.

use natter_bus::{
    Append, AppendError, Fence,
    storage_api::{Invite, InviteReply, Invites, MembershipReply},
};
use natter_ids::{ConversationId, InviteCode, InviteId, Seq, UserId};
use natter_protocol::{Change, ConversationView, Entry, ErrorBody, ErrorCode, InvitePage, InviteView, Role};

use crate::{
    members::{Standing, refusal, unavailable},
    posting::{Accepted, append_refusal},
    rights::Needs,
    server::Shared,
};

/// How often a use is tried that others are faster than.
const TRIES: u32 = 20;

/// A group that has lost its owner has had nobody else; so many may come at once before one of them is the owner.
const OWNERLESS_MAX: u32 = 16;

/// An invite as of its newest entry.
struct Known {
    state: InviteReply,
    /// What the next entry about it is fenced on.
    fence: Seq,
    /// Who has just used it.
    last_user: Option<UserId>,
    /// Whether that is the one who asks, and they have not come in by it yet.
    counted: bool,
}

impl Shared {
    /// Makes an invite; only the answer tells its code.
    pub(crate) async fn create_invite(
        &self,
        user: &UserId,
        group: &ConversationId,
        secret: Option<String>,
        (expires_at, uses_max): (Option<u64>, Option<u32>),
    ) -> Result<InviteView, ErrorBody> {
        if uses_max == Some(0) || expires_at.is_some_and(|time| time <= self.bus.now_ms()) {
            let said = "An invite holds for some time and for at least one.";
            return Err(ErrorBody::new(ErrorCode::Malformed).because(said));
        }
        let (_, found) = self.group_of(user, group).await?;
        let view = |code: &InviteCode, of: InviteReply| InviteView {
            conversation: group.clone(),
            invite: code.id(),
            code: Some(code.to_string()),
            expires_at: of.expires_at,
            uses_max: of.uses_max,
            uses: of.uses,
        };
        let code = match secret {
            Some(secret) => InviteCode::of(group.clone(), &secret)
                .map_err(|error| ErrorBody::new(ErrorCode::Malformed).because(format!("`secret`: {error}.")))?,
            None => InviteCode::random(group.clone()),
        };
        if let Some(made) = self.invite(group, &code.id()).await? {
            // This is a retry: whoever knows the code has made it.
            made.check(self.bus.now_ms())?;
            return Ok(view(&code, made.state));
        }
        let max = self.live.get().limits.group_invites_max;
        if self.invites(user, group).await?.invites.len() >= max as usize {
            let said = format!("A group has at most {max} invites: revoke one.");
            return Err(ErrorBody::new(ErrorCode::TooLarge).because(said).limit("group_invites_max"));
        }
        let change = Change::InviteCreated { invite: code.id(), expires_at, uses_max };
        self.append_to_group(user, group, change, found.settings.add.into()).await?;
        Ok(view(&code, InviteReply { expires_at, uses_max, uses: 0, revoked: false }))
    }

    /// The invites that hold.
    pub(crate) async fn invites(&self, user: &UserId, group: &ConversationId) -> Result<InvitePage, ErrorBody> {
        let asked = Invites { user: user.clone(), conversation: group.clone(), now: self.bus.now_ms() };
        self.ask_as_member(user, group, &asked).await
    }

    /// Ends an invite.
    pub(crate) async fn revoke_invite(
        &self,
        user: &UserId,
        group: &ConversationId,
        invite: InviteId,
    ) -> Result<Accepted, ErrorBody> {
        self.member_of(user, group).await?;
        let known = self.invite(group, &invite).await?.ok_or_else(no_such_invite)?;
        if known.state.revoked {
            return Ok(self.done_before(known.fence));
        }
        self.append_to_group(user, group, Change::InviteRevoked { invite }, Needs::Management).await
    }

    /// Comes into a group by an invite's code; a member finds it.
    pub(crate) async fn join(&self, user: &UserId, code: &str) -> Result<ConversationView, ErrorBody> {
        let code = InviteCode::parse(code)
            .map_err(|error| ErrorBody::new(ErrorCode::Malformed).because(format!("The code: {error}.")))?;
        let (group, invite) = (code.conversation().clone(), code.id());
        let known = self.invite(&group, &invite).await?.ok_or_else(no_such_invite)?;
        let standing = self.members.standing(&group, user).await?;
        if standing.member().is_none() {
            let known = known.seen_by(user, standing.fence);
            self.check_invite(&group, user, &standing, &known).await?;
            self.use_invite(user, &group, &invite, known).await?;
            let change = Change::MemberJoined { invite };
            let entry = Entry { sender: user.clone(), client_id: None, time: self.bus.now_ms(), change };
            // Whoever is barred meanwhile does not come in.
            let fence = Fence::Member { user, seq: standing.fence };
            match self.bus.append(Append { conversation: &group, entry: &entry, fence }).await {
                // Another device of the user's was faster.
                Ok(_) | Err(AppendError::FenceMoved) => self.members.forget(&group, user).await,
                Err(error) => return Err(append_refusal(&error)),
            }
        }
        let found = self.group_of(user, &group).await?.1;
        let role = self.role_or_ownership(user, &group, &found).await?;
        let MembershipReply { name, last_seq, settings, timer_seconds, .. } = found;
        Ok(ConversationView {
            conversation: group,
            name,
            peer: None,
            group: Some(settings),
            timer_seconds,
            role,
            last_seq,
        })
    }

    /// The role of who comes in. A group without an owner, which the last one has left, is whose comes next.
    async fn role_or_ownership(
        &self,
        user: &UserId,
        group: &ConversationId,
        found: &MembershipReply,
    ) -> Result<Role, ErrorBody> {
        let role = found.role.unwrap_or(Role::Member);
        if found.members > OWNERLESS_MAX {
            return Ok(role);
        }
        let page = self.members_of(user, group.clone(), None, Some(OWNERLESS_MAX)).await?;
        // More have come meanwhile: the owner may be on the next page.
        if page.more || page.members.iter().any(|member| member.role == Role::Owner) {
            return Ok(role);
        }
        let change = Change::RoleChanged { user: user.clone(), role: Role::Owner };
        self.append_to_group(user, group, change, Needs::Nothing).await?;
        self.members.forget(group, user).await;
        Ok(Role::Owner)
    }

    async fn check_invite(
        &self,
        group: &ConversationId,
        user: &UserId,
        standing: &Standing,
        known: &Known,
    ) -> Result<(), ErrorBody> {
        if standing.banned {
            return Err(ErrorBody::new(ErrorCode::NotAllowed).because("You are barred from this group."));
        }
        let found = self.members.archived(group, user).await?.ok_or_else(no_such_invite)?;
        self.room_for_one_more(user, group, &found).await?;
        known.check(self.bus.now_ms())
    }

    /// Counts a use; who has counted one and come no further has it counted already.
    async fn use_invite(
        &self,
        user: &UserId,
        group: &ConversationId,
        invite: &InviteId,
        mut known: Known,
    ) -> Result<(), ErrorBody> {
        for _ in 0..TRIES {
            known.check(self.bus.now_ms())?;
            if known.counted {
                return Ok(());
            }
            let InviteReply { expires_at, uses_max, uses, .. } = known.state;
            let change = Change::InviteUsed { invite: invite.clone(), expires_at, uses_max, uses: uses + 1 };
            let entry = Entry { sender: user.clone(), client_id: None, time: self.bus.now_ms(), change };
            let fence = Fence::Invite { seq: known.fence };
            match self.bus.append(Append { conversation: group, entry: &entry, fence }).await {
                Ok(_) => return Ok(()),
                Err(AppendError::FenceMoved) => {
                    let fence = self.members.standing(group, user).await?.fence;
                    known = self.invite(group, invite).await?.ok_or_else(no_such_invite)?.seen_by(user, fence);
                }
                Err(error) => return Err(append_refusal(&error)),
            }
        }
        Err(ErrorBody::new(ErrorCode::Unavailable).because("Many join at this moment: try again."))
    }

    /// The invite as of everything accepted so far.
    async fn invite(&self, group: &ConversationId, invite: &InviteId) -> Result<Option<Known>, ErrorBody> {
        let last = self.bus.last_invite_entry(group, invite).await.map_err(unavailable)?;
        let Some((fence, entry)) = last else {
            let asked = Invite { conversation: group.clone(), invite: invite.clone(), at_least: 0 };
            let state = self.bus.ask(&asked).await.map_err(refusal)?;
            return Ok(state.map(|state| Known { state, fence: 0, last_user: None, counted: false }));
        };
        let state = match entry.change {
            Change::InviteCreated { expires_at, uses_max, .. } => {
                InviteReply { expires_at, uses_max, uses: 0, revoked: false }
            }
            Change::InviteUsed { expires_at, uses_max, uses, .. } => {
                let state = InviteReply { expires_at, uses_max, uses, revoked: false };
                return Ok(Some(Known { state, fence, last_user: Some(entry.sender), counted: false }));
            }
            _ => InviteReply { expires_at: None, uses_max: None, uses: 0, revoked: true },
        };
        Ok(Some(Known { state, fence, last_user: None, counted: false }))
    }
}

impl Known {
    /// As it is for a user whose own newest entry in the group stands at `seq`: a use before that has let
    /// them in already, and lets nobody in again.
    fn seen_by(self, user: &UserId, seq: Seq) -> Self {
        Self { counted: self.last_user.as_ref() == Some(user) && seq < self.fence, ..self }
    }

    fn check(&self, now: u64) -> Result<(), ErrorBody> {
        let InviteReply { expires_at, uses_max, uses, revoked } = self.state;
        let used_up = uses_max.is_some_and(|max| uses >= max && !self.counted);
        if revoked || used_up || expires_at.is_some_and(|time| time <= now) {
            return Err(no_such_invite());
        }
        Ok(())
    }
}

/// The same answer for what never was, what has ended and what is used up.
fn no_such_invite() -> ErrorBody {
    ErrorCode::NoSuchInvite.into()
}
