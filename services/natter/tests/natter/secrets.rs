//! TLS to the database, secrets in files, keys of NATS users.

use std::os::unix::fs::PermissionsExt;

use natter_testkit::{Authority, NatsServer, postgres, tools::previous_nats_server};

use crate::process::{Natter, run};

/// Storage speaks TLS with PostgreSQL, checks whom it speaks to, and takes its password from a file.
#[tokio::test]
async fn storage_reaches_postgresql_over_tls_and_only_if_it_is_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let (trusted, other) = (Authority::new(&folder.path().join("ca")), Authority::new(&folder.path().join("other")));
    let database = postgres::secured(&trusted).await;
    let nats = NatsServer::start().await;
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{}\n", database.password)).unwrap();
    let (nats_url, password_file) = (nats.url(), format!("storage.password_file={}", password.display()));
    let ended = run(&["nats", "apply", "--set", &format!("nats.url={nats_url}")], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let start = |mode: &str, authority: &Authority| {
        let address = &database.address;
        let url =
            format!("postgres://natter@{address}/postgres?sslmode={mode}&sslrootcert={}", authority.file().display());
        let url = format!("storage.url={url}");
        Natter::start(&["serve", "storage", "--nats-url", &nats_url, "--set", &url, "--set", &password_file])
    };
    let storage = start("verify-full", &trusted);
    storage.says("ready").await;
    storage.stop().await;
    for (mode, authority, complaint) in
        [("verify-full", &other, "invalid peer certificate"), ("disable", &trusted, "no encryption")]
    {
        let storage = start(mode, authority);
        storage.complains(complaint).await;
        assert_eq!(storage.lines(), [""; 0], "it is not ready");
    }
}

#[tokio::test]
async fn users_of_nats_get_a_key_each_and_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("users");
    let make = async |more: &[&str]| {
        let out = ["nats", "users", "--out", out.to_str().unwrap()];
        let arguments: Vec<_> = out.iter().chain(more).copied().collect();
        run(&arguments, &[]).await
    };
    let ended = make(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    for user in ["connection", "presence", "delivery", "storage", "all", "admin", "system"] {
        let name = format!("{user}.nk");
        assert!(ended.out.contains(&format!("{name} made: ")), "{}", ended.out);
        assert!(read(&name).starts_with("SU"), "{name}");
        assert_eq!(std::fs::metadata(out.join(&name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        for public in ["users.conf", "accounts.conf"] {
            assert!(!read(public).contains(read(&name).trim()), "{public} holds a secret key");
        }
    }
    let before = (read("storage.nk"), read("users.conf"), read("accounts.conf"));
    assert!(before.1.contains("CHAT-3") && !before.1.contains("CHAT-4"), "{}", before.1);
    let ended = make(&[]).await;
    assert!(ended.out.contains("storage.nk kept: "), "{}", ended.out);
    assert_eq!((read("storage.nk"), read("users.conf"), read("accounts.conf")), before);
    make(&["--set", "nats.partitions=5"]).await;
    assert!(read("users.conf").contains("CHAT-4") && read("storage.nk") == before.0);

    std::fs::write(out.join("admin.nk"), "no key").unwrap();
    let ended = make(&[]).await;
    assert_eq!((ended.code, ended.err.lines().count()), (Some(1), 1), "{}", ended.err);
    assert!(ended.err.contains("admin.nk cannot be used") && ended.err.contains("begins with SU"), "{}", ended.err);
}

/// What cannot be used is named at once, with its key, although NATS is waited for.
#[tokio::test]
async fn a_file_for_nats_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    for (key, complaint) in [("nkey_file", "no seed"), ("ca_file", "CERTIFICATE")] {
        for (path, complaint) in [(empty, complaint), ("/nowhere/at/all", "No such file")] {
            let set = format!("nats.{key}={path}");
            let ended = run(&["nats", "apply", "--set", "nats.url=nats://127.0.0.1:1", "--set", &set], &[]).await;
            assert_eq!((ended.code, ended.err.lines().count()), (Some(1), 1), "{}", ended.err);
            let named = format!("natter: `nats.{key}`: {path} cannot be used");
            assert!(ended.err.starts_with(&named) && ended.err.contains(complaint), "{}", ended.err);
        }
    }
}

/// A server that is too old is named, by what prepares NATS and by what runs.
#[tokio::test]
async fn a_nats_server_that_is_too_old_is_named() {
    let mut server = NatsServer::start().await;
    server.run_from_now_on(Some(previous_nats_server("2.12.8")));
    server.restart().await;
    let url = format!("nats.url={}", server.url());
    for arguments in [&["nats", "apply", "--check"][..], &["nats", "apply"], &["serve", "delivery"]] {
        let ended = run(&[arguments, &["--set", &url]].concat(), &[]).await;
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains("2.12.8") && ended.err.contains("2.14.3 or newer"), "{arguments:?}: {}", ended.err);
    }
}

#[tokio::test]
async fn applying_waits_for_a_bounded_time() {
    let began = std::time::Instant::now();
    let ended = run(&["nats", "apply", "--wait", "2s", "--set", "nats.url=nats://127.0.0.1:1"], &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("nats.url"), "{}", ended.err);
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "it has not waited");
}
