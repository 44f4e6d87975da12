//! `nats/definitions.toml`, read.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, pull},
    kv,
    stream::{self, DiscardPolicy, StorageType},
};
use natter_ids::Partition;
use serde::Deserialize;

use super::ApplyError;
use crate::{Config, subjects};

const SOURCE: &str = include_str!("../../../../nats/definitions.toml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definitions {
    pub(super) log: LogDefinition,
    pub(super) consumer: Vec<ConsumerDefinition>,
    pub(super) bucket: Vec<BucketDefinition>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogDefinition {
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
pub(super) struct ConsumerDefinition {
    pub(super) name: String,
    description: String,
    max_ack_pending: i64,
    ack_wait_secs: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BucketDefinition {
    pub(super) name: String,
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

/// The definitions with the values of the configuration filled in.
pub(super) fn read(config: &Config) -> Result<Definitions, ApplyError> {
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

/// Which servers may keep what is made.
fn placement(config: &Config) -> Option<stream::Placement> {
    let (cluster, tags) = (config.placement_cluster.clone(), config.placement_tags.clone());
    (cluster.is_some() || !tags.is_empty()).then_some(stream::Placement { cluster, tags })
}

impl LogDefinition {
    pub(super) fn stream(&self, partition: Partition, config: &Config) -> stream::Config {
        let partitions = config.partitions;
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
            // What the server says of no limit.
            max_messages: -1,
            max_messages_per_subject: -1,
            max_message_size: -1,
            max_consumers: -1,
            duplicate_window: Duration::from_secs(self.duplicate_window_secs.into()),
            placement: placement(config),
            allow_direct: true,
            ..stream::Config::default()
        }
    }
}

impl ConsumerDefinition {
    pub(super) fn consumer(&self) -> pull::Config {
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

impl BucketDefinition {
    pub(super) fn bucket(&self, config: &Config) -> kv::Config {
        kv::Config {
            bucket: self.name.clone(),
            description: self.description.clone(),
            history: 1,
            max_age: Duration::from_secs(self.ttl_secs.into()),
            storage: self.storage.into(),
            num_replicas: config.replicas.into(),
            placement: placement(config),
            ..kv::Config::default()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_name_what_the_code_uses() {
        let definitions = read(&Config::default()).unwrap();
        let consumers: Vec<_> = definitions.consumer.iter().map(|consumer| consumer.name.as_str()).collect();
        assert_eq!(consumers, crate::Service::ALL.map(subjects::consumer));
        let buckets: Vec<_> = definitions.bucket.iter().map(|bucket| bucket.name.as_str()).collect();
        assert_eq!(buckets, subjects::BUCKETS);
    }
}
