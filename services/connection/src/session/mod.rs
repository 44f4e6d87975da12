//! One session: a device's connection from `hello` to close.
//!
//! One task owns everything: the socket, the inbox, the seam between missed and live, and the
//! requests under way. It never waits for the client, and takes on no more than it may hold.

mod answer;
mod hello;
mod lanes;
mod run;
mod seam;
mod socket;
mod timers;

use std::{sync::Arc, time::Duration};

use natter_ids::SessionId;
use natter_protocol::{CloseCode, ServerFrame};
use tokio::net::TcpStream;

use crate::{admission::Admitted, clock::now_ms, gate::Identity, server::Shared};
use socket::Socket;

/// After this many frames in a row that are none, the session ends.
const REFUSED_IN_A_ROW_MAX: u32 = 10;

/// A WebSocket that was just opened.
pub(crate) struct Opened {
    pub(crate) tcp: TcpStream,
    /// What came behind the HTTP request.
    pub(crate) already_read: Vec<u8>,
    /// When a credential came with the HTTP request.
    pub(crate) identity: Option<Identity>,
    pub(crate) admitted: Admitted,
}

/// Serves a session to its end.
pub(crate) async fn serve(shared: Arc<Shared>, opened: Opened) {
    let Opened { tcp, already_read, identity, mut admitted } = opened;
    let mut socket = Socket::new(tcp, already_read, shared.config.limits.frame_bytes_max).await;
    let limit = shared.config.handshake_timeout();
    // Boxed, so that a session that goes on for days does not keep the room that its start took.
    let ended = match Box::pin(hello::greet(&shared, &mut socket, identity, limit)).await {
        Ok(greeted) => {
            admitted.authenticated();
            Box::pin(begin(&shared, &mut socket, greeted)).await
        }
        Err(ended) => ended,
    };
    let Some(code) = ended else { return };
    metrics::counter!("natter_connection_closes_total", "code" => code.reason()).increment(1);
    Box::pin(socket.close(code)).await;
}

/// Returns how to close; `None` when the client is gone.
async fn begin(shared: &Arc<Shared>, socket: &mut Socket, greeted: hello::Greeted) -> Option<CloseCode> {
    let hello::Greeted { identity, device, position } = greeted;
    let session = SessionId::random();
    tracing::debug!(%session, %device, resumes = position.is_some(), "a session begins");
    // First the route, then the report that makes delivery use it: a marker proves both.
    let inbox = match shared.bus.open_inbox(&identity.user).await {
        Ok(inbox) => inbox,
        Err(error) => {
            tracing::warn!(error, "an inbox cannot be opened");
            return Some(CloseCode::Unavailable);
        }
    };
    let Some(joined) = shared.reporter.join(&identity.user).await else { return Some(CloseCode::GoingAway) };
    socket.push(&ServerFrame::Welcome {
        session: session.clone(),
        user: identity.user.clone(),
        server_time: now_ms(),
        ping_interval_ms: shared.config.ping_interval_ms,
        token_expires_at: identity.expires_at,
        limits: shared.config.limits.clone(),
    });
    hello::write_out(socket).await;
    let ended = run::Session::new(shared, identity, session, position, inbox, joined).run(socket).await;
    // What the client had not taken is its backlog; what it asked for it asks again.
    ended
}

/// How long a session waits before it makes sure that it missed nothing: spread, because all
/// sessions of a gateway doubt together.
fn doubt_wait(sessions: usize) -> Duration {
    let spread = Duration::from_millis(50) + Duration::from_millis(u64::try_from(sessions).unwrap_or(0));
    timers::jitter(spread.min(Duration::from_secs(10)))
}
