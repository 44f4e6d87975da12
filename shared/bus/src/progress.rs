//! How far a partition's log has been worked off: for those who watch.

use async_nats::jetstream::stream::RawMessageErrorKind;
use natter_ids::{Partition, Seq};

use crate::{Bus, LogRecord, LookupError, Service, log};

/// Where a partition and its consumers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The oldest number that the log still holds; beyond the newest when it is empty.
    pub first: Seq,
    /// The newest number.
    pub newest: Seq,
    /// Up to where delivery has acknowledged.
    pub delivered: Seq,
    /// Up to where storage has acknowledged: at most what the archive holds.
    pub archived: Seq,
}

fn lookup(error: impl std::fmt::Display) -> LookupError {
    LookupError(error.to_string())
}

impl Bus {
    /// Where a partition and its consumers are. The consumers are read first: what is accepted
    /// meanwhile makes them look late, never early.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached or a consumer is missing.
    pub async fn progress(&self, partition: Partition) -> Result<Progress, LookupError> {
        let stream = self.stream(partition).await.map_err(LookupError)?;
        let delivery = stream.consumer_info(Service::Delivery.name()).await.map_err(lookup)?;
        let storage = stream.consumer_info(Service::Storage.name()).await.map_err(lookup)?;
        let state = stream.get_info().await.map_err(lookup)?.state;
        Ok(Progress {
            first: state.first_sequence,
            newest: state.last_sequence,
            delivered: delivery.ack_floor.stream_sequence,
            archived: storage.ack_floor.stream_sequence,
        })
    }

    /// What stands at a number of a partition, if the log still holds it.
    ///
    /// # Errors
    /// [`LookupError`] when the log cannot be reached.
    pub async fn record_at(&self, partition: Partition, seq: Seq) -> Result<Option<LogRecord>, LookupError> {
        let stream = self.stream(partition).await.map_err(LookupError)?;
        match stream.get_raw_message(seq).await {
            Ok(message) => {
                let stored_at = u64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
                let body = log::decode(&message.subject, &message.payload);
                Ok(Some(LogRecord { partition, seq, stored_at, body, trace: None }))
            }
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(lookup(error)),
        }
    }
}
