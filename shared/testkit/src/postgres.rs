//! One throwaway PostgreSQL server for the process; a database of its own for each test.

use std::{
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use crate::{tools, watchdog::Watchdog};

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

struct Server {
    folder: PathBuf,
    process: Mutex<Child>,
    /// Never dropped: it ends the server when the process is gone.
    _watchdog: Watchdog,
}

impl Server {
    async fn start() -> anyhow::Result<Self> {
        let server = tokio::task::spawn_blocking(Self::launch).await.context("the thread that starts PostgreSQL")??;
        let ready = async {
            loop {
                match PgConnection::connect(&server.url("postgres")).await {
                    Ok(connection) => return connection.close().await.map_err(anyhow::Error::from),
                    Err(error) => server.still_runs().with_context(|| format!("{error}"))?,
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ready = tokio::time::timeout(LIMIT, ready).await.map_err(anyhow::Error::from);
        ready.and_then(|result| result).with_context(|| format!("PostgreSQL did not start: {}", server.log()))?;
        Ok(server)
    }

    fn launch() -> anyhow::Result<Self> {
        let bin = tools::postgres_bin();
        let folder = tempfile::Builder::new().prefix("natter-postgres-").tempdir()?.keep();
        let mut watchdog = Watchdog::start(Some(&folder))?;
        let user = unprivileged(&folder)?;
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log"))?;
        let run = |program: &str| -> anyhow::Result<Command> {
            let mut command = Command::new(bin.join(program));
            command.arg("-D").arg(folder.join("data")).current_dir(&folder).process_group(0);
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
            if let Some((user, group)) = user {
                // As root this also drops the supplementary groups.
                command.uid(user).gid(group);
            }
            Ok(command)
        };
        let created = run("initdb")?
            .args(["--auth=trust", "--no-sync", "--username=natter", "--encoding=UTF8"])
            .args(["--locale-provider=icu", "--icu-locale=en", "--locale=C"])
            .status()
            .context("`initdb` cannot be run")?;
        let told = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        ensure!(created.success(), "`initdb` (PostgreSQL 15 or newer is needed) failed: {}", told());
        let process = run("postgres")?
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=400"])
            .spawn()
            .context("`postgres` cannot be run")?;
        // An immediate shutdown: nothing is kept.
        watchdog.watch(&process, "QUIT");
        Ok(Self { folder, process: Mutex::new(process), _watchdog: watchdog })
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://natter@localhost/{database}?host={}", escaped(&self.folder))
    }

    fn still_runs(&self) -> anyhow::Result<()> {
        let mut process = self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended with {status}"),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
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
