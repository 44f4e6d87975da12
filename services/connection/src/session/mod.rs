//! One session: a device's connection from `hello` to close.
//!
//! One task owns everything: the socket, the inbox, the seam between missed and live, and the
//! requests under way. It never waits for the client, and takes on no more than it may hold.

mod answer;
mod hello;
mod lanes;
mod notes;
mod run;
mod seam;
mod socket;
mod timers;
mod whispers;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use natter_ids::SessionId;
use natter_protocol::{CloseCode, ServerFrame};
use natter_runtime::Wire;
use natter_telemetry::metrics;

use crate::{admission::Admitted, gate::Identity, server::Shared};
pub(crate) use answer::Asking;
use socket::Socket;
pub(crate) use timers::jitter;

/// After this many frames in a row that are none, the session ends.
const REFUSED_IN_A_ROW_MAX: u32 = 10;

/// A WebSocket that was just opened.
pub(crate) struct Opened {
    pub(crate) wire: Wire,
    /// What came behind the HTTP request.
    pub(crate) already_read: Vec<u8>,
    /// When a credential came with the HTTP request.
    pub(crate) identity: Option<Identity>,
    pub(crate) admitted: Admitted,
}

/// Serves a session to its end. What only its start or its end needs is boxed: the task keeps no
/// room for it while the session goes on for days.
pub(crate) async fn serve(shared: &Arc<Shared>, opened: BoxFuture<'static, Option<Opened>>) {
    let Some((mut socket, mut admitted, identity)) = Box::pin(open(shared, opened)).await else { return };
    let _counted = shared.count_session();
    let ended = match Box::pin(begin(shared, &mut socket, &mut admitted, identity)).await {
        Ok(mut session) => session.run(&mut socket).await,
        Err(ended) => ended,
    };
    // What the client has not taken is its backlog; what it asked for it asks again.
    let Some(code) = ended else { return };
    metrics::CONNECTION_CLOSES.add(1, [code.reason().into()]);
    Box::pin(socket.close(code)).await;
}

async fn open(
    shared: &Arc<Shared>,
    opened: BoxFuture<'static, Option<Opened>>,
) -> Option<(Socket, Admitted, Option<Identity>)> {
    let Opened { wire, already_read, identity, admitted } = opened.await?;
    let socket = Socket::new(wire, already_read, shared.config.limits.frame_bytes_max).await;
    Some((socket, admitted, identity))
}

/// Greets the client; otherwise returns how to close, `None` when the client is gone.
async fn begin<'a>(
    shared: &'a Arc<Shared>,
    socket: &mut Socket,
    admitted: &mut Admitted,
    identity: Option<Identity>,
) -> Result<Box<run::Session<'a>>, Option<CloseCode>> {
    let greeted = hello::greet(shared, socket, identity, shared.config.handshake_timeout()).await?;
    admitted.authenticated();
    let session = SessionId::random();
    let signed_in = hello::sign_in(shared, socket, &greeted, &session).await?;
    let hello::Greeted { identity, device, position, .. } = greeted;
    tracing::debug!(%session, %device, resumes = position.is_some(), "a session begins");
    // First the route, then the report that makes delivery use it: a marker proves both.
    let inbox = match shared.bus.open_inbox(&identity.user).await {
        Ok(inbox) => inbox,
        Err(error) => {
            tracing::warn!(error, "an inbox cannot be opened");
            return Err(Some(CloseCode::Unavailable));
        }
    };
    let hidden = shared.devices.is_hidden(&identity.user);
    let Some(joined) = shared.reporter.join(&identity.user, hidden).await else {
        return Err(Some(CloseCode::GoingAway));
    };
    // What changed meanwhile was told of somebody who was not here yet.
    if shared.devices.is_hidden(&identity.user) != hidden {
        shared.reporter.hide(&identity.user, !hidden);
    }
    socket.push(&ServerFrame::Welcome {
        session: session.clone(),
        user: identity.user.clone(),
        server_time: shared.bus.now_ms(),
        ping_interval_ms: shared.config.ping_interval_ms,
        token_expires_at: identity.expires_at,
        limits: shared.live.get().limits.as_ref().clone(),
    });
    hello::write_out(socket).await;
    let here = run::Here { inbox, joined, signed_in };
    Ok(Box::new(run::Session::new(shared, identity, session, position, here)))
}

/// How long a session waits before it makes sure that it missed nothing: spread, because all
/// sessions of a gateway doubt together.
fn doubt_wait(sessions: usize) -> Duration {
    let spread = Duration::from_millis(50) + Duration::from_millis(u64::try_from(sessions).unwrap_or(0));
    timers::jitter(spread.min(Duration::from_secs(10)))
}
