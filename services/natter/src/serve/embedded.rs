//! The nats-server that `natter serve` starts when no external NATS is configured.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use natter_config::EmbeddedConfig;
use natter_runtime::{OnEnd, Scope};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::{binary, leftover};
use crate::tokens::write_private;

/// How long the server may take to read what it has stored.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long it may take to close its files.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// A nats-server that runs until its scope stops.
#[derive(Debug)]
pub struct Embedded {
    /// Where clients connect to.
    pub url: String,
    /// Where it tells about itself over HTTP.
    pub monitor_url: String,
}

/// The files of the server inside the data directory.
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("nats") }
    }

    /// Also how a running server is recognised as ours: the path is in its command line.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("nats-server.conf")
    }

    pub(super) fn pid(&self) -> PathBuf {
        self.folder.join("nats-server.pid")
    }

    fn ports(&self) -> PathBuf {
        self.folder.join("ports")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("nats-server.log")
    }

    /// What the server says before it has a log.
    fn complaints(&self) -> PathBuf {
        self.folder.join("nats-server.err")
    }
}

/// What the server writes into its ports file.
#[derive(Debug, Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
}

/// Where the server of a data directory listens, if it runs.
pub fn running_url(data_dir: &Path) -> Option<String> {
    let files = Files::new(data_dir);
    // It is removed when the server stops.
    files.pid().is_file().then(|| read_ports(&files))??.nats.into_iter().next()
}

/// Starts the server; the scope supervises it, and its unexpected end stops the process.
///
/// # Errors
/// A sentence with the server's own last words.
pub async fn start(config: &EmbeddedConfig, data_dir: &Path, scope: &Scope) -> anyhow::Result<Embedded> {
    let binary = binary::find().await?;
    let files = Files::new(data_dir);
    leftover::stop(&files).await?;
    let cannot_write = || format!("{} cannot be written to", files.folder.display());
    remove_ports(&files).and_then(|()| std::fs::create_dir_all(files.ports())).with_context(cannot_write)?;
    write_private(&files.config(), &server_config(config, &files)).with_context(cannot_write)?;
    let complaints = File::create(files.complaints()).with_context(cannot_write)?;
    let mut child = Command::new(&binary)
        .arg("--config")
        .arg(files.config())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(complaints)
        // Ctrl-C in a terminal reaches a whole process group; the server must outlive the drain.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be started", binary.display()))?;
    let pid = child.id().context("nats-server ended at once")?;
    std::fs::write(files.pid(), format!("{pid}\n")).with_context(cannot_write)?;
    let ports = wait_for_ports(&mut child, &files).await?;
    let (Some(url), Some(monitor_url)) = (ports.nats.into_iter().next(), ports.monitoring.into_iter().next()) else {
        bail!("nats-server does not say where it listens");
    };
    tracing::info!(server = %binary.display(), pid, "nats-server runs");
    let cancel = scope.cancel_token();
    scope.spawn("embedded-nats", OnEnd::StopProcess, async move {
        tokio::select! {
            ended = child.wait() => tracing::error!(?ended, log = %files.log().display(), "nats-server ended by itself"),
            () = cancel.cancelled() => stop(child, &files).await,
        }
    });
    Ok(Embedded { url, monitor_url })
}

fn remove_ports(files: &Files) -> std::io::Result<()> {
    match std::fs::remove_dir_all(files.ports()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

async fn wait_for_ports(child: &mut Child, files: &Files) -> anyhow::Result<Ports> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if let Some(ports) = read_ports(files) {
            return Ok(ports);
        }
        if let Some(status) = child.try_wait()? {
            bail!("nats-server did not start ({status}): {}", last_words(files));
        }
        if Instant::now() > deadline {
            bail!("nats-server did not start within {} seconds: {}", START_TIMEOUT.as_secs(), last_words(files));
        }
        sleep(POLL).await;
    }
}

/// The only file in the folder, named after the program and its number. Until the server has
/// written all of it, it is no JSON.
fn read_ports(files: &Files) -> Option<Ports> {
    let mut entries = std::fs::read_dir(files.ports()).ok()?;
    serde_json::from_slice(&std::fs::read(entries.next()?.ok()?.path()).ok()?).ok()
}

fn last_words(files: &Files) -> String {
    let text = |path: PathBuf| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let last = |text: String| text.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned);
    let said = [files.complaints(), files.log()].into_iter().find_map(|path| text(path).ok().and_then(last));
    said.unwrap_or_else(|| "it said nothing".to_owned())
}

async fn stop(mut child: Child, files: &Files) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, Signal::TERM)
    {
        tracing::debug!(%error, "nats-server cannot be asked to stop");
    }
    if timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
        tracing::warn!("nats-server does not stop and is killed");
        let _ = child.kill().await;
    }
    let _ = std::fs::remove_file(files.pid());
}

/// A text of NATS's configuration language: quoted, as JSON is.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}

fn server_config(config: &EmbeddedConfig, files: &Files) -> String {
    let sync = match config.sync_interval_ms {
        0 => "always".to_owned(),
        ms => format!("\"{ms}ms\""),
    };
    format!(
        "# Written by `natter serve` at each start; changes are lost.\n\
         server_name: natter\n\
         host: 127.0.0.1\n\
         port: -1\n\
         http: \"127.0.0.1:-1\"\n\
         ports_file_dir: {ports}\n\
         log_file: {log}\n\
         logfile_size_limit: 10MB\n\
         logfile_max_num: 2\n\
         jetstream {{\n\
         \x20 store_dir: {store}\n\
         \x20 sync_interval: {sync}\n\
         }}\n",
        ports = quoted(&files.ports()),
        log = quoted(&files.log()),
        store = quoted(&files.folder),
    )
}
