//! From an HTTP request to a session (RFC 6455, section 4.2).

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use futures_util::FutureExt;
use hyper_util::rt::TokioIo;
use natter_auth::{Credential, SubprotocolOffer, bearer_of_authorization, parse_subprotocols};
use natter_protocol::{BEARER_SUBPROTOCOL_PREFIX, ErrorBody, ErrorCode, SUBPROTOCOL, TICKET_SUBPROTOCOL_PREFIX};
use natter_runtime::{OnEnd, Wire};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    admission::Admitted,
    gate::Identity,
    http_api::{Refused, check_address},
    server::{Place, Shared},
    session::{self, Opened},
};

/// Opens a session: `GET /v1/ws`.
pub(crate) async fn upgrade(State(shared): State<Arc<Shared>>, mut request: Request) -> Result<Response, Refused> {
    check_address(&shared, &request)?;
    let accept = check_upgrade(request.headers())?;
    let offer = offered(request.headers());
    if !offer.protocols.contains(&SUBPROTOCOL) {
        let said =
            format!("Offer the subprotocol `{SUBPROTOCOL}` in Sec-WebSocket-Protocol: this gateway speaks no other.");
        return Err(ErrorBody::new(ErrorCode::Malformed).because(said).into());
    }
    let credential = bearer_of(request.headers()).or(offer.credential);
    let identity = match credential {
        Some(credential) => Some(shared.identify(&credential).await?),
        None => None,
    };
    let place = request.extensions().get::<Place>().and_then(Place::take);
    let Some(mut admitted) = place else { return Err(ErrorCode::Overloaded.into()) };
    if identity.is_some() {
        admitted.authenticated();
    }
    let opened =
        opened(shared.config.handshake_timeout(), hyper::upgrade::on(&mut request), identity, admitted).boxed();
    let scope = shared.scope.clone();
    scope.spawn("session", OnEnd::Log, async move { session::serve(&shared, opened).await });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    // A token or ticket offered beside it is never echoed.
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

/// Waits until the connection has left HTTP behind; `None` when the client went away.
async fn opened(
    limit: Duration,
    upgraded: hyper::upgrade::OnUpgrade,
    identity: Option<Identity>,
    admitted: Admitted,
) -> Option<Opened> {
    let upgraded = timeout(limit, upgraded).await.ok()?.ok()?;
    let parts = upgraded.downcast::<TokioIo<Wire>>().ok()?;
    Some(Opened { wire: parts.io.into_inner(), already_read: parts.read_buf.to_vec(), identity, admitted })
}

fn check_upgrade(headers: &HeaderMap) -> Result<HeaderValue, Refused> {
    let has = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        let said = "This address takes WebSockets: send Connection: upgrade and Upgrade: websocket.";
        return Err(Refused::upgrade_required(said));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(Refused::upgrade_required("The version of the WebSocket protocol is 13."));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let accept = key.and_then(|accept| HeaderValue::try_from(accept).ok());
    accept.ok_or_else(|| ErrorBody::new(ErrorCode::Malformed).because("Sec-WebSocket-Key is missing.").into())
}

fn offered(headers: &HeaderMap) -> SubprotocolOffer<'_> {
    let mut all = SubprotocolOffer { protocols: Vec::new(), credential: None };
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok()) {
        let offer = parse_subprotocols(value, BEARER_SUBPROTOCOL_PREFIX, TICKET_SUBPROTOCOL_PREFIX);
        all.protocols.extend(offer.protocols);
        all.credential = all.credential.or(offer.credential);
    }
    all
}

/// The token of the `Authorization` header.
pub(crate) fn bearer_of(headers: &HeaderMap) -> Option<Credential> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer_of_authorization)
}
