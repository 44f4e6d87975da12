//! Who is online, for people who share a conversation.

use natter_client::Notification;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_protocol::PresenceView;
use natter_testkit::{Flow, wait_for};

on_every_database!(coming_and_going);
on_every_database!(only_for_people_who_share_a_conversation);

/// Waits until asking for somebody's presence gives what is expected.
async fn until(asking: &Device, who: &str, online: bool) -> PresenceView {
    wait_for(&format!("{who} to be {}", if online { "online" } else { "offline" }), PATIENCE, async || {
        let views = asking.client().presence(&[user(who)]).await.unwrap();
        views.into_iter().find(|view| view.online == online)
    })
    .await
}

/// A user is online while any device is, offline with the time after the last one went; asked
/// over WebSocket and HTTP, and told to those who watch.
async fn coming_and_going(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = cluster.device("alice", 0).await;
    alice.direct("bob").await;
    let never = until(&alice, "bob", false).await;
    assert_eq!(never.last_seen, None, "who was never there was never seen");
    let watched = alice.client().watch_presence(&[user("bob")]).await.unwrap();
    assert_eq!(watched, [never]);

    let (phone, laptop) = (cluster.device("bob", 1).await, cluster.device("bob", 0).await);
    alice.sees("bob", true).await;
    let view = until(&alice, "bob", true).await;
    assert_eq!(view.last_seen, None, "there is nothing to have seen last while somebody is here");
    assert_eq!(cluster.http("alice", 1).presence(&["bob"]).await.unwrap().users, [view]);

    laptop.leave().await;
    let before = crate::now_ms();
    phone.leave().await;
    let gone = alice.sees("bob", false).await;
    let seen = gone.last_seen.unwrap();
    assert!(
        (before.saturating_sub(5_000)..=crate::now_ms()).contains(&seen),
        "seen last at {seen}, left after {before}"
    );
    assert_eq!(until(&alice, "bob", false).await, gone);

    alice.client().watch_presence(&[]).await.unwrap();
    let bob = cluster.device("bob", 1).await;
    until(&alice, "bob", true).await;
    bob.leave().await;
    until(&alice, "bob", false).await;
    let notes = alice.direct("alice").await;
    alice.say(&notes, "the watch has ended").await;
    loop {
        match alice.next().await {
            natter_client::Notification::PresenceChanged(view) => panic!("the watch had ended: {view:?}"),
            natter_client::Notification::Event(event, _) if event.conversation == notes => break,
            _ => {}
        }
    }
}

/// Strangers are left out of every answer, and so is who shares a conversation no more.
async fn only_for_people_who_share_a_conversation(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let mallory = cluster.device("mallory", 1).await;
    let group = alice.group("friends", &["bob"]).await;
    until(&alice, "bob", true).await;

    let everybody = [user("alice"), user("bob"), user("mallory")];
    let seen = |views: Vec<PresenceView>| views.into_iter().map(|view| view.user).collect::<Vec<_>>();
    let by_mallory = seen(mallory.client().presence(&everybody).await.unwrap());
    assert!(!by_mallory.contains(&user("alice")) && !by_mallory.contains(&user("bob")), "{by_mallory:?}");
    let by_bob = seen(bob.client().watch_presence(&everybody).await.unwrap());
    assert!(by_bob.contains(&user("alice")) && !by_bob.contains(&user("mallory")), "{by_bob:?}");
    let over_http = cluster.http("mallory", 0).presence(&["alice", "bob"]).await.unwrap().users;
    assert_eq!(over_http, []);

    // Once removed, bob's watch shows alice's coming and going no more.
    alice.client().remove_member(&group, &user("bob")).await.unwrap();
    wait_for("bob to see alice no more", PATIENCE, async || {
        seen(bob.client().presence(&everybody).await.unwrap()).iter().all(|user| user.as_str() != "alice").then_some(())
    })
    .await;
    let carol = cluster.device("carol", 0).await;
    let shared = carol.group("bob and carol", &["bob"]).await;
    alice.leave().await;
    until_offline_for(&carol, &cluster).await;
    carol.say(&shared, "alice is gone").await;
    loop {
        match bob.next().await {
            natter_client::Notification::PresenceChanged(view) => {
                panic!("bob watches somebody he shares nothing with: {view:?}");
            }
            natter_client::Notification::Event(event, _)
                if event.conversation == shared && event.entry.client_id.is_some() =>
            {
                break;
            }
            _ => {}
        }
    }
}

/// Waits until alice is offline in the eyes of somebody who may know.
async fn until_offline_for(carol: &Device, cluster: &Cluster) {
    carol.direct("alice").await;
    until(carol, "alice", false).await;
    assert_eq!(cluster.http("carol", 1).presence(&["alice"]).await.unwrap().users.len(), 1);
}

/// The users of a gateway that was killed go offline once its lease is over; those who are at
/// another gateway too stay online.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_takes_its_users_offline() {
    let cluster = Cluster::builder().start().await;
    let alice = cluster.device("alice", 0).await;
    let bob = Device::connect("bob", cluster.client("bob", &[1]));
    bob.caught_up().await;
    let (carol, carols_other) = (cluster.device("carol", 0).await, cluster.device("carol", 1).await);
    alice.group("friends", &["bob", "carol"]).await;
    until(&alice, "bob", true).await;
    alice.client().watch_presence(&[user("bob"), user("carol")]).await.unwrap();

    cluster.gateway(1).kill9();
    let gone = alice.sees("bob", false).await;
    assert!(gone.last_seen.is_some());
    until(&alice, "carol", true).await;
    drop((carol, carols_other));

    cluster.gateway(1).restart().await;
    alice.sees("bob", true).await;
}

/// After presence was killed, with nobody else to ask, it learns again who is online.
#[tokio::test(flavor = "multi_thread")]
async fn presence_comes_back_knowing() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    alice.direct("bob").await;
    until(&alice, "bob", true).await;
    cluster.presence(0).restart().await;
    until(&alice, "bob", true).await;
    bob.leave().await;
    until(&alice, "bob", false).await;
}

/// A gateway that could not hear who came or went tells it once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_lost_is_made_up_for() {
    let cluster = Cluster::builder().proxied().start().await;
    let (alice, bob, carol) =
        (cluster.device("alice", 0).await, cluster.device("bob", 1).await, cluster.device("carol", 1).await);
    alice.group("friends", &["bob", "carol"]).await;
    for device in [&alice, &carol] {
        until(device, "bob", true).await;
        device.client().watch_presence(&[user("bob")]).await.unwrap();
    }

    cluster.wire_to_nats().set(Flow::Stall, Flow::Stall);
    alice.find(|next| matches!(next, Notification::ResumeDelayed(_)).then_some(())).await;
    bob.leave().await;
    carol.sees("bob", false).await;
    // Nothing of what was on its way arrives, and so the change is lost.
    cluster.wire_to_nats().reset();
    cluster.wire_to_nats().heal();
    alice.sees("bob", false).await;
}
