//! Request and reply with storage.

use std::time::{Duration, Instant};

use natter_bus::{
    AskError, Bus, Config,
    storage_api::{Archived, Membership, StorageFault},
};
use natter_ids::{Partition, Position};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::world::{SOON, World, connect, direct, settled, user, wait_until};

fn position(seq: u64) -> Position {
    Position::from_seqs([seq])
}

/// Asks until a responder has subscribed.
async fn ask(bus: &Bus) -> Position {
    natter_testkit::wait_for("an answer", SOON, async || bus.ask(&Archived {}).await.ok()).await
}

#[tokio::test]
async fn an_answer_comes_back_and_so_does_a_fault() {
    let (world, gateway) = World::new(1).await;
    let storage = world.connect("storage").await;
    let cancel = CancellationToken::new();
    let archived = storage.respond(4, cancel.clone(), |_: Archived| async { Ok(position(7)) });
    let membership = storage.respond(4, cancel.clone(), |_: Membership| async { Err(StorageFault::Behind) });
    let check = async {
        assert_eq!(ask(&gateway).await.get(Partition(0)), 7);
        let asked = Membership { user: user("a"), conversation: direct("a", "b"), at_least: 1 };
        wait_until("the fault", async || {
            matches!(gateway.ask(&asked).await, Err(AskError::Refused(StorageFault::Behind)))
        })
        .await;
        let raw = async_nats::connect(world.nats.url()).await.unwrap();
        let reply = raw.request("storage.ask.membership", "not a request".into()).await.unwrap();
        assert!(String::from_utf8_lossy(&reply.payload).contains("malformed"), "{reply:?}");
        cancel.cancel();
    };
    let (one, other, ()) = tokio::join!(archived, membership, check);
    one.unwrap();
    other.unwrap();
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told_in_time() {
    let world = World::empty(1).await;
    let config = Config { request_timeout_ms: 300, ..world.config.clone() };
    let (gateway, storage) = (connect(&config, "gateway").await, world.connect("storage").await);
    let started = Instant::now();
    assert!(matches!(gateway.ask(&Archived {}).await, Err(AskError::Unreachable(_))));
    let cancel = CancellationToken::new();
    let arrived = Semaphore::new(0);
    let silent = storage.respond(4, cancel.clone(), |_: Archived| {
        arrived.add_permits(1);
        std::future::pending()
    });
    let check = async {
        wait_until("a request that waits", async || {
            assert!(matches!(gateway.ask(&Archived {}).await, Err(AskError::Unreachable(_))));
            arrived.available_permits() > 0
        })
        .await;
    };
    tokio::select! {
        ended = silent => panic!("the responder ended: {ended:?}"),
        () = check => assert!(started.elapsed() < Duration::from_secs(10)),
    }
}

#[tokio::test]
async fn a_responder_that_ends_answers_what_came_before() {
    let (world, gateway) = World::new(1).await;
    let storage = world.connect("storage").await;
    let cancel = CancellationToken::new();
    let gate = std::sync::Arc::new(Semaphore::new(1));
    // One at a time, so that more wait in the subscription.
    let respond = storage.respond(1, cancel.clone(), |_: Archived| {
        let gate = std::sync::Arc::clone(&gate);
        async move {
            let _permit = gate.acquire().await.unwrap();
            Ok(position(1))
        }
    });
    let check = async {
        ask(&gateway).await;
        let mut after = storage.refresh_requests().await.unwrap();
        settled(&storage).await;
        let closed = gate.clone().acquire_owned().await.unwrap();
        let asked = futures_util::future::join_all((0..5).map(|_| gateway.ask(&Archived {})));
        let end = async {
            // Sent by the same connection after the questions, it arrives after them.
            gateway.request_presence_refresh().await.unwrap();
            tokio::time::timeout(SOON, after.next()).await.unwrap();
            cancel.cancel();
            drop(closed);
        };
        let (answers, ()) = tokio::join!(asked, end);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    };
    let (ended, ()) = tokio::join!(respond, check);
    ended.unwrap();
}
