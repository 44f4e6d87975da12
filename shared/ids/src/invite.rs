//! What lets people into a group: a code that is told, and a name that follows from it.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{ConversationId, InviteId};

/// Bytes of the hash that are kept: nobody finds another secret with the same.
const ID_BYTES: usize = 16;

/// The code of an invite: `<conversation>.<secret>`, with 122 random bits in the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode {
    conversation: ConversationId,
    secret: String,
}

/// Why a text is not an [`InviteCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invite's code is the id of a group, a point, and 32 hexadecimal digits")]
pub struct InvalidInviteCode;

impl InviteCode {
    /// Makes a new one.
    pub fn random(conversation: ConversationId) -> Self {
        Self { conversation, secret: uuid::Uuid::new_v4().simple().to_string() }
    }

    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidInviteCode`].
    pub fn parse(text: &str) -> Result<Self, InvalidInviteCode> {
        let (conversation, secret) = text.trim().split_once('.').ok_or(InvalidInviteCode)?;
        Self::of(ConversationId::parse(conversation).map_err(|_| InvalidInviteCode)?, secret)
    }

    /// The code of a group that ends with these 32 hexadecimal digits.
    ///
    /// # Errors
    /// [`InvalidInviteCode`], also for a direct conversation.
    pub fn of(conversation: ConversationId, secret: &str) -> Result<Self, InvalidInviteCode> {
        let legal = secret.len() == 32 && secret.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_group = !conversation.is_direct();
        (legal && is_group).then(|| Self { conversation, secret: secret.to_owned() }).ok_or(InvalidInviteCode)
    }

    /// The digits with which it ends.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Into which group it leads.
    pub fn conversation(&self) -> &ConversationId {
        &self.conversation
    }

    /// The invite's name: whoever knows it cannot tell the code.
    pub fn id(&self) -> InviteId {
        let hash = Sha256::digest(self.to_string());
        #[allow(clippy::expect_used, reason = "base64url makes only legal characters, here 22 of them")]
        InviteId::new(URL_SAFE_NO_PAD.encode(&hash[..ID_BYTES])).expect("a legal id")
    }
}

impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.conversation, self.secret)
    }
}

/// A code is a secret and stays out of logs.
impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteCode({}.…)", self.conversation)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{ClientId, UserId};

    #[test]
    fn a_code_is_read_back_and_stays_out_of_logs() {
        let alice = UserId::new("alice").unwrap();
        let group = ConversationId::group(&alice, ClientId::now());
        let (code, other) = (InviteCode::random(group.clone()), InviteCode::random(group.clone()));
        let text = code.to_string();
        assert_eq!(InviteCode::parse(&format!(" {text}\n")), Ok(code.clone()));
        assert_ne!(code.id(), other.id());
        assert_eq!(code.id(), InviteCode::parse(&text).unwrap().id());
        assert!(!format!("{code:?}").contains(text.split('.').nth(1).unwrap()));
        let direct = ConversationId::direct(&alice, &UserId::new("bob").unwrap());
        let wrong = [String::new(), group.to_string(), format!("{group}."), format!("{text}0"), text.to_uppercase()];
        for wrong in wrong.into_iter().chain([InviteCode::random(direct).to_string()]) {
            assert_eq!(InviteCode::parse(&wrong), Err(InvalidInviteCode), "{wrong}");
        }
    }
}
