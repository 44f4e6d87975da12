//! Streams, consumers and buckets, as data: `nats/definitions.toml`.
//!
//! Everything is looked at before anything is changed, so a refusal leaves the server as it was.

mod file;
mod loss;

use async_nats::jetstream::{
    ErrorCode,
    consumer::{self, pull},
    kv, stream,
};
use natter_ids::Partition;

use crate::{Bus, subjects};

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

/// What brings one difference in line.
enum Step {
    Stream(Box<stream::Config>),
    Consumer(Partition, Box<pull::Config>),
    Bucket(Box<kv::Config>),
}

type Plan = Vec<(Change, Step)>;

/// Brings the server's streams, consumers and buckets in line with the definitions, or only says
/// what differs. Repeating it changes nothing.
///
/// # Errors
/// [`ApplyError`]; a destructive difference stops before anything is changed.
pub async fn apply(bus: &Bus, check_only: bool) -> Result<Vec<Change>, ApplyError> {
    let definitions = file::read(bus.config())?;
    let mut plan = Plan::new();
    for partition in Partition::all(bus.partitions()) {
        let wanted = definitions.log.stream(partition, bus.partitions());
        plan_stream(bus, partition, wanted, &mut plan).await?;
    }
    for partition in Partition::all(bus.partitions()) {
        for consumer in &definitions.consumer {
            plan_consumer(bus, partition, consumer, &mut plan).await?;
        }
    }
    for bucket in &definitions.bucket {
        plan_bucket(bus, bucket, &mut plan).await?;
    }
    let mut changes = Vec::new();
    for (change, step) in plan {
        if !check_only {
            carry_out(bus, step).await.map_err(|reason| server(&change.what, reason))?;
        }
        changes.push(change);
    }
    Ok(changes)
}

/// Makes a service's consumer on a partition's stream, as defined.
pub(crate) async fn make_consumer(
    bus: &Bus,
    service: crate::Service,
    partition: Partition,
) -> Result<consumer::Consumer<pull::Config>, String> {
    let definitions = file::read(bus.config()).map_err(|error| error.to_string())?;
    let name = subjects::consumer(service);
    let definition = definitions.consumer.iter().find(|consumer| consumer.name == name).ok_or("no such consumer")?;
    let stream = bus.stream(partition).await?;
    stream.create_consumer(definition.consumer()).await.map_err(|error| error.to_string())
}

async fn carry_out(bus: &Bus, step: Step) -> Result<(), String> {
    let jetstream = &bus.shared.jetstream;
    match step {
        Step::Stream(wanted) => {
            jetstream.create_or_update_stream(*wanted).await.map(drop).map_err(|error| error.to_string())
        }
        // Creating a consumer that exists updates it and keeps what it has acknowledged.
        Step::Consumer(partition, wanted) => {
            let stream = bus.stream(partition).await?;
            stream.create_consumer(*wanted).await.map(drop).map_err(|error| error.to_string())
        }
        Step::Bucket(wanted) => {
            jetstream.create_or_update_key_value(*wanted).await.map(drop).map_err(|error| error.to_string())
        }
    }
}

fn server(what: &str, error: impl std::fmt::Display) -> ApplyError {
    ApplyError::Server { what: what.to_owned(), reason: error.to_string() }
}

pub(crate) async fn found_stream(bus: &Bus, name: &str) -> Result<Option<stream::Info>, String> {
    use async_nats::jetstream::context::GetStreamErrorKind::JetStream;
    match bus.shared.jetstream.get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().clone())),
        Err(error) => match error.kind() {
            JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(error.to_string()),
        },
    }
}

async fn plan_stream(
    bus: &Bus,
    partition: Partition,
    wanted: stream::Config,
    plan: &mut Plan,
) -> Result<(), ApplyError> {
    let what = format!("stream {}", wanted.name);
    let found = found_stream(bus, &wanted.name).await.map_err(|error| server(&what, error))?;
    let difference = match found {
        None => "is missing".to_owned(),
        Some(found) => {
            loss::refuse(bus, partition, &found, &wanted).await?;
            let differences = stream_differences(&found.config, &wanted);
            if differences.is_empty() {
                return Ok(());
            }
            differences.join(", ")
        }
    };
    plan.push((Change { what, difference }, Step::Stream(Box::new(wanted))));
    Ok(())
}

fn stream_differences(found: &stream::Config, wanted: &stream::Config) -> Vec<String> {
    fn told(config: &stream::Config) -> [(&'static str, String); 13] {
        [
            ("retention", format!("{:?}", config.retention)),
            ("replicas", config.num_replicas.to_string()),
            ("max_age", format!("{:?}", config.max_age)),
            ("max_bytes", config.max_bytes.to_string()),
            ("max_msgs", config.max_messages.to_string()),
            ("max_msgs_per_subject", config.max_messages_per_subject.to_string()),
            ("max_msg_size", config.max_message_size.to_string()),
            ("duplicate_window", format!("{:?}", config.duplicate_window)),
            ("discard", format!("{:?}", config.discard)),
            ("no_ack", config.no_ack.to_string()),
            ("deny_delete", config.deny_delete.to_string()),
            ("allow_direct", config.allow_direct.to_string()),
            ("description", config.description.clone().unwrap_or_default()),
        ]
    }
    let pairs = told(found).into_iter().zip(told(wanted));
    let differs = pairs.filter(|((_, found), (_, wanted))| found != wanted);
    differs.map(|((name, found), (_, wanted))| format!("{name} is {found}, not {wanted}")).collect()
}

async fn plan_consumer(
    bus: &Bus,
    partition: Partition,
    definition: &file::ConsumerDefinition,
    plan: &mut Plan,
) -> Result<(), ApplyError> {
    let what = format!("consumer {} of {}", definition.name, subjects::stream(partition));
    let stream = bus.stream(partition).await.map_err(|error| server(&what, error))?;
    let wanted = definition.consumer();
    let found = match stream.consumer_info(&definition.name).await {
        Ok(info) => Some(info.config),
        Err(error) if error.to_string().contains("not found") => None,
        Err(error) => return Err(server(&what, error)),
    };
    let difference = match found {
        None => "is missing",
        Some(found) if found.ack_policy != wanted.ack_policy => "differs in ack_policy",
        Some(found) if found.ack_wait != wanted.ack_wait => "differs in ack_wait",
        Some(found) if found.max_ack_pending != wanted.max_ack_pending => "differs in max_ack_pending",
        Some(_) => return Ok(()),
    };
    let change = Change { what, difference: difference.to_owned() };
    plan.push((change, Step::Consumer(partition, Box::new(wanted))));
    Ok(())
}

async fn plan_bucket(bus: &Bus, definition: &file::BucketDefinition, plan: &mut Plan) -> Result<(), ApplyError> {
    let what = format!("bucket {}", definition.name);
    let wanted = definition.bucket(bus.config().replicas.into());
    let found = found_stream(bus, &format!("KV_{}", definition.name)).await.map_err(|error| server(&what, error))?;
    let difference = match found.map(|found| found.config) {
        None => "is missing",
        Some(found) if found.storage != wanted.storage => {
            let reason = "the kind of storage cannot be changed".to_owned();
            return Err(ApplyError::Destructive { what, reason });
        }
        Some(found) if found.max_age != wanted.max_age => "differs in its ttl",
        Some(found) if found.num_replicas != wanted.num_replicas => "differs in replicas",
        Some(_) => return Ok(()),
    };
    let change = Change { what, difference: difference.to_owned() };
    plan.push((change, Step::Bucket(Box::new(wanted))));
    Ok(())
}
