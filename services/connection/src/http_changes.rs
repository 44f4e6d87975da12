//! Changes of messages over HTTP.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
    routing::{get, post},
};
use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::{
    AcceptedView, Change, ChangeDraft, EditDraft, ErrorBody, ErrorCode, ForwardDraft, HistoryPage, ReactionDraft,
    ReactorPage, TimerDraft,
};
use serde::Deserialize;

use crate::{
    http_api::{Answer, App, Caller, Draft, In, Params, Refused},
    server::Shared,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    const MESSAGE: &str = "/v1/conversations/{conversation}/messages/{seq}";
    Router::new()
        .route(&format!("{MESSAGE}/edit"), post(edit))
        .route(&format!("{MESSAGE}/delete"), post(delete))
        .route(&format!("{MESSAGE}/react"), post(react))
        .route(&format!("{MESSAGE}/pin"), post(pin))
        .route(&format!("{MESSAGE}/unpin"), post(unpin))
        .route(&format!("{MESSAGE}/reactors"), get(reactors))
        .route("/v1/conversations/{conversation}/forward", post(forward))
        .route("/v1/conversations/{conversation}/timer", post(timer))
        .route("/v1/conversations/{conversation}/pinned", get(pinned))
}

/// The message in the path.
struct Of(ConversationId, Seq);

impl FromRequestParts<Arc<Shared>> for Of {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let path = Path::<(String, String)>::from_request_parts(parts, shared).await;
        let Path((conversation, seq)) = path.map_err(|_| ErrorCode::NotFound)?;
        let refuse = |said: String| ErrorBody::new(ErrorCode::Malformed).because(said);
        let conversation =
            ConversationId::parse(&conversation).map_err(|error| refuse(format!("The path: {error}.")))?;
        let seq = seq.parse().map_err(|_| refuse("The path: a message has a whole number.".to_owned()))?;
        Ok(Self(conversation, seq))
    }
}

async fn change(
    shared: &Shared,
    who: &Caller,
    conversation: ConversationId,
    client_id: ClientId,
    change: Change,
) -> Answer<AcceptedView> {
    let accepted = shared.change(&who.0.user, &conversation, client_id, change).await?;
    Ok(Json(AcceptedView { conversation, client_id, seq: accepted.seq, time: accepted.time }))
}

async fn edit(
    State(shared): App,
    who: Caller,
    Of(conversation, target): Of,
    Draft(EditDraft { client_id, text, mentions }): Draft<EditDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, conversation, client_id, Change::Edited { target, text, mentions }).await
}

async fn forward(
    State(shared): App,
    Caller(who): Caller,
    In(conversation): In,
    Draft(draft): Draft<ForwardDraft>,
) -> Answer<AcceptedView> {
    let ForwardDraft { client_id, from, target, hide_sender } = draft;
    let accepted = shared.forward(&who.user, &conversation, client_id, (&from, target, hide_sender)).await?;
    Ok(Json(AcceptedView { conversation, client_id, seq: accepted.seq, time: accepted.time }))
}

async fn timer(
    State(shared): App,
    who: Caller,
    In(conversation): In,
    Draft(TimerDraft { client_id, seconds }): Draft<TimerDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, conversation, client_id, Change::TimerSet { seconds }).await
}

async fn delete(
    State(shared): App,
    who: Caller,
    Of(conversation, target): Of,
    Draft(ChangeDraft { client_id }): Draft<ChangeDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, conversation, client_id, Change::Deleted { target }).await
}

async fn react(
    State(shared): App,
    who: Caller,
    Of(conversation, target): Of,
    Draft(ReactionDraft { client_id, emoji, on }): Draft<ReactionDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, conversation, client_id, Change::Reacted { target, emoji, on }).await
}

async fn pin(
    State(shared): App,
    who: Caller,
    Of(conversation, target): Of,
    Draft(ChangeDraft { client_id }): Draft<ChangeDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, conversation, client_id, Change::Pinned { target }).await
}

async fn unpin(
    State(shared): App,
    who: Caller,
    Of(conversation, target): Of,
    Draft(ChangeDraft { client_id }): Draft<ChangeDraft>,
) -> Answer<AcceptedView> {
    change(&shared, &who, conversation, client_id, Change::Unpinned { target }).await
}

#[derive(Deserialize)]
struct ReactorsParams {
    emoji: Option<String>,
    after: Option<UserId>,
    limit: Option<u32>,
}

async fn reactors(
    State(shared): App,
    Caller(who): Caller,
    Of(conversation, target): Of,
    Params(asked): Params<ReactorsParams>,
) -> Answer<ReactorPage> {
    let page = (asked.after, asked.limit);
    Ok(Json(shared.reactors(&who.user, conversation, target, asked.emoji, page).await?))
}

#[derive(Deserialize)]
struct PinnedParams {
    before: Option<Seq>,
    limit: Option<u32>,
}

async fn pinned(
    State(shared): App,
    Caller(who): Caller,
    In(conversation): In,
    Params(asked): Params<PinnedParams>,
) -> Answer<HistoryPage> {
    Ok(Json(shared.pinned(&who.user, conversation, asked.before, asked.limit).await?))
}
