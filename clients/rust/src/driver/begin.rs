//! From an address to `welcome`.

use std::time::Duration;

use natter_ids::{SessionId, UserId};
use natter_protocol::{ErrorBody, ErrorCode, Hello, Limits, ServerFrame};

use super::{Ending, State};
use crate::{
    ConnectError, Refusal,
    connect::Dial,
    decode_server_frame,
    options::Options,
    session::{
        encode,
        wire::{Incoming, Wire},
    },
};

/// What `welcome` says.
#[derive(Debug)]
pub(super) struct Welcome {
    pub session: SessionId,
    pub user: UserId,
    pub server_time: u64,
    pub ping_interval_ms: u32,
    pub token_expires_at: u64,
    pub limits: Limits,
}

/// Connects, says `hello`, and waits for `welcome`.
pub(super) async fn begin(state: &State, url: &str) -> Result<(Wire, Welcome), Ending> {
    let dial = Dial {
        url,
        token: state.token.as_deref(),
        #[cfg(feature = "tls")]
        trust: state.options.trust.as_ref(),
        ..Dial::default()
    };
    let (socket, _) = dial.open().await.map_err(unopened)?;
    let mut wire = Wire::new(socket);
    let Options { device, device_name, .. } = state.options.as_ref();
    let (device, name) = (device.clone(), device_name.clone());
    let hello = Hello { device, name, position: state.position.clone(), token: None };
    wire.push(encode::hello(hello));
    loop {
        let text = match wire.next().await {
            Incoming::Text(text) => text,
            Incoming::Sign | Incoming::Room => continue,
            Incoming::Closed(code) => return Err(Ending::Closed(code)),
            Incoming::Lost(why) => return Err(Ending::Lost(why)),
        };
        match decode_server_frame(&text) {
            Ok(ServerFrame::Welcome { session, user, server_time, ping_interval_ms, token_expires_at, limits }) => {
                let welcome = Welcome { session, user, server_time, ping_interval_ms, token_expires_at, limits };
                return Ok((wire, welcome));
            }
            Ok(ServerFrame::Error { error, .. }) => return Err(Ending::Refused { error, asked: None }),
            // A refusal of a later version: the code that the gateway closes with tells the rest.
            Ok(_) | Err(_) => {}
        }
    }
}

fn unopened(error: ConnectError) -> Ending {
    let ConnectError::Refused(refusal) = error else {
        return Ending::Unreachable { why: error.to_string(), asked: None };
    };
    let Refusal { status, error, retry_after_secs } = *refusal;
    let asked = retry_after_secs.map(Duration::from_secs);
    match error {
        Some(error) => Ending::Refused { error, asked },
        None if status == ErrorCode::Unauthenticated.http_status() => {
            Ending::Refused { error: ErrorBody::new(ErrorCode::Unauthenticated), asked }
        }
        // Not the words of a gateway, so nothing is refused for good: perhaps a proxy whose
        // gateways are being replaced.
        None => Ending::Unreachable { why: format!("refused with HTTP status {status}"), asked },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refusal(status: u16, error: Option<ErrorBody>) -> Ending {
        let refusal = Refusal { status, error, retry_after_secs: Some(3) };
        unopened(ConnectError::Refused(Box::new(refusal)))
    }

    #[test]
    fn refusals_are_told_from_proxies() {
        let asked = Some(Duration::from_secs(3));
        let error = ErrorBody::new(ErrorCode::Overloaded);
        assert_eq!(refusal(503, Some(error.clone())), Ending::Refused { error, asked });
        let error = ErrorBody::new(ErrorCode::Unauthenticated);
        assert_eq!(refusal(401, None), Ending::Refused { error, asked });
        for status in [200, 301, 403, 404, 502, 503] {
            let ending = refusal(status, None);
            assert!(matches!(ending, Ending::Unreachable { asked: Some(_), .. }), "{status}: {ending:?}");
        }
    }
}
