//! Who is writing something, told over core NATS and kept nowhere.
//!
//! A gateway that has checked the sender tells delivery, which knows the members and who of them is
//! online, and passes it on into their inboxes. Whatever is lost is no loss: it ends by itself.

use futures_util::StreamExt;
use natter_ids::{ConversationId, UserId};
use serde::{Deserialize, Serialize};

use crate::{Bus, subjects};

/// Somebody is writing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// For how long, unless it is told again, in milliseconds; 0: they have stopped.
    pub expires_in_ms: u32,
}

/// What gateways tell delivery.
pub struct TypingSignals(async_nats::Subscriber);

impl TypingSignals {
    /// The next signal; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<Typing> {
        loop {
            let message = self.0.next().await?;
            if let Ok(typing) = serde_json::from_slice(&message.payload) {
                return Some(typing);
            }
        }
    }
}

/// Every error here is a sentence for operators: the connection is closed.
impl Bus {
    /// Tells every delivery replica; the owner of the conversation's partition passes it on.
    ///
    /// # Errors
    /// The connection is closed, or away for the moment.
    pub async fn tell_typing(&self, typing: &Typing) -> Result<(), String> {
        if !self.is_connected() {
            // It would wait in the client's buffer until it is no longer true.
            return Err("not connected to NATS".to_owned());
        }
        self.publish_json(subjects::TYPING.to_owned(), typing).await
    }

    /// Subscribes to what gateways tell.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn typing_signals(&self) -> Result<TypingSignals, String> {
        let subscription = self.shared.client.subscribe(subjects::TYPING).await;
        subscription.map(TypingSignals).map_err(|error| error.to_string())
    }

    /// Passes it on into a user's inbox.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn send_typing(&self, user: &UserId, typing: &Typing) -> Result<(), String> {
        let mut bytes = b"T\n".to_vec();
        serde_json::to_writer(&mut bytes, typing).map_err(|error| error.to_string())?;
        let sent = self.shared.client.publish(subjects::inbox(user), bytes.into()).await;
        sent.map_err(|error| error.to_string())
    }
}
