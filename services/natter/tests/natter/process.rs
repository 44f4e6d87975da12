//! Running `natter`, and reading what it says.

use std::{
    fs::File,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use natter_testkit::{tools, wait_for};
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

/// Long enough for a busy machine; nothing waits for it when all is well.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A running `natter`, with everything it has said.
pub struct Natter {
    child: Child,
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    out: Lines,
    err: Lines,
    /// They end with the process.
    followers: Vec<JoinHandle<()>>,
}

/// What a finished `natter` left.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    #[allow(clippy::disallowed_methods, reason = "ends with the process that it reads from")]
    fn follow(stream: impl AsyncRead + Unpin + Send + 'static) -> (Self, JoinHandle<()>) {
        let lines = Self::default();
        let kept = lines.clone();
        let mut stream = BufReader::new(stream).lines();
        let follower = tokio::task::spawn(async move {
            while let Ok(Some(line)) = stream.next_line().await {
                kept.0.lock().unwrap().push(line);
            }
        });
        (lines, follower)
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        self.all().join("\n")
    }
}

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_natter"));
    // Nothing from the surroundings may decide a test.
    let inherited = std::env::vars().map(|(name, _)| name);
    for name in inherited.filter(|name| name.starts_with("NATTER_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env("NATTER_NATS_SERVER", tools::nats_server()).envs(variables.iter().copied()).args(arguments);
    command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `natter` to its end, without input.
pub async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output = timeout(LIMIT, command(arguments, variables).stdin(Stdio::null()).output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

impl Natter {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments, &[]).spawn().unwrap();
        let stdin = child.stdin.take().map(|stdin| Box::new(stdin) as _);
        let (out, follow_out) = Lines::follow(child.stdout.take().unwrap());
        let (err, follow_err) = Lines::follow(child.stderr.take().unwrap());
        Self { child, stdin, out, err, followers: vec![follow_out, follow_err] }
    }

    /// In a terminal: lines hold what moves the cursor, too.
    pub fn start_in_terminal(arguments: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let screen = File::options().read(true).write(true).open(path).unwrap();
        let mut command = command(arguments, &[("TERM", "xterm")]);
        command.stdin(screen.try_clone().unwrap()).stdout(screen);
        let mut child = command.spawn().unwrap();
        let terminal = File::from(terminal);
        let keyboard = tokio::fs::File::from_std(terminal.try_clone().unwrap());
        let (out, follow_out) = Lines::follow(tokio::fs::File::from_std(terminal));
        let (err, follow_err) = Lines::follow(child.stderr.take().unwrap());
        Self { child, stdin: Some(Box::new(keyboard)), out, err, followers: vec![follow_out, follow_err] }
    }

    /// `natter serve` on a data directory, ready, on free ports.
    pub async fn serve(data_dir: &Path) -> Self {
        let data_dir = data_dir.to_str().unwrap();
        let admin = "--admin-listen=127.0.0.1:0";
        let natter = Self::start(&["serve", "--data-dir", data_dir, "--listen", "127.0.0.1:0", admin]);
        natter.says("ready").await;
        natter
    }

    /// Waits for a line on standard output that contains a text.
    pub async fn says(&self, text: &str) -> String {
        let found = || self.out.all().into_iter().find(|line| line.contains(text));
        match timeout(LIMIT, wait_for("a line", LIMIT * 2, async || found())).await {
            Ok(line) => line,
            Err(_) => panic!("`{text}` never came, but:\n{}\n{}", self.out.text(), self.err.text()),
        }
    }

    /// Waits for a line on standard error that contains a text.
    pub async fn logs(&self, text: &str) -> String {
        wait_for(&format!("`{text}` on standard error"), LIMIT, async || {
            self.err.all().into_iter().find(|line| line.contains(text))
        })
        .await
    }

    /// Like [`Natter::logs`], and shows what came instead.
    pub async fn complains(&self, text: &str) {
        let found = || self.err.all().into_iter().find(|line| line.contains(text));
        if timeout(LIMIT / 4, wait_for("a line", LIMIT, async || found())).await.is_err() {
            panic!("`{text}` never came, but:\n{}", self.err.text());
        }
    }

    /// Everything on standard output so far.
    pub fn lines(&self) -> Vec<String> {
        self.out.all()
    }

    /// What follows a word at the beginning of a line, such as `connection`.
    pub async fn value(&self, word: &str) -> String {
        let line = self.says(&format!("{word} ")).await;
        line.strip_prefix(&format!("{word} ")).unwrap().to_owned()
    }

    pub async fn types(&mut self, line: &str) {
        self.presses(&format!("{line}\n")).await;
    }

    pub async fn presses(&mut self, keys: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Closes its input, and waits for its end.
    pub async fn ends(&mut self) -> Ended {
        drop(self.stdin.take());
        let status = timeout(LIMIT, self.child.wait()).await.expect("natter does not end").unwrap();
        for follower in self.followers.drain(..) {
            timeout(LIMIT, follower).await.expect("the output does not end").unwrap();
        }
        Ended { code: status.code(), out: self.out.text(), err: self.err.text() }
    }

    /// SIGTERM, and a clean end.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = self.ends().await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
}

impl Drop for Natter {
    /// A test that failed must not leave a nats-server behind.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::TERM);
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            while std::time::Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }
}
