//! `natter doctor` on a real deployment, healthy and with one thing broken at a time.

use std::collections::BTreeMap;

use natter_testkit::{NatsServer, postgres, shifted_clock, wait_for};
use serde_json::Value;

use crate::process::{LIMIT, Natter, run};

const SECRET: &str = "0123456789012345678901234567890123456789";

/// A deployment, and how its processes are configured.
struct Ward {
    _server: NatsServer,
    natter: Option<Natter>,
    settings: Vec<String>,
    _folder: tempfile::TempDir,
}

/// What a doctor said of each check: status, and the sentences.
type Findings = BTreeMap<String, (String, String)>;

impl Ward {
    async fn open() -> Self {
        let server = NatsServer::start_monitored("jetstream { sync_interval: always }").await;
        let folder = tempfile::tempdir().unwrap();
        let settings = vec![
            format!("nats.url={}", server.url()),
            format!("durability.monitor_urls=[\"{}\"]", server.monitor_url()),
            "durability.replicas_min=1".to_owned(),
            format!("storage.url={}", postgres::database().await),
            format!("auth.hs256_secret={SECRET}"),
            "connection.connections_max=500".to_owned(),
            format!("data_dir={}", folder.path().display()),
        ];
        let mut ward = Self { _server: server, natter: None, settings, _folder: folder };
        let ended = run(&ward.arguments(&["nats", "apply"], &[]), &[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let listen = ["connection.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0"];
        let natter = Natter::start(&ward.arguments(&["serve"], &listen));
        natter.says("ready").await;
        ward.natter = Some(natter);
        ward
    }

    fn arguments<'a>(&'a self, command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        let settings = self.settings.iter().map(String::as_str).chain(more.iter().copied());
        command.iter().copied().chain(settings.flat_map(|setting| ["--set", setting])).collect()
    }

    /// Asks with more settings and variables; the exit code goes with what was found.
    async fn asks(&self, more: &[&str], variables: &[(&str, &str)]) -> Findings {
        let arguments = self.arguments(&["doctor", "--format", "json", "--timeout", "4s"], more);
        let ended = run(&arguments, variables).await;
        for secret in [SECRET, "pass-word"] {
            assert!(!ended.out.contains(secret) && !ended.err.contains(secret), "{}\n{}", ended.out, ended.err);
        }
        let said: Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}\n{}", ended.out, ended.err));
        let checks = said["checks"].as_array().unwrap().iter().map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (text("check"), (text("status"), format!("{}; next: {}", text("said"), text("next"))))
        });
        let found: Findings = checks.collect();
        let failed = found.values().any(|(status, _)| status == "fail");
        assert_eq!(ended.code, Some(i32::from(failed)), "{}", ended.out);
        found
    }

    /// Exactly this check fails, and says this.
    async fn shows(&self, check: &str, said: &str, more: &[&str], variables: &[(&str, &str)]) {
        let found = self.asks(more, variables).await;
        let failing: Vec<_> = found.iter().filter(|(_, (status, _))| status == "fail").collect();
        assert!(failing.len() == 1 && failing[0].0 == check, "{check} and nothing else should fail: {found:#?}");
        let (_, text) = &found[check];
        assert!(text.contains(said), "{check}: {text}");
        assert!(!text.ends_with("next: "), "{check} says what to do next: {text}");
    }
}

#[tokio::test]
async fn a_healthy_deployment_is_healthy_and_each_fault_is_shown_alone() {
    let ward = Ward::open().await;
    // The leases are taken in the first second.
    let healthy = wait_for("a healthy deployment", LIMIT, async || {
        let found = ward.asks(&[], &[]).await;
        // How full the disk is, is this machine's own business.
        let healthy = |(check, (status, _)): (&String, &(String, String))| {
            matches!(status.as_str(), "ok" | "skip") || (check == "disk" && status == "warn")
        };
        found.iter().all(healthy).then_some(found)
    })
    .await;
    let skipped: Vec<_> = healthy.iter().filter(|(_, (status, _))| status == "skip").map(|(name, _)| name).collect();
    assert_eq!(skipped, ["certificates"], "{healthy:#?}");
    let text = run(&ward.arguments(&["doctor"], &[]), &[]).await;
    assert!(text.code == Some(0) && !text.out.contains("FAIL"), "{}", text.out);

    ward.shows("nats", "127.0.0.1:1", &["nats.url=nats://user:pass-word@127.0.0.1:1"], &[]).await;
    ward.shows("database", "127.0.0.1:1", &["storage.url=postgres://natter:pass-word@127.0.0.1:1/natter"], &[]).await;
    let empty = format!("storage.url={}", postgres::database().await);
    ward.shows("migrations", "natter serve storage", &[&empty], &[]).await;
    ward.shows("open files", "ulimit -n", &["connection.connections_max=4000000000"], &[]).await;
    let keys = "auth.jwks_file=/nowhere/at/all";
    ward.shows("keys", "/nowhere/at/all cannot be read", &[keys], &[]).await;
    let refuse = ["durability.when_weaker=refuse", "durability.replicas_min=3"];
    ward.shows("durability", "`durability.replicas_min` is 3", &refuse, &[]).await;
    ward.shows("configuration", "no such key", &[], &[("NATTER_NATS__URI", "nats://user:pass-word@host")]).await;

    // What differs, and works, is to be seen to.
    let found = ward.asks(&["nats.log_retention_hours=200"], &[]).await;
    assert!(found["streams"].0 == "warn" && found["streams"].1.contains("natter nats apply"), "{found:#?}");
    assert!(found.values().all(|(status, _)| status != "fail"), "{found:#?}");

    let shifted = shifted_clock(-3600);
    let shifted: Vec<_> = shifted.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    ward.shows("clock", "behind that of NATS", &[], &shifted).await;

    drop(ward.natter);
}

/// Services that do not run are missed, and a stream that is gone is.
#[tokio::test]
async fn what_does_not_run_and_what_is_gone_is_named() {
    let mut ward = Ward::open().await;
    let natter = ward.natter.take().unwrap();
    natter.stop().await;
    let found = ward.asks(&[], &[]).await;
    let failing: Vec<_> = found.iter().filter(|(_, (status, _))| status == "fail").map(|(name, _)| name).collect();
    assert_eq!(failing, ["owners", "services"], "{found:#?}");
    assert!(found["owners"].1.contains("nobody owns partition 0 of delivery"), "{found:#?}");

    let empty = NatsServer::start().await;
    let url = format!("nats.url={}", empty.url());
    let found = ward.asks(&[&url], &[]).await;
    assert!(found["streams"].0 == "fail" && found["streams"].1.contains("CHAT-0 is missing"), "{found:#?}");
}

/// Without any configuration it looks at what `natter serve` keeps here.
#[tokio::test]
async fn an_embedded_deployment_is_found_by_its_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let ended = run(&["doctor", "--data-dir", data_dir], &[]).await;
    assert!(ended.code == Some(1) && ended.out.contains("run `natter serve`"), "{}", ended.out);
    let natter = Natter::serve(folder.path()).await;
    let healthy = async || {
        let ended = run(&["doctor", "--data-dir", data_dir], &[]).await;
        (ended.code == Some(0)).then_some(ended.out)
    };
    let said = wait_for("no failure", LIMIT, healthy).await;
    assert!(said.contains("SQLite") && said.contains("every partition is owned"), "{said}");
    natter.stop().await;
}
