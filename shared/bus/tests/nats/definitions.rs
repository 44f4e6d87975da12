//! Applying `nats/definitions.toml`.

use natter_bus::{
    Config,
    definitions::{ApplyError, Change, apply},
};

use crate::world::{World, append, connect, direct, said, say_many};

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
