//! The id that a client gives a message, so that a retry is recognised however late it comes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A `UUIDv7` (RFC 9562, section 5.7) made by the client, once per message and kept for retries.
///
/// Its time tells whether the first attempt can still be inside the log's duplicate window.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$"))]
pub struct ClientId(Uuid);

/// Why a text is not a [`ClientId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id is a UUID of version 7 in its hyphenated lower-case form")]
pub struct InvalidClientId;

impl ClientId {
    /// Makes an id for a message first sent now.
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }

    /// Makes an id that carries the given time, in milliseconds since 1970.
    pub fn at(time_ms: u64) -> Self {
        let seconds = time_ms / 1000;
        let nanos = u32::try_from(time_ms % 1000).unwrap_or(0) * 1_000_000;
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
    }

    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidClientId`] unless it is a `UUIDv7` in its canonical form.
    pub fn parse(text: &str) -> Result<Self, InvalidClientId> {
        let id = Uuid::try_parse(text).map_err(|_| InvalidClientId)?;
        let canonical = id.get_version_num() == 7 && id.hyphenated().to_string() == text;
        canonical.then_some(Self(id)).ok_or(InvalidClientId)
    }

    /// The time that the id carries, in milliseconds since 1970.
    pub fn time_ms(&self) -> u64 {
        let bytes = self.0.as_bytes();
        bytes[..6].iter().fold(0, |time, byte| time << 8 | u64::from(*byte))
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidClientId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_time_comes_back() {
        let id = ClientId::at(1_700_000_000_123);
        assert_eq!(id.time_ms(), 1_700_000_000_123);
        assert_eq!(ClientId::parse(&id.to_string()), Ok(id));
    }

    #[test]
    fn only_canonical_version_7_is_taken() {
        let v4 = Uuid::new_v4().to_string();
        let upper = ClientId::now().to_string().to_uppercase();
        for text in ["", "x", v4.as_str(), upper.as_str()] {
            assert_eq!(ClientId::parse(text), Err(InvalidClientId), "{text}");
        }
    }
}
