//! What people notice while a part of Natter is away: as little as possible, and the truth.

use std::time::Duration;

use natter_client::{DisconnectReason, Notification};
use natter_e2e::{Cluster, Device, PATIENCE};
use natter_ids::ClientId;
use natter_protocol::ErrorCode;
use natter_testkit::{Flow, wait_for};

/// A gateway that is asked to stop tells its clients, closes them at a pace and ends with 0; they
/// go on at the other one and miss nothing, also of what is said meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_drains() {
    const DEVICES: usize = 12;
    let cluster = Cluster::builder().set("connection.drain_per_sec", 20).start().await;
    let alice = cluster.device("alice", 1).await;
    let mut devices = Vec::new();
    for _ in 0..DEVICES {
        devices.push(cluster.roaming_device("bob", 0).await);
    }
    let talk = alice.direct("bob").await;
    alice.say(&talk, "message 0").await;
    let began = tokio::time::Instant::now();
    cluster.gateway(0).ask_to_stop();
    let texts: Vec<_> = (0..20).map(|number| format!("message {number}")).collect();
    for text in &texts[1..] {
        alice.say(&talk, text).await;
    }
    assert_eq!(cluster.gateway(0).ended().await, Some(0));
    let paced = Duration::from_secs_f64((DEVICES - 1) as f64 / 20.0);
    assert!(began.elapsed() >= paced, "{DEVICES} clients were sent away in {:?}", began.elapsed());

    for device in &devices {
        let (mut heard, mut reasons) = (Vec::new(), Vec::new());
        while heard.len() < texts.len() {
            match device.next().await {
                Notification::Event(event, _) => {
                    if let natter_protocol::Change::Message { text, .. } = event.entry.change {
                        heard.push(text);
                    }
                }
                Notification::Disconnected { reason, .. } => reasons.push(reason),
                _ => {}
            }
        }
        assert_eq!(heard, texts);
        let told = |reason: &DisconnectReason| {
            matches!(
                reason,
                DisconnectReason::GoingAway | DisconnectReason::Closed(natter_protocol::CloseCode::GoingAway)
            )
        };
        assert!(reasons.first().is_none_or(told), "{reasons:?}");
        assert_eq!(device.client().stats().repeats_across_sessions, 0);
    }
}

/// While every delivery is away messages are accepted; they come once one is back. Who connects
/// meanwhile is told that it waits for delivery.
#[tokio::test(flavor = "multi_thread")]
async fn without_delivery() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    alice.say(&talk, "before").await;
    bob.hears(["before"]).await;
    cluster.deliveries().iter().for_each(natter_e2e::Service::kill9);
    alice.say(&talk, "meanwhile").await;
    let late = Device::connect("bob", cluster.client("bob", &[0]).position(bob.client().position()));
    let waiting = late.find(delayed).await;
    assert_eq!(waiting, "delivery");
    alice.say(&talk, "still meanwhile").await;

    cluster.delivery(1).restart().await;
    for device in [&bob, &late] {
        device.hears(["meanwhile", "still meanwhile"]).await;
    }
    alice.say(&talk, "after").await;
    bob.hears(["after"]).await;
}

fn delayed(next: Notification) -> Option<String> {
    match next {
        Notification::ResumeDelayed(part) => Some(part),
        _ => None,
    }
}

/// A gateway whose way to NATS is gone, in one direction or both, tells the sockets that it has, and
/// once more when all is well again; what was said elsewhere meanwhile comes then.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_nats_tells_its_sockets() {
    let cluster = Cluster::builder().proxied().start().await;
    let (alice, bob) = (cluster.device("alice", 1).await, cluster.device("bob", 0).await);
    let talk = alice.direct("bob").await;
    for (up, down) in [(Flow::Stall, Flow::Pass), (Flow::Stall, Flow::Stall)] {
        cluster.wire_to_nats().set(up, down);
        assert_eq!(bob.find(delayed).await, "delivery", "{up:?} {down:?}");
        let text = format!("meanwhile {down:?}");
        alice.say(&talk, &text).await;
        cluster.wire_to_nats().heal();
        bob.hears([text.as_str()]).await;
        bob.caught_up().await;
    }
    assert_eq!(bob.client().stats().disconnects, 0, "the sockets stay open");
}

