//! A user's list of conversations, and how they arrange it.

use natter_bus::storage_api::{Arrange, Overview};
use natter_ids::{ConversationId, UserId};
use natter_protocol::{
    ArrangementDraft, ArrangementView, ErrorBody, ErrorCode, OverviewCursor, OverviewPage, OverviewPosition,
    ShowRequests,
};

use crate::{members::refusal, posting::too_large, server::Shared};

impl Shared {
    /// A page of the user's list, or of what has changed in it.
    pub(crate) async fn overview(
        &self,
        user: &UserId,
        since: Option<OverviewPosition>,
        after: Option<OverviewCursor>,
        limit: Option<u32>,
        requests: ShowRequests,
    ) -> Result<OverviewPage, ErrorBody> {
        let max = self.live.get().limits.overview_items_max;
        let limit = match limit {
            Some(limit) if limit > max => return Err(too_large("overview_items_max", max, "A page", "conversations")),
            Some(0) => return Err(ErrorBody::new(ErrorCode::Malformed).because("`limit` must be at least 1.")),
            limit => limit.unwrap_or(max),
        };
        let positions = since.iter().chain(after.iter().map(|after| &after.position));
        if positions.into_iter().any(|position| position.entries.partitions() != self.bus.partitions()) {
            return Err(ErrorCode::InvalidPosition.into());
        }
        let blocks = self.blocks_of(user).await?;
        let asked = Overview { user: user.clone(), since, after, limit, requests, blocks: blocks.by_me().to_vec() };
        let mut page = self.bus.ask(&asked).await.map_err(refusal)?;
        // What somebody blocked has begun, nobody has seen; a request of theirs is answered.
        page.conversations.retain(|item| {
            let block = blocks.here(&item.view.conversation);
            block.is_none_or(|block| block.after > 0 && !item.arrangement.request)
        });
        for item in &mut page.conversations {
            // Whoever is blocked is neither heard nor counted, nor is it told how far they have come.
            if let Some(block) = blocks.here(&item.view.conversation) {
                (item.unread, item.mentions) = (0, 0);
                item.marks.clear();
                item.last = item.last.take().filter(|last| last.entry.sender != block.user || last.seq <= block.after);
            }
        }
        Ok(page)
    }

    /// Mutes, pins or puts away a conversation in the user's list.
    pub(crate) async fn arrange(
        &self,
        user: &UserId,
        conversation: ConversationId,
        draft: ArrangementDraft,
    ) -> Result<ArrangementView, ErrorBody> {
        if draft.accepted == Some(false) {
            return Err(ErrorBody::new(ErrorCode::Malformed).because("What was accepted stays so."));
        }
        let asked = Arrange { user: user.clone(), conversation: conversation.clone(), draft };
        self.ask_as_member(user, &conversation, &asked).await
    }
}
