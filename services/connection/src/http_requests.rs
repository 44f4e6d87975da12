//! Every request of the protocol over HTTP: what a session may ask, a client that polls may, too.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{FromRequest, State, rejection::JsonRejection},
    http::HeaderMap,
};
use natter_ids::DeviceId;
use natter_protocol::{ErrorBody, ErrorCode, Request, RequestId, ServerFrame};
use natter_telemetry::TRACEPARENT;
use serde::Deserialize;
use tracing::Instrument;

use crate::{
    http_api::{Caller, Refused},
    observe::{Transport, answered, request_span},
    server::Shared,
    session::Asking,
};

#[derive(Deserialize)]
pub(crate) struct Posted {
    #[serde(default)]
    id: RequestId,
    #[serde(flatten)]
    request: Request,
}

impl FromRequest<Arc<Shared>> for Posted {
    type Rejection = Refused;

    async fn from_request(request: axum::extract::Request, shared: &Arc<Shared>) -> Result<Self, Refused> {
        match Json::<Self>::from_request(request, shared).await {
            Ok(Json(posted)) => Ok(posted),
            Err(JsonRejection::BytesRejection(_)) => {
                Err(ErrorBody::new(ErrorCode::TooLarge).limit("frame_bytes_max").into())
            }
            Err(error) => Err(ErrorBody::new(ErrorCode::Malformed).because(error.body_text()).into()),
        }
    }
}

/// Answers one request by the frame that a session would get.
pub(crate) async fn requests(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    headers: HeaderMap,
    Posted { id, request }: Posted,
) -> Result<Json<ServerFrame>, Refused> {
    let (name, began) = (request.name(), Instant::now());
    let traceparent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    // It is asked from none of the user's devices.
    let asking = Asking { user: who.user, device: DeviceId::random() };
    let answer = async {
        let answer = match request {
            Request::WatchPresence { .. } | Request::SetAway { .. } | Request::RefreshToken { .. } => {
                let said = "This request is about a session: send it over a WebSocket.";
                Err(ErrorBody::new(ErrorCode::OutOfState).because(said))
            }
            request => shared.answer(&asking, id, request).await.map(|(frame, _)| frame),
        };
        answered(name, began, answer.as_ref().err().map(|error| error.code));
        answer
    };
    let answer = answer.instrument(request_span(Transport::Http, name, traceparent)).await;
    Ok(Json(answer?))
}
