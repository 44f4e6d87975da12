//! From servers that are too old for Natter to those that are not, node by node.

use std::time::Duration;

use async_nats::jetstream;
use natter_bus::{
    Config,
    definitions::{ApplyError, apply, apply_patiently},
};
use natter_testkit::{nats_cluster_with, tools::previous_nats_server, wait_for};

use crate::world::{World, connect, direct, say_many, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// What was stored on servers of 2.12 is there on new ones, in order and with its consumers, also what
/// is appended while the nodes are rolled. The old ones are refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_from_2_12_is_taken_over() {
    // The streams as they are defined, for servers that Natter itself refuses.
    let (defined, _) = World::new(1).await;
    let (folder, too_old) = (tempfile::tempdir().unwrap(), previous_nats_server("2.12.8"));
    let mut cluster = nats_cluster_with(folder.path(), 3, "", "", Some(&too_old)).await;
    let urls: Vec<_> = cluster.nodes.iter().map(natter_testkit::NatsServer::url).collect();
    let config = Config { url: Some(urls.join(",")), partitions: 1, replicas: 3, ..Config::default() };
    let bus = connect(&config, "before").await;
    let refused = apply_patiently(&bus, false, PATIENCE).await.unwrap_err();
    assert!(matches!(&refused, ApplyError::TooOld(said) if said.contains("2.12.8")), "{refused}");

    let client = async_nats::ConnectOptions::new().retry_on_initial_connect().connect(&urls).await.unwrap();
    let raw = jetstream::new(client);
    for name in ["CHAT-0", "KV_LEASES", "KV_TICKETS", "KV_LAST_SEEN", "KV_USERS"] {
        let mut stream = defined.raw().await.get_stream(name).await.unwrap().cached_info().config.clone();
        (stream.num_replicas, stream.metadata) = (3, Default::default());
        let made = async || raw.create_stream(stream.clone()).await.ok();
        wait_for(name, PATIENCE, made).await;
    }
    let chat = direct("a", "b");
    say_many(&bus, &chat, 10).await;
    for number in 0..3 {
        in_sync(&raw).await;
        cluster.nodes[number].terminate().await;
        cluster.nodes[number].run_from_now_on(None);
        cluster.nodes[number].restart().await;
        in_sync(&raw).await;
        wait_until("a connection", async || bus.is_connected()).await;
        say_many(&bus, &chat, 10).await;
    }
    let bus = connect(&config, "after").await;
    apply_patiently(&bus, false, PATIENCE).await.unwrap();
    assert_eq!(apply(&bus, true).await.unwrap(), []);
    let mut entries = bus.read_log(natter_ids::Partition(0), 0, 40).await.unwrap();
    let mut seqs = Vec::new();
    while let Some(batch) = entries.next_batch().await.unwrap() {
        seqs.extend(batch.into_iter().map(|record| record.seq));
    }
    assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
}

async fn in_sync(raw: &jetstream::Context) {
    let current = async || {
        let info = raw.get_stream("CHAT-0").await.ok()?.cached_info().cluster.clone()?;
        info.leader?;
        (info.replicas.iter().filter(|replica| replica.current && !replica.offline).count() == 2).then_some(())
    };
    wait_for("every node to keep up", PATIENCE, current).await;
}
