//! Single reads of the log, always from its leader, so that they see every acknowledged entry.

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use natter_ids::{ConversationId, InviteId, Partition, Seq, UserId};
use natter_protocol::Entry;

use crate::{Bus, log, subjects};

/// The log could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be read: {0}")]
pub struct LookupError(pub String);

impl Bus {
    /// The newest entry that changed this user's membership alone, if the log still holds it.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached.
    pub async fn last_member_entry(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<(Seq, Entry)>, LookupError> {
        self.last_entry(conversation, &subjects::member(conversation, user)).await
    }

    /// The newest entry about an invite, if the log still holds it.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached.
    pub async fn last_invite_entry(
        &self,
        conversation: &ConversationId,
        invite: &InviteId,
    ) -> Result<Option<(Seq, Entry)>, LookupError> {
        self.last_entry(conversation, &subjects::invite(conversation, invite)).await
    }

    /// The number of the newest entry on the conversation's common subject; 0 when the log holds
    /// none. What was accepted before this call has at most this number or is a member entry.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached.
    pub async fn last_seq(&self, conversation: &ConversationId) -> Result<Seq, LookupError> {
        Ok(self.last_entry(conversation, &subjects::log(conversation)).await?.map_or(0, |(seq, _)| seq))
    }

    /// The number of the newest entry of a partition.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached.
    pub async fn newest_seq(&self, partition: Partition) -> Result<Seq, LookupError> {
        let stream = self.stream(partition).await.map_err(LookupError)?;
        let info = stream.get_info().await.map_err(|error| LookupError(error.to_string()))?;
        Ok(info.state.last_sequence)
    }

    async fn last_entry(
        &self,
        conversation: &ConversationId,
        subject: &str,
    ) -> Result<Option<(Seq, Entry)>, LookupError> {
        let partition = Partition::of(conversation, self.partitions());
        let stream = self.stream(partition).await.map_err(LookupError)?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => {
                let (_, entry) =
                    log::decode(&message.subject, &message.payload).map_err(|e| LookupError(e.to_string()))?;
                Ok(Some((message.sequence, entry)))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(LookupError(error.to_string())),
        }
    }

    /// The entry at a number of a conversation's partition, if the log still holds it.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached.
    pub async fn entry_at(&self, conversation: &ConversationId, seq: Seq) -> Result<Option<Entry>, LookupError> {
        let partition = Partition::of(conversation, self.partitions());
        let Some(record) = self.record_at(partition, seq).await? else { return Ok(None) };
        let (at, entry) = record.body.map_err(|poison| LookupError(poison.to_string()))?;
        Ok((at == *conversation).then_some(entry))
    }
}
