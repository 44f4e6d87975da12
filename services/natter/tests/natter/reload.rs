//! A changed configuration is taken over by a running process.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use natter_auth::{MintRequest, Secret, mint};
use natter_client::{Client, RawConnection, RawOptions, SendError, TokenSource};
use natter_ids::{ConversationId, UserId};
use natter_protocol::ErrorCode;
use natter_testkit::wait_for;
use rustix::process::Signal;

use crate::process::{LIMIT, Natter};

const FIRST: &str = "the-first-secret-of-at-least-32-bytes";
const SECOND: &str = "the-second-secret-of-at-least-32-bytes";

/// A process and its file, which lies behind two links as Kubernetes mounts a ConfigMap.
struct Reloaded {
    natter: Natter,
    folder: tempfile::TempDir,
    versions: u32,
}

fn text(log: &str, secret: &str, message_bytes_max: &str, more: &str) -> String {
    format!(
        "[telemetry]\nlog = \"{log}\"\n[auth]\nhs256_secret = \"{secret}\"\n\
         [connection]\n{more}\n[connection.limits]\nmessage_bytes_max = {message_bytes_max}\n"
    )
}

fn token(secret: &str) -> String {
    let ttl = std::time::Duration::from_secs(600);
    let request = MintRequest { subject: "alice".to_owned(), ttl, issuer: None, audience: None };
    mint(&Secret::new(secret), &request).unwrap()
}

fn publish(folder: &Path, version: u32, text: &str) {
    let mounted = folder.join(format!("..{version}"));
    std::fs::create_dir(&mounted).unwrap();
    std::fs::write(mounted.join("natter.toml"), text).unwrap();
    // Whoever looks sees the old link or the new one.
    let fresh = folder.join("..data_tmp");
    symlink(&mounted, &fresh).unwrap();
    std::fs::rename(&fresh, folder.join("..data")).unwrap();
}

