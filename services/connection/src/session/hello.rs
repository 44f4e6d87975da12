//! The beginning of a session: who it is, and where the device stopped.

use std::{sync::Arc, task::Poll, time::Duration};

use natter_ids::{DeviceId, Position};
use natter_protocol::{ClientFrame, CloseCode, ErrorBody, ErrorCode, Hello, ServerFrame, decode_client_frame};
use tokio::time::timeout;

use super::socket::{Incoming, Socket};
use crate::{gate::Identity, server::Shared};

/// A client that may have a session.
pub(crate) struct Greeted {
    pub(crate) identity: Identity,
    pub(crate) device: DeviceId,
    pub(crate) position: Option<Position>,
}

/// Reads `hello`; otherwise tells what is wrong and how to close. `None`: the client is gone.
pub(crate) async fn greet(
    shared: &Arc<Shared>,
    socket: &mut Socket,
    identity: Option<Identity>,
    limit: Duration,
) -> Result<Greeted, Option<CloseCode>> {
    let hello = timeout(limit, read_hello(socket)).await.map_err(|_| Some(CloseCode::HelloTimeout))??;
    let Hello { device, position, token } = hello;
    let identity = match (identity, token) {
        (Some(identity), _) => identity,
        (None, Some(token)) => match shared.identify_token(&token).await {
            Ok(identity) => identity,
            Err(error) => return Err(Some(refuse(socket, error))),
        },
        (None, None) => return Err(Some(refuse(socket, ErrorCode::Unauthenticated.into()))),
    };
    if let Some(position) = &position
        && let Err(error) = shared.check_position(position).await
    {
        return Err(Some(refuse(socket, error)));
    }
    Ok(Greeted { identity, device, position })
}

async fn read_hello(socket: &mut Socket) -> Result<Hello, Option<CloseCode>> {
    let mut refused = 0;
    loop {
        let text = match std::future::poll_fn(|cx| socket.poll_incoming(cx, true)).await {
            Incoming::Text(text) => text,
            Incoming::Sign => continue,
            Incoming::Binary => return Err(Some(CloseCode::ProtocolError)),
            Incoming::TooLarge => return Err(Some(CloseCode::FrameTooLarge)),
            Incoming::Gone => return Err(None),
        };
        let (id, error) = match decode_client_frame(&text) {
            Ok(ClientFrame::Hello(hello)) => return Ok(hello),
            Ok(ClientFrame::Ping { id }) => {
                socket.push(&ServerFrame::Pong { id });
                continue;
            }
            Ok(ClientFrame::Request { id, .. }) => {
                let said = "The first frame of a session is `hello`.";
                (Some(id), ErrorBody::new(ErrorCode::OutOfState).because(said))
            }
            Err(undecodable) if undecodable.error.code == ErrorCode::InvalidPosition => {
                return Err(Some(refuse(socket, undecodable.error)));
            }
            Err(undecodable) => (undecodable.id, undecodable.error),
        };
        socket.push(&ServerFrame::Error { id, error });
        refused += 1;
        if refused >= super::REFUSED_IN_A_ROW_MAX {
            return Err(Some(CloseCode::ProtocolError));
        }
    }
}

/// Tells the client; returns the code to close with.
fn refuse(socket: &mut Socket, error: ErrorBody) -> CloseCode {
    let code = match error.code {
        ErrorCode::TokenExpired => CloseCode::TokenExpired,
        ErrorCode::Unauthenticated => CloseCode::Unauthenticated,
        ErrorCode::InvalidPosition => CloseCode::InvalidPosition,
        _ => CloseCode::Unavailable,
    };
    socket.push(&ServerFrame::Error { id: None, error });
    code
}

/// Writes what waits, as far as the client takes it at once.
pub(crate) async fn write_out(socket: &mut Socket) {
    std::future::poll_fn(|cx| {
        let _ = socket.poll_incoming(cx, false);
        Poll::Ready(())
    })
    .await;
}
