//! `natter serve` with everything embedded.

use std::path::Path;

use natter_client::{Client, Notification, TokenSource};
use natter_ids::UserId;
use natter_testkit::wait_for;
use rustix::process::Signal;

use crate::process::{LIMIT, Natter, run};

/// A client of a user at the gateway of a data directory.
async fn client(natter: &Natter, data_dir: &Path, user: &str) -> Client {
    let address = natter.value("connection").await;
    let token = run(&["token", "--as", user, "--data-dir", data_dir.to_str().unwrap()], &[]).await;
    assert_eq!(token.code, Some(0), "{}", token.err);
    Client::builder([address], TokenSource::fixed(token.out)).discard_events().connect().unwrap()
}

async fn texts(client: &Client, peer: &str) -> Vec<String> {
    let conversation = client.open_direct(&UserId::new(peer).unwrap()).await.unwrap().conversation;
    let page = client.history(&conversation, None, None, None).await.unwrap();
    let text = |event: natter_protocol::Event| match event.entry.change {
        natter_protocol::Change::Message { text, .. } => Some(text),
        _ => None,
    };
    page.events.into_iter().filter_map(text).collect()
}

async fn say(client: &Client, peer: &str, text: &str) {
    let conversation = client.open_direct(&UserId::new(peer).unwrap()).await.unwrap().conversation;
    client.send(conversation, text).await.unwrap();
}

/// The number of the nats-server of a data directory.
fn server_pid(data_dir: &Path) -> Option<u32> {
    std::fs::read_to_string(data_dir.join("nats/nats-server.pid")).ok()?.trim().parse().ok()
}

/// Whether a process runs; one that has ended and was not waited for does not.
fn runs(pid: u32) -> bool {
    let status = std::process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&status.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

#[tokio::test]
async fn it_says_where_it_listens_stops_cleanly_and_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("with space");
    let natter = Natter::serve(&data_dir).await;
    let lines = natter.lines();
    let port = |line: &str, before: &str, after: &str| -> u16 {
        line.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap().parse().unwrap()
    };
    assert!(port(&lines[0], "connection ws://127.0.0.1:", "/v1/ws") > 0);
    assert!(port(&lines[1], "admin http://127.0.0.1:", "") > 0);
    assert_eq!(lines[2], "ready");
    natter.says("chat --data-dir '").await;
    let admin = natter.value("admin").await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let get = async |path: &str| reqwest::get(format!("{admin}{path}")).await.unwrap();
    assert_eq!(get("/health/ready").await.status(), 200);
    let metrics = get("/metrics").await.text().await.unwrap();
    let every_second = |line: &str| line.starts_with("natter_nats_sync_interval_seconds{") && line.ends_with(" 1");
    assert!(metrics.lines().any(every_second), "{metrics}");
    natter.logs("reach the disk as configured").await;
    say(&client(&natter, &data_dir, "alice").await, "bob", "kept").await;
    let pid = server_pid(&data_dir).unwrap();
    natter.stop().await;
    assert!(!runs(pid) && server_pid(&data_dir).is_none());

    let natter = Natter::serve(&data_dir).await;
    assert_eq!(texts(&client(&natter, &data_dir, "alice").await, "bob").await, ["kept"]);
    natter.stop().await;
}

#[tokio::test]
async fn what_only_the_owner_may_read_only_the_owner_can() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let natter = Natter::serve(&data_dir).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data_dir), mode(&data_dir.join("dev-secret"))), (0o700, 0o600));
    let secret = std::fs::read_to_string(data_dir.join("dev-secret")).unwrap();
    let ended = {
        natter.signal(Signal::INT);
        let mut natter = natter;
        natter.ends().await
    };
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!ended.err.contains(secret.trim()) && !ended.out.contains(secret.trim()));
}

#[tokio::test]
async fn a_second_serve_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let data_dir = folder.path().to_str().unwrap();
    let ended = run(&["serve", "--data-dir", data_dir, "--listen", "127.0.0.1:0"], &[]).await;
    assert_eq!(ended.code, Some(64), "{}", ended.err);
    assert!(ended.err.starts_with("data_dir: another `natter serve` is using"), "{}", ended.err);
    // The first one goes on.
    say(&client(&natter, folder.path(), "alice").await, "bob", "still here").await;
    natter.stop().await;
}

#[tokio::test]
async fn after_a_kill_the_next_start_takes_over_with_everything_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut natter = Natter::serve(folder.path()).await;
    say(&client(&natter, folder.path(), "alice").await, "bob", "accepted").await;
    let orphan = server_pid(folder.path()).unwrap();
    natter.signal(Signal::KILL);
    assert_eq!(natter.ends().await.code, None);
    assert!(runs(orphan), "nats-server is expected to outlive a killed parent");

    let natter = Natter::serve(folder.path()).await;
    natter.logs("its nats-server is stopped").await;
    assert!(!runs(orphan));
    let alice = client(&natter, folder.path(), "alice").await;
    let found = wait_for("the message in the archive", LIMIT, async || {
        Some(texts(&alice, "bob").await).filter(|texts| !texts.is_empty())
    });
    assert_eq!(found.await, ["accepted"]);
    natter.stop().await;
}

#[tokio::test]
async fn a_pid_file_that_names_another_process_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut bystander = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::create_dir(folder.path().join("nats")).unwrap();
    std::fs::write(folder.path().join("nats/nats-server.pid"), bystander.id().to_string()).unwrap();
    let natter = Natter::serve(folder.path()).await;
    assert!(runs(bystander.id()));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    natter.stop().await;
}

#[tokio::test]
async fn it_ends_when_its_nats_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut natter = Natter::serve(folder.path()).await;
    let pid = i32::try_from(server_pid(folder.path()).unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let ended = natter.ends().await;
    assert_eq!(ended.code, Some(70), "{}", ended.err);
    assert!(ended.err.contains("`embedded-nats` has ended"), "{}", ended.err);
}

#[tokio::test]
async fn an_old_nats_server_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("nats-server");
    std::fs::write(&old, "#!/bin/sh\necho 'nats-server: v2.10.22'\n").unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (old, data_dir) = (old.to_str().unwrap(), folder.path().join("data"));
    let arguments = ["serve", "--data-dir", data_dir.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let ended = run(&arguments, &[("NATTER_NATS_SERVER", old)]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("v2.10.22\", and 2.14 or newer is needed"), "{}", ended.err);
}

/// A client that is connected when the gateway stops is told when to come back, and comes back.
#[tokio::test]
async fn clients_come_back_after_a_restart_on_the_same_address() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let address = natter.value("connection").await;
    let token = run(&["token", "--as", "alice", "--data-dir", folder.path().to_str().unwrap()], &[]).await.out;
    let alice = Client::builder([address.clone()], TokenSource::fixed(token)).connect().unwrap();
    let next = async || tokio::time::timeout(LIMIT, alice.next_event()).await.unwrap().unwrap();
    while !matches!(next().await, Notification::CaughtUp(_)) {}
    natter.stop().await;
    let listen = address.trim_start_matches("ws://").trim_end_matches("/v1/ws");
    let natter = Natter::start(&["serve", "--data-dir", folder.path().to_str().unwrap(), "--listen", listen]);
    natter.says("ready").await;
    while !matches!(next().await, Notification::CaughtUp(_)) {}
    alice.close().await;
    natter.stop().await;
}
