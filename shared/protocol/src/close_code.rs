//! Why a gateway closes a WebSocket, and whether to come back: one table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $reason:literal;)*) => {
        /// A WebSocket close code (RFC 6455, section 7.4.2: 4000-4999 are for applications).
        ///
        /// 4000-4499: come back with the last position, after a random wait. 4500-4999: do not
        /// come back before something has changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum CloseCode {
            $($(#[$doc])* $name,)*
        }

        impl CloseCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number on the wire.
            pub fn number(self) -> u16 {
                match self { $(Self::$name => $number),* }
            }

            /// The reason text on the wire.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason),* }
            }

            /// The code of a number, if it is one of these.
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

close_codes! {
    /// The gateway is being replaced: connect again, to any gateway.
    GoingAway = 4000, "going_away";
    /// The client does not read as fast as its messages come: connect again and resume.
    SlowConsumer = 4001, "slow_consumer";
    /// Nothing came from the client for too long.
    Silent = 4002, "silent";
    /// The gateway cannot serve the session now.
    Unavailable = 4003, "unavailable";
    /// The token expired during the session: connect again with a new one.
    TokenExpired = 4004, "token_expired";
    /// No `hello` came in time.
    HelloTimeout = 4005, "hello_timeout";
    /// The token is missing or not valid.
    Unauthenticated = 4500, "unauthenticated";
    /// The client keeps sending what is no frame of this version.
    ProtocolError = 4501, "protocol_error";
    /// A frame was larger than `frame_bytes_max`.
    FrameTooLarge = 4502, "frame_too_large";
    /// The position presented in `hello` is not valid.
    InvalidPosition = 4503, "invalid_position";
    /// The device was signed out by its user: do not come back as this device.
    DeviceRevoked = 4504, "device_revoked";
    /// As many devices of the user are connected as may be: one has to go first.
    TooManyDevices = 4505, "too_many_devices";
}

impl CloseCode {
    /// Whether the client should connect again by itself.
    pub fn reconnect(self) -> bool {
        self.number() < 4500
    }
}
