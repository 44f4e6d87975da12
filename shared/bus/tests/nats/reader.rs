//! One replica reads a partition: in order and without a gap, whatever happens to deliveries.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use natter_ids::Partition;

use crate::{
    worker::{Journal, Replica, Step, Worker},
    world::{World, append, direct, said, say_many, wait_until},
};

const ONLY: Partition = Partition(0);

async fn done(journal: &Journal, seq: u64) {
    wait_until("the batch", async || journal.done(ONLY) >= seq).await;
    journal.assert_in_order(ONLY);
}

fn begins(journal: &Journal) -> usize {
    journal.of(ONLY).iter().filter(|(_, step)| matches!(step, Step::Began(_))).count()
}

#[tokio::test]
async fn entries_come_in_order_also_those_that_cannot_be_read() {
    let (world, bus) = World::new(1).await;
    let (chat, journal) = (direct("a", "b"), Journal::default());
    say_many(&bus, &chat, 20).await;
    let raw = world.raw().await;
    let log = format!("chat.{}.{chat}.log", chat.shard());
    for (subject, garbage) in [(log.as_str(), "{\"sender\":"), ("chat.1.nonsense.log", "{}"), (log.as_str(), "")] {
        raw.publish(subject.to_owned(), garbage.into()).await.unwrap().await.unwrap();
    }
    let replica = Replica::start(&bus, "r1", &journal, Duration::ZERO);
    say_many(&bus, &chat, 20).await;
    done(&journal, 43).await;
    let unreadable = journal.of(ONLY).into_iter().filter_map(|(_, step)| match step {
        Step::Entry(seq, false) => Some(seq),
        _ => None,
    });
    assert_eq!(unreadable.collect::<Vec<_>>(), [21, 22, 23]);
    replica.leave().await;
}

#[tokio::test]
async fn a_restart_of_the_server_leaves_no_gap() {
    let (mut world, bus) = World::new(1).await;
    let (chat, journal) = (direct("a", "b"), Journal::default());
    let replica = Replica::start(&bus, "r1", &journal, Duration::from_millis(2));
    say_many(&bus, &chat, 50).await;
    done(&journal, 50).await;
    for round in 1..=2 {
        world.nats.restart().await;
        let message = said("a", "after the restart");
        natter_testkit::wait_for("an append", crate::world::SOON, async || append(&bus, &chat, &message).await.ok())
            .await;
        say_many(&bus, &chat, 49).await;
        done(&journal, 50 * (round + 1)).await;
    }
    replica.leave().await;
}

#[tokio::test]
async fn a_batch_that_is_refused_comes_again_whole() {
    let (_world, bus) = World::new(1).await;
    let (chat, journal) = (direct("a", "b"), Journal::default());
    say_many(&bus, &chat, 10).await;
    let worker =
        Worker { replica: "r1", journal: journal.clone(), pace: Duration::ZERO, refuse: Arc::new(Mutex::new(3)) };
    let replica = Replica::run(&bus, worker);
    say_many(&bus, &chat, 10).await;
    done(&journal, 20).await;
    assert_eq!(journal.of(ONLY).iter().filter(|(_, step)| *step == Step::Refused).count(), 3);
    replica.leave().await;
}

#[tokio::test]
async fn what_the_server_delivers_again_is_not_done_again() {
    let (world, bus) = World::new(1).await;
    let (chat, journal) = (direct("a", "b"), Journal::default());
    let raw = world.raw().await;
    let stream = raw.get_stream("CHAT-0").await.unwrap();
    let mut config = stream.consumer_info("delivery").await.unwrap().config;
    config.ack_wait = Duration::from_millis(200);
    let consumer = async_nats::jetstream::consumer::pull::Config {
        durable_name: config.durable_name,
        ack_policy: config.ack_policy,
        ack_wait: config.ack_wait,
        max_ack_pending: config.max_ack_pending,
        ..Default::default()
    };
    stream.create_consumer(consumer).await.unwrap();
    say_many(&bus, &chat, 10).await;
    // Each batch takes far longer than the server waits for its acknowledgement.
    let replica = Replica::start(&bus, "r1", &journal, Duration::from_millis(700));
    say_many(&bus, &chat, 10).await;
    done(&journal, 20).await;
    say_many(&bus, &chat, 1).await;
    done(&journal, 21).await;
    let entries = journal.of(ONLY).iter().filter(|(_, step)| matches!(step, Step::Entry(..))).count();
    assert_eq!((entries, begins(&journal)), (21, 1));
    wait_until("every acknowledgement", async || stream.consumer_info("delivery").await.unwrap().num_ack_pending == 0)
        .await;
    replica.leave().await;
}

#[tokio::test]
async fn somebody_else_reading_the_consumer_leaves_no_gap() {
    use futures_util::StreamExt;

    let (world, bus) = World::new(1).await;
    let (chat, journal) = (direct("a", "b"), Journal::default());
    let replica = Replica::start(&bus, "r1", &journal, Duration::ZERO);
    say_many(&bus, &chat, 10).await;
    done(&journal, 10).await;
    let stream = world.raw().await.get_stream("CHAT-0").await.unwrap();
    let consumer: async_nats::jetstream::consumer::PullConsumer = stream.get_consumer("delivery").await.unwrap();
    let mut thief = consumer.stream().max_messages_per_batch(20).messages().await.unwrap();
    let steal = async {
        let mut stolen = 0;
        // The server shares entries out among both pulls.
        while stolen < 5 {
            stolen += usize::from(thief.next().await.unwrap().is_ok());
        }
    };
    let say = async {
        for _ in 0..10 {
            say_many(&bus, &chat, 20).await;
        }
    };
    let (stolen, ()) = tokio::join!(tokio::time::timeout(crate::world::SOON, steal), say);
    stolen.expect("some entries go to the other pull");
    drop(thief);
    say_many(&bus, &chat, 5).await;
    done(&journal, 215).await;
    replica.leave().await;
}

/// What a frozen owner meets when it thaws: its successor has reset the consumer and has taken
/// exactly as many entries as the old one had, so that the next delivery has the number it waits for.
#[tokio::test]
async fn a_successor_that_took_as_many_leaves_no_gap() {
    use futures_util::TryStreamExt;

    let (world, bus) = World::new(1).await;
    let (chat, journal, refuse) = (direct("a", "b"), Journal::default(), Arc::new(Mutex::new(u32::MAX)));
    let stream = world.raw().await.get_stream("CHAT-0").await.unwrap();
    let mut consumer: async_nats::jetstream::consumer::PullConsumer = stream.get_consumer("delivery").await.unwrap();
    say_many(&bus, &chat, 1).await;
    let worker = Worker { replica: "r1", journal: journal.clone(), pace: Duration::ZERO, refuse: Arc::clone(&refuse) };
    let replica = Replica::run(&bus, worker);
    wait_until("a refused batch", async || journal.of(ONLY).contains(&("r1", Step::Entry(1, true)))).await;
    // As long as the batch is refused nobody pulls again.
    wait_until("the end of the pull", async || stream.consumer_info("delivery").await.unwrap().num_waiting == 0).await;
    say_many(&bus, &chat, 10).await;
    consumer.reset(Some(2)).await.unwrap();
    let taken: Vec<_> =
        consumer.fetch().max_messages(1).messages().await.unwrap().map_err(drop).try_collect().await.unwrap();
    let taken: Vec<_> = taken.iter().map(|message| message.info().unwrap().stream_sequence).collect();
    assert_eq!(taken, [2]);
    *refuse.lock().unwrap() = 0;
    done(&journal, 11).await;
    replica.leave().await;
}
