//! Answers the requests of a session.

use std::{sync::Arc, time::Instant};

use natter_ids::{ConversationId, DeviceId, UserId};
use natter_protocol::{ErrorBody, ErrorCode, PresenceView, Request, RequestId, ServerFrame};

use crate::{observe, posting::Accepted, server::Shared};

/// An answer, and what it changes in the session.
pub(crate) struct Answer {
    /// Absent for what the session asked for itself.
    pub(crate) frame: Option<ServerFrame>,
    pub(crate) effect: Option<Effect>,
}

/// Who asks.
pub(crate) struct Asking {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
}

/// What a successful request changes in its session.
pub(crate) enum Effect {
    /// The token was replaced by one that ends then, in milliseconds since 1970 UTC.
    Refreshed(u64),
    /// The user is away from this device, or back.
    Away(bool),
    /// This is how watched users are now.
    Show(Vec<PresenceView>),
    /// Exactly these users are watched from now on.
    Watch(Vec<UserId>),
}

type Answered = Result<(ServerFrame, Option<Effect>), ErrorBody>;

/// The conversation that a request writes to: such requests are answered in the order they came.
pub(crate) fn lane(request: &Request) -> Option<ConversationId> {
    match request {
        Request::Send { conversation, .. }
        | Request::AddMember { conversation, .. }
        | Request::RemoveMember { conversation, .. }
        | Request::Leave { conversation } => Some(conversation.clone()),
        _ => None,
    }
}

pub(crate) async fn answer(shared: Arc<Shared>, asking: Asking, id: RequestId, request: Request) -> Answer {
    let (name, began) = (request.name(), Instant::now());
    let answered = match shared.live.get().rates.request(&asking.user) {
        Ok(()) => shared.answer(&asking, id, request).await,
        Err(refused) => Err(refused),
    };
    observe::answered(name, began, answered.as_ref().err().map(|error| error.code));
    match answered {
        Ok((frame, effect)) => Answer { frame: Some(frame), effect },
        Err(error) => Answer { frame: Some(ServerFrame::Error { id: Some(id), error }), effect: None },
    }
}

impl Shared {
    async fn answer(&self, asking: &Asking, id: RequestId, request: Request) -> Answered {
        let Asking { user, device } = asking;
        let frame = match request {
            Request::Send { .. } | Request::AddMember { .. } | Request::RemoveMember { .. } | Request::Leave { .. } => {
                self.write(user, id, request).await?
            }
            Request::OpenDirect { user: peer } => {
                ServerFrame::Conversation { id, conversation: self.open_direct(user, peer).await? }
            }
            Request::CreateGroup { client_id, name, members } => {
                let conversation = self.create_group(user, client_id, name, members).await?;
                ServerFrame::Conversation { id, conversation }
            }
            Request::Conversations { after, limit } => {
                ServerFrame::Conversations { id, page: self.conversations(user, after, limit).await? }
            }
            Request::Members { conversation, after, limit } => {
                ServerFrame::Members { id, page: self.members_of(user, conversation, after, limit).await? }
            }
            Request::History { conversation, before, after, limit } => {
                let page = self.history(user, conversation, (before, after), limit).await?;
                ServerFrame::History { id, page }
            }
            Request::Presence { users } => ServerFrame::Presence { id, users: self.presence(user, users).await? },
            Request::WatchPresence { users } => {
                let users = self.presence(user, users).await?;
                let watched = users.iter().map(|view: &PresenceView| view.user.clone()).collect();
                return Ok((ServerFrame::Presence { id, users }, Some(Effect::Watch(watched))));
            }
            Request::SetAway { away } => return Ok((ServerFrame::Done { id }, Some(Effect::Away(away)))),
            Request::Blocks => ServerFrame::Blocks { id, page: self.blocks(user).await? },
            Request::Block { user: other } => ServerFrame::Blocks { id, page: self.block(user, other).await? },
            Request::Unblock { user: other } => ServerFrame::Blocks { id, page: self.unblock(user, other).await? },
            Request::Privacy => ServerFrame::Privacy { id, privacy: self.privacy(user).await? },
            Request::SetPrivacy { privacy } => {
                ServerFrame::Privacy { id, privacy: self.set_privacy(user, privacy).await? }
            }
            Request::Devices => ServerFrame::Devices { id, page: self.devices_of(user, Some(device)).await? },
            Request::RevokeDevice { device: gone } => {
                ServerFrame::Devices { id, page: self.revoke_device(user, gone, Some(device)).await? }
            }
            Request::RefreshToken { token } => {
                let identity = self.identify_token(&token).await?;
                if identity.user != *user {
                    let said = "The new token is of another user.";
                    return Err(ErrorBody::new(ErrorCode::Unauthenticated).because(said));
                }
                let expires_at = identity.expires_at;
                return Ok((ServerFrame::Refreshed { id, expires_at }, Some(Effect::Refreshed(expires_at))));
            }
        };
        Ok((frame, None))
    }

    /// Requests that become an entry of a conversation's log.
    async fn write(&self, user: &UserId, id: RequestId, request: Request) -> Result<ServerFrame, ErrorBody> {
        let (conversation, client_id, accepted) = match request {
            Request::Send { conversation, client_id, text } => {
                let accepted = self.post(user, &conversation, client_id, text).await?;
                (conversation, Some(client_id), accepted)
            }
            Request::AddMember { conversation, user: added } => {
                let accepted = self.add_member(user, &conversation, added).await?;
                (conversation, None, accepted)
            }
            Request::RemoveMember { conversation, user: gone } => {
                let accepted = self.remove_member(user, &conversation, gone).await?;
                (conversation, None, accepted)
            }
            Request::Leave { conversation } => {
                let accepted = self.leave(user, &conversation).await?;
                (conversation, None, accepted)
            }
            _ => return Err(ErrorCode::Internal.into()),
        };
        let Accepted { seq, time } = accepted;
        Ok(ServerFrame::Accepted { id, conversation, client_id, seq, time })
    }
}
