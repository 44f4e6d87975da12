//! One throwaway PostgreSQL server for the process; a database of its own for each test.

use std::{
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use crate::{Authority, tools, watchdog::Watchdog};

/// How long a question to a local server may take: it creates a database in a tenth of a second,
/// and a busy machine stretches that.
const LIMIT: Duration = Duration::from_secs(60);

static SERVER: OnceCell<Server> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database. The server listens on a socket in its own folder, not on a
/// port, and never waits for the disk. It compares texts as English does unless a table says
/// otherwise, so that a table that forgets is found.
///
/// # Panics
/// When the server does not start, with its log.
pub async fn database() -> String {
    let server =
        SERVER.get_or_init(|| async { Server::start().await.unwrap_or_else(|error| panic!("{error:#}")) }).await;
    let name = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let create = async {
        let mut connection = PgConnection::connect(&server.url("postgres")).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        connection.close().await
    };
    let created = tokio::time::timeout(LIMIT, create).await.expect("PostgreSQL creates a database in time");
    created.expect("PostgreSQL creates a database");
    server.url(&name)
}

/// The socket that a [`database`] is reached by, and the same URL for a proxy: a socket of the same
/// name in another folder. `None` when the URL is of another database.
pub fn socket(url: &str) -> Option<(PathBuf, impl Fn(&Path) -> String)> {
    let (before, folder) = url.split_once("?host=")?;
    let (before, folder) = (before.to_owned(), folder.replace("%2F", "/"));
    let through = move |folder: &Path| format!("{before}?host={}", escaped(folder));
    Some((Path::new(&folder).join(".s.PGSQL.5432"), through))
}

fn escaped(folder: &Path) -> String {
    folder.display().to_string().replace('/', "%2F")
}

/// A server that listens on TCP, and there takes nothing but TLS and a password. It goes with the
/// test process.
#[derive(Debug, Clone)]
pub struct Secured {
    /// `127.0.0.1:<port>`; the user is `natter`, the database `postgres`.
    pub address: String,
    /// The user's password, with letters that mean something in a URL.
    pub password: &'static str,
}

/// Starts a server with a certificate of the authority.
///
/// # Panics
/// When it does not start, with its log.
pub async fn secured(authority: &Authority) -> Secured {
    const PASSWORD: &str = "p@ss/w:rd%";
    let certificate = authority.issue("postgres");
    // Taken at once, so nobody else is likely to.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a free port").port();
    let prepare = move |folder: &Path, user: Option<(u32, u32)>| -> anyhow::Result<Vec<String>> {
        let mut arguments = vec!["listen_addresses=127.0.0.1".to_owned(), format!("port={port}"), "ssl=on".to_owned()];
        for (key, from) in [("ssl_cert_file", &certificate.cert), ("ssl_key_file", &certificate.key)] {
            let to = folder.join(key);
            std::fs::copy(from, &to)?;
            if let Some((user, group)) = user {
                std::os::unix::fs::chown(&to, Some(user), Some(group))?;
            }
            arguments.push(format!("{key}={}", to.display()));
        }
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(folder.join("data/pg_hba.conf"), rules)?;
        Ok(arguments)
    };
    let launched = tokio::task::spawn_blocking(move || Server::launch_with(prepare)).await.expect("a thread");
    let mut server = launched.unwrap_or_else(|error| panic!("{error:#}"));
    server.port = port;
    server.answers().await.unwrap_or_else(|error| panic!("{error:#}"));
    let mut connection = PgConnection::connect(&server.url("postgres")).await.expect("a connection");
    let alter = format!("ALTER USER natter PASSWORD '{PASSWORD}'");
    connection.execute(AssertSqlSafe(alter)).await.expect("a password");
    // Its end is that of the test process.
    std::mem::forget(server);
    Secured { address: format!("127.0.0.1:{port}"), password: PASSWORD }
}

/// Kills the server, every process of it, as a machine that fails does. Only for programs that run
/// one deployment at a time: everybody's database is on it.
///
/// # Panics
/// When it does not run.
pub async fn kill() {
    let server = SERVER.get().expect("a server that runs");
    server.signal("QUIT");
    let gone = async || server.still_runs().is_err().then_some(());
    crate::wait_for("PostgreSQL to be gone", LIMIT, gone).await;
}

/// Starts it on the same data after [`kill`]; returns once it answers.
///
/// # Panics
/// When it does not start, with its log.
pub async fn start_again() {
    let server = SERVER.get().expect("a server that ran");
    server.run().unwrap_or_else(|error| panic!("{error:#}"));
    server.answers().await.unwrap_or_else(|error| panic!("{error:#}"));
}

struct Server {
    folder: PathBuf,
    user: Option<(u32, u32)>,
    process: Mutex<(Child, Watchdog)>,
    /// What its socket is named after.
    port: u16,
}

impl Server {
    async fn start() -> anyhow::Result<Self> {
        let server = tokio::task::spawn_blocking(Self::launch).await.context("the thread that starts PostgreSQL")??;
        server.answers().await?;
        Ok(server)
    }

    /// Waits until it does.
    async fn answers(&self) -> anyhow::Result<()> {
        let ready = async {
            loop {
                match PgConnection::connect(&self.url("postgres")).await {
                    Ok(connection) => return connection.close().await.map_err(anyhow::Error::from),
                    Err(error) => self.still_runs().with_context(|| format!("{error}"))?,
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ready = tokio::time::timeout(LIMIT, ready).await.map_err(anyhow::Error::from);
        ready.and_then(|result| result).with_context(|| format!("PostgreSQL did not start: {}", self.log()))
    }

    fn launch() -> anyhow::Result<Self> {
        Self::launch_with(|_, _| Ok(Vec::new()))
    }

    /// `prepare` changes what `initdb` made, and says what is set besides.
    fn launch_with(
        prepare: impl FnOnce(&Path, Option<(u32, u32)>) -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("natter-postgres-").tempdir()?.keep();
        let mut watchdog = Watchdog::start(Some(&folder))?;
        let user = unprivileged(&folder)?;
        let created = command(&folder, user, "initdb")?
            .args(["--auth=trust", "--no-sync", "--username=natter", "--encoding=UTF8"])
            .args(["--locale-provider=icu", "--icu-locale=en", "--locale=C"])
            .status()
            .context("`initdb` cannot be run")?;
        let told = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        ensure!(created.success(), "`initdb` (PostgreSQL 15 or newer is needed) failed: {}", told());
        let process = serve(&folder, user, &prepare(&folder, user)?)?;
        // An immediate shutdown: nothing is kept.
        watchdog.watch(&process, "QUIT");
        Ok(Self { folder, user, process: Mutex::new((process, watchdog)), port: 5432 })
    }

    fn run(&self) -> anyhow::Result<()> {
        let mut state = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = serve(&self.folder, self.user, &[])?;
        let (process, watchdog) = &mut *state;
        watchdog.watch(process, "QUIT");
        Ok(())
    }

    fn signal(&self, name: &str) {
        let state = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = Command::new("kill").args(["-s", name, &state.0.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "PostgreSQL does not take signals");
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://natter@localhost:{}/{database}?host={}", self.port, escaped(&self.folder))
    }

    fn still_runs(&self) -> anyhow::Result<()> {
        let mut state = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        match state.0.try_wait()? {
            None => Ok(()),
            Some(status) => {
                state.1.forget();
                bail!("it ended with {status}")
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// A program of PostgreSQL on the data in the folder.
fn command(folder: &Path, user: Option<(u32, u32)>, program: &str) -> anyhow::Result<Command> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(tools::postgres_bin().join(program));
    command.arg("-D").arg(folder.join("data")).current_dir(folder).process_group(0);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    if let Some((user, group)) = user {
        // As root this also drops the supplementary groups.
        command.uid(user).gid(group);
    }
    Ok(command)
}

fn serve(folder: &Path, user: Option<(u32, u32)>, set: &[String]) -> anyhow::Result<Child> {
    command(folder, user, "postgres")?
        .arg("-k")
        .arg(folder)
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=400"])
        .args(set.iter().flat_map(|each| ["-c", each.as_str()]))
        .spawn()
        .context("`postgres` cannot be run")
}

/// PostgreSQL refuses to run as root: gives the folder to the user `postgres`, or to `nobody`
/// where there is none, and returns that user and group. `None`: this user will do.
fn unprivileged(folder: &Path) -> anyhow::Result<Option<(u32, u32)>> {
    // A folder just made belongs to whoever made it.
    if std::fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    let number = |what: &str, name: &str| -> Option<u32> {
        let output = Command::new("id").args([what, name]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let ids = |name| Some((number("-u", name)?, number("-g", name)?));
    let (user, group) = ids("postgres")
        .or_else(|| ids("nobody"))
        .context("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")?;
    std::os::unix::fs::chown(folder, Some(user), Some(group))?;
    Ok(Some((user, group)))
}
