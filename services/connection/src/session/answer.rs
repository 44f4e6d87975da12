//! Answers the requests of a session.

use std::{sync::Arc, time::Instant};

use natter_ids::{DeviceId, UserId};
use natter_protocol::{ErrorBody, ErrorCode, MarkDraft, PresenceView, Request, RequestId, ServerFrame};

use crate::{changes::change_of, groups::group_change, observe, posting::Accepted, server::Shared, watches::Watch};

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
    /// Exactly these users are watched from now on, by this.
    Watch(Vec<UserId>, Arc<Watch>),
    /// These are not to be watched any more.
    Unwatch(Vec<UserId>),
}

pub(crate) type Answered = Result<(ServerFrame, Option<Effect>), ErrorBody>;

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
    /// Carries a request out; what it changes in a session goes with the answer.
    pub(crate) async fn answer(&self, asking: &Asking, id: RequestId, request: Request) -> Answered {
        if request.writes_to().is_some() {
            return Ok((self.write(&asking.user, id, request).await?, None));
        }
        // Boxed: most requests say something, and need not carry the room of all others.
        Box::pin(self.answer_question(asking, id, request)).await
    }

    /// Requests that write to no conversation's log.
    async fn answer_question(&self, asking: &Asking, id: RequestId, request: Request) -> Answered {
        let user = &asking.user;
        let frame = match request {
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
            Request::History { conversation, before, after, limit, edits } => {
                let page = self.history(user, conversation, (before, after), limit, edits).await?;
                ServerFrame::History { id, page }
            }
            Request::Pinned { conversation, before, limit } => {
                ServerFrame::History { id, page: self.pinned(user, conversation, before, limit).await? }
            }
            Request::Reactors { conversation, target, emoji, after, limit } => {
                let page = self.reactors(user, conversation, target, emoji, (after, limit)).await?;
                ServerFrame::Reactors { id, page }
            }
            Request::Presence { users } => ServerFrame::Presence { id, users: self.presence(user, users).await? },
            Request::WatchPresence { users } => {
                // From before they are looked at: what changes meanwhile is told, too.
                let wide = self.watches.wide(&users);
                let (users, withheld) = self.presence_of(user, users).await?;
                let watched = users.iter().map(|view: &PresenceView| view.user.clone());
                let watched: Vec<_> = watched.filter(|user| !withheld.contains(user)).collect();
                let watch = self.watches.narrowed(&wide, &watched);
                return Ok((ServerFrame::Presence { id, users }, Some(Effect::Watch(watched, watch))));
            }
            Request::SetAway { away } => return Ok((ServerFrame::Done { id }, Some(Effect::Away(away)))),
            Request::RefreshToken { token } => {
                let identity = self.identify_token(&token).await?;
                if identity.user != *user {
                    let said = "The new token is of another user.";
                    return Err(ErrorBody::new(ErrorCode::Unauthenticated).because(said));
                }
                let expires_at = identity.expires_at;
                return Ok((ServerFrame::Refreshed { id, expires_at }, Some(Effect::Refreshed(expires_at))));
            }
            request => self.answer_about_oneself(asking, id, request).await?,
        };
        Ok((frame, None))
    }

    /// Requests about marks, the list of conversations, invites, and the user's own account.
    async fn answer_about_oneself(
        &self,
        asking: &Asking,
        id: RequestId,
        request: Request,
    ) -> Result<ServerFrame, ErrorBody> {
        let Asking { user, device } = asking;
        Ok(match request {
            Request::CreateInvite { conversation, secret, expires_at, uses_max } => {
                let invite = self.create_invite(user, &conversation, secret, (expires_at, uses_max)).await?;
                ServerFrame::Invite { id, invite }
            }
            Request::Invites { conversation } => {
                ServerFrame::Invites { id, page: self.invites(user, &conversation).await? }
            }
            Request::Join { code } => ServerFrame::Conversation { id, conversation: self.join(user, &code).await? },
            Request::Mark { conversation, delivered, read } => {
                let marked = self.mark(user, conversation, MarkDraft { delivered, read }).await?;
                ServerFrame::Marked { id, marked }
            }
            Request::Marks { since, limit } => {
                ServerFrame::Marks { id, page: self.changed_marks(user, since, limit).await? }
            }
            Request::Receipts { conversation, seq, after, limit } => {
                let page = self.receipts(user, conversation, seq, after, limit).await?;
                ServerFrame::Receipts { id, page }
            }
            Request::Overview { since, after, limit, requests } => {
                let page = self.overview(user, since, after, limit, requests).await?;
                ServerFrame::Overview { id, page }
            }
            Request::Arrange { conversation, draft } => {
                ServerFrame::Arranged { id, arranged: self.arrange(user, conversation, draft).await? }
            }
            Request::ChangeSettings { draft } => {
                ServerFrame::Settings { id, settings: self.settings(user, draft).await? }
            }
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
            // The rest is answered before.
            _ => return Err(ErrorCode::Internal.into()),
        })
    }

    /// Requests that become an entry of a conversation's log.
    async fn write(&self, user: &UserId, id: RequestId, request: Request) -> Result<ServerFrame, ErrorBody> {
        let Some(conversation) = request.writes_to().cloned() else { return Err(ErrorCode::Internal.into()) };
        let here = &conversation;
        let mut client_id = None;
        let accepted = match request {
            Request::Forward { client_id: made, from, target, hide_sender, .. } => {
                client_id = Some(made);
                Box::pin(self.forward(user, here, made, (&from, target, hide_sender))).await
            }
            Request::RevokeInvite { invite, .. } => Box::pin(self.revoke_invite(user, here, invite)).await,
            request => match group_change(&request) {
                Some((made, change)) => {
                    client_id = made;
                    Box::pin(self.change_group(user, here, made, change)).await
                }
                None => {
                    let (_, made, change) = change_of(request).ok_or(ErrorCode::Internal)?;
                    client_id = Some(made);
                    self.change(user, here, made, change).await
                }
            },
        }?;
        let Accepted { seq, time } = accepted;
        Ok(ServerFrame::Accepted { id, conversation, client_id, seq, time })
    }
}
