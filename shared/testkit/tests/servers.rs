//! The throwaway servers themselves.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use natter_testkit::{NatsServer, postgres, wait_for};
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::net::TcpStream;

fn address(url: &str) -> String {
    url.trim_start_matches("nats://").to_owned()
}

#[tokio::test]
async fn a_server_restarts_on_its_port_and_ends_when_dropped() {
    let mut first = NatsServer::start().await;
    let second = NatsServer::start().await;
    assert_ne!(first.url(), second.url());
    let url = first.url();
    first.restart().await;
    assert_eq!(first.url(), url);
    TcpStream::connect(address(&url)).await.unwrap();
    first.kill();
    TcpStream::connect(address(&url)).await.unwrap_err();
    first.restart().await;
    drop(first);
    TcpStream::connect(address(&url)).await.unwrap_err();
}

#[tokio::test]
async fn a_named_folder_keeps_the_data() {
    let folder = tempfile::tempdir().unwrap();
    drop(NatsServer::start_in(folder.path()).await);
    assert!(folder.path().join("jetstream").is_dir());
    drop(NatsServer::start_in(folder.path()).await);
}

#[tokio::test]
async fn every_database_is_new_and_compares_like_english() {
    let (one, two) = (postgres::database().await, postgres::database().await);
    assert_ne!(one, two);
    let mut one = PgConnection::connect(&one).await.unwrap();
    one.execute("CREATE TABLE here (n INT)").await.unwrap();
    let mut two = PgConnection::connect(&two).await.unwrap();
    two.execute("SELECT * FROM here").await.unwrap_err();
    let row = two.fetch_one("SELECT 'a' < 'B'").await.unwrap();
    assert!(row.get::<bool, _>(0));
}

#[tokio::test]
#[should_panic(expected = "waited 20ms in vain for the moon")]
async fn waiting_in_vain_names_what_was_waited_for() {
    wait_for("the moon", Duration::from_millis(20), async || None::<()>).await;
}

#[tokio::test]
async fn killing_the_test_process_ends_its_servers_and_removes_their_folders() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_servers-until-killed"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = { lines }.find(|line| line.starts_with("servers ")).unwrap();
    let words: Vec<_> = line.split(' ').collect();
    let (nats, database) = (address(words[1]), words[2]);
    TcpStream::connect(&nats).await.unwrap();
    let folder = database.split("host=").nth(1).unwrap().replace("%2F", "/");
    assert!(std::path::Path::new(&folder).is_dir());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the end of nats-server", Duration::from_secs(10), async || TcpStream::connect(&nats).await.err()).await;
    wait_for("the removal of PostgreSQL's folder", Duration::from_secs(10), async || {
        (!std::path::Path::new(&folder).exists()).then_some(())
    })
    .await;
}
