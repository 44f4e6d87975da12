//! Real conversations, replayed by `natter replay` through two gateways, one of which is killed
//! and restarted in the middle: everybody ends with the same transcript.

#![allow(clippy::unwrap_used)]

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use futures_util::TryStreamExt;
use natter_e2e::Cluster;
use natter_testkit::{Watchdog, wait_for};

/// How long one replay may take.
const LIMIT: Duration = Duration::from_secs(240);
/// Lines of a generated log.
const GENERATED_LINES: &str = "1500";

/// Each channel log beside the project; where there are none, logs of the same form that
/// `natter replay --generate` makes.
#[tokio::test(flavor = "multi_thread")]
async fn every_log_passes_through_a_gateway_kill() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/irc");
    let mut logs = logs_in(&folder);
    if logs.is_empty() {
        tell(&format!("{} holds no channel logs: generated ones are replayed instead", folder.display()));
        logs = vec![PathBuf::from("generated")];
    }
    for log in logs {
        replay(&log).await;
    }
}

/// A generated log passes too, so that this way is tested wherever the logs are.
#[tokio::test(flavor = "multi_thread")]
async fn a_generated_log_passes_through_a_gateway_kill() {
    replay(Path::new("generated")).await;
}

fn logs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut logs: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .filter(|path| said_in(path) > 0)
        .collect();
    logs.sort();
    logs
}

/// How many lines of a log somebody says: `[hh:mm] <nick> text`, or `[hh:mm]  * nick does`.
fn said_in(log: &Path) -> usize {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    let said = |line: &&str| line.split_once("] ").is_some_and(|(_, rest)| rest.starts_with('<'));
    text.lines().filter(said).count()
}

async fn replay(log: &Path) {
    let cluster = Cluster::builder().set("connection.user_requests_burst", 5_000).start().await;
    let log = if log.exists() { log.to_owned() } else { generate(&cluster) };
    let said = said_in(&log);
    let output = cluster.folder().join("replay.out");
    let mut run = Run::start(&cluster, &log, &output);

    wait_for("a third of the log to be said", LIMIT, async || {
        run.assert_running(&output);
        (entries(&cluster).await >= said as u64 / 3).then_some(())
    })
    .await;
    cluster.gateway(0).kill9();
    wait_for("two thirds of the log to be said", LIMIT, async || {
        run.assert_running(&output);
        (entries(&cluster).await >= said as u64 * 2 / 3).then_some(())
    })
    .await;
    assert!(run.ended().is_none(), "the gateway is back before the end:\n{}", shown(&output));
    cluster.gateway(0).restart().await;
    let passed = wait_for("the replay to end", LIMIT, async || run.ended()).await;
    let report = shown(&output);
    assert!(passed, "{} did not pass:\n{report}", log.display());
    tell(&format!("{}: {said} lines\n{report}", log.file_name().unwrap().display()));
}

/// A log made from a seed.
fn generate(cluster: &Cluster) -> PathBuf {
    let path = cluster.folder().join("generated.txt");
    let made = cluster
        .natter()
        .args(["replay", "--generate", "7", "--lines", GENERATED_LINES])
        .stdout(File::create(&path).unwrap())
        .status();
    assert!(made.unwrap().success(), "`natter replay --generate` failed");
    path
}

/// How many entries the log of conversations holds.
async fn entries(cluster: &Cluster) -> u64 {
    let client = async_nats::connect(cluster.nats().url()).await.unwrap();
    let streams = async_nats::jetstream::new(client).streams().try_collect::<Vec<_>>().await.unwrap();
    streams.iter().filter(|stream| stream.config.name.starts_with("CHAT-")).map(|stream| stream.state.messages).sum()
}

/// `natter replay` under way; ended with the test.
struct Run {
    process: Child,
    watchdog: Watchdog,
}

impl Run {
    fn start(cluster: &Cluster, log: &Path, output: &Path) -> Self {
        let gateways: Vec<_> = cluster.gateways().iter().map(natter_e2e::Service::url).collect();
        let file = File::create(output).unwrap();
        let process = cluster
            .natter()
            .arg("replay")
            .arg(log)
            .args(["--gateways", &gateways.join(",")])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut watchdog = Watchdog::start(None).unwrap();
        watchdog.watch(&process, "KILL");
        Self { process, watchdog }
    }

    /// Whether it passed, once it has ended.
    fn ended(&mut self) -> Option<bool> {
        let status = self.process.try_wait().unwrap()?;
        self.watchdog.forget();
        Some(status.success())
    }

    fn assert_running(&mut self, output: &Path) {
        assert!(self.ended().is_none(), "the replay ended early:\n{}", shown(output));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.watchdog.forget();
    }
}

/// The end of what the replay printed.
fn shown(output: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(output).unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Shown whether or not the test harness captures output.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
