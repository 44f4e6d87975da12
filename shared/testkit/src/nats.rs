//! A throwaway nats-server with JetStream.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::{tools, wait_for, watchdog::Watchdog};

/// How long the server may take until it answers; it takes less than a tenth of a second, and a
/// busy machine stretches that.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A nats-server on a port of its own on the loopback interface, with JetStream on disk. It is
/// killed when this value is dropped, and when the test process ends.
pub struct NatsServer {
    folder: PathBuf,
    /// 0: the server picks a free one when it starts first.
    port: u16,
    /// What it is started with besides.
    arguments: Vec<String>,
    /// What it runs from its next start on; the one to test with when `None`.
    program: Option<PathBuf>,
    /// Whether it has JetStream.
    streams: bool,
    process: Option<Child>,
    // Fields are dropped in this order: the server has ended before its folder goes.
    watchdog: Watchdog,
    _temporary: Option<TempDir>,
}

impl NatsServer {
    /// Starts a server with a temporary folder.
    ///
    /// # Panics
    /// When it does not start, with its log.
    pub async fn start() -> Self {
        let temporary = tempfile::Builder::new().prefix("natter-nats-").tempdir().expect("a temporary folder");
        let folder = temporary.path().to_owned();
        Self::launch(folder, Some(temporary), 0, Vec::new(), None).await
    }

    /// Starts a server that keeps its data in `folder`, which stays.
    ///
    /// # Panics
    /// When it does not start, with its log.
    pub async fn start_in(folder: impl AsRef<Path>) -> Self {
        Self::start_with(folder.as_ref(), 0, Vec::new(), None).await
    }

    /// Starts a server with a temporary folder, its monitoring port open, and this text in its
    /// configuration.
    ///
    /// # Panics
    /// When it does not start, with its log.
    pub async fn start_monitored(config: &str) -> Self {
        let temporary = tempfile::Builder::new().prefix("natter-nats-").tempdir().expect("a temporary folder");
        let folder = temporary.path().to_owned();
        let file = folder.join("nats-server.conf");
        std::fs::write(&file, format!("http: \"127.0.0.1:-1\"\n{config}\n")).expect("the server's configuration");
        Self::launch(folder, Some(temporary), 0, vec!["--config".to_owned(), file.display().to_string()], None).await
    }

