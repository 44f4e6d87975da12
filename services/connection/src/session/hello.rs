//! The beginning of a session: who it is, and where the device stopped.

use std::{sync::Arc, task::Poll, time::Duration};

use natter_ids::{DeviceId, Position, SessionId};
use natter_protocol::{ClientFrame, CloseCode, ErrorBody, ErrorCode, Hello, ServerFrame, decode_client_frame};
use tokio::time::timeout;

use super::socket::{Incoming, Socket};
use crate::{devices::SignedIn, gate::Identity, posting::too_large, server::Shared};

/// A client that may have a session.
pub(crate) struct Greeted {
    pub(crate) identity: Identity,
    pub(crate) device: DeviceId,
    pub(crate) name: Option<String>,
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
    let Hello { device, name, position, token } = hello;
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
    Ok(Greeted { identity, device, name, position })
}

/// Admits the device; otherwise tells why not and how to close.
pub(crate) async fn sign_in(
    shared: &Arc<Shared>,
    socket: &mut Socket,
    greeted: &Greeted,
    session: &SessionId,
) -> Result<SignedIn, Option<CloseCode>> {
    let Greeted { identity, device, name, .. } = greeted;
    let limits = Arc::clone(&shared.live.get().limits);
    let admitted = match name.as_deref().map(|name| check_name(name, limits.device_name_bytes_max)) {
        Some(Err(error)) => Err(error),
        _ => shared.devices.admit(&identity.user, device.clone(), name.clone(), session, limits.devices_max).await,
    };
    admitted.map_err(|error| Some(refuse(socket, error)))
}

fn check_name(name: &str, max: u32) -> Result<(), ErrorBody> {
    if name.len() > max as usize {
        return Err(too_large("device_name_bytes_max", max, "The name of a device", "bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err(ErrorBody::new(ErrorCode::Malformed).because("The name of a device holds no control characters."));
    }
    Ok(())
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
            // Nobody waits for an answer to that.
            Ok(ClientFrame::Typing { .. }) => continue,
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
        ErrorCode::DeviceRevoked => CloseCode::DeviceRevoked,
        ErrorCode::TooManyDevices => CloseCode::TooManyDevices,
        ErrorCode::Malformed | ErrorCode::TooLarge => CloseCode::ProtocolError,
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
