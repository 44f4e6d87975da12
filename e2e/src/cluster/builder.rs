//! Starts a deployment.

use std::{path::PathBuf, sync::LazyLock};

use natter_testkit::postgres;
use tokio::sync::Semaphore;

use super::{Cluster, Db, Disks, Wires, security::Security};
use crate::{
    folder::Folder,
    nats::Nats,
    people::SECRET,
    service::{Launch, Release, Service},
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

/// What to start.
#[derive(Debug, Clone)]
#[must_use = "nothing starts before `start`"]
pub struct ClusterBuilder {
    gateways: usize,
    deliveries: usize,
    storages: usize,
    presences: usize,
    together: bool,
    nats_nodes: usize,
    proxied: bool,
    small_disks: bool,
    secured: bool,
    nats_program: Option<PathBuf>,
    release: Release,
    shifted: Vec<(String, i64)>,
    database: Db,
    settings: Vec<(String, String)>,
}

impl Default for ClusterBuilder {
    fn default() -> Self {
        Self {
            gateways: 2,
            deliveries: 2,
            storages: 2,
            presences: 1,
            together: false,
            nats_nodes: 1,
            proxied: false,
            small_disks: false,
            secured: false,
            nats_program: None,
            release: Release::This,
            shifted: Vec::new(),
            database: Db::Sqlite,
            settings: Vec::new(),
        }
    }
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

    /// How many nats-servers; each keeps every stream.
    pub fn nats_nodes(mut self, count: usize) -> Self {
        self.nats_nodes = count;
        self
    }

    /// The first gateway reaches NATS through [`Cluster::wire_to_nats`], and storage PostgreSQL
    /// through [`Cluster::wire_to_database`].
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// NATS and a SQLite archive each store on a disk of their own that a test can fill. Takes what
    /// [`natter_testkit::SmallDisk::possible`] says.
    pub fn small_disks(mut self) -> Self {
        self.small_disks = true;
        self
    }

    /// An nkey with no more rights than it needs for each service, and TLS on every wire: to NATS and
    /// between its nodes with certificates on both sides.
    pub fn secured(mut self) -> Self {
        self.secured = true;
        self
    }

    /// What nats-servers, of which there are several, run at first.
    pub fn nats_program(mut self, program: PathBuf) -> Self {
        self.nats_program = Some(program);
        self
    }

    /// What every process runs at first.
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// A replica, such as `gateway-0`, whose clock is so many seconds off.
    pub fn clock(mut self, service: &str, seconds_ahead: i64) -> Self {
        self.shifted.push((service.to_owned(), seconds_ahead));
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
        let disks = self.small_disks.then(|| Disks::mount(&folder));
        let security = self.secured.then(|| Security::make(folder.path(), &self.launch(&folder, "", "")));
        let of_servers = security.as_ref().map(Security::of_servers).unwrap_or_default();
        let program = self.nats_program.as_deref();
        let nats = Nats::start(&folder.path().join("nats"), self.nats_nodes, of_servers, program).await;
        let database = self.database_url(&folder).await;
        let launch = self.launch(&folder, nats.url(), &database);
        let launch = security.as_ref().map_or_else(|| launch.clone(), |security| security.as_user(&launch, "admin"));
        apply(&launch).await;
        let wires = if self.proxied { Some(Wires::start(&folder, &nats, &database).await) } else { None };
        let replicas = |kind: &str, serves: &[&str], count: usize| -> Vec<Service> {
            let replica = |number: usize| {
                let name = format!("{kind}-{number}");
                let mut launch = self.launch_of(&name, &launch, wires.as_ref());
                if let Some(security) = &security {
                    launch = security.as_user(&launch, Security::user_of(&name, self.together));
                }
                Service::new(name, serves, launch)
            };
            (0..count).map(replica).collect()
        };
        let alone = |count| if self.together { 0 } else { count };
        let gateway: &[&str] =
            if self.together { &["connection", "presence", "delivery", "storage"] } else { &["connection"] };
        let (gateways, deliveries) =
            (replicas("gateway", gateway, self.gateways), replicas("delivery", &["delivery"], alone(self.deliveries)));
        let (storages, presences) = (
            replicas("storage", &["storage"], alone(self.storages)),
            replicas("presence", &["presence"], alone(self.presences)),
        );
        let cluster = Cluster {
            gateways,
            deliveries,
            storages,
            presences,
            wires,
            nats,
            launch,
            security,
            disks,
            folder,
            _room: room,
        };
        cluster.services().for_each(Service::spawn);
        for service in cluster.services() {
            service.ready().await;
        }
        cluster
    }

    /// What is different about one replica.
    fn launch_of(&self, name: &str, launch: &Launch, wires: Option<&Wires>) -> Launch {
        let mut own = launch.clone();
        match wires {
            Some(wires) if name == "gateway-0" => own = own.with("NATTER_NATS__URL", &wires.nats_url()),
            Some(Wires { database: Some((_, url)), .. }) if name.starts_with("storage") => {
                own = own.with("NATTER_STORAGE__URL", url);
            }
            _ => {}
        }
        if let Some((_, seconds)) = self.shifted.iter().find(|(shifted, _)| shifted == name) {
            for (variable, value) in natter_testkit::shifted_clock(*seconds) {
                own = own.with(&variable, &value);
            }
        }
        own
    }

    async fn database_url(&self, folder: &Folder) -> String {
        match self.database {
            Db::Sqlite if self.small_disks => {
                format!("sqlite://{}", folder.path().join("archive").join("archive.db").display())
            }
            Db::Sqlite => format!("sqlite://{}", folder.path().join("archive.db").display()),
            Db::Postgres => postgres::database().await,
        }
    }

    fn launch(&self, folder: &Folder, nats: &str, database: &str) -> Launch {
        let defaults = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let environment = [
            ("NATTER_AUTH__HS256_SECRET", SECRET.to_owned()),
            ("NATTER_NATS__URL", nats.to_owned()),
            ("NATTER_NATS__REPLICAS", self.nats_nodes.to_string()),
            ("NATTER_STORAGE__URL", database.to_owned()),
            ("NATTER_DATA_DIR", folder.path().join("data").display().to_string()),
        ];
        Launch {
            release: self.release,
            folder: folder.path().to_owned(),
            environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            settings: defaults.chain(self.settings.clone()).collect(),
        }
    }
}

/// `natter nats apply`, as an operator runs it before the first start: it waits for the nodes to elect
/// their leaders.
pub(super) async fn apply(launch: &Launch) {
    let mut command = launch.command();
    let run = tokio::task::spawn_blocking(move || command.args(["nats", "apply"]).output());
    let output = run.await.expect("the thread that waits").expect("`natter` can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`natter nats apply` failed: {said}");
}
