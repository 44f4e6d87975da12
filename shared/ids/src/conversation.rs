//! Conversations, direct and group, and the shard each belongs to.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ClientId, UserId};

/// How many logical shards conversations are spread over. Part of every stored subject, hence
/// fixed for the life of a deployment.
pub const SHARDS: u16 = 64;

/// A logical shard, `0..SHARDS`: a token of the subject of every log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u16);

impl Shard {
    /// The number of the shard.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A conversation: `d` (direct) or `g` (group) and 22 characters of a hash.
///
/// Ids are derived, never drawn: opening the same direct conversation, or retrying the creation
/// of a group with the same client id, names the same conversation, on any gateway, for ever.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[dg][A-Za-z0-9_-]{22}$"))]
pub struct ConversationId(Arc<str>);

/// Why a text is not a [`ConversationId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a conversation id is `d` or `g` and 22 letters, digits, `-` or `_`")]
pub struct InvalidConversationId;

impl ConversationId {
    /// The direct conversation of two users; the same whoever opens it.
    pub fn direct(one: &UserId, other: &UserId) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self::derive('d', &[first.as_str(), second.as_str()])
    }

    /// The group that `creator` creates under the client id of the request.
    pub fn group(creator: &UserId, request: ClientId) -> Self {
        Self::derive('g', &[creator.as_str(), &request.to_string()])
    }

    fn derive(kind: char, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length in front keeps ("ab", "c") apart from ("a", "bc").
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        Self(format!("{kind}{}", URL_SAFE_NO_PAD.encode(&digest[..16])).into())
    }

    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidConversationId`] unless it has the form of a derived id.
    pub fn parse(text: &str) -> Result<Self, InvalidConversationId> {
        let legal = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_';
        match text.as_bytes() {
            [b'd' | b'g', rest @ ..] if rest.len() == 22 && rest.iter().all(legal) => Ok(Self(text.into())),
            _ => Err(InvalidConversationId),
        }
    }

    /// The text itself; it is a legal token of a NATS subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a conversation of exactly two users.
    pub fn is_direct(&self) -> bool {
        self.0.starts_with('d')
    }

    /// The shard that holds the conversation's log. FNV-1a over the text, so that it can be
    /// computed anywhere without a library.
    pub fn shard(&self) -> Shard {
        let hash = self
            .0
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Shard(u16::try_from((hash >> 32) % u64::from(SHARDS)).unwrap_or(0))
    }
}

impl TryFrom<String> for ConversationId {
    type Error = InvalidConversationId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ConversationId> for String {
    fn from(id: ConversationId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn user(text: &str) -> UserId {
        UserId::new(text).unwrap()
    }

    #[test]
    fn a_direct_conversation_is_the_same_from_both_sides() {
        let (a, b) = (user("alice"), user("bob"));
        assert_eq!(ConversationId::direct(&a, &b), ConversationId::direct(&b, &a));
        assert!(ConversationId::direct(&a, &b).is_direct());
        assert_ne!(ConversationId::direct(&user("ab"), &user("c")), ConversationId::direct(&user("a"), &user("bc")),);
    }

    #[test]
    fn derived_ids_parse_and_pin_their_shard() {
        let id = ConversationId::direct(&user("alice"), &user("bob"));
        assert_eq!(ConversationId::parse(id.as_str()), Ok(id.clone()));
        // Stored subjects carry these: a change here loses every existing conversation.
        assert_eq!(id.as_str(), "dP-9BSBBRtQB305YYam4QtQ");
        assert_eq!(id.shard().number(), 57);
    }

    #[test]
    fn shards_are_used_evenly() {
        let mut count = [0_u32; SHARDS as usize];
        for number in 0..6400 {
            let id = ConversationId::direct(&user("a"), &user(&number.to_string()));
            count[usize::from(id.shard().number())] += 1;
        }
        assert!(count.iter().all(|n| (60..150).contains(n)), "{count:?}");
    }
}
