//! Short machine-made names: devices, gateways, sessions.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not a device, gateway or session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("such an id is 1 to 64 letters, digits, `-` or `_`")]
pub struct InvalidTextId;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = "^[A-Za-z0-9_-]{1,64}$"))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// [`InvalidTextId`] unless it is 1 to 64 letters, digits, `-` or `_`.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidTextId> {
                let text = text.as_ref();
                let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
                if text.is_empty() || text.len() > 64 || !text.bytes().all(legal) {
                    return Err(InvalidTextId);
                }
                Ok(Self(text.into()))
            }

            /// Makes a new random id.
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4().simple().to_string().into())
            }

            /// The text itself; it is a legal token of a NATS subject.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidTextId;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// One installation of a client; it keeps its own position in the log.
    DeviceId
}
text_id! {
    /// One process of a service: a gateway, or a replica of delivery, storage or presence.
    GatewayId
}
text_id! {
    /// One connection of a device, from handshake to close.
    SessionId
}
text_id! {
    /// An invite into a group.
    InviteId
}
