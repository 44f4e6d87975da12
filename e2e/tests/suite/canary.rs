//! The canary: two users who measure the whole path, through two gateways.

use std::{
    fs::File,
    process::{Child, Command},
    time::Duration,
};

use natter_e2e::{Cluster, Http, PATIENCE, Service};
use natter_testkit::{Watchdog, wait_for};

/// A running `natter canary`.
struct Canary {
    process: Child,
    /// Ends it when the test process ends in whatever way.
    _watchdog: Watchdog,
    admin: Http,
    log: std::path::PathBuf,
}

impl Canary {
    async fn start(mut command: Command, cluster: &Cluster, more: &[&str]) -> Self {
        let (out, log) = (cluster.folder().join("canary.out"), cluster.folder().join("canary.log"));
        command
            .arg("canary")
            .args(["--url", &cluster.gateway(0).url(), "--url", &cluster.gateway(1).url()])
            .args(["--set", "admin.listen=127.0.0.1:0"])
            .args(more)
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&log).unwrap());
        let process = command.spawn().unwrap();
        let mut watchdog = Watchdog::start(None).unwrap();
        watchdog.watch(&process, "KILL");
        let admin = wait_for("the canary's admin address", PATIENCE, async || {
            let said = std::fs::read_to_string(&out).unwrap_or_default();
            said.lines().find_map(|line| line.strip_prefix("admin http://")).map(str::to_owned)
        })
        .await;
        Self { process, _watchdog: watchdog, admin: Http::new(admin), log }
    }

    /// The value of a series; `None` when there is no such.
    async fn metric(&self, series: &str) -> Option<f64> {
        let page = self.admin.get("/metrics").await.body;
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    async fn failures(&self, stage: &str) -> f64 {
        self.metric(&format!("natter_canary_failures_total{{stage=\"{stage}\"}}")).await.unwrap()
    }

    async fn passed(&self, stage: &str) -> f64 {
        self.metric(&format!("natter_canary_seconds_count{{stage=\"{stage}\"}}")).await.unwrap_or_default()
    }

    async fn last_success(&self) -> f64 {
        self.metric("natter_canary_last_success_timestamp_seconds").await.unwrap_or_default()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    async fn until(&self, what: &str, mut true_now: impl AsyncFnMut() -> bool) {
        let found = wait_for(what, PATIENCE, async || true_now().await.then_some(()));
        if tokio::time::timeout(PATIENCE - Duration::from_secs(1), found).await.is_err() {
            panic!("waited in vain for {what}; the canary said:\n{}", self.said());
        }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// It goes through every stage at two gateways. While nobody delivers it says so, and it says when
/// the path works again, without a message lost, doubled or out of order.
#[tokio::test(flavor = "multi_thread")]
async fn what_stops_is_seen_at_its_stage_and_so_is_its_return() {
    let cluster = Cluster::builder().start().await;
    let more = ["--every", "100ms", "--timeout", "2s", "--resume-every", "3"];
    let canary = Canary::start(cluster.natter(), &cluster, &more).await;
    for stage in ["connect", "accepted", "delivered", "resumed"] {
        canary.until(&format!("stage {stage} to pass twice"), async || canary.passed(stage).await >= 2.0).await;
    }
    // While partitions find their owners at the start, a stage may take longer than it should.
    let before = [canary.failures("delivered").await, canary.failures("connect").await];
    assert!(canary.last_success().await > 1.7e9);

    cluster.deliveries().iter().for_each(Service::kill9);
    canary.until("a failure of delivered or resumed", async || canary.failures("delivered").await > before[0]).await;
    let stopped = canary.last_success().await;
    cluster.deliveries()[1].restart().await;
    canary.until("a success after it", async || canary.last_success().await > stopped).await;
    canary.until("its word", async || canary.said().contains("the whole path works again")).await;

    cluster.gateway(1).kill9();
    canary.until("a failure of connect", async || canary.failures("connect").await > before[1]).await;
    let stopped = canary.last_success().await;
    cluster.gateway(1).restart().await;
    canary.until("a success after it", async || canary.last_success().await > stopped).await;
    for stage in ["order", "double", "lost"] {
        assert_eq!(canary.failures(stage).await, 0.0, "{}", canary.said());
    }
}

/// Before anything works it fails at the stage that does not, and goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn it_may_start_before_what_it_measures() {
    let cluster = Cluster::builder().start().await;
    cluster.gateway(0).kill9();
    let canary = Canary::start(cluster.natter(), &cluster, &["--every", "100ms", "--timeout", "1s"]).await;
    canary.until("a failure of connect", async || canary.failures("connect").await > 0.0).await;
    assert!(canary.said().contains("cannot be reached"), "{}", canary.said());
    cluster.gateway(0).restart().await;
    canary.until("a success", async || canary.last_success().await > 0.0).await;
    assert_eq!(canary.metric("natter_nats_connected").await, None, "it has no NATS that could be lost");
}
