//! What can break, how it breaks and how it heals.

mod clients;
mod database;
mod disks;
mod nats;
mod services;

use std::time::Duration;

use super::Stage;
use crate::{Cluster, Release, Service};
use nats::Going;

/// Messages that must be accepted while a part is away that others stand in for.
const MEANWHILE: u64 = 40;

/// A service of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A gateway.
    Gateway(usize),
    /// A replica of delivery.
    Delivery(usize),
    /// A replica of storage.
    Storage(usize),
    /// A replica of presence.
    Presence(usize),
}

impl Part {
    /// Every replica of a deployment that has two of each.
    pub const ALL: [Self; 8] = [
        Self::Storage(0),
        Self::Storage(1),
        Self::Presence(0),
        Self::Presence(1),
        Self::Delivery(0),
        Self::Delivery(1),
        Self::Gateway(0),
        Self::Gateway(1),
    ];

    fn of(self, cluster: &Cluster) -> &Service {
        match self {
            Self::Gateway(number) => cluster.gateway(number),
            Self::Delivery(number) => cluster.delivery(number),
            Self::Storage(number) => cluster.storage(number),
            Self::Presence(number) => cluster.presence(number),
        }
    }
}

/// A node of NATS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// By its number.
    Number(usize),
    /// The one that leads a partition's stream.
    LeaderOfLog(u16),
    /// The one that leads a consumer of a partition.
    LeaderOfConsumer(&'static str, u16),
}

impl Node {
    async fn number(self, cluster: &Cluster) -> usize {
        let stream = |partition: u16| format!("CHAT-{partition}");
        match self {
            Self::Number(number) => number,
            Self::LeaderOfLog(partition) => cluster.nats().leader(&stream(partition), None).await,
            Self::LeaderOfConsumer(name, partition) => cluster.nats().leader(&stream(partition), Some(name)).await,
        }
    }
}

/// Something that breaks for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, work goes on without it, a new start.
    Kill(Part),
    /// SIGTERM, it ends by itself with 0, work goes on without it, a new start.
    Terminate(Part),
    /// SIGTERM, and a new start as another release.
    Roll(Part, Release),
    /// SIGSTOP, then SIGCONT: it believes that no time has passed.
    Freeze(Part, Duration),
    /// SIGKILL to a node of NATS, work goes on without it, it comes back and catches up.
    KillNode(Node),
    /// SIGTERM to a node of NATS, likewise.
    TerminateNode(Node),
    /// Two of three nodes of NATS are gone: sends are refused with a time to retry after.
    LoseMajority,
    /// Every node of NATS is killed and started again.
    RestartNats,
    /// A node of NATS is cut off from the other nodes, and not from its clients.
    IsolateNode(Node, Duration),
    /// The first gateway's wire to NATS stalls, towards the server, the gateway, or both.
    StallNats {
        /// Whether what the gateway sends is held.
        up: bool,
        /// Whether what it is sent is held.
        down: bool,
        /// How long after it was noticed.
        time: Duration,
    },
    /// The first gateway's connection to NATS is cut; it may connect again at once.
    CutNats,
    /// What the first gateway and NATS say to each other comes this much later, for as long as
    /// given second.
    SlowNats(Duration, Duration),
    /// Entries that nobody can read come into every partition's log.
    Poison,
    /// Somebody deletes a consumer of every partition.
    DeleteConsumers(&'static str),
    /// The disk of NATS is full for a while.
    NatsDiskFull(Duration),
    /// PostgreSQL answers nothing, also to statements under way.
    StallDatabase(Duration),
    /// Every connection to PostgreSQL is cut; new ones work.
    CutDatabase,
    /// PostgreSQL is away: every connection ends, and every new one at once.
    DatabaseDown(Duration),
    /// Every answer of PostgreSQL comes this much later, for as long as given second.
    SlowDatabase(Duration, Duration),
    /// Somebody else holds a lock on the archive.
    LockDatabase(Duration),
    /// PostgreSQL is killed, stays away for a while and recovers.
    RestartDatabase(Duration),
    /// The archive's disk is full for a while.
    ArchiveDiskFull(Duration),
    /// Every replica of storage is killed, so many times, each time somewhere else in a transaction.
    KillArchivers(u32),
    /// The first gateway is killed under so many devices that hold a session.
    Storm(usize),
    /// The first gateway is asked to stop under so many devices: it sends them off at its pace.
    Drain(usize),
    /// So many devices of somebody in every conversation read nothing.
    SlowReaders(usize),
}

impl Fault {
    /// Breaks it under load and heals it.
    pub(super) async fn strike(self, stage: &Stage) {
        let cluster = &stage.cluster;
        match self {
            Self::Kill(part) => services::kill(stage, part).await,
            Self::Terminate(part) => services::terminate(stage, part).await,
            Self::Roll(part, release) => services::roll(stage, part, release).await,
            Self::Freeze(part, time) => services::freeze(stage, part, time).await,
            Self::KillArchivers(times) => services::kill_archivers(stage, times).await,
            Self::KillNode(node) => nats::without_node(stage, node, Going::Killed).await,
            Self::TerminateNode(node) => nats::without_node(stage, node, Going::Asked).await,
            Self::LoseMajority => nats::lose_majority(stage).await,
            Self::RestartNats => cluster.nats().restart().await,
            Self::IsolateNode(node, time) => nats::isolate(stage, node, time).await,
            Self::StallNats { up, down, time } => nats::stall(stage, up, down, time).await,
            Self::CutNats => cluster.wire_to_nats().reset(),
            Self::SlowNats(later, time) => nats::slow(stage, later, time).await,
            Self::Poison => nats::poison(stage).await,
            Self::DeleteConsumers(name) => nats::delete_consumers(stage, name).await,
            Self::NatsDiskFull(time) => disks::of_nats(stage, time).await,
            Self::StallDatabase(time) => database::stall(stage, time).await,
            Self::CutDatabase => cluster.wire_to_database().reset(),
            Self::DatabaseDown(time) => database::down(stage, time).await,
            Self::SlowDatabase(later, time) => database::slow(stage, later, time).await,
            Self::LockDatabase(time) => database::lock(stage, time).await,
            Self::RestartDatabase(time) => database::restart(stage, time).await,
            Self::ArchiveDiskFull(time) => disks::of_archive(stage, time).await,
            Self::Storm(devices) => clients::storm(stage, devices).await,
            Self::Drain(devices) => clients::drain(stage, devices).await,
            Self::SlowReaders(devices) => clients::slow_readers(stage, devices).await,
        }
    }
}
