//! Applying `nats/definitions.toml`.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{FromConsumer, pull::Config as ConsumerConfig},
    stream::{Config as StreamConfig, DiscardPolicy, Republish},
};
use natter_bus::{
    Bus, Config,
    definitions::{ApplyError, Change, apply, apply_patiently, look},
};
use natter_testkit::nats_cluster;

use crate::world::{World, append, connect, direct, said, say_many, wait_until};

fn named(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.what.as_str()).collect()
}

#[tokio::test]
async fn applying_twice_changes_nothing_the_second_time() {
    let world = World::empty(2).await;
    let bus = world.connect("test").await;
    let all = [
        "stream CHAT-0",
        "stream CHAT-1",
        "consumer delivery of CHAT-0",
        "consumer storage of CHAT-0",
        "consumer delivery of CHAT-1",
        "consumer storage of CHAT-1",
        "bucket LEASES",
        "bucket TICKETS",
        "bucket LAST_SEEN",
        "bucket USERS",
    ];
    for _ in 0..2 {
        // Looking changes nothing.
        assert_eq!(named(&apply(&bus, true).await.unwrap()), all);
    }
    let changes = apply(&bus, false).await.unwrap();
    assert_eq!(named(&changes), all);
    assert!(changes.iter().all(|change| change.difference == "is missing"), "{changes:?}");
    assert_eq!(apply(&bus, true).await.unwrap(), []);
    assert_eq!(apply(&bus, false).await.unwrap(), []);
}

#[tokio::test]
async fn drift_is_told_and_mended_and_nothing_is_lost() {
    let (world, bus) = World::new(2).await;
    let chat = direct("a", "b");
    say_many(&bus, &chat, 3).await;
    let raw = world.raw().await;
    let mut config = raw.get_stream("CHAT-0").await.unwrap().cached_info().config.clone();
    // With this, the newest message of each conversation would be the only one.
    (config.max_messages_per_subject, config.discard) = (1_000, async_nats::jetstream::stream::DiscardPolicy::Old);
    raw.update_stream(config).await.unwrap();

    let changed = Config { log_retention_hours: 24, ..world.config.clone() };
    let bus = connect(&changed, "changed").await;
    let drift = apply(&bus, true).await.unwrap();
    assert_eq!(named(&drift), ["stream CHAT-0", "stream CHAT-1"]);
    assert!(drift[0].difference.contains("max_msgs_per_subject is 1000, not -1"), "{drift:?}");
    assert!(drift[0].difference.contains("discard is Old, not New"), "{drift:?}");
    assert_eq!(drift[1].difference, "max_age is 604800s, not 86400s");
    assert_eq!(apply(&bus, true).await.unwrap(), drift, "looking changes nothing");
    assert_eq!(apply(&bus, false).await.unwrap(), drift);
    assert_eq!(apply(&bus, true).await.unwrap(), []);
    assert_eq!(bus.last_seq(&chat).await.unwrap(), 3);
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let (world, bus) = World::new(4).await;
    for partitions in [1, 2, 3, 5, 8] {
        let changed = Config { partitions, log_retention_hours: 24, ..world.config.clone() };
        for check_only in [true, false] {
            let refused = apply(&connect(&changed, "changed").await, check_only).await.unwrap_err();
            assert!(matches!(&refused, ApplyError::Destructive { .. }), "{partitions}: {refused}");
            assert!(refused.to_string().contains("nats.partitions"), "{refused}");
        }
    }
    assert_eq!(apply(&bus, true).await.unwrap(), [], "nothing was changed");
}

#[tokio::test]
async fn a_smaller_limit_than_what_is_stored_is_refused_before_anything_changes() {
    let (world, bus) = World::new(2).await;
    let text = "x".repeat(60_000);
    // Fills the second partition, which is looked at after the first.
    let chat = (0..).map(|number| direct("a", &format!("b{number}")));
    let chat = { chat }.find(|chat| natter_ids::Partition::of(chat, 2).0 == 1).unwrap();
    for _ in 0..10 {
        append(&bus, &chat, &said("a", &text)).await.unwrap();
    }
    let smaller = Config { log_mib_max: 1, log_retention_hours: 24, ..world.config.clone() };
    let refused = apply(&connect(&smaller, "smaller").await, false).await.unwrap_err();
    assert!(matches!(&refused, ApplyError::Destructive { .. }), "{refused}");
    assert!(refused.to_string().contains("nats.log_mib_max"), "{refused}");
    assert_eq!(apply(&bus, true).await.unwrap(), [], "nothing was changed");
}

#[tokio::test]
async fn another_kind_of_storage_is_refused() {
    let world = World::empty(1).await;
    let raw = world.raw().await;
    let config = async_nats::jetstream::stream::Config {
        name: "CHAT-0".into(),
        subjects: (0..64).map(|shard| format!("chat.{shard}.>")).collect(),
        storage: async_nats::jetstream::stream::StorageType::Memory,
        ..Default::default()
    };
    raw.create_stream(config).await.unwrap();
    let refused = apply(&world.connect("test").await, false).await.unwrap_err();
    assert!(refused.to_string().contains("the kind of storage"), "{refused}");
    raw.get_stream("KV_LEASES").await.unwrap_err();
}

