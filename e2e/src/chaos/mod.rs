//! Breaks everything that can break while a crowd goes on talking, and lets the checker judge.
//!
//! A [`Scenario`] is a deployment and the faults that strike it one after the other. At the end, the
//! checker finds what was lost, doubled, out of order, leaked or made up, what took longer than it
//! may once a fault had healed, and where it stands otherwise than it was received.

mod fault;
mod scenarios;
mod soak;
mod table;

use std::{
    any::Any,
    io::Write,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use natter_checker::History;
use natter_testkit::SmallDisk;

pub use fault::{Fault, Node, Part};
pub use scenarios::ALL;
pub use soak::soak;
pub use table::table;

use crate::{Cluster, Crowd, Db, Release};

/// Partitions of the log in every deployment here.
pub(crate) const PARTITIONS: u16 = 4;
/// Sessions that a gateway closes per second when it is asked to stop.
pub(crate) const DRAIN_PER_SEC: u32 = 100;
const PEOPLE: usize = 6;
/// What each person says per second.
const PACE: f64 = 12.0;
/// Messages that everybody must hear before all is well: about a second of talking.
const WELL: u64 = 20;

/// What a scenario happens to: two replicas of every service, and what is said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    database: Db,
    nats_nodes: usize,
    proxied: bool,
    small_disks: bool,
    release: Release,
    /// Replicas whose clocks are so many seconds ahead.
    clocks: &'static [(&'static str, i64)],
    settings: &'static [(&'static str, u32)],
}

impl Deployment {
    /// One nats-server.
    pub const fn simple(database: Db) -> Self {
        Self {
            database,
            nats_nodes: 1,
            proxied: false,
            small_disks: false,
            release: Release::This,
            clocks: &[],
            settings: &[],
        }
    }

    /// Three nats-servers that keep every stream, PostgreSQL.
    pub const fn replicated() -> Self {
        Self { nats_nodes: 3, ..Self::simple(Db::Postgres) }
    }

    /// One nats-server, and wires that can go bad.
    pub const fn proxied(database: Db) -> Self {
        Self { proxied: true, ..Self::simple(database) }
    }

    /// NATS and SQLite on disks that can be full.
    pub const fn on_small_disks() -> Self {
        Self { small_disks: true, ..Self::simple(Db::Sqlite) }
    }

    /// The same, begun by the release before.
    pub const fn of_previous_release(self) -> Self {
        Self { release: Release::Previous, ..self }
    }

    /// The same with clocks that are wrong.
    pub const fn clocks(self, clocks: &'static [(&'static str, i64)]) -> Self {
        Self { clocks, ..self }
    }

    /// The same with keys of the configuration set.
    pub const fn with(self, settings: &'static [(&'static str, u32)]) -> Self {
        Self { settings, ..self }
    }

    /// Why it cannot be started here, if it cannot.
    fn impossible(self) -> Option<String> {
        let disks = if self.small_disks { SmallDisk::possible().err() } else { None };
        disks.or_else(|| self.release.binary().err())
    }

    async fn start(self) -> Cluster {
        let mut builder = Cluster::builder()
            // What is said to all goes once to each gateway, what is said to one goes alone.
            .set("delivery.gateway_sends_members_min", 3)
            .presences(2)
            .database(self.database)
            .nats_nodes(self.nats_nodes)
            .release(self.release)
            .set("nats.partitions", PARTITIONS)
            // Everybody asks for a lot at once after an outage, and all from this machine.
            .set("connection.user_requests_burst", 5_000)
            .set("connection.address_connects_per_sec", 10_000)
            .set("connection.address_connects_burst", 10_000)
            .set("connection.drain_per_sec", DRAIN_PER_SEC);
        for (key, value) in self.settings {
            builder = builder.set(key, value);
        }
        for (service, seconds) in self.clocks {
            builder = builder.clock(service, *seconds);
        }
        if self.proxied {
            builder = builder.proxied();
        }
        if self.small_disks {
            builder = builder.small_disks();
        }
        builder.start().await
    }
}

