//! Who does not want to hear from whom. Nobody learns that they are blocked: what they send is accepted and archived
//! as ever, and left out where it would be shown, in what goes out to the one who has blocked them.

use std::sync::Arc;

use natter_bus::{
    storage_api::Unblocked,
    users::{Blocks, Told},
};
use natter_ids::{ConversationId, UserId};
use natter_protocol::{BlockPage, BlockView, ErrorBody, ErrorCode, PresenceView};

use crate::{
    members::{refusal, unavailable},
    posting::too_large,
    server::Shared,
};

/// What others see of somebody who hides.
pub(crate) fn unseen(user: UserId) -> PresenceView {
    PresenceView { user, online: false, away: false, last_seen: None }
}

impl Shared {
    /// The blocks of a user: those in force here when they are here.
    pub(crate) async fn blocks_of(&self, user: &UserId) -> Result<Arc<Blocks>, ErrorBody> {
        match self.devices.blocks(user) {
            Some(known) => Ok(known),
            None => Ok(Arc::new(self.bus.user_record(user).await.map_err(unavailable)?.record.blocks)),
        }
    }

    /// Lists them. This gateway goes by what it tells.
    pub(crate) async fn blocks(&self, user: &UserId) -> Result<BlockPage, ErrorBody> {
        let read = self.bus.user_record(user).await.map_err(unavailable)?;
        self.devices.go_by(user, &read);
        Ok(BlockPage { blocks: read.record.blocks.by_me().to_vec() })
    }

    /// Blocks somebody, for all devices of the user. Said twice, done once.
    pub(crate) async fn block(&self, user: &UserId, other: UserId) -> Result<BlockPage, ErrorBody> {
        if *user == other {
            return Err(ErrorBody::new(ErrorCode::Malformed).because("Nobody blocks themselves."));
        }
        let max = self.live.get().limits.blocks_max;
        let full = |blocks: &Blocks| blocks.of(&other).is_none() && blocks.by_me().len() >= max as usize;
        let too_many = || too_large("blocks_max", max, "A list of blocks", "users");
        let known = self.bus.user_record(user).await.map_err(unavailable)?.record.blocks;
        if known.of(&other).is_some() {
            // An earlier try may have come no further than this.
            self.tell_changed([user, &other]).await?;
            return Ok(BlockPage { blocks: known.by_me().to_vec() });
        }
        if full(&known) {
            return Err(too_many());
        }
        let conversation = ConversationId::direct(user, &other);
        let after = self.bus.last_seq(&conversation).await.map_err(unavailable)?;
        // First what the other one may not see, then what the user does not want to: when only the first is done,
        // the user is told that it failed, and nobody has seen too much.
        self.change_record(&other, |record| {
            record.blocks.blocked_by(user);
            Ok(())
        })
        .await?;
        let block = BlockView { user: other.clone(), conversation, after, since: self.bus.now_ms() };
        let changed = self
            .change_record(user, |record| {
                if full(&record.blocks) {
                    return Err(too_many());
                }
                record.blocks.block(block.clone());
                Ok(())
            })
            .await;
        self.tell_changed([user, &other]).await?;
        Ok(BlockPage { blocks: changed?.blocks.by_me().to_vec() })
    }

    /// Lifts a block. Said twice, done once.
    pub(crate) async fn unblock(&self, user: &UserId, other: UserId) -> Result<BlockPage, ErrorBody> {
        let now = self.bus.now_ms();
        let changed = self
            .change_record(user, |record| {
                record.blocks.unblock(&other, now);
                Ok(())
            })
            .await?;
        self.change_record(&other, |record| {
            record.blocks.unblocked_by(user);
            Ok(())
        })
        .await?;
        self.tell_changed([user, &other]).await?;
        // Every time: whoever was refused here says it again.
        let conversation = ConversationId::direct(user, &other);
        let lifted = Unblocked { user: user.clone(), other, conversation };
        self.bus.ask(&lifted).await.map_err(refusal)?;
        Ok(BlockPage { blocks: changed.blocks.by_me().to_vec() })
    }

    async fn tell_changed(&self, users: [&UserId; 2]) -> Result<(), ErrorBody> {
        let mut told = Ok(());
        for user in users {
            self.devices.look_into(user).await;
            told = told.and(self.bus.tell_gateways(&Told::Changed { user: user.clone() }).await.map_err(unavailable));
        }
        told
    }
}
