//! What comes of a raw connection.

use std::io;

use tokio_tungstenite::tungstenite::Error as WsError;

use crate::{ConnectError, Refusal};

/// What a gateway sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Binary(Vec<u8>),
    /// A ping of the WebSocket; it is answered with the next read or write.
    Ping,
    /// A pong of the WebSocket.
    Pong,
    /// The gateway closed the session, with this code and reason if it gave any.
    Closed {
        /// The close code.
        code: Option<u16>,
        /// The reason; empty when there is none.
        reason: String,
    },
}

/// Something else happened than was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// The connection could not be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Nothing happened in time.
    #[error("nothing happened in time")]
    Timeout,
    /// The gateway closed the session, where a frame was asked for.
    #[error("closed with {code:?} ({reason})")]
    Closed {
        /// The close code.
        code: Option<u16>,
        /// The reason.
        reason: String,
    },
    /// The connection broke, or its end was reached.
    #[error("{0}")]
    Broken(String),
    /// The gateway sent something that is no frame of this version.
    #[error("not a frame of this version: {0}")]
    Unreadable(String),
}

impl RawError {
    /// The HTTP answer, when the gateway refused the upgrade.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Connect(ConnectError::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

impl From<WsError> for RawError {
    fn from(error: WsError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<io::Error> for RawError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
