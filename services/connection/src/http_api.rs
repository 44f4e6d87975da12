//! The HTTP API: tickets, and everything for clients that poll.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{
        DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, delete, get, post, put},
};
use natter_ids::{ConversationId, DeviceId, Position, Seq, UserId};
use natter_protocol::{
    AcceptedView, BacklogPage, BlockPage, Change, ConversationPage, DevicePage, ErrorBody, ErrorCode, HistoryPage,
    MemberPage, MessageDraft, PresencePage, PrivacyView, TicketGrant,
};
use serde::{Deserialize, de::DeserializeOwned};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    gate::Identity,
    http_changes, http_groups, http_marks,
    http_requests::requests,
    observe::{RefusedWith, observe},
    server::{Peer, Place, Shared},
    upgrade::{bearer_of, upgrade},
};

/// How long a page may keep what it was told about allowed origins.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

pub(crate) type App = State<Arc<Shared>>;
pub(crate) type Answer<T> = Result<Json<T>, Refused>;

/// A refusal as an HTTP answer.
#[derive(Debug)]
pub(crate) struct Refused {
    error: Box<ErrorBody>,
    status: StatusCode,
}

impl From<ErrorBody> for Refused {
    fn from(error: ErrorBody) -> Self {
        let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { error: Box::new(error), status }
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        ErrorBody::new(code).into()
    }
}

impl Refused {
    /// The request should have been a WebSocket's (RFC 6455, section 4.4).
    pub(crate) fn upgrade_required(said: &str) -> Self {
        Self {
            error: Box::new(ErrorBody::new(ErrorCode::Malformed).because(said)),
            status: StatusCode::UPGRADE_REQUIRED,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let retry_after = self.error.retry_after_ms.map(|ms| ms.div_ceil(1000));
        let mut response = (self.status, Json(&*self.error)).into_response();
        response.extensions_mut().insert(RefusedWith(self.error.code));
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let body_max = shared.config.limits.frame_bytes_max as usize;
    let cors = cors(&shared.config.origins);
    Router::new()
        .route("/v1/ws", any(upgrade))
        .route("/v1/tickets", post(grant_ticket))
        .route("/v1/backlog", get(backlog))
        .route("/v1/conversations", get(conversations).post(http_groups::create_group))
        .route("/v1/conversations/{conversation}/members", get(members).post(http_groups::add_member))
        .route("/v1/conversations/{conversation}/history", get(history))
        .route("/v1/conversations/{conversation}/messages", post(send))
        .route("/v1/presence", get(presence))
        .route("/v1/requests", post(requests))
        .merge(http_groups::routes())
        .merge(http_changes::routes())
        .merge(http_marks::routes())
        .route("/v1/devices", get(devices))
        .route("/v1/blocks", get(blocks))
        .route("/v1/blocks/{user}", put(block).delete(unblock))
        .route("/v1/privacy", get(privacy).put(set_privacy))
        .route("/v1/devices/{device}", delete(revoke_device))
        .fallback(|| async { Refused::from(ErrorCode::NotFound) })
        .method_not_allowed_fallback(|| async { Refused::from(ErrorCode::NotFound) })
        .layer(DefaultBodyLimit::max(body_max))
        .layer(middleware::from_fn(observe))
        .layer(cors)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), check_origin))
        .with_state(shared)
}

fn cors(origins: &[String]) -> CorsLayer {
    let any = origins.iter().any(|origin| origin == "*");
    let allowed = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(if any { AllowOrigin::any() } else { AllowOrigin::list(allowed) })
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::RETRY_AFTER])
        .max_age(PREFLIGHT_AGE)
}

/// Pages of other origins are refused before anything else: browsers send WebSocket requests
/// across origins without asking first.
async fn check_origin(State(shared): App, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN);
    let allowed = |origin: &HeaderValue| {
        shared.config.origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
    };
    if origin.is_some_and(|origin| !allowed(origin)) {
        return Refused::from(ErrorCode::OriginForbidden).into_response();
    }
    next.run(request).await
}

/// Counts a request against its address, when the address is known only from a header.
pub(crate) fn check_address(shared: &Shared, request: &Request) -> Result<(), Refused> {
    let Some(name) = &shared.config.address_header else { return Ok(()) };
    let said = request.headers().get(name).and_then(|value| value.to_str().ok());
    // The last address is the one that the nearest proxy has seen.
    let address = said.and_then(|value| value.rsplit(',').next()).and_then(|value| value.trim().parse().ok());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    match address.or(peer) {
        Some(address) => Ok(shared.live.get().rates.connect(address)?),
        None => Ok(()),
    }
}

/// Whoever shows a valid token; counts against their rate.
pub(crate) struct Caller(pub(crate) Identity);

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let credential = credential(&parts.headers)?;
        let identity = shared.identify(&credential).await?;
        if let Some(place) = parts.extensions.get::<Place>() {
            place.authenticated();
        }
        shared.live.get().rates.request(&identity.user)?;
        Ok(Self(identity))
    }
}

fn credential(headers: &HeaderMap) -> Result<natter_auth::Credential, Refused> {
    let said = "Send `Authorization: Bearer` and a token.";
    bearer_of(headers).ok_or_else(|| ErrorBody::new(ErrorCode::Unauthenticated).because(said).into())
}

/// Query parameters, refused with a code of Natter's own.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Shared>> for Params<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let refuse = |error: QueryRejection| ErrorBody::new(ErrorCode::Malformed).because(error.body_text());
        let Query(params) = Query::<T>::from_request_parts(parts, shared).await.map_err(refuse)?;
        Ok(Self(params))
    }
}

/// The conversation in the path.
pub(crate) struct In(pub(crate) ConversationId);

