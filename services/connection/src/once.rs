//! What is said under a client id happens once, however often and late it is said (G4).

use natter_bus::{
    FRESH_ID_AGE_MS, FUTURE_ID_MS,
    storage_api::{FindMessage, FoundMessage},
};
use natter_ids::{ClientId, ConversationId, Partition, Seq, UserId};
use natter_protocol::{Change, Entry, ErrorBody, ErrorCode};

use crate::{
    members::{refusal, unavailable},
    posting::Accepted,
    rights::Needs,
    server::Shared,
};

impl Shared {
    /// What an earlier request under this id came to, as far as the log cannot be left to tell.
    pub(crate) async fn said_before(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        client_id: ClientId,
        change: &Change,
    ) -> Result<Option<Accepted>, ErrorBody> {
        if self.is_fresh(client_id)? {
            return Ok(None);
        }
        // The log may have forgotten the id; the archive has not.
        let found = Box::pin(self.find(user, conversation, client_id)).await?;
        found.map(|found| same(&found, change)).transpose()
    }

    fn is_fresh(&self, client_id: ClientId) -> Result<bool, ErrorBody> {
        let now = self.bus.now_ms();
        if client_id.time_ms() > now + FUTURE_ID_MS {
            return Err(ErrorCode::ClientIdInFuture.into());
        }
        Ok(now.saturating_sub(client_id.time_ms()) <= FRESH_ID_AGE_MS)
    }

    /// Changes a group, once when there is an id for it. Who asks again may have lost the right since, or have left by it.
    pub(crate) async fn change_group_once(
        &self,
        user: &UserId,
        group: &ConversationId,
        client_id: Option<ClientId>,
        change: &Change,
        work: impl Future<Output = Result<Accepted, ErrorBody>>,
    ) -> Result<Accepted, ErrorBody> {
        let Some(client_id) = client_id else { return work.await };
        let first = async || {
            // Changes of members stand on subjects of their own.
            let partition = Partition::of(group, self.bus.partitions());
            let at_least = self.bus.newest_seq(partition).await.map_err(unavailable)?;
            let found = self.find_own(user, group, client_id, at_least).await?;
            found.map(|found| same(&found, change)).transpose()
        };
        if !self.is_fresh(client_id)?
            && let Some(first) = first().await?
        {
            return Ok(first);
        }
        match work.await {
            Err(refused) if !refused.code.is_retryable() => first().await?.ok_or(refused),
            told => told,
        }
    }

    /// Appends what happens under a client id, once.
    pub(crate) async fn append_once(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        client_id: ClientId,
        change: Change,
        needs: Needs,
    ) -> Result<Accepted, ErrorBody> {
        let entry = Entry { sender: user.clone(), client_id: Some(client_id), time: self.bus.now_ms(), change };
        let stored = self.append_as_member(conversation, &entry, needs).await?;
        if !stored.repeat {
            return Ok(Accepted { seq: stored.seq, time: entry.time });
        }
        let first = Box::pin(self.first_of(user, conversation, client_id, stored.seq)).await?;
        same(&first, &entry.change)
    }

    /// What the log calls the first under an id.
    async fn first_of(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        client_id: ClientId,
        seq: Seq,
    ) -> Result<FoundMessage, ErrorBody> {
        match self.bus.entry_at(conversation, seq).await.map_err(unavailable)? {
            Some(Entry { time, change, .. }) => {
                Ok(FoundMessage { seq, time, text: String::new(), change: Some(change) })
            }
            // It was deleted since, and the log has erased it.
            None => {
                let found = self.find(user, conversation, client_id).await?;
                found.ok_or_else(|| unavailable("the log no longer holds a message it calls a repeat"))
            }
        }
    }

    pub(crate) async fn find(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        client_id: ClientId,
    ) -> Result<Option<FoundMessage>, ErrorBody> {
        self.members.member(conversation, user).await?;
        let at_least = self.bus.last_seq(conversation).await.map_err(unavailable)?;
        self.find_own(user, conversation, client_id, at_least).await
    }

    async fn find_own(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        client_id: ClientId,
        at_least: Seq,
    ) -> Result<Option<FoundMessage>, ErrorBody> {
        let (conversation, sender) = (conversation.clone(), user.clone());
        self.bus.ask(&FindMessage { conversation, sender, client_id, at_least }).await.map_err(refusal)
    }
}

/// The first answer again, or a refusal when the id was used for something else.
pub(crate) fn same(first: &FoundMessage, change: &Change) -> Result<Accepted, ErrorBody> {
    if first.is(change) {
        Ok(Accepted { seq: first.seq, time: first.time })
    } else {
        Err(ErrorCode::ClientIdConflict.into())
    }
}
