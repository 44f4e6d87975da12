//! One `natter serve` process, from start to death and back.

use std::{
    fs::File,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use natter_testkit::{Watchdog, wait_for};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to start or to stop; an idle machine needs a tenth of a second.
const LIMIT: Duration = Duration::from_secs(60);
/// Lines of a log that a failure shows.
const LAST_WORDS: usize = 20;

/// The `natter` binary: what `NATTER_BIN` names, else the one built beside this test.
///
/// # Panics
/// When there is none, saying how to build it.
pub fn natter_binary() -> PathBuf {
    let named = std::env::var_os("NATTER_BIN").filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = named.unwrap_or_else(|| {
        let test = std::env::current_exe().expect("the path of this test");
        // target/<profile>/deps/<test>
        let profile = test.parent().and_then(Path::parent).expect("a test in target/<profile>/deps");
        profile.join("natter")
    });
    assert!(
        path.is_file(),
        "{} is missing: `cargo build -p natter` builds it, or NATTER_BIN names one",
        path.display()
    );
    path
}

/// A binary that a process of a deployment can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Release {
    /// The one under test.
    #[default]
    This,
    /// The release before: what `NATTER_PREVIOUS_BIN` names.
    Previous,
}

impl Release {
    /// Its binary.
    ///
    /// # Errors
    /// A sentence that says how to get it.
    pub fn binary(self) -> Result<PathBuf, String> {
        match self {
            Self::This => Ok(natter_binary()),
            Self::Previous => std::env::var_os("NATTER_PREVIOUS_BIN")
                .map(PathBuf::from)
                .filter(|path| path.is_file())
                .ok_or_else(|| "the release before is not there: `./justw previous` builds it".to_owned()),
        }
    }
}

/// What every process of a deployment is started with.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub release: Release,
    pub folder: PathBuf,
    pub environment: Vec<(String, String)>,
    pub settings: Vec<(String, String)>,
}

impl Launch {
    /// The value of a variable; empty when it is not set.
    pub fn get(&self, name: &str) -> &str {
        self.environment.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The same with another value of a variable.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut launch = self.clone();
        launch.environment.retain(|(known, _)| known != name);
        launch.environment.push((name.to_owned(), value.to_owned()));
        launch
    }

    /// `natter` with the deployment's configuration and nothing of the caller's environment that
    /// would change it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.release.binary().expect("the binary of a release"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NATTER_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.current_dir(&self.folder).stdin(Stdio::null()).process_group(0);
        command
    }
}

/// A process of the deployment.
pub struct Service {
    name: String,
    serves: Vec<String>,
    launch: Launch,
    state: Mutex<State>,
}

struct State {
    /// What it runs from its next start on.
    release: Release,
    process: Option<Child>,
    watchdog: Watchdog,
    /// How often it was started.
    runs: u32,
    /// Once known, kept over restarts.
    listens: Option<String>,
    admin: Option<String>,
}

impl Service {
    pub(crate) fn new(name: String, serves: &[&str], launch: Launch) -> Self {
        let watchdog = Watchdog::start(None).expect("a watchdog");
        let state = State { release: launch.release, process: None, watchdog, runs: 0, listens: None, admin: None };
        Self { name, serves: serves.iter().map(ToString::to_string).collect(), launch, state: Mutex::new(state) }
    }

    /// Such as `delivery-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect: `ws://127.0.0.1:<port>/v1/ws`; the same after a restart.
    ///
    /// # Panics
    /// When it is no gateway.
    pub fn url(&self) -> String {
        self.state().listens.clone().unwrap_or_else(|| panic!("{} is no gateway", self.name))
    }

    /// Host and port of [`Service::url`].
    ///
    /// # Panics
    /// When it is no gateway.
    pub fn address(&self) -> String {
        host_and_port(&self.url()).to_owned()
    }

    /// Host and port of health and metrics.
    ///
    /// # Panics
    /// When it never ran.
    pub fn admin_address(&self) -> String {
        let admin = self.state().admin.clone();
        host_and_port(&admin.unwrap_or_else(|| panic!("{} has no admin address", self.name))).to_owned()
    }