    /// Starts a server that keeps its data in `folder`, which stays, with this text in its
    /// configuration.
    ///
    /// # Panics
    /// When it does not start, with its log.
    pub async fn start_configured(folder: &Path, config: &str) -> Self {
        let file = folder.join("nats-server.conf");
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, config)).expect("a configuration");
        Self::start_with(folder, 0, vec!["--config".to_owned(), file.display().to_string()], None).await
    }

    /// Like [`NatsServer::start_configured`], and keeps no streams of its own.
    ///
    /// # Panics
    /// When it does not start, with its log.
    pub async fn start_leaf(folder: &Path, config: &str) -> Self {
        let file = folder.join("nats-server.conf");
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, config)).expect("a configuration");
        let mut server = Self {
            folder: folder.to_owned(),
            port: 0,
            arguments: vec!["--config".to_owned(), file.display().to_string()],
            program: None,
            streams: false,
            process: None,
            watchdog: Watchdog::start(None).expect("the watchdog"),
            _temporary: None,
        };
        server.run().await;
        server
    }

    /// Runs another program, such as another version, from its next start on.
    pub fn run_from_now_on(&mut self, program: Option<PathBuf>) {
        self.program = program;
    }

    /// What it has said, over all its runs.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Where a monitored server tells about itself: `http://127.0.0.1:<port>`.
    ///
    /// # Panics
    /// When it is not monitored, or does not run.
    pub fn monitor_url(&self) -> String {
        let process = self.process.as_ref().expect("a server that runs");
        let port = port_in(&self.ports_file(process), "monitoring").expect("a monitored server");
        format!("http://127.0.0.1:{port}")
    }

    fn ports_file(&self, process: &Child) -> PathBuf {
        self.folder.join(format!("nats-server_{}.ports", process.id()))
    }

    /// Starts a server on the given port with more arguments.
    pub(crate) async fn start_with(folder: &Path, port: u16, arguments: Vec<String>, program: Option<&Path>) -> Self {
        std::fs::create_dir_all(folder).expect("the server's folder");
        Self::launch(folder.to_owned(), None, port, arguments, program.map(Path::to_owned)).await
    }

    async fn launch(
        folder: PathBuf,
        temporary: Option<TempDir>,
        port: u16,
        arguments: Vec<String>,
        program: Option<PathBuf>,
    ) -> Self {
        let watchdog = Watchdog::start(temporary.as_ref().map(TempDir::path)).expect("the watchdog");
        let mut server =
            Self { folder, port, arguments, program, streams: true, process: None, watchdog, _temporary: temporary };
        server.run().await;
        server
    }

    /// Where the server listens: `nats://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it keeps its streams.
    pub fn store(&self) -> PathBuf {
        self.folder.join("jetstream")
    }

    /// Kills the server, if it runs, and starts it on the same port with the same data. What it
    /// has acknowledged it still has: killing loses nothing that the kernel was given.
    ///
    /// # Panics
    /// When it does not start, with its log.
    pub async fn restart(&mut self) {
        self.kill();
        self.run().await;
    }

    /// Kills the server with SIGKILL; [`NatsServer::restart`] brings it back. Returns once it is
    /// gone.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Neither fails for a child that was not waited for.
        let _ = process.kill();
        let _ = process.wait();
        self.watchdog.forget();
    }

    /// Asks the server to stop (SIGTERM) and waits until it has: a node of a cluster hands over
    /// what it leads first.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn terminate(&mut self) {
        let Some(process) = &mut self.process else { return };
        let asked = Command::new("kill").arg(process.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "nats-server cannot be asked to stop");
        let ended = async || process.try_wait().expect("a child can be waited for");
        wait_for("nats-server to stop", START_LIMIT, ended).await;
        self.process = None;
        self.watchdog.forget();
    }

    /// Starts it like [`NatsServer::restart`], and waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn restart_in_vain(&mut self) {
        self.kill();
        // It may or may not greet before it ends.
        let _ = self.try_run().await;
        let Some(process) = &mut self.process else { return };
        let ended = async || process.try_wait().expect("a child can be waited for");
        wait_for("nats-server to end by itself", START_LIMIT, ended).await;
        self.process = None;
        self.watchdog.forget();
    }

    async fn run(&mut self) {
        if let Err(error) = self.try_run().await {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            panic!("nats-server did not start: {error:#}\n{log}");
        }
    }

    async fn try_run(&mut self) -> anyhow::Result<()> {
        let program = self.program.clone().unwrap_or_else(tools::nats_server);
        // The server picks a free port itself the first time; nobody can take it in between.
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(&program);
        if self.streams {
            command.arg("--jetstream").arg("--store_dir").arg(self.folder.join("jetstream"));
        }
        let process = command
            .args(["--addr", "127.0.0.1", "--port", &port])
            .arg("--ports_file_dir")
            .arg(&self.folder)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be run", program.display()))?;
        self.watchdog.watch(&process, "KILL");
        let ports = self.ports_file(&process);
        self.process = Some(process);
        let deadline = Instant::now() + START_LIMIT;
        if self.port == 0 {
            self.port =
                self.poll(deadline, async || port_in(&ports, "nats")).await.context("it writes no ports file")?;
        }
        let port = self.port;
        self.poll(deadline, async || greets(port).await.then_some(())).await.context("it does not answer")
    }

    /// Probes until something comes, the server has ended, or the deadline passes.
    async fn poll<T>(&mut self, deadline: Instant, mut probe: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
        while Instant::now() < deadline {
            if let Some(found) = probe().await {
                return Ok(found);
            }
            if let Some(status) = self.process.as_mut().map(Child::try_wait).transpose()?.flatten() {
                self.watchdog.forget();
                bail!("it ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("{START_LIMIT:?} passed")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("nats-server.log")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The port of one kind in a ports file, once the server has written it:
/// `{"nats": ["nats://127.0.0.1:4321"]}`.
fn port_in(file: &Path, kind: &str) -> Option<u16> {
    let text = std::fs::read(file).ok()?;
    let ports: serde_json::Value = serde_json::from_slice(&text).ok()?;
    ports[kind][0].as_str()?.rsplit(':').next()?.parse().ok()
}

/// Whether a server greets on the port: it sends `INFO …` to whoever connects.
async fn greets(port: u16) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let mut start = [0; 4];
        stream.read_exact(&mut start).await.ok()?;
        (&start == b"INFO").then_some(())
    };
    tokio::time::timeout(Duration::from_secs(1), greeting).await.is_ok_and(|greeted| greeted.is_some())
}
