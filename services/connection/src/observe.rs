//! What operators see of requests: how many, how they end, how long they take, and their traces.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use natter_protocol::ErrorCode;
use natter_telemetry::{Ingress, TRACEPARENT, Trace, metrics};
use tracing::{Instrument, Span, field::Empty, info_span};

use crate::server::Shared;

/// How a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Transport {
    WebSocket,
    Http,
}

impl Transport {
    const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Http => "http",
        }
    }
}

/// Begins the span of a request, with what the client says of its trace.
pub(crate) fn request_span(transport: Transport, request: &'static str, traceparent: Option<&str>) -> Span {
    Ingress::decide(traceparent).span(|| {
        info_span!(
            parent: None,
            "request",
            trace_id = Empty,
            otel.name = request,
            otel.kind = "server",
            otel.status_code = Empty,
            error.r#type = Empty,
            natter.request = request,
            network.protocol.name = transport.name(),
        )
    })
}

/// Counts an answered request, and tells its span how it ended. To be called inside of the span.
pub(crate) fn answered(request: &'static str, began: Instant, refusal: Option<ErrorCode>) {
    let outcome = refusal.map_or("ok", ErrorCode::as_str);
    metrics::CONNECTION_REQUESTS.add(1, [request.into(), outcome.into()]);
    metrics::CONNECTION_REQUEST.took(began.elapsed(), [request.into()]);
    if let Some(code) = refusal {
        let span = Span::current();
        span.record("error.type", code.as_str());
        if code.is_fault() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// A refusal leaves its code with the answer, for [`observe`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusedWith(pub(crate) ErrorCode);

/// Counts and traces HTTP requests, except those that become a WebSocket.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(name) = path.and_then(|path| name_of(request.method(), path)) else { return next.run(request).await };
    let traceparent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let span = request_span(Transport::Http, name, traceparent);
    let began = Instant::now();
    async {
        let response = next.run(request).await;
        answered(name, began, response.extensions().get::<RefusedWith>().map(|refused| refused.0));
        response
    }
    .instrument(span)
    .await
}

/// HTTP requests are called as the frames that ask for the same.
fn name_of(method: &Method, path: &str) -> Option<&'static str> {
    let rest = path.strip_prefix("/v1/")?;
    let of_message = rest.strip_prefix("conversations/{conversation}/messages/{seq}/");
    let of_conversation = rest.strip_prefix("conversations/{conversation}/");
    Some(match (method.as_str(), of_message.or(of_conversation).unwrap_or(rest)) {
        ("POST", "tickets") => "ticket",
        ("GET", "backlog") => "backlog",
        ("GET", "conversations") => "conversations",
        ("POST", "conversations") => "create_group",
        ("PUT", "direct/{user}") => "open_direct",
        ("POST", "join") => "join",
        ("GET", "members") => "members",
        ("POST", "members") => "add_member",
        ("POST", "members/{user}/remove") => "remove_member",
        ("POST", "members/{user}/role") => "change_role",
        ("POST", "members/{user}/ban") => "ban_member",
        ("POST", "members/{user}/unban") => "unban_member",
        ("POST", "change") => "change_group",
        ("POST", "leave") => "leave",
        ("GET", "invites") => "invites",
        ("POST", "invites") => "create_invite",
        ("DELETE", "invites/{invite}") => "revoke_invite",
        ("GET", "reactors") => "reactors",
        ("GET", "history") => "history",
        ("GET", "pinned") => "pinned",
        ("GET", "presence") => "presence",
        ("POST", "messages") => "send",
        ("POST", "forward") => "forward",
        ("POST", "timer") => "set_timer",
        ("POST", "edit") => "edit",
        ("POST", "delete") => "delete",
        ("POST", "react") => "react",
        ("POST", "pin") => "pin",
        ("POST", "unpin") => "unpin",
        ("GET", "marks") => "marks",
        ("POST", "marks") => "mark",
        ("GET", "receipts") => "receipts",
        ("GET", "overview") => "overview",
        ("POST", "arrangement") => "arrange",
        ("GET" | "POST", "settings") => "change_settings",
        ("GET", "privacy") => "privacy",
        ("PUT", "privacy") => "set_privacy",
        ("GET", "blocks") => "blocks",
        ("PUT", "blocks/{user}") => "block",
        ("DELETE", "blocks/{user}") => "unblock",
        ("GET", "devices") => "devices",
        ("DELETE", "devices/{device}") => "revoke_device",
        _ => return None,
    })
}

/// How far a session is behind, from its start or from a hole on; counted while it exists.
pub(crate) struct Behind {
    since: Instant,
    events: u64,
}

impl Behind {
    pub(crate) fn new() -> Self {
        metrics::RESUMES.add(1);
        Self { since: Instant::now(), events: 0 }
    }

    /// Takes in what the archive had.
    pub(crate) fn read(&mut self, events: usize) {
        self.events += events as u64;
    }

    /// The device has everything now.
    #[allow(clippy::cast_precision_loss, reason = "histograms take floating-point numbers")]
    pub(crate) fn caught_up(self) {
        metrics::RESUME.took(self.since.elapsed(), []);
        metrics::RESUME_EVENTS.record(self.events as f64, []);
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        metrics::RESUMES.add(-1);
    }
}

/// An event on its way to a socket: since when it is accepted, and its span.
#[derive(Debug, Default)]
pub(crate) struct OnItsWay {
    accepted: Option<Instant>,
    /// Ends when this is dropped.
    _span: Option<Span>,
}

impl OnItsWay {
    pub(crate) fn new(shared: &Arc<Shared>, stored_at: Option<u64>, trace: Option<&Trace>) -> Self {
        let age = stored_at.map(|at| std::time::Duration::from_millis(shared.bus.now_ms().saturating_sub(at)));
        Self { accepted: age.and_then(|age| Instant::now().checked_sub(age)), _span: trace.map(natter_bus::push_span) }
    }

    /// The socket has taken it.
    pub(crate) fn written(self) {
        if let Some(accepted) = self.accepted {
            metrics::MESSAGE_SOCKET.took(accepted.elapsed(), []);
        }
    }
}
