//! Differences that would lose stored messages.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::stream;
use natter_ids::{Partition, Seq};

use super::{ApplyError, server};
use crate::{Bus, Service, subjects};

fn destructive(what: &str, reason: String) -> Result<(), ApplyError> {
    Err(ApplyError::Destructive { what: what.to_owned(), reason })
}

/// Refuses what would lose or strand entries of the log, as far as the stream itself tells.
pub(super) fn refuse(found: &stream::Info, wanted: &stream::Config) -> Result<(), ApplyError> {
    let what = format!("stream {}", wanted.name);
    let destructive = |reason: String| destructive(&what, reason);
    if found.config.storage != wanted.storage {
        return destructive("the kind of storage cannot be changed".to_owned());
    }
    // With another number of partitions, conversations would move to streams that do not have them.
    let lacking = found.config.subjects.iter().any(|subject| !wanted.subjects.contains(subject));
    if lacking || found.config.subjects.len() != wanted.subjects.len() {
        let reason = "it holds other shards, so the log was made with another `nats.partitions`".to_owned();
        return destructive(reason);
    }
    let state = &found.state;
    if wanted.max_bytes >= 0 && state.bytes > u64::try_from(wanted.max_bytes).unwrap_or(0) {
        return destructive(format!("it holds {} bytes, more than the new `nats.log_mib_max` allows", state.bytes));
    }
    Ok(())
}

/// Refuses what would drop entries that a service has not read yet.
pub(super) async fn refuse_unread(
    bus: &Bus,
    partition: Partition,
    found: &stream::Info,
    wanted: &stream::Config,
) -> Result<(), ApplyError> {
    let what = format!("stream {}", wanted.name);
    let is_shorter =
        !wanted.max_age.is_zero() && (found.config.max_age.is_zero() || wanted.max_age < found.config.max_age);
    if is_shorter && found.state.messages > 0 {
        let next = read_by_all(bus, partition).await.map_err(|error| server(&what, error))? + 1;
        if is_older(bus, partition, next, wanted.max_age).await.map_err(|error| server(&what, error))? {
            let reason = format!(
                "a service has not read entry {next} yet, which is older than the new `nats.log_retention_hours`"
            );
            return destructive(&what, reason);
        }
    }
    Ok(())
}

/// Up to which entry every service has acknowledged the partition.
async fn read_by_all(bus: &Bus, partition: Partition) -> Result<Seq, String> {
    let stream = bus.stream(partition).await?;
    let mut least = Seq::MAX;
    for service in Service::ALL {
        let read = match stream.consumer_info(subjects::consumer(service)).await {
            Ok(info) => info.ack_floor.stream_sequence,
            Err(error) if error.to_string().contains("not found") => 0,
            Err(error) => return Err(error.to_string()),
        };
        least = least.min(read);
    }
    Ok(least)
}

/// Whether the entry, or the first one after it that there is, was stored longer ago than `age`.
async fn is_older(bus: &Bus, partition: Partition, seq: Seq, age: Duration) -> Result<bool, String> {
    let stream = bus.stream(partition).await?;
    let info = stream.get_info().await.map_err(|error| error.to_string())?;
    let seq = seq.max(info.state.first_sequence);
    if seq > info.state.last_sequence {
        return Ok(false);
    }
    let entry = stream.get_raw_message(seq).await.map_err(|error| error.to_string())?;
    Ok(SystemTime::from(entry.time).elapsed().is_ok_and(|elapsed| elapsed > age))
}
