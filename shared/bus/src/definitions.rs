//! Streams, consumers and buckets, as data: `nats/definitions.toml`.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, pull},
    kv,
    stream::{self, DiscardPolicy, StorageType},
};
use natter_ids::Partition;
use serde::Deserialize;

use crate::{Bus, Config, subjects};

const SOURCE: &str = include_str!("../../../nats/definitions.toml");

/// Why the definitions were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The built-in definitions cannot be read: a fault of the build.
    #[error("nats/definitions.toml cannot be read: {0}")]
    Definitions(String),
    /// The server refuses or cannot be reached.
    #[error("{what}: {reason}")]
    Server {
        /// What was being applied.
        what: String,
        /// What the server said.
        reason: String,
    },
    /// Applying would lose or strand stored messages.
    #[error("{what} would lose stored messages: {reason}; nothing was changed")]
    Destructive {
        /// What was being applied.
        what: String,
        /// Why.
        reason: String,
    },
}

/// Something that differs, or differed, from the definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The stream, consumer or bucket.
    pub what: String,
    /// In words.
    pub difference: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definitions {
    log: LogDefinition,
    consumer: Vec<ConsumerDefinition>,
    bucket: Vec<BucketDefinition>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogDefinition {
    description: String,
    storage: Storage,
    discard: Discard,
    replicas: u8,
    max_age_hours: u32,
    max_mib: u32,
    duplicate_window_secs: u32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Storage {
    File,
    Memory,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Discard {
    New,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumerDefinition {
    name: String,
    description: String,
    max_ack_pending: i64,
    ack_wait_secs: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketDefinition {
    name: String,
    description: String,
    storage: Storage,
    ttl_secs: u32,
}

impl From<Storage> for StorageType {
    fn from(storage: Storage) -> Self {
        match storage {
            Storage::File => Self::File,
            Storage::Memory => Self::Memory,
        }
    }
}

fn definitions(config: &Config) -> Result<Definitions, ApplyError> {
    let values = BTreeMap::from([
        ("replicas", config.replicas.to_string()),
        ("log_retention_hours", config.log_retention_hours.to_string()),
        ("log_mib_max", config.log_mib_max.to_string()),
        ("duplicate_window_secs", config.duplicate_window_secs.to_string()),
    ]);
    let filled =
        values.iter().fold(SOURCE.to_owned(), |text, (name, value)| text.replace(&format!("\"{{{name}}}\""), value));
    toml::from_str(&filled).map_err(|error| ApplyError::Definitions(error.to_string()))
}

impl LogDefinition {
    fn stream(&self, partition: Partition, partitions: u16) -> stream::Config {
        let bytes = i64::from(self.max_mib) * 1024 * 1024 / i64::from(partitions.max(1));
        stream::Config {
            name: subjects::stream(partition),
            description: Some(self.description.clone()),
            subjects: subjects::stream_subjects(partition, partitions),
            storage: self.storage.into(),
            discard: match self.discard {
                Discard::New => DiscardPolicy::New,
            },
            num_replicas: self.replicas.into(),
            max_age: Duration::from_secs(u64::from(self.max_age_hours) * 3600),
            max_bytes: if bytes == 0 { -1 } else { bytes },
            duplicate_window: Duration::from_secs(self.duplicate_window_secs.into()),
            allow_direct: true,
            deny_delete: true,
            ..stream::Config::default()
        }
    }
}

impl ConsumerDefinition {
    fn consumer(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.name.clone()),
            name: Some(self.name.clone()),
            description: Some(self.description.clone()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::All,
            ack_wait: Duration::from_secs(self.ack_wait_secs.into()),
            max_ack_pending: self.max_ack_pending,
            ..pull::Config::default()
        }
    }
}

/// Brings the server's streams, consumers and buckets in line with the definitions, or only says
/// what differs. Repeating it changes nothing.
///
/// # Errors
/// [`ApplyError`]; a destructive difference stops before anything is changed.
pub async fn apply(bus: &Bus, check_only: bool) -> Result<Vec<Change>, ApplyError> {
    let definitions = definitions(bus.config())?;
    let mut changes = Vec::new();
    refuse_fewer_partitions(bus).await?;
    for partition in Partition::all(bus.partitions()) {
        let wanted = definitions.log.stream(partition, bus.partitions());
        apply_stream(bus, wanted, check_only, &mut changes).await?;
        for consumer in &definitions.consumer {
            apply_consumer(bus, partition, consumer, check_only, &mut changes).await?;
        }
    }
    for bucket in &definitions.bucket {
        apply_bucket(bus, bucket, definitions.log.replicas, check_only, &mut changes).await?;
    }
    Ok(changes)
}

fn server(what: &str, error: impl std::fmt::Display) -> ApplyError {
    ApplyError::Server { what: what.to_owned(), reason: error.to_string() }
}

/// With another number of partitions, conversations would move to streams that do not have them.
async fn refuse_fewer_partitions(bus: &Bus) -> Result<(), ApplyError> {
    let what = "`nats.partitions`";
    let first = subjects::stream(Partition(0));
    let Ok(stream) = bus.shared.jetstream.get_stream(&first).await else { return Ok(()) };
    let wanted = subjects::stream_subjects(Partition(0), bus.partitions());
    let mut found = stream.cached_info().config.subjects.clone();
    let mut sorted = wanted;
    sorted.sort();
    found.sort();
    if found != sorted {
        let reason = format!("{first} holds other shards, so the log was made with another number of partitions");
        return Err(ApplyError::Destructive { what: what.to_owned(), reason });
    }
    Ok(())
}

async fn apply_stream(
    bus: &Bus,
    wanted: stream::Config,
    check_only: bool,
    changes: &mut Vec<Change>,
) -> Result<(), ApplyError> {
    let what = format!("stream {}", wanted.name);
    let existing = match bus.shared.jetstream.get_stream(&wanted.name).await {
        Ok(stream) => Some(stream.cached_info().config.clone()),
        Err(error) if error.to_string().contains("not found") => None,
        Err(error) => return Err(server(&what, error)),
    };
    let difference = match &existing {
        None => "is missing".to_owned(),
        Some(found) => {
            if found.storage != wanted.storage {
                let reason = "the kind of storage cannot be changed".to_owned();
                return Err(ApplyError::Destructive { what, reason });
            }
            let differences = stream_differences(found, &wanted);
            if differences.is_empty() {
                return Ok(());
            }
            differences.join(", ")
        }
    };
    changes.push(Change { what: what.clone(), difference });
    if check_only {
        return Ok(());
    }
    let applied = bus.shared.jetstream.create_or_update_stream(wanted).await;
    applied.map(drop).map_err(|error| server(&what, error))
}

fn stream_differences(found: &stream::Config, wanted: &stream::Config) -> Vec<String> {
    let pairs = [
        ("replicas", found.num_replicas.to_string(), wanted.num_replicas.to_string()),
        ("max_age", format!("{:?}", found.max_age), format!("{:?}", wanted.max_age)),
        ("max_bytes", found.max_bytes.to_string(), wanted.max_bytes.to_string()),
        ("duplicate_window", format!("{:?}", found.duplicate_window), format!("{:?}", wanted.duplicate_window)),
        ("discard", format!("{:?}", found.discard), format!("{:?}", wanted.discard)),
        ("description", format!("{:?}", found.description), format!("{:?}", wanted.description)),
    ];
    let differs = pairs.into_iter().filter(|(_, found, wanted)| found != wanted);
    differs.map(|(name, found, wanted)| format!("{name} is {found}, not {wanted}")).collect()
}

async fn apply_consumer(
    bus: &Bus,
    partition: Partition,
    definition: &ConsumerDefinition,
    check_only: bool,
    changes: &mut Vec<Change>,
) -> Result<(), ApplyError> {
    let what = format!("consumer {} of {}", definition.name, subjects::stream(partition));
    let stream = bus.stream(partition).await.map_err(|error| server(&what, error))?;
    let wanted = definition.consumer();
    let existing = stream.get_consumer::<pull::Config>(&definition.name).await.ok();
    let difference = match existing.as_ref().map(|consumer| &consumer.cached_info().config) {
        None => "is missing",
        Some(found) if found.ack_wait != wanted.ack_wait || found.max_ack_pending != wanted.max_ack_pending => {
            "differs in ack_wait or max_ack_pending"
        }
        Some(_) => return Ok(()),
    };
    changes.push(Change { what: what.clone(), difference: difference.to_owned() });
    if check_only {
        return Ok(());
    }
    // Creating a consumer that exists updates it and keeps what it has acknowledged.
    stream.create_consumer(wanted).await.map(drop).map_err(|error| server(&what, error))
}

async fn apply_bucket(
    bus: &Bus,
    definition: &BucketDefinition,
    replicas: u8,
    check_only: bool,
    changes: &mut Vec<Change>,
) -> Result<(), ApplyError> {
    let what = format!("bucket {}", definition.name);
    let jetstream = &bus.shared.jetstream;
    let max_age = Duration::from_secs(definition.ttl_secs.into());
    let difference = match jetstream.get_stream(format!("KV_{}", definition.name)).await {
        Err(error) if error.to_string().contains("not found") => "is missing",
        Err(error) => return Err(server(&what, error)),
        Ok(found) => {
            let found = &found.cached_info().config;
            if found.max_age == max_age && found.num_replicas == usize::from(replicas) {
                return Ok(());
            }
            "differs in ttl or replicas"
        }
    };
    changes.push(Change { what: what.clone(), difference: difference.to_owned() });
    if check_only {
        return Ok(());
    }
    let wanted = kv::Config {
        bucket: definition.name.clone(),
        description: definition.description.clone(),
        history: 1,
        max_age,
        storage: definition.storage.into(),
        num_replicas: replicas.into(),
        ..kv::Config::default()
    };
    jetstream.create_or_update_key_value(wanted).await.map(drop).map_err(|error| server(&what, error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_name_what_the_code_uses() {
        let definitions = definitions(&Config::default()).unwrap();
        let consumers: Vec<_> = definitions.consumer.iter().map(|consumer| consumer.name.as_str()).collect();
        assert_eq!(consumers, crate::Service::ALL.map(subjects::consumer));
        let buckets: Vec<_> = definitions.bucket.iter().map(|bucket| bucket.name.as_str()).collect();
        assert_eq!(buckets, [subjects::LEASES_BUCKET, subjects::TICKETS_BUCKET, subjects::LAST_SEEN_BUCKET]);
    }
}
