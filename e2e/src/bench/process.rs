//! The processes that are measured.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

use super::usage::{self, Cpu};

/// How long a process may take to be ready.
const START: Duration = Duration::from_secs(30);
/// Where this process finds the `natter` binary instead of beside itself.
const NATTER_ENV: &str = "NATTER_BIN";
/// What a process says, in its folder.
const LOG: &str = "process.log";
/// Secret of the tokens, for the length of one run on loopback.
pub(crate) const SECRET: &str = "natter-bench-secret-of-at-least-32-bytes";

/// A `nats-server` of its own, with JetStream on disk and everything else by default.
#[derive(Debug)]
pub struct Nats {
    child: Child,
    /// Where it listens.
    pub url: String,
    folder: TempDir,
}

impl Nats {
    /// Starts a server on a free port with an empty folder.
    ///
    /// # Errors
    /// It cannot be found, or does not answer.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let binary = natter_testkit::tools::nats_server();
        let child = Command::new(&binary)
            .args(["--jetstream", "--addr", "127.0.0.1", "--port", &port.to_string(), "--store_dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join(LOG))?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let url = format!("nats://127.0.0.1:{port}");
        let server = Self { child, url, folder };
        let connect = async {
            while server.connect().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(START, connect).await.with_context(|| format!("{} does not answer", binary.display()))?;
        Ok(server)
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn connect(&self) -> Result<async_nats::Client> {
        Ok(async_nats::connect(&self.url).await?)
    }

    /// Processor time it has used.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu(&self) -> Result<Cpu> {
        usage::cpu(pid(&self.child)?)
    }

    /// Memory it has resident, in bytes.
    ///
    /// # Errors
    /// It has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        usage::resident_bytes(pid(&self.child)?)
    }
}

/// `natter serve` with every service in one process, against a [`Nats`] of its own.
#[derive(Debug)]
pub struct Natter {
    child: Child,
    /// Where clients connect: `ws://host:port/v1/ws`.
    pub address: String,
    /// The server that it uses.
    pub nats: Nats,
    _output: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
}

impl Natter {
    /// Starts a deployment with an empty archive and the default configuration.
    ///
    /// # Errors
    /// The binary is missing or does not become ready; the error ends with what it logged last.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one that sends traces and metrics to a collector.
    ///
    /// # Errors
    /// As for [`Natter::start`].
    pub async fn start_telling(collector: &str) -> Result<Self> {
        Self::start_with(&[("NATTER_TELEMETRY__OTLP_ENDPOINT", collector)]).await
    }

    /// Starts one with other settings.
    ///
    /// # Errors
    /// As for [`Natter::start`].
    pub async fn start_with(variables: &[(&str, &str)]) -> Result<Self> {
        let binary = natter_binary()?;
        let nats = Nats::start().await?;
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let apply = command(&binary, folder.path(), &nats.url).args(["nats", "apply"]).output();
        let apply = timeout(START, apply).await.context("`natter nats apply` does not end")??;
        ensure!(apply.status.success(), "`natter nats apply` failed: {}", String::from_utf8_lossy(&apply.stderr));
        let mut child = command(&binary, folder.path(), &nats.url)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .envs(variables.iter().copied())
            .stderr(std::fs::File::create(folder.path().join(LOG))?)
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?).lines();
        let ready = timeout(START, until_ready(&mut output)).await.map_err(anyhow::Error::from).flatten();
        let address = ready.map_err(|error| anyhow!("natter is not ready: {error}\n{}", tail(folder.path())))?;
        Ok(Self { child, address, nats, _output: output, folder })
    }

    /// What `natter` and its `nats-server` logged last, for a run that failed.
    pub fn last_words(&self) -> String {
        format!("natter:\n{}\nnats-server:\n{}", tail(self.folder.path()), tail(self.nats.folder.path()))
    }

    /// Its process id.
    ///
    /// # Errors
    /// It has ended.
    pub fn pid(&self) -> Result<u32> {
        pid(&self.child)
    }

    /// Processor time it has used.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu(&self) -> Result<Cpu> {
        usage::cpu(self.pid()?)
    }

    /// Memory it has resident, in bytes.
    ///
    /// # Errors
    /// It has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        usage::resident_bytes(self.pid()?)
    }

    /// Entries of the log that are not archived yet.
    ///
    /// # Errors
    /// NATS does not answer.
    pub async fn unarchived(&self) -> Result<u64> {
        let jetstream = async_nats::jetstream::new(self.nats.connect().await?);
        let mut names = jetstream.stream_names();
        let mut pending = 0;
        while let Some(name) = futures_util::TryStreamExt::try_next(&mut names).await? {
            if name.starts_with("CHAT-") {
                let stream = jetstream.get_stream_no_info(&name).await?;
                let info = stream.consumer_info("storage").await?;
                pending += info.num_pending + u64::try_from(info.num_ack_pending)?;
            }
        }
        Ok(pending)
    }

    /// Waits until everything accepted is archived.
    ///
    /// # Errors
    /// NATS does not answer, or it takes longer than a minute.
    pub async fn archived(&self) -> Result<()> {
        let done = async {
            while self.unarchived().await? > 0 {
                sleep(Duration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        timeout(Duration::from_secs(60), done).await.context("the archive does not catch up within a minute")?
    }
}

/// The `natter` binary that is measured.
///
/// # Errors
/// It is missing; the error says how to build it.
pub fn natter_binary() -> Result<PathBuf> {
    let path = match std::env::var_os(NATTER_ENV) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("natter"),
    };
    if !path.is_file() {
        bail!("{} is missing: build it with `cargo build --release -p natter`, or set {NATTER_ENV}", path.display());
    }
    Ok(path)
}

fn command(binary: &Path, folder: &Path, nats: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .env("NATTER_NATS__URL", nats)
        .env("NATTER_DATA_DIR", folder)
        .env("NATTER_AUTH__HS256_SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn until_ready(output: &mut Lines<BufReader<ChildStdout>>) -> Result<String> {
    let mut address = None;
    while let Some(line) = output.next_line().await? {
        match line.split_once(' ') {
            Some(("connection", rest)) => address = Some(rest.to_owned()),
            None if line == "ready" => return address.context("it does not say where it listens"),
            _ => {}
        }
    }
    bail!("it ended")
}

fn tail(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn pid(child: &Child) -> Result<u32> {
    child.id().context("the process has ended")
}
