//! Several replicas share partitions: one owner at a time, replaced when it dies.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use natter_bus::Bus;
use natter_ids::{ConversationId, Partition};

use crate::{
    worker::{Journal, Replica},
    world::{World, append, direct, said, wait_until},
};

const PACE: Duration = Duration::from_millis(3);
/// Long enough for a lease to expire, to be seen, and for the next step to be taken.
const LEASE_MS: u64 = 3_000;

/// A conversation in each partition.
fn chats(partitions: u16) -> Vec<ConversationId> {
    Partition::all(partitions)
        .map(|partition| {
            let all = (0..).map(|number| direct("a", &format!("b{number}")));
            { all }.find(|chat| Partition::of(chat, partitions) == partition).unwrap()
        })
        .collect()
}

/// Appends to every partition; returns what is now its last number.
async fn say(bus: &Bus, chats: &[ConversationId], count: usize) -> Vec<u64> {
    let mut last = vec![0; chats.len()];
    for number in 0..count {
        let message = said("a", &number.to_string());
        for (chat, last) in chats.iter().zip(&mut last) {
            *last = append(bus, chat, &message).await.unwrap().seq;
        }
    }
    last
}

async fn owned_by(journal: &Journal, expected: &[&'static str]) {
    let expected: BTreeMap<_, _> = (0..).map(Partition).zip(expected.iter().map(|owner| vec![*owner])).collect();
    wait_until(&format!("the owners {expected:?}"), async || journal.owners() == expected).await;
}

async fn all_done(journal: &Journal, last: &[u64]) {
    wait_until("the work", async || (0..).map(Partition).zip(last).all(|(at, seq)| journal.done(at) >= *seq)).await;
    Partition::all(u16::try_from(last.len()).unwrap()).for_each(|partition| journal.assert_in_order(partition));
}

#[tokio::test]
async fn a_replica_that_comes_gets_its_share_and_one_that_leaves_hands_over_at_once() {
    let (world, bus) = World::new(4).await;
    let (chats, journal) = (chats(4), Journal::default());
    let (one, other) = (world.connect("r1").await, world.connect("r2").await);
    let first = Replica::start(&one, "r1", &journal, PACE);
    owned_by(&journal, &["r1"; 4]).await;
    say(&bus, &chats, 20).await;
    let second = Replica::start(&other, "r2", &journal, PACE);
    // Work goes on while partitions move.
    let (last, ()) = tokio::join!(say(&bus, &chats, 200), owned_by(&journal, &["r1", "r2", "r1", "r2"]));
    all_done(&journal, &last).await;

    let left = Instant::now();
    first.leave().await;
    owned_by(&journal, &["r2"; 4]).await;
    let took = left.elapsed();
    assert!(took < Duration::from_millis(LEASE_MS / 2), "took {took:?}, about as long as a crash");
    let last = say(&bus, &chats, 20).await;
    all_done(&journal, &last).await;
    second.leave().await;
}

#[tokio::test]
async fn a_replica_that_dies_is_replaced_within_the_lease() {
    let (world, bus) = World::new(2).await;
    let (chats, journal) = (chats(2), Journal::default());
    let (one, other) = (world.connect("r1").await, world.connect("r2").await);
    let first = Replica::start(&one, "r1", &journal, PACE);
    let second = Replica::start(&other, "r2", &journal, PACE);
    owned_by(&journal, &["r1", "r2"]).await;
    // In the middle of work, with a batch not acknowledged.
    let kill = async {
        wait_until("work", async || journal.done(Partition(0)) > 10).await;
        first.die().await;
        Instant::now()
    };
    let (last, died) = tokio::join!(say(&bus, &chats, 300), kill);
    owned_by(&journal, &["r2", "r2"]).await;
    let took = died.elapsed();
    assert!(took < Duration::from_millis(LEASE_MS * 2), "took {took:?}");
    all_done(&journal, &last).await;

    // It comes back, under the same name.
    let first = Replica::start(&one, "r1", &journal, PACE);
    owned_by(&journal, &["r1", "r2"]).await;
    let last = say(&bus, &chats, 20).await;
    all_done(&journal, &last).await;
    first.leave().await;
    second.leave().await;
}

#[tokio::test]
async fn replicas_that_come_and_go_under_load_never_work_at_the_same_time() {
    let (world, bus) = World::new(2).await;
    let (chats, journal) = (chats(2), Journal::default());
    let names = ["r1", "r2", "r3"];
    let mut connections = Vec::new();
    for name in names {
        connections.push(world.connect(name).await);
    }
    let come_and_go = async {
        let stays = Replica::start(&connections[0], names[0], &journal, PACE);
        for round in 0..4 {
            let which = 1 + round % 2;
            let replica = Replica::start(&connections[which], names[which], &journal, PACE);
            wait_until("a share", async || journal.owners().values().any(|owners| owners.contains(&names[which])))
                .await;
            if round % 2 == 0 { replica.leave().await } else { replica.die().await }
        }
        stays
    };
    let (last, stays) = tokio::join!(
        async {
            let mut last = Vec::new();
            for _ in 0..20 {
                last = say(&bus, &chats, 20).await;
                tokio::task::yield_now().await;
            }
            last
        },
        come_and_go
    );
    all_done(&journal, &last).await;
    stays.leave().await;
    assert!(journal.owners().values().all(Vec::is_empty), "{:?}", journal.owners());
}

#[tokio::test]
async fn a_lease_that_the_bucket_dropped_is_taken_again() {
    let (world, bus) = World::new(1).await;
    let (chats, journal) = (chats(1), Journal::default());
    let replica = Replica::start(&bus, "r1", &journal, PACE);
    owned_by(&journal, &["r1"]).await;
    // As when the process slept for longer than the bucket keeps a key: no watch tells of it.
    let bucket = world.raw().await.get_stream("KV_LEASES").await.unwrap();
    bucket.purge().filter("$KV.LEASES.>").await.unwrap();
    let key = "$KV.LEASES.delivery.partition.0";
    wait_until("the lease", async || bucket.get_last_raw_message_by_subject(key).await.is_ok()).await;
    let last = say(&bus, &chats, 5).await;
    all_done(&journal, &last).await;
    replica.leave().await;
}

#[tokio::test]
async fn work_goes_on_after_the_server_was_away_for_longer_than_a_lease() {
    let (mut world, bus) = World::new(2).await;
    let (chats, journal) = (chats(2), Journal::default());
    let (one, other) = (world.connect("r1").await, world.connect("r2").await);
    let replicas = [Replica::start(&one, "r1", &journal, PACE), Replica::start(&other, "r2", &journal, PACE)];
    owned_by(&journal, &["r1", "r2"]).await;
    say(&bus, &chats, 20).await;
    world.nats.kill();
    wait_until("nobody at work", async || journal.owners().values().all(Vec::is_empty)).await;
    world.nats.restart().await;
    let message = said("a", "back");
    natter_testkit::wait_for("an append", crate::world::SOON, async || append(&bus, &chats[0], &message).await.ok())
        .await;
    owned_by(&journal, &["r1", "r2"]).await;
    let last = say(&bus, &chats, 20).await;
    all_done(&journal, &last).await;
    for replica in replicas {
        replica.leave().await;
    }
}
