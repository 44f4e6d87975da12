//! Requests about groups.

use natter_ids::{ClientId, ConversationId, InviteCode, InviteId, Seq, UserId};
use natter_protocol::{ConversationView, GroupPatch, InvitePage, InviteView, Request, Role, ServerFrame};

use crate::{
    Client, RequestError,
    requests::{Result, accepted, conversation},
};

impl Client {
    /// Changes how a group is set up; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn change_group(&self, group: &ConversationId, patch: GroupPatch) -> Result<Seq> {
        accepted(
            self.request(Request::ChangeGroup { conversation: group.clone(), client_id: Some(ClientId::now()), patch })
                .await?,
        )
    }

    /// Gives a member another role; [`Role::Owner`] hands the group over. Returns the number of the
    /// entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn change_role(&self, group: &ConversationId, user: &UserId, role: Role) -> Result<Seq> {
        let request = Request::ChangeRole {
            conversation: group.clone(),
            client_id: Some(ClientId::now()),
            user: user.clone(),
            role,
        };
        accepted(self.request(request).await?)
    }

    /// Bars a user from a group; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn ban_member(&self, group: &ConversationId, user: &UserId) -> Result<Seq> {
        let request =
            Request::BanMember { conversation: group.clone(), client_id: Some(ClientId::now()), user: user.clone() };
        accepted(self.request(request).await?)
    }

    /// Lets a barred user be added again; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn unban_member(&self, group: &ConversationId, user: &UserId) -> Result<Seq> {
        let request =
            Request::UnbanMember { conversation: group.clone(), client_id: Some(ClientId::now()), user: user.clone() };
        accepted(self.request(request).await?)
    }

    /// Makes an invite, until a time in milliseconds since 1970 UTC and for so many; once, also when the connection is
    /// lost meanwhile. Only this answer tells its code.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_invite(
        &self,
        group: &ConversationId,
        expires_at: Option<u64>,
        uses_max: Option<u32>,
    ) -> Result<InviteView> {
        let secret = Some(InviteCode::random(group.clone()).secret().to_owned());
        let request = Request::CreateInvite { conversation: group.clone(), secret, expires_at, uses_max };
        match self.request(request).await? {
            ServerFrame::Invite { invite, .. } => Ok(invite),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// Ends an invite; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn revoke_invite(&self, group: &ConversationId, invite: &InviteId) -> Result<Seq> {
        let request = Request::RevokeInvite { conversation: group.clone(), invite: invite.clone() };
        accepted(self.request(request).await?)
    }

    /// The invites of a group that hold.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn invites(&self, group: &ConversationId) -> Result<InvitePage> {
        match self.request(Request::Invites { conversation: group.clone() }).await? {
            ServerFrame::Invites { page, .. } => Ok(page),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// Comes into a group by an invite's code, or finds it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn join(&self, code: &str) -> Result<ConversationView> {
        conversation(self.request(Request::Join { code: code.to_owned() }).await?)
    }
}