/// While every storage is away live events go on; who comes back is told that missed events are
/// late, and gets them, and what was live meanwhile, once one is back.
#[tokio::test(flavor = "multi_thread")]
async fn without_storage() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    alice.say(&talk, "before").await;
    bob.hears(["before"]).await;
    let away = cluster.device("bob", 0).await.leave().await;
    alice.say(&talk, "missed").await;
    bob.hears(["missed"]).await;
    let new = alice.direct("carol").await;
    cluster.storages().iter().for_each(natter_e2e::Service::kill9);

    // Whoever has begun a conversation can say something in it, though the archive knows of none.
    alice.say(&new, "hello").await;
    alice.say(&talk, "live without storage").await;
    bob.hears(["live without storage"]).await;
    let back = Device::connect("bob", cluster.client("bob", &[0]).position(away));
    assert_eq!(back.find(delayed).await, "storage");
    alice.say(&talk, "live still").await;
    bob.hears(["live still"]).await;
    cluster.storage(0).restart().await;
    back.hears(["missed", "live without storage", "live still"]).await;
    back.caught_up().await;
    cluster.storage(1).restart().await;
}

/// While NATS is away sends are refused with a time to retry after, sockets stay open, and all
/// goes on once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn without_nats() {
    let cluster = Cluster::builder().set("nats.append_timeout_ms", 1_000).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    alice.say(&talk, "before").await;
    bob.hears(["before"]).await;

    cluster.nats().kill().await;
    let refused = cluster.http("alice", 0).say(&talk, ClientId::now(), "into the void").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(refused.retry_after_ms.is_some(), "{refused:?}");
    let patient = alice.say(&talk, "patience");
    let (_, ()) = tokio::join!(patient, async {
        // The client has been refused at least once before NATS is back.
        wait_for("a repeated request", PATIENCE, async || (alice.client().stats().repeated_requests > 0).then_some(()))
            .await;
        cluster.nats().restart().await;
    });
    bob.hears(["patience"]).await;
    for device in [&alice, &bob] {
        assert_eq!(device.client().stats().disconnects, 0, "{}'s socket stayed", device.user());
    }
}

/// A gateway that stood still for long knows it and heals: what was sent to it meanwhile comes
/// from the archive.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stood_still() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    alice.say(&talk, "before").await;
    bob.hears(["before"]).await;
    // The archive is a moment behind, and it says who shares a conversation.
    wait_for("bob to be seen online", PATIENCE, async || {
        let watched = alice.client().watch_presence(&[bob.user()]).await.unwrap();
        watched.iter().any(|view| view.online).then_some(())
    })
    .await;
    cluster.gateway(1).stop_signal();
    // Its lease is over: delivery sends nothing there any more.
    alice.sees("bob", false).await;
    alice.say(&talk, "while it stood still").await;
    cluster.gateway(1).cont();
    bob.hears(["while it stood still"]).await;
    alice.sees("bob", true).await;
    alice.say(&talk, "after").await;
    bob.hears(["after"]).await;
}

/// Everything is killed and comes back: what was accepted is there, devices go on by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn after_everything_died() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let texts: Vec<_> = (0..30).map(|number| format!("message {number}")).collect();
    for text in &texts[..20] {
        alice.say(&talk, text).await;
    }
    cluster.restart_everything().await;
    for text in &texts[20..] {
        alice.say(&talk, text).await;
    }
    bob.hears(&texts).await;
    let kept = bob.client().history(&talk, None, None, None).await.unwrap().events;
    assert_eq!(kept.len(), 31);
}
