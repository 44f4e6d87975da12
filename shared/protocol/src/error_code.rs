//! Every way a request can be refused, and what follows from it: one table.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a client should do after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAdvice {
    /// The same request, unchanged, after the given time; nothing was stored, or it is safe to
    /// say it again because the client id tells repeats.
    After {
        /// Default wait in milliseconds; the error may name a longer one.
        ms: u32,
    },
    /// Only a changed request can succeed.
    Changed,
    /// A new token first, then the same request.
    NewToken,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $http:literal, $advice:expr, $sentence:literal;)*) => {
        /// A stable code of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The status of an HTTP answer with this code (RFC 9110, section 15).
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $http),* }
            }

            /// Whether and when to try again.
            pub fn advice(self) -> RetryAdvice {
                match self { $(Self::$name => $advice),* }
            }

            /// The sentence for people, when the refusal has no more exact one.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),* }
            }
        }
    };
}

use RetryAdvice::{After, Changed, NewToken};

error_codes! {
    /// The frame is not JSON, or a field is missing or of the wrong form.
    Malformed = "malformed", 400, Changed, "The frame is not valid: see the message for the field.";
    /// The frame's `type` is not one of this version.
    UnknownType = "unknown_type", 400, Changed, "This version knows no frame of that type.";
    /// A frame came when it makes no sense, such as a second `hello`.
    OutOfState = "out_of_state", 409, Changed, "The frame does not fit the state of the session.";
    /// A text, list or page is larger than a limit allows; `limit` names it.
    TooLarge = "too_large", 413, Changed, "Something is larger than a limit allows.";
    /// The position is not one that Natter handed out, or lies in the future of the log.
    InvalidPosition = "invalid_position", 400, Changed, "The position is not valid: start without one and read history.";
    /// No token, or one that does not hold.
    Unauthenticated = "unauthenticated", 401, NewToken, "The token is missing or not valid.";
    /// The token was valid once.
    TokenExpired = "token_expired", 401, NewToken, "The token has expired: present a new one.";
    /// A page's origin is not on the allowlist.
    OriginForbidden = "origin_forbidden", 403, Changed, "Pages of this origin may not connect.";
    /// The user is no member of the conversation, or there is no such conversation.
    NotAMember = "not_a_member", 403, Changed, "You are not a member of such a conversation.";
    /// The member's role does not allow this, or the message is somebody else's.
    NotAllowed = "not_allowed", 403, Changed, "Your role in the conversation does not allow this.";
    /// The time in which a message may be edited or deleted is over.
    TooLate = "too_late", 403, Changed, "The message is too old for this.";
    /// There is no message of that number that the user may see.
    NoSuchMessage = "no_such_message", 404, Changed, "There is no such message.";
    /// The message was deleted.
    MessageDeleted = "message_deleted", 409, Changed, "The message was deleted.";
    /// No such path or method.
    NotFound = "not_found", 404, Changed, "There is nothing at this address.";
    /// The same client id was used for another text or change.
    ClientIdConflict = "client_id_conflict", 409, Changed, "This client id was used for a different message.";
    /// The client id's time lies in the future; `server_time` in `welcome` tells the right one.
    ClientIdInFuture = "client_id_in_future", 400, Changed, "The client id's time is in the future: correct the device's clock by server_time.";
    /// The invite's code leads nowhere: never made, ended, expired or used up.
    NoSuchInvite = "no_such_invite", 404, Changed, "This invite does not hold (any more).";
    /// A group would have more members than allowed.
    GroupFull = "group_full", 409, Changed, "The group has as many members as it may have.";
    /// The device was signed out by its user.
    DeviceRevoked = "device_revoked", 403, Changed, "This device was signed out: sign in again, as a new device.";
    /// A new device beyond `devices_max`, while all others are connected.
    TooManyDevices = "too_many_devices", 409, Changed, "As many devices are connected as may be: disconnect one, or sign it out.";
    /// Too much in a short time; `limit` names which rate.
    RateLimited = "rate_limited", 429, After { ms: 1000 }, "Too many requests in a short time.";
    /// The gateway has as much to do as it may take on.
    Overloaded = "overloaded", 503, After { ms: 2000 }, "The gateway is at a limit: try again, possibly elsewhere.";
    /// A part that this request needs cannot be reached now.
    Unavailable = "unavailable", 503, After { ms: 1000 }, "A part of the service cannot be reached now: try again.";
    /// A fault of Natter's own.
    Internal = "internal", 500, After { ms: 5000 }, "Something went wrong inside: try again.";
}

impl ErrorCode {
    /// Whether the service is to blame, and not the request.
    pub fn is_fault(self) -> bool {
        self.http_status() >= 500
    }

    /// Whether the same request may be repeated unchanged.
    pub fn is_retryable(self) -> bool {
        matches!(self.advice(), After { .. })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal, the same in frames and in HTTP answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The stable code: what programs decide by.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// When the same request may be repeated; absent when repeating it is of no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// The name of the limit that was met, as in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

impl ErrorBody {
    /// A refusal with the code's own sentence and advice.
    pub fn new(code: ErrorCode) -> Self {
        let retry_after_ms = match code.advice() {
            After { ms } => Some(ms),
            Changed | NewToken => None,
        };
        Self { code, message: code.sentence().to_owned(), retry_after_ms, limit: None }
    }

    /// Replaces the sentence for people by a more exact one.
    #[must_use]
    pub fn because(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Names the limit that was met.
    #[must_use]
    pub fn limit(mut self, name: &str) -> Self {
        self.limit = Some(name.to_owned());
        self
    }

    /// Names another wait than the code's own.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

impl From<ErrorCode> for ErrorBody {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ErrorBody {}