impl FromRequestParts<Arc<Shared>> for In {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let path = Path::<String>::from_request_parts(parts, shared).await;
        let Path(text) = path.map_err(|_| ErrorCode::NotFound)?;
        let refuse = |error| ErrorBody::new(ErrorCode::Malformed).because(format!("The path: {error}."));
        Ok(Self(ConversationId::parse(&text).map_err(refuse)?))
    }
}

/// A name at the end of the path, refused with a code of Natter's own.
pub(crate) struct Named<T>(pub(crate) T);

impl<T> FromRequestParts<Arc<Shared>> for Named<T>
where
    T: TryFrom<String, Error: std::fmt::Display>,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let path = Path::<String>::from_request_parts(parts, shared).await;
        let Path(text) = path.map_err(|_| ErrorCode::NotFound)?;
        let refuse = |error| ErrorBody::new(ErrorCode::Malformed).because(format!("The path: {error}."));
        Ok(Self(T::try_from(text).map_err(refuse)?))
    }
}

/// A body, refused with a code of Natter's own.
pub(crate) struct Draft<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Draft<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Refused> {
        match Json::<T>::from_request(request, shared).await {
            Ok(Json(draft)) => Ok(Self(draft)),
            Err(JsonRejection::BytesRejection(_)) => {
                Err(ErrorBody::new(ErrorCode::TooLarge).limit("frame_bytes_max").into())
            }
            Err(error) => Err(ErrorBody::new(ErrorCode::Malformed).because(error.body_text()).into()),
        }
    }
}

async fn grant_ticket(State(shared): App, Caller(who): Caller) -> Result<(StatusCode, Json<TicketGrant>), Refused> {
    Ok((StatusCode::CREATED, Json(shared.grant_ticket(&who).await?)))
}

#[derive(Deserialize)]
struct BacklogParams {
    position: Option<Position>,
    limit: Option<u32>,
}

async fn backlog(State(shared): App, Caller(who): Caller, Params(asked): Params<BacklogParams>) -> Answer<BacklogPage> {
    Ok(Json(shared.backlog(&who.user, asked.position, asked.limit).await?))
}

#[derive(Deserialize)]
struct PageParams<T> {
    after: Option<T>,
    limit: Option<u32>,
}

async fn conversations(
    State(shared): App,
    Caller(who): Caller,
    Params(asked): Params<PageParams<ConversationId>>,
) -> Answer<ConversationPage> {
    Ok(Json(shared.conversations(&who.user, asked.after, asked.limit).await?))
}

async fn members(
    State(shared): App,
    Caller(who): Caller,
    In(conversation): In,
    Params(asked): Params<PageParams<UserId>>,
) -> Answer<MemberPage> {
    Ok(Json(shared.members_of(&who.user, conversation, asked.after, asked.limit).await?))
}

#[derive(Deserialize)]
struct HistoryParams {
    before: Option<Seq>,
    after: Option<Seq>,
    limit: Option<u32>,
    #[serde(default)]
    edits: bool,
}

async fn history(
    State(shared): App,
    Caller(who): Caller,
    In(conversation): In,
    Params(asked): Params<HistoryParams>,
) -> Answer<HistoryPage> {
    Ok(Json(shared.history(&who.user, conversation, (asked.before, asked.after), asked.limit, asked.edits).await?))
}

async fn send(
    State(shared): App,
    Caller(who): Caller,
    In(conversation): In,
    Draft(draft): Draft<MessageDraft>,
) -> Answer<AcceptedView> {
    let MessageDraft { client_id, text, reply_to, mentions } = draft;
    let said = Change::Message { text, reply_to, forwarded: None, mentions };
    let accepted = shared.change(&who.user, &conversation, client_id, said).await?;
    Ok(Json(AcceptedView { conversation, client_id, seq: accepted.seq, time: accepted.time }))
}

async fn presence(
    State(shared): App,
    Caller(who): Caller,
    Params(asked): Params<Vec<(String, String)>>,
) -> Answer<PresencePage> {
    let refuse = |error| ErrorBody::new(ErrorCode::Malformed).because(format!("`user`: {error}."));
    let users = asked.into_iter().filter(|(name, _)| name == "user").map(|(_, user)| UserId::new(user));
    let users = users.collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    Ok(Json(PresencePage { users: shared.presence(&who.user, users).await? }))
}

async fn devices(State(shared): App, Caller(who): Caller) -> Answer<DevicePage> {
    Ok(Json(shared.devices_of(&who.user, None).await?))
}

async fn revoke_device(State(shared): App, Caller(who): Caller, Named(device): Named<DeviceId>) -> Answer<DevicePage> {
    Ok(Json(shared.revoke_device(&who.user, device, None).await?))
}

async fn privacy(State(shared): App, Caller(who): Caller) -> Answer<PrivacyView> {
    Ok(Json(shared.privacy(&who.user).await?))
}

async fn set_privacy(
    State(shared): App,
    Caller(who): Caller,
    Draft(privacy): Draft<PrivacyView>,
) -> Answer<PrivacyView> {
    Ok(Json(shared.set_privacy(&who.user, privacy).await?))
}

async fn blocks(State(shared): App, Caller(who): Caller) -> Answer<BlockPage> {
    Ok(Json(shared.blocks(&who.user).await?))
}

async fn block(State(shared): App, Caller(who): Caller, Named(other): Named<UserId>) -> Answer<BlockPage> {
    Ok(Json(shared.block(&who.user, other).await?))
}

async fn unblock(State(shared): App, Caller(who): Caller, Named(other): Named<UserId>) -> Answer<BlockPage> {
    Ok(Json(shared.unblock(&who.user, other).await?))
}
