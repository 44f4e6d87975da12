//! Streams, consumers and buckets, as data: `nats/definitions.toml`.
//!
//! Everything is looked at before anything is changed, so a refusal leaves the server as it was.

mod drift;
mod file;
mod loss;
mod patience;

use async_nats::jetstream::{
    ErrorCode,
    consumer::{self, pull},
    kv, stream,
};
use natter_ids::Partition;

use crate::{Bus, subjects};

pub use patience::apply_patiently;

/// Why the definitions were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The built-in definitions cannot be read: a fault of the build.
    #[error("nats/definitions.toml cannot be read: {0}")]
    Definitions(String),
    /// The server is of a version that Natter does not work with.
    #[error("{0}")]
    TooOld(String),
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

struct Plan {
    steps: Vec<(Change, Step)>,
    /// Whether entries of the log may be read to see what a change would lose.
    reads_log: bool,
}

impl Plan {
    fn push(&mut self, step: (Change, Step)) {
        self.steps.push(step);
    }
}

/// Several differences in one text; `None`: there is none.
fn told(differences: Vec<String>) -> Option<String> {
    (!differences.is_empty()).then(|| differences.join(", "))
}

/// Brings the server's streams, consumers and buckets in line with the definitions, or only says
/// what differs. Repeating it changes nothing.
///
/// # Errors
/// [`ApplyError`]; a destructive difference stops before anything is changed.
pub async fn apply(bus: &Bus, check_only: bool) -> Result<Vec<Change>, ApplyError> {
    let mut changes = Vec::new();
    for (change, step) in plan(bus, true).await?.steps {
        if !check_only {
            carry_out(bus, step).await.map_err(|reason| server(&change.what, reason))?;
        }
        changes.push(change);
    }
    Ok(changes)
}

/// What differs from the definitions, for a service: it need not have the right to read the log.
///
/// # Errors
/// [`ApplyError`]; `Destructive` when the server was set up for another configuration than this one.
pub async fn look(bus: &Bus) -> Result<Vec<Change>, ApplyError> {
    Ok(plan(bus, false).await?.steps.into_iter().map(|(change, _)| change).collect())
}

async fn plan(bus: &Bus, reads_log: bool) -> Result<Plan, ApplyError> {
    let definitions = file::read(bus.config())?;
    let mut plan = Plan { steps: Vec::new(), reads_log };
    for partition in Partition::all(bus.partitions()) {
        let wanted = definitions.log.stream(partition, bus.config());
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
    if let Some(fault) = bus.server_is_too_old() {
        return Err(ApplyError::TooOld(fault));
    }
    Ok(plan)
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
    mut wanted: stream::Config,
    plan: &mut Plan,
) -> Result<(), ApplyError> {
    let what = format!("stream {}", wanted.name);
    let found = found_stream(bus, &wanted.name).await.map_err(|error| server(&what, error))?;
    let difference = match found {
        None => "is missing".to_owned(),
        Some(found) => {
            // No server takes this back: a log that was made so keeps what is deleted for as long as
            // it keeps entries, until it is restored from a backup.
            wanted.deny_delete |= found.config.deny_delete;
            loss::refuse(&found, &wanted)?;
            if plan.reads_log {
                loss::refuse_unread(bus, partition, &found, &wanted).await?;
            }
            match told(drift::of_stream(&found.config, &wanted)) {
                Some(difference) => difference,
                None => return Ok(()),
            }
        }
    };
    plan.push((Change { what, difference }, Step::Stream(Box::new(wanted))));
    Ok(())
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
        None => "is missing".to_owned(),
        Some(found) => match told(drift::of_consumer(&found, &wanted)) {
            Some(difference) => difference,
            None => return Ok(()),
        },
    };
    let change = Change { what, difference };
    plan.push((change, Step::Consumer(partition, Box::new(wanted))));
    Ok(())
}

async fn plan_bucket(bus: &Bus, definition: &file::BucketDefinition, plan: &mut Plan) -> Result<(), ApplyError> {
    let what = format!("bucket {}", definition.name);
    let wanted = definition.bucket(bus.config());
    let found = found_stream(bus, &format!("KV_{}", definition.name)).await.map_err(|error| server(&what, error))?;
    let difference = match found.map(|found| found.config) {
        None => "is missing".to_owned(),
        Some(found) if found.storage != wanted.storage => {
            let reason = "the kind of storage cannot be changed".to_owned();
            return Err(ApplyError::Destructive { what, reason });
        }
        Some(found) => match told(drift::of_bucket(&found, &wanted)) {
            Some(difference) => difference,
            None => return Ok(()),
        },
    };
    let change = Change { what, difference };
    plan.push((change, Step::Bucket(Box::new(wanted))));
    Ok(())
}
