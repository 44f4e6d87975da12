//! The configurations that are shipped, and a gateway behind a leaf node.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use natter_testkit::{Authority, NatsServer, tools};

use crate::process::{Natter, run};

const SECRET: &str = "auth.hs256_secret=0123456789012345678901234567890123456789";

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nats")
}

/// Each is read by nats-server as it is, and with what makes it secure.
#[tokio::test]
async fn the_shipped_configurations_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let nats = folder.path().join("nats");
    std::fs::create_dir_all(nats.join("cluster")).unwrap();
    for sub in ["", "cluster"] {
        for entry in std::fs::read_dir(shipped().join(sub)).unwrap().filter_map(Result::ok) {
            if entry.file_type().unwrap().is_file() {
                let text = std::fs::read_to_string(entry.path()).unwrap().replace("# include", "include");
                std::fs::write(nats.join(sub).join(entry.file_name()), text).unwrap();
            }
        }
    }
    Authority::new(&folder.path().join("certs")).issue("server");
    let ended = run(&["nats", "users", "--leaf", "--out", nats.join("users").to_str().unwrap()], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for root in [shipped().parent().unwrap(), folder.path()] {
        for name in ["server.conf", "cluster/n1.conf", "cluster/n2.conf", "cluster/n3.conf", "leaf.conf"] {
            // Without keys a leaf node has nobody to let in.
            if name == "leaf.conf" && root != folder.path() {
                continue;
            }
            let seed = std::fs::read_to_string(nats.join("users/leaf.nk")).unwrap();
            let mut command = Command::new(tools::nats_server());
            command.current_dir(folder.path()).env("NATTER_LEAF_SEED", seed.trim());
            let ended = command.arg("-t").arg("-c").arg(root.join("nats").join(name)).output().unwrap();
            assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
        }
    }
}

/// A gateway that knows only a leaf node serves its clients like any other, with its own rights.
#[tokio::test]
async fn a_gateway_works_behind_a_leaf_node() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    let ended = run(&["nats", "users", "--leaf", "--out", users.to_str().unwrap()], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let read = |name: &str| std::fs::read_to_string(users.join(name)).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let accounts = read("accounts.conf").replace("include ./users.conf", &read("users.conf"));
    let hub = folder.path().join("hub");
    let listens = format!("leafnodes {{\n  listen: 127.0.0.1:{port}\n");
    let hub = NatsServer::start_configured(&hub, &accounts.replace("leafnodes {\n", &listens)).await;
    let leaf = std::fs::read_to_string(shipped().join("leaf.conf")).unwrap();
    let own = ["listen:", "http:"];
    let leaf: Vec<_> = leaf.lines().filter(|line| !own.iter().any(|word| line.starts_with(word))).collect();
    let leaf = leaf.join("\n").replace("include ./users/users.conf", &read("users.conf"));
    let leaf = leaf.replace("127.0.0.1:7422", &format!("127.0.0.1:{port}"));
    let leaf = leaf.replace("$NATTER_LEAF_SEED", read("leaf.nk").trim());
    let leaf = NatsServer::start_leaf(&folder.path().join("leaf"), &leaf).await;

    let of = |user: &str| format!("nats.nkey_file={}", users.join(format!("{user}.nk")).display());
    let (hub_url, data_dir) = (hub.url(), folder.path().join("data").display().to_string());
    let ended = run(&["nats", "apply", "--set", &format!("nats.url={hub_url}"), "--set", &of("admin")], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let start = |service: &str, url: &str| {
        let key = of(service);
        let common = ["--nats-url", url, "--data-dir", &data_dir, "--listen", "127.0.0.1:0"];
        Natter::start(&[&["serve", service][..], &common, &["--set", &key, "--set", SECRET]].concat())
    };
    let services = ["storage", "delivery", "presence"].map(|service| start(service, &hub_url));
    let gateway = start("connection", &leaf.url());
    for natter in services.iter().chain([&gateway]) {
        natter.says("ready").await;
    }
    let address = gateway.value("connection").await;
    let chat = |me: &str, you: &str| {
        let who = ["chat", "--as", me, "--to", you, "--data-dir", &data_dir];
        Natter::start(&[&who[..], &["--gateway", &address, "--set", SECRET]].concat())
    };
    let bob = chat("bob", "alice");
    bob.says("@alice").await;
    let mut alice = chat("alice", "bob");
    alice.types("over the leaf").await;
    bob.says("alice: over the leaf").await;
    for server in [&hub, &leaf] {
        assert!(!server.said().contains("Violation"), "{}", server.said());
    }
    gateway.stop().await;
    for service in services {
        service.stop().await;
    }
}
