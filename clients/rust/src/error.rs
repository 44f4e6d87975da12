//! Errors that reach the application.

use natter_ids::ClientId;
use natter_protocol::{CloseCode, ErrorBody};

/// A client cannot be made from these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// No address was given.
    #[error("a client needs the address of at least one gateway")]
    NoGateway,
    /// An address is no `ws://` or `wss://` URL.
    #[error("`{0}` is no address of a gateway: it should look like ws://host:port")]
    Address(String),
    /// An address is a `wss://` URL, and this build leaves TLS out.
    #[error("`{0}` needs TLS: build natter-client with its feature `tls`")]
    NoTls(String),
    /// The certificates to trust cannot be read.
    #[error("the certificates to trust cannot be used: {0}")]
    Certificates(String),
}

/// Why a client gave up: nothing changes without the application or its user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The gateway refuses the session for good.
    #[error("{0}")]
    Refused(ErrorBody),
    /// The gateway closed the session with a code that says not to come back.
    #[error("closed with {} ({})", .0.number(), .0.reason())]
    Closed(CloseCode),
    /// The gateway closed the session with such a code that this version does not know.
    #[error("closed with {0}")]
    ClosedUnknown(u16),
}

/// A message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Refused for good; only a changed message can succeed.
    #[error("{0}")]
    Refused(ErrorBody),
    /// Not known to be accepted in time. It may have been or not: to find out, or to go on, send
    /// again with the same id.
    #[error("no answer in time; the message may or may not be stored")]
    Deadline(ClientId),
    /// The client gave up. The message may or may not be stored, as with `Deadline`.
    #[error("the client gave up: {0}")]
    Fatal(Fatal),
    /// The client was closed before the answer came.
    #[error("the client is closed")]
    Closed,
}

/// A request got no answer of the kind expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Refused; a refusal that may pass was repeated until the time was over.
    #[error("{0}")]
    Refused(ErrorBody),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The gateway answered with a frame of another type.
    #[error("the gateway answered with a frame of another type")]
    UnexpectedAnswer,
    /// The client gave up.
    #[error("the client gave up: {0}")]
    Fatal(Fatal),
    /// The client was closed before the answer came.
    #[error("the client is closed")]
    Closed,
}

impl From<SendError> for RequestError {
    /// For whoever does not go on with the id.
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused(error) => Self::Refused(error),
            SendError::Deadline(_) => Self::Timeout,
            SendError::Fatal(fatal) => Self::Fatal(fatal),
            SendError::Closed => Self::Closed,
        }
    }
}
