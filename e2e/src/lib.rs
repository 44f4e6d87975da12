//! End-to-end suite, chaos and bench with real processes.
//!
//! A [`Cluster`] is a deployment: a nats-server, a database, and every replica of every service a
//! process of its own, as an operator runs them. Tests kill, freeze and restart these processes
//! while people on [`Device`]s, or a whole [`Crowd`] of them, go on talking.

pub mod bench;
pub mod chaos;

mod cluster;
mod crowd;
mod device;
mod folder;
mod http;
mod nats;
mod people;
mod raw;
mod service;

pub use cluster::{Cluster, ClusterBuilder, Db};
pub use crowd::{Crowd, Report};
pub use device::{Device, PATIENCE};
pub use http::{Http, Reply};
pub use nats::Nats;
pub use people::{SECRET, token_for, token_until, user};
pub use raw::{Raw, RefusedFrame};
pub use service::{Release, Service, natter_binary};
