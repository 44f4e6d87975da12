//! How far a device has come: one number per partition, one opaque token for clients.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConversationId, SHARDS, Seq};

/// One stream of the log, holding a fixed set of shards. The unit of order and of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Partition(pub u16);

impl Partition {
    /// The partition that holds a conversation when there are `count` of them.
    pub fn of(conversation: &ConversationId, count: u16) -> Self {
        Self(conversation.shard().number() % count.max(1))
    }

    /// All partitions when there are `count` of them.
    pub fn all(count: u16) -> impl Iterator<Item = Self> {
        (0..count.clamp(1, SHARDS)).map(Self)
    }

    /// The partition's place in a list of all.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a device has come in every partition: it has received every entry meant for it with a
/// number up to and including the one given.
///
/// Clients see one opaque token, `1.` and base64url (RFC 4648) of the numbers as LEB128.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    description = "How far a device has come. An opaque token: kept and presented, never read by clients.",
    extend("pattern" = r"^1\.[A-Za-z0-9_-]+$")
)]
pub struct Position(Box<[Seq]>);

/// Why a text is not a [`Position`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is a token that Natter handed out; this is none")]
pub struct InvalidPosition;

impl Position {
    /// The position before the first entry.
    pub fn start(partitions: u16) -> Self {
        Self(vec![0; usize::from(partitions.clamp(1, SHARDS))].into())
    }

    /// A position from the numbers of all partitions.
    pub fn from_seqs(seqs: impl Into<Box<[Seq]>>) -> Self {
        Self(seqs.into())
    }

    /// The number reached in a partition; 0 for a partition that the position does not know.
    pub fn get(&self, partition: Partition) -> Seq {
        self.0.get(partition.index()).copied().unwrap_or(0)
    }

    /// Moves one partition forward; never back.
    pub fn advance(&mut self, partition: Partition, seq: Seq) {
        if let Some(slot) = self.0.get_mut(partition.index()) {
            *slot = (*slot).max(seq);
        }
    }

    /// How many partitions the position knows.
    pub fn partitions(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(SHARDS)
    }

    /// The numbers of all partitions.
    pub fn seqs(&self) -> &[Seq] {
        &self.0
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`InvalidPosition`] for anything that [`fmt::Display`] cannot have made.
    pub fn parse(token: &str) -> Result<Self, InvalidPosition> {
        let encoded = token.strip_prefix("1.").ok_or(InvalidPosition)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| InvalidPosition)?;
        let mut seqs = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (seq, tail) = read_leb128(rest).ok_or(InvalidPosition)?;
            seqs.push(seq);
            rest = tail;
        }
        let legal = !seqs.is_empty() && seqs.len() <= usize::from(SHARDS) && seqs.iter().all(|s| *s <= i64::MAX as u64);
        legal.then(|| Self(seqs.into())).ok_or(InvalidPosition)
    }
}

fn read_leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            // A number has one form: a last byte of nothing makes it longer than it is.
            return (*byte != 0 || index == 0).then(|| (value, &bytes[index + 1..]));
        }
    }
    None
}

fn write_leb128(mut value: u64, bytes: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(self.0.len() * 4);
        self.0.iter().for_each(|seq| write_leb128(*seq, &mut bytes));
        write!(f, "1.{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl TryFrom<String> for Position {
    type Error = InvalidPosition;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_come_back(seqs in prop::collection::vec(0..=i64::MAX as u64, 1..64)) {
            let position = Position::from_seqs(seqs);
            prop_assert_eq!(Position::parse(&position.to_string()).unwrap(), position);
        }

        #[test]
        fn mangled_tokens_never_panic(token in ".{0,60}", tail in "[A-Za-z0-9_-]{0,60}") {
            let _ = Position::parse(&token);
            let _ = Position::parse(&format!("1.{tail}"));
        }
    }

    #[test]
    fn the_token_is_pinned() {
        // Devices keep tokens for months: this form stays readable for ever.
        let position = Position::from_seqs([0, 1, 300, 7]);
        assert_eq!(position.to_string(), "1.AAGsAgc");
    }

    /// Found by fuzzing: a number with a byte too many.
    #[test]
    fn there_is_one_token_for_a_position() {
        assert_eq!(Position::parse("1.1AA"), Err(InvalidPosition));
        assert_eq!(Position::parse("1.VA").unwrap().to_string(), "1.VA");
    }

    #[test]
    fn positions_never_go_back() {
        let mut position = Position::start(2);
        position.advance(Partition(1), 5);
        position.advance(Partition(1), 3);
        position.advance(Partition(9), 3);
        assert_eq!(position.seqs(), [0, 5]);
    }
}
