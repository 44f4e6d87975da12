//! A deployment of Natter, every replica a process of its own.

mod builder;
mod disks;
mod security;
mod wires;

use std::path::{Path, PathBuf};

use natter_testkit::{Proxy, SmallDisk};
use tokio::sync::SemaphorePermit;

pub use builder::ClusterBuilder;
use disks::Disks;
use security::Security;
use wires::Wires;

use crate::{
    folder::Folder,
    nats::Nats,
    service::{Launch, Release, Service},
};

/// Where a deployment archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    /// A file that all replicas of storage share.
    Sqlite,
    /// A database on the test process's throwaway server.
    Postgres,
}

/// A deployment: nats-server, services and a database, all of it gone when this value is dropped.
///
/// When the test panics, logs, stores and histories stay and it says where they are.
pub struct Cluster {
    // Fields are dropped in this order: processes before what they write into.
    gateways: Vec<Service>,
    deliveries: Vec<Service>,
    storages: Vec<Service>,
    presences: Vec<Service>,
    wires: Option<Wires>,
    nats: Nats,
    launch: Launch,
    disks: Option<Disks>,
    security: Option<Security>,
    folder: Folder,
    _room: SemaphorePermit<'static>,
}

impl Cluster {
    /// Two gateways, two deliveries, two storages and one presence, on SQLite.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// One process that runs all services, on SQLite: for what a single gateway decides.
    pub fn single() -> ClusterBuilder {
        Self::builder().gateways(1).together()
    }

    /// A gateway.
    pub fn gateway(&self, number: usize) -> &Service {
        &self.gateways[number]
    }

    /// A replica of delivery.
    pub fn delivery(&self, number: usize) -> &Service {
        &self.deliveries[number]
    }

    /// A replica of storage.
    pub fn storage(&self, number: usize) -> &Service {
        &self.storages[number]
    }

    /// A replica of presence.
    pub fn presence(&self, number: usize) -> &Service {
        &self.presences[number]
    }

    /// All gateways.
    pub fn gateways(&self) -> &[Service] {
        &self.gateways
    }

    /// All replicas of delivery.
    pub fn deliveries(&self) -> &[Service] {
        &self.deliveries
    }

    /// All replicas of storage.
    pub fn storages(&self) -> &[Service] {
        &self.storages
    }

    /// All replicas of presence.
    pub fn presences(&self) -> &[Service] {
        &self.presences
    }

    /// Every process but nats-server; storage first, gateways last.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.storages.iter().chain(&self.presences).chain(&self.deliveries).chain(&self.gateways)
    }

    /// The wire from the first gateway to NATS.
    ///
    /// # Panics
    /// When the deployment is not proxied.
    pub fn wire_to_nats(&self) -> &Proxy {
        &self.wires.as_ref().expect("a proxied deployment").nats
    }

    /// The wire from storage to PostgreSQL.
    ///
    /// # Panics
    /// When the deployment is not proxied, or archives into a file.
    pub fn wire_to_database(&self) -> &Proxy {
        let wires = self.wires.as_ref().and_then(|wires| wires.database.as_ref());
        &wires.expect("a proxied deployment on PostgreSQL").0
    }

    /// The disk that NATS stores on.
    ///
    /// # Panics
    /// When the deployment has no small disks.
    pub fn disk_of_nats(&self) -> &SmallDisk {
        &self.disks.as_ref().expect("small disks").nats
    }

    /// The disk that the archive is on.
    ///
    /// # Panics
    /// When the deployment has no small disks.
    pub fn disk_of_archive(&self) -> &SmallDisk {
        &self.disks.as_ref().expect("small disks").archive
    }

    /// Where the archive is, past every proxy.
    pub fn database_url(&self) -> &str {
        self.launch.get("NATTER_STORAGE__URL")
    }

    /// The certificate that clients are to trust, as PEM, when gateways speak TLS.
    pub fn ca(&self) -> Option<String> {
        self.security.as_ref().map(Security::ca)
    }

    /// Signs the certificate of gateways and nats-servers anew, and puts it in the place of the one before.
    ///
    /// # Panics
    /// When there is none.
    pub fn renew_certificate(&self) {
        self.security.as_ref().expect("a secured deployment").renew();
    }

    /// The nats-servers.
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// The folder with logs, stores and histories.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills every process, nats-server too, and starts all of it on the data that it left.
    ///
    /// # Panics
    /// When something does not start again.
    pub async fn restart_everything(&self) {
        self.services().for_each(Service::kill9);
        self.nats.restart().await;
        self.services().for_each(Service::spawn);
        for service in self.services() {
            service.ready().await;
        }
    }

    /// Asks every service to stop, and waits until all have.
    ///
    /// # Panics
    /// When one does not stop.
    pub async fn stop(&self) {
        // Gateways first: they tell the others who leaves.
        for services in [&self.gateways, &self.deliveries, &self.presences, &self.storages] {
            services.iter().for_each(Service::ask_to_stop);
            for service in services {
                service.ended().await;
                service.moves();
            }
        }
    }

    /// Starts every service after [`Cluster::stop`]; gateways listen on other ports.
    ///
    /// # Panics
    /// When one does not start.
    pub async fn start_again(&self) {
        self.services().for_each(Service::spawn);
        for service in self.services() {
            service.ready().await;
        }
    }

    /// `natter nats apply` of this release, as an operator runs it.
    ///
    /// # Panics
    /// When it fails for a minute.
    pub async fn apply(&self) {
        builder::apply(&Launch { release: Release::This, ..self.launch.clone() }).await;
    }

    /// Runs the `natter` binary with this deployment's configuration, such as
    /// `["replay", …]`; what it prints goes where the command says.
    pub fn natter(&self) -> std::process::Command {
        self.launch.command()
    }

    /// Every log line of every process that holds the text, with the name of its file.
    pub fn log_lines_with(&self, text: &str) -> Vec<String> {
        let lines_of = |path: PathBuf| {
            let log = std::fs::read(&path).unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let log = String::from_utf8_lossy(&log).into_owned();
            log.lines().filter(|line| line.contains(text)).map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
        };
        self.services().flat_map(|service| lines_of(service.log())).collect()
    }
}