    /// The file that it logs to, over all its runs.
    pub fn log(&self) -> PathBuf {
        self.launch.folder.join(format!("{}.log", self.name))
    }

    /// The value of a metric without labels; 0 while nothing has happened.
    ///
    /// # Panics
    /// When its metrics cannot be read.
    pub async fn metric(&self, name: &str) -> f64 {
        let page = crate::Http::new(self.admin_address()).get("/metrics").await.body;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or(0.0)
    }

    /// Kills it with SIGKILL; returns once it is gone. Nothing happens when it is gone already.
    pub fn kill9(&self) {
        let mut state = self.state();
        let Some(mut process) = state.process.take() else { return };
        // Neither fails for a child that was not waited for.
        let _ = process.kill();
        let _ = process.wait();
        state.watchdog.forget();
    }

    /// Asks it to stop, and returns its exit code once it has; `None` when a signal ended it.
    ///
    /// # Panics
    /// When it does not stop in a minute.
    pub async fn terminate(&self) -> Option<i32> {
        self.ask_to_stop();
        self.ended().await
    }

    /// Sends SIGTERM and does not wait.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it has ended by itself; returns its exit code, `None` when a signal ended it.
    ///
    /// # Panics
    /// When it does not end in a minute.
    pub async fn ended(&self) -> Option<i32> {
        let status = wait_for(&format!("{} to end", self.name), LIMIT, async || self.exit_status()).await;
        let mut state = self.state();
        state.process = None;
        state.watchdog.forget();
        status.code().filter(|_| status.signal().is_none())
    }

    /// Freezes it, as a machine that stands still does (SIGSTOP).
    pub fn stop_signal(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Service::stop_signal`].
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it if it runs, and starts it again, a gateway on the same port; returns once it is
    /// ready.
    ///
    /// # Panics
    /// When it does not become ready, with the end of its log.
    pub async fn restart(&self) {
        self.kill9();
        self.spawn();
        self.ready().await;
    }

    /// What it runs from its next start on.
    pub fn set_release(&self, release: Release) {
        self.state().release = release;
    }

    /// The next start takes another port: while it is stopped for long, anybody may take its own.
    pub(crate) fn moves(&self) {
        self.state().listens = None;
    }

    /// Starts it and does not wait.
    pub(crate) fn spawn(&self) {
        let mut state = self.state();
        state.runs += 1;
        let listen = state.listens.as_deref().map_or("127.0.0.1:0", host_and_port).to_owned();
        let log = File::options().create(true).append(true).open(self.log()).expect("a log file");
        let output = File::create(self.output(state.runs)).expect("a file for standard output");
        let mut command = Launch { release: state.release, ..self.launch.clone() }.command();
        command.arg("serve").args(&self.serves).args(["--admin-listen", "127.0.0.1:0"]);
        if self.serves.iter().any(|service| service == "connection") {
            command.args(["--listen", &listen]);
        }
        let process = command.stdout(output).stderr(log).spawn().expect("`natter` can be run");
        state.watchdog.watch(&process, "KILL");
        state.process = Some(process);
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self) {
        let output = self.output(self.state().runs);
        let what = format!("{} to be ready", self.name);
        let said = wait_for(&what, LIMIT, async || {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            if said.lines().any(|line| line == "ready") {
                return Some(said);
            }
            if let Some(status) = self.exit_status() {
                panic!("{} ended with {status} instead of being ready:\n{}", self.name, self.last_words());
            }
            None
        })
        .await;
        let line =
            |word: &str| said.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::to_owned);
        let mut state = self.state();
        state.listens = line("connection");
        state.admin = line("admin");
    }

    fn output(&self, run: u32) -> PathBuf {
        self.launch.folder.join(format!("{}.{run}.out", self.name))
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }

    fn exit_status(&self) -> Option<ExitStatus> {
        self.state().process.as_mut()?.try_wait().expect("a child can be waited for")
    }

    fn signal(&self, signal: Signal) {
        let state = self.state();
        let process = state.process.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        // A child that was not waited for keeps its number, so the signal reaches no other.
        let _ = kill_process(Pid::from_child(process), signal);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn host_and_port(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(address, _)| address)
}
