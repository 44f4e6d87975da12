//! Conversations and groups over HTTP.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
    routing::{delete, get, post, put},
};
use natter_ids::{ClientId, ConversationId, InviteId, UserId};
use natter_protocol::{
    AcceptedView, Change, ChangeDraft, ConversationView, ErrorBody, ErrorCode, GroupChangeDraft, GroupDraft,
    InviteDraft, InvitePage, InviteView, JoinDraft, MemberDraft, RoleDraft,
};

use crate::{
    http_api::{Answer, App, Caller, Draft, In, Named, Refused},
    server::Shared,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    const GROUP: &str = "/v1/conversations/{conversation}";
    Router::new()
        .route("/v1/direct/{user}", put(open_direct))
        .route("/v1/join", post(join))
        .route(&format!("{GROUP}/change"), post(change_group))
        .route(&format!("{GROUP}/leave"), post(leave))
        .route(&format!("{GROUP}/members/{{user}}/remove"), post(remove))
        .route(&format!("{GROUP}/members/{{user}}/role"), post(change_role))
        .route(&format!("{GROUP}/members/{{user}}/ban"), post(ban))
        .route(&format!("{GROUP}/members/{{user}}/unban"), post(unban))
        .route(&format!("{GROUP}/invites"), get(invites).post(create_invite))
        .route(&format!("{GROUP}/invites/{{invite}}"), delete(revoke_invite))
}

/// A conversation and something of it in the path.
struct Within<T>(ConversationId, T);

impl<T> FromRequestParts<Arc<Shared>> for Within<T>
where
    T: TryFrom<String, Error: std::fmt::Display>,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let path = Path::<(String, String)>::from_request_parts(parts, shared).await;
        let Path((conversation, rest)) = path.map_err(|_| ErrorCode::NotFound)?;
        let refuse = |said: String| ErrorBody::new(ErrorCode::Malformed).because(format!("The path: {said}."));
        let conversation = ConversationId::parse(&conversation).map_err(|error| refuse(error.to_string()))?;
        Ok(Self(conversation, T::try_from(rest).map_err(|error| refuse(error.to_string()))?))
    }
}

async fn open_direct(State(shared): App, Caller(who): Caller, Named(peer): Named<UserId>) -> Answer<ConversationView> {
    Ok(Json(shared.open_direct(&who.user, peer).await?))
}

pub(crate) async fn create_group(
    State(shared): App,
    Caller(who): Caller,
    Draft(GroupDraft { client_id, name, members }): Draft<GroupDraft>,
) -> Answer<ConversationView> {
    Ok(Json(shared.create_group(&who.user, client_id, name, members).await?))
}

async fn change(
    shared: &Shared,
    who: &Caller,
    conversation: ConversationId,
    client_id: ClientId,
    change: Change,
) -> Answer<AcceptedView> {
    let accepted = Box::pin(shared.change_group(&who.0.user, &conversation, Some(client_id), change)).await?;
    Ok(Json(AcceptedView { conversation, client_id, seq: accepted.seq, time: accepted.time }))
}

async fn change_group(
    State(shared): App,
    who: Caller,
    In(group): In,
    Draft(GroupChangeDraft { client_id, patch }): Draft<GroupChangeDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, group, client_id, Change::GroupChanged { patch }).await
}

pub(crate) async fn add_member(
    State(shared): App,
    who: Caller,
    In(group): In,
    Draft(MemberDraft { client_id, user }): Draft<MemberDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, group, client_id, Change::MemberAdded { user }).await
}

async fn remove(
    State(shared): App,
    who: Caller,
    Within(group, user): Within<UserId>,
    Draft(ChangeDraft { client_id }): Draft<ChangeDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, group, client_id, Change::MemberRemoved { user }).await
}

async fn change_role(
    State(shared): App,
    who: Caller,
    Within(group, user): Within<UserId>,
    Draft(RoleDraft { client_id, role }): Draft<RoleDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, group, client_id, Change::RoleChanged { user, role }).await
}

async fn ban(
    State(shared): App,
    who: Caller,
    Within(group, user): Within<UserId>,
    Draft(ChangeDraft { client_id }): Draft<ChangeDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, group, client_id, Change::MemberBanned { user }).await
}

async fn unban(
    State(shared): App,
    who: Caller,
    Within(group, user): Within<UserId>,
    Draft(ChangeDraft { client_id }): Draft<ChangeDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, group, client_id, Change::MemberUnbanned { user }).await
}

async fn leave(
    State(shared): App,
    who: Caller,
    In(group): In,
    Draft(ChangeDraft { client_id }): Draft<ChangeDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, group, client_id, Change::MemberLeft {}).await
}

async fn invites(State(shared): App, Caller(who): Caller, In(group): In) -> Answer<InvitePage> {
    Ok(Json(shared.invites(&who.user, &group).await?))
}

async fn create_invite(
    State(shared): App,
    Caller(who): Caller,
    In(group): In,
    Draft(InviteDraft { secret, expires_at, uses_max }): Draft<InviteDraft>,
) -> Answer<InviteView> {
    Ok(Json(shared.create_invite(&who.user, &group, Some(secret), (expires_at, uses_max)).await?))
}

async fn revoke_invite(
    State(shared): App,
    Caller(who): Caller,
    Within(group, invite): Within<InviteId>,
) -> Answer<InvitePage> {
    shared.revoke_invite(&who.user, &group, invite.clone()).await?;
    let mut left = shared.invites(&who.user, &group).await?;
    // The archive may be a moment behind.
    left.invites.retain(|view| view.invite != invite);
    Ok(Json(left))
}

async fn join(
    State(shared): App,
    Caller(who): Caller,
    Draft(JoinDraft { code }): Draft<JoinDraft>,
) -> Answer<ConversationView> {
    Ok(Json(shared.join(&who.user, &code).await?))
}