/// Each kind of drift is shown by name, mended, and gone.
#[tokio::test]
async fn every_kind_of_drift_is_shown() {
    let (world, bus) = World::new(1).await;
    let raw = world.raw().await;
    let of = async |name: &str| raw.get_stream(name).await.unwrap().cached_info().config.clone();
    let log = of("CHAT-0").await;
    let republish = Republish { source: ">".to_owned(), destination: "copy.>".to_owned(), headers_only: false };
    let streams = [
        (StreamConfig { max_age: Duration::from_secs(7200), ..log.clone() }, "max_age is 7200s, not 604800s"),
        (StreamConfig { max_bytes: 1 << 20, ..log.clone() }, "max_bytes is 1048576, not -1"),
        (StreamConfig { duplicate_window: Duration::from_secs(1), ..log.clone() }, "duplicate_window is 1s, not 120s"),
        (StreamConfig { discard: DiscardPolicy::Old, ..log.clone() }, "discard is Old, not New"),
        (StreamConfig { allow_direct: false, ..log.clone() }, "allow_direct is false, not true"),
        (StreamConfig { republish: Some(republish), ..log.clone() }, "republish is copy.>, not none"),
        (StreamConfig { description: None, ..log.clone() }, "description is none, not The log"),
    ];
    for (changed, difference) in streams {
        raw.update_stream(changed).await.unwrap();
        shows(&bus, "stream CHAT-0", difference).await;
    }
    let bucket = of("KV_TICKETS").await;
    let buckets = [
        (StreamConfig { max_age: Duration::from_secs(9000), ..bucket.clone() }, "ttl is 9000s, not 30s"),
        (StreamConfig { max_messages_per_subject: 5, ..bucket }, "history is 5, not 1"),
    ];
    for (changed, difference) in buckets {
        raw.update_stream(changed).await.unwrap();
        shows(&bus, "bucket TICKETS", difference).await;
    }
    let stream = raw.get_stream("CHAT-0").await.unwrap();
    let what = "consumer storage of CHAT-0";
    let consumer =
        ConsumerConfig::try_from_consumer_config(stream.consumer_info("storage").await.unwrap().config).unwrap();
    for (changed, difference) in [
        (ConsumerConfig { max_ack_pending: 7, ..consumer.clone() }, "max_ack_pending is 7, not 20000"),
        (ConsumerConfig { ack_wait: Duration::from_secs(9), ..consumer.clone() }, "ack_wait is 9s, not 30s"),
        (ConsumerConfig { filter_subject: "chat.1.>".to_owned(), ..consumer }, "filter_subject is chat.1.>, not none"),
    ] {
        stream.create_consumer(changed).await.unwrap();
        shows(&bus, what, difference).await;
    }
    stream.delete_consumer("storage").await.unwrap();
    shows(&bus, what, "is missing").await;
    raw.delete_stream("KV_LEASES").await.unwrap();
    shows(&bus, "bucket LEASES", "is missing").await;
}

async fn shows(bus: &Bus, what: &str, difference: &str) {
    let drift = apply(bus, true).await.unwrap();
    assert_eq!(named(&drift), [what], "{difference}: {drift:?}");
    assert!(drift[0].difference.starts_with(difference), "{difference}: {drift:?}");
    assert_eq!(look(bus).await.unwrap(), drift, "services see the same");
    assert_eq!(apply(bus, false).await.unwrap(), drift);
    assert_eq!(apply(bus, true).await.unwrap(), [], "{difference}: it is not mended");
}

/// Streams lie where tags say, on as many servers as are configured; both are shown and mended.
#[tokio::test]
async fn placement_and_replicas_are_shown_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = nats_cluster(folder.path(), 3).await;
    let config = Config { url: Some(cluster.nodes[0].url()), partitions: 1, ..Config::default() };
    let tagged = |tag: &str| Config { placement_tags: vec![tag.to_owned()], ..config.clone() };
    let patience = Duration::from_secs(60);
    let bus = connect(&tagged("disk:1"), "first").await;
    apply_patiently(&bus, false, patience).await.unwrap();
    let raw = async_nats::jetstream::new(async_nats::connect(cluster.nodes[0].url()).await.unwrap());
    let leader = async || {
        let info = raw.get_stream("CHAT-0").await.ok()?.cached_info().clone();
        info.cluster?.leader
    };
    assert_eq!(leader().await.as_deref(), Some("node-1"));
    let bus = connect(&tagged("disk:2"), "second").await;
    let drift = apply(&bus, true).await.unwrap();
    assert_eq!(named(&drift), ["stream CHAT-0", "bucket LEASES", "bucket TICKETS", "bucket LAST_SEEN", "bucket USERS"]);
    assert!(drift.iter().all(|change| change.difference == "placement is disk:1, not disk:2"), "{drift:?}");
    apply_patiently(&bus, false, patience).await.unwrap();
    wait_until("the stream to move", async || leader().await.as_deref() == Some("node-2")).await;

    apply_patiently(&connect(&config, "anywhere").await, false, patience).await.unwrap();
    let bus = connect(&Config { replicas: 3, ..config.clone() }, "third").await;
    let drift = apply(&bus, true).await.unwrap();
    assert!(drift[0].difference.starts_with("replicas is 1, not 3"), "{drift:?}");
    apply_patiently(&bus, false, patience).await.unwrap();
    assert_eq!(apply(&bus, true).await.unwrap(), []);
    // No server has such a tag: said, and nothing is made.
    let bus = connect(&Config { replicas: 3, ..tagged("disk:none") }, "nowhere").await;
    let refused = async || apply(&bus, false).await.is_err_and(|error| error.to_string().contains("no suitable peers"));
    wait_until("a refusal that says why", refused).await;
}
