//! What NATS tells about itself and about Natter's streams, for operators.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream;
use natter_ids::{GatewayId, Partition};

use crate::{
    Bus, LookupError, definitions,
    subjects::{self, Service},
};

/// The server that this process is connected to.
#[derive(Debug, Clone)]
pub struct ServerReport {
    /// Its name.
    pub name: String,
    /// Its version, such as `2.15.1`.
    pub version: String,
    /// The name of its cluster, if it is in one.
    pub cluster: Option<String>,
    /// Whether JetStream is on.
    pub jetstream: bool,
    /// Whether connections to it have to be encrypted.
    pub tls_required: bool,
    /// Whether it is about to stop.
    pub leaving: bool,
}

/// What the account may store, and does.
#[derive(Debug, Clone)]
pub struct AccountReport {
    /// How long the answer took.
    pub round_trip: Duration,
    /// Bytes on disk.
    pub bytes: u64,
    /// The most that there may be.
    pub bytes_max: Option<u64>,
    /// Streams.
    pub streams: u64,
    /// The most that there may be.
    pub streams_max: Option<u64>,
    /// Consumers.
    pub consumers: u64,
    /// The most that there may be.
    pub consumers_max: Option<u64>,
}

/// A stream that exists.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// Its name.
    pub name: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// The most that there may be: appends beyond are refused.
    pub bytes_max: Option<u64>,
    /// How many servers are to keep it.
    pub replicas: usize,
    /// The server that leads it; `None` also when only one server keeps it.
    pub leader: Option<String>,
    /// Servers that are to keep it and are away or behind.
    pub behind: Vec<String>,
}

/// A consumer that exists.
#[derive(Debug, Clone)]
pub struct ConsumerReport {
    /// The service that reads.
    pub service: Service,
    /// Which partition.
    pub partition: Partition,
    /// Entries that it has not acknowledged.
    pub waiting: u64,
}

/// Who owns a partition.
#[derive(Debug, Clone)]
pub struct OwnerReport {
    /// The service.
    pub service: Service,
    /// Which partition.
    pub partition: Partition,
    /// The replica, when its lease has not run out.
    pub owner: Option<GatewayId>,
}

fn lookup(error: impl std::fmt::Display) -> LookupError {
    LookupError(error.to_string())
}

fn limit(most: Option<i64>) -> Option<u64> {
    most.and_then(|most| u64::try_from(most).ok())
}

impl Bus {
    /// The server that this process is connected to.
    pub fn server(&self) -> ServerReport {
        let info = self.shared.client.server_info();
        ServerReport {
            name: info.server_name,
            version: info.version,
            cluster: info.cluster,
            jetstream: info.jetstream,
            tls_required: info.tls_required,
            leaving: info.lame_duck_mode,
        }
    }

    /// What the account may store, and does.
    ///
    /// # Errors
    /// [`LookupError`] when NATS does not tell.
    pub async fn account(&self) -> Result<AccountReport, LookupError> {
        let began = Instant::now();
        let account = self.shared.jetstream.query_account().await.map_err(lookup)?;
        Ok(AccountReport {
            round_trip: began.elapsed(),
            bytes: account.storage,
            bytes_max: limit(account.limits.max_storage),
            streams: account.streams as u64,
            streams_max: limit(account.limits.max_streams),
            consumers: account.consumers as u64,
            consumers_max: limit(account.limits.max_consumers),
        })
    }

    /// The streams of the log and of the buckets, those that exist.
    ///
    /// # Errors
    /// [`LookupError`] when NATS does not tell.
    pub async fn streams(&self) -> Result<Vec<StreamReport>, LookupError> {
        let buckets = subjects::BUCKETS;
        let logs = Partition::all(self.partitions()).map(subjects::stream);
        let mut reports = Vec::new();
        for name in logs.chain(buckets.map(|bucket| format!("KV_{bucket}"))) {
            let found = definitions::found_stream(self, &name).await.map_err(LookupError)?;
            reports.extend(found.map(|found| stream_report(name, &found)));
        }
        Ok(reports)
    }

    /// The consumers of every service on every partition, those that exist.
    ///
    /// # Errors
    /// [`LookupError`] when NATS does not tell.
    pub async fn consumers(&self) -> Result<Vec<ConsumerReport>, LookupError> {
        let mut reports = Vec::new();
        for partition in Partition::all(self.partitions()) {
            let stream = self.stream(partition).await.map_err(LookupError)?;
            for service in Service::ALL {
                match stream.consumer_info(subjects::consumer(service)).await {
                    Ok(info) => {
                        let waiting = info.num_pending + info.num_ack_pending as u64;
                        reports.push(ConsumerReport { service, partition, waiting });
                    }
                    Err(error) if error.to_string().contains("not found") => {}
                    Err(error) => return Err(lookup(error)),
                }
            }
        }
        Ok(reports)
    }

    /// Who owns which partition. A lease that was not renewed in time does not count.
    ///
    /// # Errors
    /// [`LookupError`] when NATS does not tell.
    pub async fn owners(&self) -> Result<Vec<OwnerReport>, LookupError> {
        let bucket = self.bucket(subjects::LEASES_BUCKET).await.map_err(LookupError)?;
        let mut reports = Vec::new();
        for service in Service::ALL {
            for partition in Partition::all(self.partitions()) {
                let key = format!("{}.partition.{partition}", service.name());
                let entry = bucket.entry(key).await.map_err(lookup)?;
                let owner = entry.filter(|entry| self.is_fresh(entry)).and_then(|entry| {
                    std::str::from_utf8(&entry.value).ok().and_then(|owner| GatewayId::new(owner).ok())
                });
                reports.push(OwnerReport { service, partition, owner });
            }
        }
        Ok(reports)
    }

    fn is_fresh(&self, entry: &async_nats::jetstream::kv::Entry) -> bool {
        let renewed = u64::try_from(entry.created.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        // By the clock of NATS, which wrote the time down.
        self.now_ms().saturating_sub(renewed) <= u64::from(self.config().lease_ms)
    }
}

fn stream_report(name: String, found: &stream::Info) -> StreamReport {
    let cluster = found.cluster.as_ref();
    let behind = cluster.map(|cluster| {
        let peers = cluster.replicas.iter().filter(|peer| peer.offline || !peer.current);
        peers.map(|peer| peer.name.clone()).collect()
    });
    StreamReport {
        name,
        bytes: found.state.bytes,
        bytes_max: limit(Some(found.config.max_bytes)),
        replicas: found.config.num_replicas,
        leader: cluster.and_then(|cluster| cluster.leader.clone()),
        behind: behind.unwrap_or_default(),
    }
}
