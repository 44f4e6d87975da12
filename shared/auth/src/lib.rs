//! Who somebody is: tokens are checked, minted for development, and exchanged for tickets.
//!
//! Natter issues no tokens in production. It verifies JWTs (RFC 7519) of the application's own
//! issuer, each key only ever with the algorithm it was made for (RFC 8725, section 3.1).

mod config;
mod credentials;
mod keys;
mod mint;
mod secret;
mod ticket;
mod verify;

pub use config::{Config, InvalidConfig, KeyAlgorithm};
pub use credentials::{Credential, SubprotocolOffer, bearer_of_authorization, parse_subprotocols};
pub use keys::count_public_keys;
pub use mint::{MintError, MintRequest, mint};
pub use secret::Secret;
pub use ticket::{TICKET_TTL_MS, Ticket, new_ticket_id};
pub use verify::{AuthError, Claims, Verifier};
