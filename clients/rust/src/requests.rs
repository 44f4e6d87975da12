//! A method for every request.

use natter_ids::{ClientId, ConversationId, DeviceId, Seq, UserId};
use natter_protocol::{
    BlockPage, ConversationPage, ConversationView, DevicePage, HistoryPage, MemberPage, PresenceView, PrivacyView,
    Request, ServerFrame,
};

use crate::{Client, RequestError};

pub(crate) type Result<T> = std::result::Result<T, RequestError>;

impl Client {
    /// Opens the direct conversation with a user, or finds it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn open_direct(&self, user: &UserId) -> Result<ConversationView> {
        conversation(self.request(Request::OpenDirect { user: user.clone() }).await?)
    }

    /// Creates a group of the user and the given members.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_group(&self, name: &str, members: &[UserId]) -> Result<ConversationView> {
        self.create_group_with_id(self.new_client_id(), name, members).await
    }

    /// Like [`Client::create_group`], under an id that was made, and perhaps tried, before.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_group_with_id(&self, id: ClientId, name: &str, members: &[UserId]) -> Result<ConversationView> {
        let (name, members) = (name.to_owned(), members.to_vec());
        conversation(self.request(Request::CreateGroup { client_id: id, name, members }).await?)
    }

    /// Adds a user to a group; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn add_member(&self, group: &ConversationId, user: &UserId) -> Result<Seq> {
        let request =
            Request::AddMember { conversation: group.clone(), client_id: Some(ClientId::now()), user: user.clone() };
        accepted(self.request(request).await?)
    }

    /// Removes a member from a group; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn remove_member(&self, group: &ConversationId, user: &UserId) -> Result<Seq> {
        let request =
            Request::RemoveMember { conversation: group.clone(), client_id: Some(ClientId::now()), user: user.clone() };
        accepted(self.request(request).await?)
    }

    /// Leaves a group; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn leave(&self, group: &ConversationId) -> Result<Seq> {
        accepted(self.request(Request::Leave { conversation: group.clone(), client_id: Some(ClientId::now()) }).await?)
    }

    /// A page of the user's conversations, after the given one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn conversations(&self, after: Option<&ConversationId>, limit: Option<u32>) -> Result<ConversationPage> {
        match self.request(Request::Conversations { after: after.cloned(), limit }).await? {
            ServerFrame::Conversations { page, .. } => Ok(page),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// A page of a conversation's members, after the given one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn members(&self, of: &ConversationId, after: Option<&UserId>, limit: Option<u32>) -> Result<MemberPage> {
        match self.request(Request::Members { conversation: of.clone(), after: after.cloned(), limit }).await? {
            ServerFrame::Members { page, .. } => Ok(page),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// A page of history, oldest entry first: the newest page, the one that ends just before
    /// `before`, or the one that begins just after `after`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn history(
        &self,
        of: &ConversationId,
        before: Option<Seq>,
        after: Option<Seq>,
        limit: Option<u32>,
    ) -> Result<HistoryPage> {
        page(self.request(Request::History { conversation: of.clone(), before, after, limit, edits: false }).await?)
    }

    /// Who of the users is online, among those one shares a conversation with.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn presence(&self, users: &[UserId]) -> Result<Vec<PresenceView>> {
        presence(self.request(Request::Presence { users: users.to_vec() }).await?)
    }

    /// Like [`Client::presence`], and changes follow as notifications, also from later sessions.
    /// Replaces the users watched before; an empty list ends the watch.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn watch_presence(&self, users: &[UserId]) -> Result<Vec<PresenceView>> {
        presence(self.request(Request::WatchPresence { users: users.to_vec() }).await?)
    }

    /// Says whether the user is at this device; for this session only.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_away(&self, away: bool) -> Result<()> {
        match self.request(Request::SetAway { away }).await? {
            ServerFrame::Done { .. } => Ok(()),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// Whom the user has blocked.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn blocks(&self) -> Result<BlockPage> {
        blocks(self.request(Request::Blocks).await?)
    }

    /// Blocks a user; they are not told.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn block(&self, user: &UserId) -> Result<BlockPage> {
        blocks(self.request(Request::Block { user: user.clone() }).await?)
    }

    /// Lifts a block. What was said meanwhile is in the history.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn unblock(&self, user: &UserId) -> Result<BlockPage> {
        blocks(self.request(Request::Unblock { user: user.clone() }).await?)
    }

    /// What the user lets others see.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn privacy(&self) -> Result<PrivacyView> {
        privacy(self.request(Request::Privacy).await?)
    }

    /// Changes what the user lets others see.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_privacy(&self, wanted: PrivacyView) -> Result<PrivacyView> {
        privacy(self.request(Request::SetPrivacy { privacy: wanted }).await?)
    }

    /// The user's devices, the one seen last first.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn devices(&self) -> Result<DevicePage> {
        devices(self.request(Request::Devices).await?)
    }

    /// Signs a device of the user out, for good; returns those that are left. A client that signs its
    /// own device out ends with [`Fatal`](crate::Fatal).
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn revoke_device(&self, device: &DeviceId) -> Result<DevicePage> {
        devices(self.request(Request::RevokeDevice { device: device.clone() }).await?)
    }
}

fn blocks(frame: ServerFrame) -> Result<BlockPage> {
    match frame {
        ServerFrame::Blocks { page, .. } => Ok(page),
        _ => Err(RequestError::UnexpectedAnswer),
    }
}

fn privacy(frame: ServerFrame) -> Result<PrivacyView> {
    match frame {
        ServerFrame::Privacy { privacy, .. } => Ok(privacy),
        _ => Err(RequestError::UnexpectedAnswer),
    }
}

fn devices(frame: ServerFrame) -> Result<DevicePage> {
    match frame {
        ServerFrame::Devices { page, .. } => Ok(page),
        _ => Err(RequestError::UnexpectedAnswer),
    }
}

pub(crate) fn conversation(frame: ServerFrame) -> Result<ConversationView> {
    match frame {
        ServerFrame::Conversation { conversation, .. } => Ok(conversation),
        _ => Err(RequestError::UnexpectedAnswer),
    }
}

pub(crate) fn accepted(frame: ServerFrame) -> Result<Seq> {
    match frame {
        ServerFrame::Accepted { seq, .. } => Ok(seq),
        _ => Err(RequestError::UnexpectedAnswer),
    }
}

pub(crate) fn page(frame: ServerFrame) -> Result<HistoryPage> {
    match frame {
        ServerFrame::History { page, .. } => Ok(page),
        _ => Err(RequestError::UnexpectedAnswer),
    }
}

fn presence(frame: ServerFrame) -> Result<Vec<PresenceView>> {
    match frame {
        ServerFrame::Presence { users, .. } => Ok(users),
        _ => Err(RequestError::UnexpectedAnswer),
    }
}