impl Reloaded {
    async fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        publish(folder.path(), 0, text);
        let file: PathBuf = folder.path().join("natter.toml");
        symlink("..data/natter.toml", &file).unwrap();
        let (data_dir, audit) = (folder.path().join("data"), folder.path().join("audit"));
        let audit = format!("audit.file={}", audit.display());
        let natter = Natter::start(&[
            "serve",
            "--config",
            file.to_str().unwrap(),
            "--data-dir",
            data_dir.to_str().unwrap(),
            "--set",
            "connection.listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            "--set",
            &audit,
        ]);
        natter.says("ready").await;
        Self { natter, folder, versions: 0 }
    }

    /// Puts another file in its place, and nothing else.
    fn publishes(&mut self, text: &str) {
        self.versions += 1;
        publish(self.folder.path(), self.versions, text);
    }

    async fn reloads(&self, outcome: &str) -> f64 {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let admin = self.natter.value("admin").await;
        let page = reqwest::get(format!("{admin}/metrics")).await.unwrap().text().await.unwrap();
        let series = format!("natter_config_reloads_total{{outcome=\"{outcome}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or_default()
    }

    async fn until_reloads(&self, outcome: &str, count: f64) {
        let what = format!("reload {count} with outcome {outcome}");
        wait_for(&what, LIMIT, async || (self.reloads(outcome).await >= count).then_some(())).await;
    }

    fn audited(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit")).unwrap_or_default();
        assert!(!text.contains(FIRST) && !text.contains(SECOND), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Whether a token that is signed with this secret opens a session.
    async fn trusts(&self, secret: &str) -> bool {
        let url = self.natter.value("connection").await;
        RawConnection::connect(&RawOptions::new(url).token(token(secret))).await.is_ok()
    }

    async fn alice(&self) -> (Client, ConversationId) {
        let url = self.natter.value("connection").await;
        let client = Client::builder([url], TokenSource::fixed(token(FIRST))).discard_events().connect().unwrap();
        let conversation = client.open_direct(&UserId::new("bob").unwrap()).await.unwrap().conversation;
        (client, conversation)
    }
}

/// Log level, limits and keys change under open sessions, which stay; a file that cannot work
/// changes nothing.
#[tokio::test]
async fn what_can_change_does_and_what_cannot_is_named() {
    let mut deployment = Reloaded::start(&text("error", FIRST, "10", "")).await;
    let (alice, talk) = deployment.alice().await;
    let long = "longer than ten bytes";
    let refused = alice.send(talk.clone(), long).await.unwrap_err();
    assert!(matches!(&refused, SendError::Refused(error) if error.code == ErrorCode::TooLarge), "{refused:?}");
    assert!(deployment.trusts(FIRST).await && !deployment.trusts(SECOND).await);

    deployment.publishes(&text("info", SECOND, "100", "drain_per_sec = 7\nping_interval_ms = 20000"));
    deployment.until_reloads("ok", 1.0).await;
    alice.send(talk.clone(), long).await.unwrap();
    assert_eq!(alice.stats().sessions, 1, "the session stays");
    assert!(deployment.trusts(SECOND).await && !deployment.trusts(FIRST).await);
    let told = deployment.natter.logs("the configuration was read again").await;
    for key in ["telemetry.log", "auth.hs256_secret", "connection.limits.message_bytes_max", "connection.drain_per_sec"]
    {
        assert!(told.contains(key), "{key}: {told}");
    }
    let restart = deployment.natter.logs("need a restart").await;
    assert!(restart.contains("connection.ping_interval_ms") && !restart.contains("drain_per_sec"), "{restart}");

    deployment.publishes(&text("info", SECOND, "\"many\"", ""));
    deployment.until_reloads("invalid", 1.0).await;
    let told = deployment.natter.logs("cannot be used: nothing was changed").await;
    assert!(told.contains("connection.limits.message_bytes_max"), "{told}");
    alice.send(talk.clone(), long).await.unwrap();

    // The same file again, because somebody asks for it.
    deployment.publishes(&text("info", SECOND, "5", ""));
    deployment.natter.signal(Signal::HUP);
    deployment.until_reloads("ok", 2.0).await;
    assert!(alice.send(talk.clone(), long).await.is_err());
    let audited = deployment.audited();
    let seen: Vec<_> = audited.iter().map(|line| (line["action"].clone(), line["outcome"].clone())).collect();
    let reload = |outcome: &str| (serde_json::Value::from("reload"), serde_json::Value::from(outcome));
    assert_eq!(seen, [reload("done"), reload("failed"), reload("done")]);
    let changed = &audited[0]["parameters"]["changed"];
    assert!(changed.as_array().unwrap().contains(&"auth.hs256_secret".into()), "{changed}");
    alice.close().await;

    let Reloaded { natter, folder, .. } = deployment;
    natter.stop().await;
    let text = std::fs::read_to_string(folder.path().join("audit")).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((last["action"].as_str(), text.lines().count()), (Some("stop"), 4), "{text}");
}

/// Room for connections becomes more while the old ones stay.
#[tokio::test]
async fn rates_and_room_change_too() {
    let mut deployment = Reloaded::start(&text("info", FIRST, "10", "connections_max = 1")).await;
    let (alice, talk) = deployment.alice().await;
    alice.send(talk, "hello").await.unwrap();
    assert!(!deployment.trusts(FIRST).await, "there is room for one");
    deployment.publishes(&text(
        "info",
        FIRST,
        "10",
        "connections_max = 2\nuser_requests_per_sec = 1\nuser_requests_burst = 1",
    ));
    deployment.until_reloads("ok", 1.0).await;
    assert!(deployment.trusts(FIRST).await);
    let url =
        deployment.natter.value("connection").await.replace("ws://", "http://").replace("/v1/ws", "/v1/conversations");
    alice.close().await;
    let asks =
        async || reqwest::Client::new().get(&url).bearer_auth(token(FIRST)).send().await.unwrap().status().as_u16();
    wait_for("the new rate to refuse", LIMIT, async || (asks().await == 429).then_some(())).await;
    deployment.natter.stop().await;
}
