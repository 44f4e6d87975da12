//! A deployment of Natter, every replica a process of its own.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use natter_testkit::{NatsServer, postgres};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    folder::Folder,
    people::SECRET,
    service::{Launch, Service},
};

/// Deployments that run at once in one test process: each is some seven processes.
static ROOM: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from).max(2)));

/// Short leases, so that a takeover takes seconds.
const SETTINGS: [(&str, &str); 4] = [
    ("nats.lease_ms", "3000"),
    ("nats.duplicate_window_secs", "100"),
    ("presence.lease_ms", "5000"),
    ("presence.offline_grace_ms", "500"),
];

/// Where a deployment archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    /// A file that all replicas of storage share.
    Sqlite,
    /// A database on the test process's throwaway server.
    Postgres,
}

/// What to start.
#[derive(Debug, Clone)]
#[must_use = "nothing starts before `start`"]
pub struct ClusterBuilder {
    gateways: usize,
    deliveries: usize,
    storages: usize,
    presences: usize,
    together: bool,
    database: Db,
    settings: Vec<(String, String)>,
}

impl ClusterBuilder {
    /// How many gateways.
    pub fn gateways(mut self, count: usize) -> Self {
        self.gateways = count;
        self
    }

    /// How many replicas of delivery.
    pub fn deliveries(mut self, count: usize) -> Self {
        self.deliveries = count;
        self
    }

    /// How many replicas of storage.
    pub fn storages(mut self, count: usize) -> Self {
        self.storages = count;
        self
    }

    /// How many replicas of presence.
    pub fn presences(mut self, count: usize) -> Self {
        self.presences = count;
        self
    }

    /// Each gateway process runs every other service too.
    pub fn together(mut self) -> Self {
        self.together = true;
        self
    }

    /// Where to archive.
    pub fn database(mut self, database: Db) -> Self {
        self.database = database;
        self
    }

    /// Sets a key of the configuration, for every process.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// Starts everything; returns once every process is ready.
    ///
    /// # Panics
    /// When something does not start, with the end of its log.
    pub async fn start(self) -> Cluster {
        let room = ROOM.acquire().await.expect("the semaphore is never closed");
        let folder = Folder::new();
        let nats = NatsServer::start_in(folder.path().join("nats")).await;
        let launch = self.launch(&folder, &nats).await;
        apply(&launch).await;
        let replicas = |name: &str, serves: &[&str], count: usize| -> Vec<Service> {
            (0..count).map(|number| Service::new(format!("{name}-{number}"), serves, launch.clone())).collect()
        };
        let alone = |count| if self.together { 0 } else { count };
        let gateway: &[&str] =
            if self.together { &["connection", "presence", "delivery", "storage"] } else { &["connection"] };
        let cluster = Cluster {
            gateways: replicas("gateway", gateway, self.gateways),
            deliveries: replicas("delivery", &["delivery"], alone(self.deliveries)),
            storages: replicas("storage", &["storage"], alone(self.storages)),
            presences: replicas("presence", &["presence"], alone(self.presences)),
            nats: Nats { url: nats.url(), server: tokio::sync::Mutex::new(nats) },
            launch,
            folder,
            _room: room,
        };
        cluster.services().for_each(Service::spawn);
        for service in cluster.services() {
            service.ready().await;
        }
        cluster
    }

    async fn launch(&self, folder: &Folder, nats: &NatsServer) -> Launch {
        let database = match self.database {
            Db::Sqlite => format!("sqlite://{}", folder.path().join("archive.db").display()),
            Db::Postgres => postgres::database().await,
        };
        let defaults = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let environment = [
            ("NATTER_AUTH__HS256_SECRET", SECRET.to_owned()),
            ("NATTER_NATS__URL", nats.url()),
            ("NATTER_STORAGE__URL", database),
            ("NATTER_DATA_DIR", folder.path().join("data").display().to_string()),
        ];
        Launch {
            folder: folder.path().to_owned(),
            environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            settings: defaults.chain(self.settings.clone()).collect(),
        }
    }
}

/// `natter nats apply`, as an operator runs it before the first start.
async fn apply(launch: &Launch) {
    let mut command = launch.command();
    let run = tokio::task::spawn_blocking(move || command.args(["nats", "apply"]).output());
    let output = run.await.expect("the thread that waits").expect("`natter` can be run");
    assert!(output.status.success(), "`natter nats apply` failed: {}", String::from_utf8_lossy(&output.stderr));
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
    nats: Nats,
    launch: Launch,
    folder: Folder,
    _room: SemaphorePermit<'static>,
}

impl Cluster {
    /// Two gateways, two deliveries, two storages and one presence, on SQLite.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            gateways: 2,
            deliveries: 2,
            storages: 2,
            presences: 1,
            together: false,
            database: Db::Sqlite,
            settings: Vec::new(),
        }
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

    /// The nats-server.
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

/// The nats-server of a deployment.
pub struct Nats {
    url: String,
    server: tokio::sync::Mutex<NatsServer>,
}

impl Nats {
    /// Where it listens; the same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills it with SIGKILL.
    pub async fn kill(&self) {
        self.server.lock().await.kill();
    }

    /// Kills it if it runs, and starts it on the same port and data.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&self) {
        self.server.lock().await.restart().await;
    }
}
