//! `natter nats apply`, and `natter serve` against a NATS of one's own.

use natter_testkit::NatsServer;

use crate::process::{Natter, run};

const SECRET: (&str, &str) = ("NATTER_AUTH__HS256_SECRET", "0123456789012345678901234567890123456789");

#[tokio::test]
async fn apply_is_repeatable_and_refuses_what_would_lose_messages() {
    let server = NatsServer::start().await;
    let url = format!("nats.url={}", server.url());
    let apply = async |more: &[&str]| {
        let arguments: Vec<_> = ["nats", "apply", "--set", &url].iter().chain(more).copied().collect();
        run(&arguments, &[]).await
    };
    let ended = apply(&["--check"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.out.contains("stream CHAT-0 is missing"), "{}", ended.out);
    let ended = apply(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains("stream CHAT-3 is missing: done"), "{}", ended.out);
    for more in [&[][..], &["--check"]] {
        let ended = apply(more).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), "Everything is as defined."), "{}", ended.err);
    }
    let ended = apply(&["--set", "nats.log_retention_hours=24"]).await;
    assert!(ended.out.contains("max_age"), "{}", ended.out);
    let ended = apply(&["--set", "nats.partitions=2"]).await;
    assert_eq!(ended.code, Some(65), "{}", ended.out);
    assert!(ended.err.contains("`nats.partitions`") && ended.err.lines().count() == 1, "{}", ended.err);
}

#[tokio::test]
async fn serve_waits_for_the_streams_of_an_external_nats() {
    let (server, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let (url, data_dir) = (server.url(), folder.path().to_str().unwrap());
    let secret = format!("auth.hs256_secret={}", SECRET.1);
    let natter = Natter::start(&[
        "serve",
        "--nats-url",
        &url,
        "--data-dir",
        data_dir,
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--set",
        &secret,
    ]);
    natter.logs("natter nats apply").await;
    assert_eq!(natter.lines(), [""; 0], "not ready, so nothing is announced");
    let ended = run(&["nats", "apply", "--set", &format!("nats.url={url}")], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    natter.says("ready").await;
    assert!(natter.lines().last().unwrap() == "ready", "no advice for developers here: {:?}", natter.lines());
    natter.stop().await;
    assert!(!folder.path().join("dev-secret").exists());
}

#[tokio::test]
async fn services_run_in_processes_of_their_own() {
    let (server, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let (url, data_dir) = (server.url(), folder.path().to_str().unwrap());
    assert_eq!(run(&["nats", "apply", "--set", &format!("nats.url={url}")], &[]).await.code, Some(0));
    let secret = format!("auth.hs256_secret={}", SECRET.1);
    let start = |services: &[&'static str]| {
        let common = ["--nats-url", &url, "--data-dir", data_dir, "--listen", "127.0.0.1:0", "--set", &secret];
        let arguments: Vec<_> = ["serve"].iter().chain(services).copied().chain(common).collect();
        Natter::start(&arguments)
    };
    let (storage, others, gateway) = (start(&["storage"]), start(&["delivery", "presence"]), start(&["connection"]));
    for natter in [&storage, &others, &gateway] {
        natter.says("ready").await;
    }
    assert_eq!(storage.lines(), ["ready"]);
    let address = gateway.value("connection").await;
    let chat = |me: &'static str, you: &'static str| {
        Natter::start(&[
            "chat",
            "--as",
            me,
            "--to",
            you,
            "--data-dir",
            data_dir,
            "--gateway",
            &address,
            "--set",
            &secret,
        ])
    };
    let bob = chat("bob", "alice");
    bob.says("@alice").await;
    let mut alice = chat("alice", "bob");
    alice.types("across processes").await;
    bob.says("alice: across processes").await;
    for natter in [gateway, others, storage] {
        natter.stop().await;
    }
}
