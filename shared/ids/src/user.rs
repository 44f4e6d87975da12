//! Who a person is: the subject of their token.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encode_token;

/// A user, as the application names them: any UTF-8 text of 1 to 128 bytes without control
/// characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "A user, as the application names them: any UTF-8 text of 1 to 128 bytes without control characters.",
    extend("minLength" = 1, "maxLength" = 128, "pattern" = r"^[^\u0000-\u001f\u007f-\u009f]+$")
)]
pub struct UserId(Arc<str>);

/// Why a text is not a [`UserId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user id is UTF-8 text of 1 to {max} bytes without control characters", max = UserId::BYTES_MAX)]
pub struct InvalidUserId;

impl UserId {
    /// Longest user id, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidUserId`] when it is empty, longer than 128 bytes or holds a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidUserId> {
        let text = text.as_ref();
        if text.is_empty() || text.len() > Self::BYTES_MAX || text.chars().any(char::is_control) {
            return Err(InvalidUserId);
        }
        Ok(Self(text.into()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user as one token of a NATS subject.
    pub fn token(&self) -> String {
        encode_token(&self.0)
    }
}

/// A map keyed by users is looked up by their text.
impl std::borrow::Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = InvalidUserId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn odd_but_legal_ids_are_taken() {
        for text in ["a.b", "*", ">", "two words", "🦀", "a"] {
            assert_eq!(UserId::new(text).unwrap().as_str(), text);
        }
        assert!(UserId::new("é".repeat(64)).is_ok());
    }

    #[test]
    fn illegal_ids_are_refused() {
        for text in ["", "a\nb", "\0", &"é".repeat(65)] {
            assert_eq!(UserId::new(text), Err(InvalidUserId), "{text:?}");
        }
    }
}
