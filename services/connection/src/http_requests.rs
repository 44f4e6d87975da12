//! Every request of the protocol over HTTP: what a session may ask, a client that polls may, too.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{FromRequest, State, rejection::JsonRejection},
    http::HeaderMap,
};
use natter_ids::DeviceId;
use natter_protocol::{ClientFrame, ErrorBody, ErrorCode, Request, ServerFrame, decode_client_frame};
use natter_telemetry::TRACEPARENT;
use serde_json::Value;
use tracing::Instrument;

use crate::{
    http_api::{Caller, Refused},
    observe::{Transport, answered, request_span},
    server::Shared,
    session::Asking,
};

/// A frame that was posted.
pub(crate) struct Posted(ClientFrame);

impl FromRequest<Arc<Shared>> for Posted {
    type Rejection = Refused;

    async fn from_request(request: axum::extract::Request, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let malformed = |why: String| ErrorBody::new(ErrorCode::Malformed).because(why);
        let mut posted = match Json::<serde_json::Map<String, Value>>::from_request(request, shared).await {
            Ok(Json(posted)) => posted,
            Err(JsonRejection::BytesRejection(_)) => {
                return Err(ErrorBody::new(ErrorCode::TooLarge).limit("frame_bytes_max").into());
            }
            Err(error) => return Err(malformed(error.body_text()).into()),
        };
        // Nobody needs it to tell answers apart.
        posted.entry("id").or_insert(Value::from(0));
        let text = Value::Object(posted).to_string();
        decode_client_frame(&text).map(Self).map_err(|refused| refused.error.into())
    }
}

/// Answers one request by the frame that a session would get.
pub(crate) async fn requests(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    headers: HeaderMap,
    Posted(frame): Posted,
) -> Result<Json<ServerFrame>, Refused> {
    let about_a_session = || {
        let said = "This request is about a session: send it over a WebSocket.";
        ErrorBody::new(ErrorCode::OutOfState).because(said)
    };
    let (id, request) = match frame {
        ClientFrame::Request { id, request, .. } => (id, request),
        ClientFrame::Typing { conversation, stopped } => {
            shared.typing(&who.user, conversation, stopped).await;
            return Ok(Json(ServerFrame::Done { id: 0 }));
        }
        ClientFrame::Hello(_) | ClientFrame::Ping { .. } => return Err(about_a_session().into()),
    };
    let (name, began) = (request.name(), Instant::now());
    let traceparent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    // It is asked from none of the user's devices.
    let asking = Asking { user: who.user, device: DeviceId::random() };
    let answer = async {
        let answer = match request {
            Request::WatchPresence { .. } | Request::SetAway { .. } | Request::RefreshToken { .. } => {
                Err(about_a_session())
            }
            request => shared.answer(&asking, id, request).await.map(|(frame, _)| frame),
        };
        answered(name, began, answer.as_ref().err().map(|error| error.code));
        answer
    };
    let answer = answer.instrument(request_span(Transport::Http, name, traceparent)).await;
    Ok(Json(answer?))
}
