//! Throwaway NATS and PostgreSQL servers for tests, and what lies in them.
//!
//! Every server has its own folder and port, so tests run side by side. None outlives the test
//! process, however it ends: a shell at the other end of a pipe sees to that. Functions here panic
//! with what to do when a program is missing or does not start: a test has no better answer.

pub mod archive;
mod certs;
mod clock;
mod collector;
mod disk;
mod lock;
mod nats;
mod nats_cluster;
pub mod postgres;
mod proxy;
pub mod tools;
mod wait;
mod watchdog;

pub use certs::{Authority, CertFiles};
pub use clock::shifted_clock;
pub use collector::{Collector, ReceivedSpan};
pub use disk::SmallDisk;
pub use lock::ArchiveLock;
pub use nats::NatsServer;
pub use nats_cluster::{NatsCluster, nats_cluster, nats_cluster_with};
pub use proxy::{Flow, Proxy};
pub use wait::wait_for;
pub use watchdog::Watchdog;
