//! Who is writing something: checked here, passed on by delivery, never answered.

use natter_bus::Typing;
use natter_ids::{ConversationId, UserId};

use crate::server::Shared;

impl Shared {
    /// Tells the other members. What is too much, or comes from no member, is dropped without a word:
    /// nobody waits for an answer.
    pub(crate) async fn typing(&self, user: &UserId, conversation: ConversationId, stopped: bool) {
        if !self.live.get().rates.typing(user) || self.members.member(&conversation, user).await.is_err() {
            return;
        }
        // Whoever has blocked the other one does not let them see it.
        let blocked = self.blocks_of(user).await.map_or(true, |blocks| blocks.here(&conversation).is_some());
        if blocked || !self.members.may_be_seen(&conversation, user).await {
            return;
        }
        let expires_in_ms = if stopped { 0 } else { self.config.typing_ms };
        let typing = Typing { conversation, user: user.clone(), expires_in_ms };
        if let Err(error) = self.bus.tell_typing(&typing).await {
            tracing::debug!(error, "who is writing could not be told");
        }
    }
}
