//! The HTTP API of marks, receipts, the user's list and settings.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use natter_ids::{Position, Seq, UserId};
use natter_protocol::{
    ArrangementDraft, ArrangementView, MarkDraft, MarkPage, MarkedView, OverviewCursor, OverviewPage, OverviewPosition,
    ReceiptPage, SettingsDraft, SettingsView, ShowRequests,
};
use serde::Deserialize;

use crate::{
    http_api::{Answer, App, Caller, Draft, In, Params},
    server::Shared,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/marks", get(marks))
        .route("/v1/conversations/{conversation}/marks", post(mark))
        .route("/v1/conversations/{conversation}/receipts", get(receipts))
        .route("/v1/overview", get(overview))
        .route("/v1/conversations/{conversation}/arrangement", post(arrange))
        .route("/v1/settings", get(settings).post(set))
}

async fn mark(
    State(shared): App,
    Caller(who): Caller,
    In(conversation): In,
    Draft(draft): Draft<MarkDraft>,
) -> Answer<MarkedView> {
    Ok(Json(shared.mark(&who.user, conversation, draft).await?))
}

#[derive(Deserialize)]
struct MarksParams {
    since: Option<Position>,
    limit: Option<u32>,
}

async fn marks(State(shared): App, Caller(who): Caller, Params(asked): Params<MarksParams>) -> Answer<MarkPage> {
    Ok(Json(shared.changed_marks(&who.user, asked.since, asked.limit).await?))
}

#[derive(Deserialize)]
struct ReceiptsParams {
    seq: Seq,
    after: Option<UserId>,
    limit: Option<u32>,
}

async fn receipts(
    State(shared): App,
    Caller(who): Caller,
    In(conversation): In,
    Params(asked): Params<ReceiptsParams>,
) -> Answer<ReceiptPage> {
    Ok(Json(shared.receipts(&who.user, conversation, asked.seq, asked.after, asked.limit).await?))
}

#[derive(Deserialize)]
struct OverviewParams {
    since: Option<OverviewPosition>,
    after: Option<OverviewCursor>,
    limit: Option<u32>,
    #[serde(default)]
    requests: ShowRequests,
}

async fn overview(
    State(shared): App,
    Caller(who): Caller,
    Params(asked): Params<OverviewParams>,
) -> Answer<OverviewPage> {
    Ok(Json(shared.overview(&who.user, asked.since, asked.after, asked.limit, asked.requests).await?))
}

async fn arrange(
    State(shared): App,
    Caller(who): Caller,
    In(conversation): In,
    Draft(draft): Draft<ArrangementDraft>,
) -> Answer<ArrangementView> {
    Ok(Json(shared.arrange(&who.user, conversation, draft).await?))
}

async fn settings(State(shared): App, Caller(who): Caller) -> Answer<SettingsView> {
    Ok(Json(shared.settings(&who.user, SettingsDraft::default()).await?))
}

async fn set(State(shared): App, Caller(who): Caller, Draft(draft): Draft<SettingsDraft>) -> Answer<SettingsView> {
    Ok(Json(shared.settings(&who.user, draft).await?))
}
