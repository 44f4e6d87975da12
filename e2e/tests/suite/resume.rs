//! Devices that were away get exactly what they missed, in order, and go on without a seam.

use natter_client::Notification;
use natter_e2e::{Cluster, Db, Device};
use natter_ids::{ConversationId, Position};
use natter_protocol::Change;

on_every_database!(offline_then_back);
on_every_database!(a_long_absence_while_people_go_on_talking);

/// Texts `from..to`, as [`say_all`] says them.
fn numbered(from: usize, to: usize) -> impl Iterator<Item = String> {
    (from..to).map(|number| format!("message {number}"))
}

async fn say_all(device: &Device, to: &ConversationId, from: usize, until: usize) {
    for text in numbered(from, until) {
        device.say(to, &text).await;
    }
}

/// A device that comes back at a gateway.
fn back(cluster: &Cluster, name: &str, gateway: usize, position: Position) -> Device {
    Device::connect(name, cluster.client(name, &[gateway]).position(position))
}

/// Who was offline gets what was said meanwhile, once and in order, at the same gateway or at
/// another one; a new device of the same user begins at the present.
async fn offline_then_back(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    say_all(&alice, &talk, 0, 3).await;
    bob.hears(numbered(0, 3)).await;

    let left_at = bob.leave().await;
    say_all(&alice, &talk, 3, 8).await;
    let bob = back(&cluster, "bob", 1, left_at);
    bob.hears(numbered(3, 8)).await;
    bob.caught_up().await;

    let left_at = bob.leave().await;
    say_all(&alice, &talk, 8, 12).await;
    let bob = back(&cluster, "bob", 0, left_at);
    bob.hears(numbered(8, 12)).await;
    bob.caught_up().await;
    let fresh = cluster.device("bob", 1).await;
    say_all(&alice, &talk, 12, 14).await;
    bob.hears(numbered(12, 14)).await;
    fresh.hears(numbered(12, 14)).await;

    let left_at = bob.leave().await;
    let bob = back(&cluster, "bob", 0, left_at);
    bob.caught_up().await;
    assert_eq!(bob.client().stats().repeats_across_sessions, 0, "the position covers what was kept");
}

/// Several pages of missed messages are read while others go on talking: one sequence, no seam.
async fn a_long_absence_while_people_go_on_talking(database: Db) {
    const MISSED: usize = 450;
    const MEANWHILE: usize = 150;
    let cluster = Cluster::builder()
        .database(database)
        .set("connection.backlog_page", 20)
        // A refusal would let a message be overtaken by those on the wire behind it.
        .set("connection.user_requests_burst", 10 * MISSED)
        .start()
        .await;
    let alice = Device::connect("alice", cluster.client("alice", &[0]).pipeline(16).discard_events());
    let bob = cluster.device("bob", 1).await;
    let talk = bob.direct("alice").await;
    let left_at = bob.leave().await;
    pour(&alice, &talk, 0, MISSED).await;

    let bob = back(&cluster, "bob", 1, left_at);
    tokio::join!(pour(&alice, &talk, MISSED, MISSED + MEANWHILE), bob.hears(numbered(0, MISSED + MEANWHILE)));
    let stats = bob.client().stats();
    assert_eq!((stats.holes, stats.repeats_in_session, stats.repeats_across_sessions), (0, 0, 0));
}

/// Says texts without waiting for each answer.
async fn pour(device: &Device, to: &ConversationId, from: usize, until: usize) {
    let mut sending = Vec::new();
    for text in numbered(from, until) {
        sending.push(Box::pin(device.client().send(to.clone(), text)));
    }
    for sent in futures_util::future::join_all(sending).await {
        sent.expect("accepted");
    }
}

/// Each device of a user has its own position; what one has seen does not concern the others.
#[tokio::test(flavor = "multi_thread")]
async fn devices_with_positions_of_their_own() {
    let cluster = Cluster::builder().start().await;
    let alice = cluster.device("alice", 0).await;
    let (phone, tablet) = (cluster.device("bob", 0).await, cluster.device("bob", 1).await);
    let laptop = cluster.device("bob", 1).await;
    let talk = alice.direct("bob").await;

    say_all(&alice, &talk, 0, 3).await;
    for device in [&phone, &tablet, &laptop] {
        device.hears(numbered(0, 3)).await;
    }
    let phone_at = phone.leave().await;
    say_all(&alice, &talk, 3, 6).await;
    tablet.hears(numbered(3, 6)).await;
    let tablet_at = tablet.leave().await;
    say_all(&alice, &talk, 6, 9).await;
    laptop.hears(numbered(3, 9)).await;

    let (tablet, phone) = (back(&cluster, "bob", 0, tablet_at), back(&cluster, "bob", 1, phone_at));
    phone.hears(numbered(3, 9)).await;
    tablet.hears(numbered(6, 9)).await;
    for device in [&phone, &tablet] {
        device.caught_up().await;
    }
    say_all(&alice, &talk, 9, 10).await;
    for device in [&phone, &tablet, &laptop] {
        device.hears(numbered(9, 10)).await;
    }
}

/// Missed events of many conversations come each in its own order, beginnings included.
#[tokio::test(flavor = "multi_thread")]
async fn many_conversations_at_once() {
    let cluster = Cluster::builder().start().await;
    let bob = cluster.device("bob", 0).await;
    let left_at = bob.leave().await;
    let names: Vec<_> = (0..12).map(|number| format!("friend-{number}")).collect();
    for name in &names {
        let friend = cluster.device(name, 1).await;
        let talk = friend.direct("bob").await;
        say_all(&friend, &talk, 0, 4).await;
    }
    let bob = back(&cluster, "bob", 1, left_at);
    let mut heard = std::collections::HashMap::<_, Vec<_>>::new();
    let mut begun = 0;
    loop {
        match bob.next().await {
            Notification::Event(event, _) => match event.entry.change {
                Change::Message { text, .. } => heard.entry(event.conversation).or_default().push(text),
                change => begun += usize::from(change.is_beginning()),
            },
            Notification::CaughtUp(_) => break,
            _ => {}
        }
    }
    assert_eq!((begun, heard.len()), (names.len(), names.len()));
    assert!(heard.into_values().all(|texts| texts == numbered(0, 4).collect::<Vec<_>>()));
}
