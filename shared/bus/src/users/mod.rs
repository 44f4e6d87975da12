//! What gateways know of each user: one record per user in a bucket, and a broadcast of its changes.
//!
//! The record is the truth: it is read from its leader when a device says `hello`, so a device that
//! was revoked is refused everywhere from the moment its revocation is stored. The broadcast makes
//! gateways act on sessions that are open; core NATS may lose it, so they look into the record again
//! whenever their connection has lost something.

mod blocks;
mod devices;

use async_nats::jetstream::{
    context::{PublishError, PublishErrorKind},
    message::PublishMessage,
    stream::LastRawMessageErrorKind,
};
use futures_util::StreamExt;
use natter_ids::{DeviceId, UserId};
use natter_protocol::PrivacyView;
use serde::{Deserialize, Serialize};

use crate::{Bus, subjects};
pub use blocks::{Blocks, Lifted};
pub use devices::{Devices, Refusal};

/// What is kept of a user. Fields of later versions are kept by none: all gateways are to know them
/// before one is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Their devices.
    #[serde(flatten)]
    pub devices: Devices,
    /// Whom they have blocked, and who has blocked them.
    #[serde(default, skip_serializing_if = "Blocks::is_empty")]
    pub blocks: Blocks,
    /// What others may see.
    #[serde(default)]
    pub privacy: PrivacyView,
}

/// A record as read, and what a write of it is fenced on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadRecord {
    /// What is known.
    pub record: UserRecord,
    /// 0 when there was no record.
    revision: u64,
}

impl ReadRecord {
    /// The larger of two is the newer one, as long as the bucket is not lost. 0 when there was no record.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

/// Why a record was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Somebody else has written meanwhile: read again.
    #[error("what is known of the user has changed meanwhile")]
    Moved,
    /// The bucket cannot be reached; written or not.
    #[error("what is known of a user cannot be kept: {0}")]
    Unavailable(String),
}

/// What gateways tell each other, for the sessions that they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Told {
    /// A device was revoked.
    Revoked {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
    },
    /// Something else that is known of a user has changed.
    Changed {
        /// Of whom.
        user: UserId,
    },
    /// What a user lets others see has changed.
    Privacy {
        /// Whose.
        user: UserId,
        /// All of it.
        #[serde(flatten)]
        privacy: PrivacyView,
    },
}

/// What all gateways tell.
pub struct GatewaysTold(async_nats::Subscriber);

impl GatewaysTold {
    /// The next thing; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            let message = self.0.next().await?;
            match serde_json::from_slice(&message.payload) {
                Ok(told) => return Some(told),
                Err(error) => tracing::warn!(%error, "what a gateway tells could not be read"),
            }
        }
    }
}

impl Bus {
    /// What is known of a user, from the leader of the bucket: every write that was acknowledged is in
    /// it.
    ///
    /// # Errors
    /// A sentence, when the bucket cannot be reached.
    pub async fn user_record(&self, user: &UserId) -> Result<ReadRecord, String> {
        if !self.is_connected() {
            // It would wait in the client's buffer, and the one who asks with it.
            return Err("not connected to NATS".to_owned());
        }
        let stream = format!("KV_{}", subjects::USERS_BUCKET);
        let stream = self.shared.jetstream.get_stream_no_info(stream).await.map_err(|error| error.to_string())?;
        match stream.get_last_raw_message_by_subject(&subjects::user(user)).await {
            Ok(entry) => {
                let record = serde_json::from_slice(&entry.payload).map_err(|error| error.to_string())?;
                Ok(ReadRecord { record, revision: entry.sequence })
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(ReadRecord::default()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes what was read and changed, unless somebody else has written since.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn keep_user_record(&self, user: &UserId, read: &ReadRecord) -> Result<(), WriteError> {
        let unavailable = |reason: String| WriteError::Unavailable(reason);
        if !self.is_connected() {
            return Err(unavailable("not connected to NATS".to_owned()));
        }
        let payload = serde_json::to_vec(&read.record).map_err(|error| unavailable(error.to_string()))?;
        let message = PublishMessage::build().payload(payload.into()).expected_last_subject_sequence(read.revision);
        let ack = self.shared.jetstream.send_publish(subjects::user(user), message).await.map_err(refused)?;
        ack.await.map(drop).map_err(refused)
    }

    /// Tells every gateway, this one too. Returns once the server has it.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn tell_gateways(&self, told: &Told) -> Result<(), String> {
        self.publish_json(subjects::TOLD.to_owned(), told).await?;
        let flushed = tokio::time::timeout(self.request_timeout(), self.shared.client.flush()).await;
        flushed.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())
    }

    /// Subscribes to what all gateways tell.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn gateways_told(&self) -> Result<GatewaysTold, String> {
        let subscription = self.shared.client.subscribe(subjects::TOLD).await;
        subscription.map(GatewaysTold).map_err(|error| error.to_string())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn refused(error: PublishError) -> WriteError {
    // A busy fence in a replicated stream is refused by a constant error, without numbers.
    let moved =
        error.kind() == PublishErrorKind::WrongLastSequence || format!("{error:?}").contains("wrong last sequence");
    if moved { WriteError::Moved } else { WriteError::Unavailable(error.to_string()) }
}
