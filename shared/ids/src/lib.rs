//! Identifiers of Natter: nothing but types.
//!
//! Each identifier is a distinct type that can only hold a valid value, so a function that takes
//! a [`UserId`] never has to ask whether it is empty or too long. The types know how they look in
//! a NATS subject, because nothing a client chose may reach a subject unencoded.

mod client_id;
mod conversation;
mod invite;
mod position;
mod subject;
mod text_id;
mod user;

pub use client_id::{ClientId, InvalidClientId};
pub use conversation::{ConversationId, InvalidConversationId, SHARDS, Shard};
pub use invite::{InvalidInviteCode, InviteCode};
pub use position::{InvalidPosition, Partition, Position};
pub use subject::{decode_token, encode_token};
pub use text_id::{DeviceId, GatewayId, InvalidTextId, InviteId, SessionId};
pub use user::{InvalidUserId, UserId};

/// The number of an entry in its partition's log: the JetStream stream sequence, from 1.
///
/// Within one conversation a larger number is later, for everybody. Numbers of one conversation
/// are not consecutive, because a partition's log is shared by many conversations.
pub type Seq = u64;