/// Something that must hold.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Such as `services-killed`.
    pub name: &'static str,
    /// What must hold.
    pub hypothesis: &'static str,
    /// What it happens to.
    pub deployment: Deployment,
    /// How long each message may take to be answered, and to come to everybody, once nothing is
    /// broken any more.
    pub bound: Duration,
    /// What breaks, one after the other.
    pub faults: fn() -> Vec<Fault>,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What must hold.
    pub hypothesis: String,
    /// How many faults struck.
    pub faults: usize,
    /// How long all took.
    pub took: Duration,
    /// What was said and heard; or what went wrong.
    pub result: Result<Numbers, String>,
}

/// What was said and heard in a scenario that held.
#[derive(Debug, Clone)]
pub struct Numbers {
    /// Messages accepted.
    pub messages: u64,
    /// Changes of messages and of members, and marks, accepted.
    pub changes: u64,
    /// Messages received, over all devices.
    pub receipts: usize,
    /// How often clients lost their session.
    pub disconnects: u64,
    /// The longest time after a fault until everybody heard everybody in each conversation.
    pub recovery: Duration,
    /// Everything that was recorded.
    pub history: History,
}

/// A deployment and its crowd.
pub(crate) struct Stage {
    pub cluster: Cluster,
    pub crowd: Crowd,
}

impl Scenario {
    /// Why this machine cannot run it, if it cannot.
    pub fn impossible(&self) -> Option<String> {
        self.deployment.impossible()
    }

    /// Runs it; a panic of anything in it is its failure.
    pub async fn run(self) -> Outcome {
        let faults = (self.faults)();
        let began = Instant::now();
        let count = faults.len();
        let result = Box::pin(guarded(play(self.deployment, self.bound, faults.into_iter()))).await;
        Outcome {
            name: self.name.to_owned(),
            hypothesis: self.hypothesis.to_owned(),
            faults: count,
            took: began.elapsed(),
            result,
        }
    }
}

/// The scenario of that name.
pub fn scenario(name: &str) -> Option<Scenario> {
    ALL.iter().find(|scenario| scenario.name == name).copied()
}

async fn guarded(play: impl Future<Output = Numbers>) -> Result<Numbers, String> {
    AssertUnwindSafe(play).catch_unwind().await.map_err(|panic| said(&*panic))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic".to_owned())
}

/// Progress, also of a test whose output is captured.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Lets the faults strike one after the other.
async fn play(deployment: Deployment, bound: Duration, faults: impl Iterator<Item = Fault>) -> Numbers {
    let cluster = deployment.start().await;
    let crowd = match deployment.release {
        Release::This => Crowd::gather(&cluster, PEOPLE, PACE).await,
        Release::Previous => Crowd::gather_talkers(&cluster, PEOPLE, PACE).await,
    };
    let stage = Stage { cluster, crowd };
    stage.crowd.is_due_within(bound);
    stage.crowd.hears_more(WELL).await;
    let (mut recovery, mut unwell) = (Duration::ZERO, None);
    for fault in faults {
        stage.crowd.breaks(&format!("{fault:?}"));
        fault.strike(&stage).await;
        stage.crowd.is_mended();
        let Some(took) = stage.crowd.is_well_again().await else {
            // The checker tells what does not arrive, and where.
            unwell = Some(format!("not well again after {fault:?}"));
            break;
        };
        tell(&format!("  {fault:?}: well again after {:.1} s", took.as_secs_f64()));
        recovery = recovery.max(took);
    }
    let mut report = stage.crowd.finish(&stage.cluster).await;
    report.also(unwell);
    report.assert_clean();
    Numbers {
        messages: report.messages(),
        changes: report.changes(),
        receipts: report.history().receipts(),
        disconnects: report.stats().disconnects,
        recovery,
        history: report.history().clone(),
    }
}
