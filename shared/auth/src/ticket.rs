//! Single-use tickets, for clients that cannot set headers: a ticket in an address or a
//! subprotocol is worth nothing once it was used.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// How long a ticket is valid, in milliseconds.
pub const TICKET_TTL_MS: u32 = 30_000;

/// What a ticket stands for, kept by the gateways until it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Who got it.
    pub subject: String,
    /// When it ends, in milliseconds since 1970 UTC.
    pub expires_at: u64,
    /// When the token it was exchanged for ends, in milliseconds since 1970 UTC.
    pub token_expires_at: u64,
}

/// A new unguessable id: 256 random bits as base64url.
pub fn new_ticket_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
