//! Client SDK: connect, send, receive once and in order, resume.
//!
//! A [`Client`] is one device of one user. It keeps a session with one of several gateways, moves
//! to the next one when that ends, and presents its position there, so that an application sees
//! one uninterrupted sequence of [`Notification`]s: every event once, in order, never a hole.
//!
//! ```no_run
//! # async fn example(conversation: natter_ids::ConversationId) -> Result<(), Box<dyn std::error::Error>> {
//! use natter_client::{Client, Notification, TokenSource};
//!
//! let client = Client::builder(["ws://127.0.0.1:8080"], TokenSource::fixed("…")).connect()?;
//! client.send(conversation, "hello").await?;
//! while let Some(notification) = client.next_event().await {
//!     if let Notification::Event(event, _) = notification {
//!         // Show it, store it, then store `client.position()` to start from next time.
//!         drop(event);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`RawConnection`] is one session without any of this, for tests of gateways.

mod backoff;
mod builder;
mod chains;
mod changes;
mod client;
mod connect;
mod decode;
mod driver;
mod error;
#[cfg(test)]
mod fake;
mod groups;
mod intake;
mod known;
mod marks;
mod notification;
mod options;
mod outbound;
mod overview;
mod raw;
mod requests;
mod session;
mod shared;
mod stream;
mod token;
#[cfg(feature = "tls")]
mod trust;
mod unknown;

pub use builder::ClientBuilder;
pub use client::{Accepted, Client};
pub use connect::{ConnectError, Refusal};
pub use decode::decode_server_frame;
pub use error::{BuildError, Fatal, RequestError, SendError};
pub use notification::{DisconnectReason, Notification, SessionInfo};
pub use overview::Overview;
pub use raw::{RawConnection, RawError, RawOptions, Received};
pub use shared::Stats;
pub use token::{TokenError, TokenSource};
