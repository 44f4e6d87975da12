//! What people let others see of them: that they are away, and whether they are here at all.

use natter_client::Notification;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_protocol::{Audience, PresenceView, PrivacyView};
use natter_testkit::wait_for;

on_every_database!(away_from_every_device);
on_every_database!(seen_by_nobody);

async fn view(asking: &Device, who: &str) -> Option<PresenceView> {
    asking.client().presence(&[user(who)]).await.unwrap().into_iter().next()
}

async fn until(asking: &Device, what: &str, wanted: impl Fn(&PresenceView) -> bool) -> PresenceView {
    wait_for(what, PATIENCE, async || view(asking, "bob").await.filter(|view| wanted(view))).await
}

async fn is_told(device: &Device, wanted: impl Fn(&PresenceView) -> bool) -> PresenceView {
    let told = |next| match next {
        Notification::PresenceChanged(view) => wanted(&view).then_some(view),
        _ => None,
    };
    device.find(told).await
}

/// Somebody is away once they have left all devices that are connected, at whatever gateways.
async fn away_from_every_device(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = cluster.device("alice", 0).await;
    let (phone, laptop) = (cluster.device("bob", 1).await, cluster.device("bob", 0).await);
    alice.direct("bob").await;
    until(&alice, "bob", |view| view.online && !view.away).await;
    alice.client().watch_presence(&[user("bob")]).await.unwrap();
    phone.client().set_away(true).await.unwrap();
    laptop.client().set_away(true).await.unwrap();
    is_told(&alice, |view| view.online && view.away).await;
    assert!(cluster.http("alice", 1).presence(&["bob"]).await.unwrap().users[0].away);
    // It outlasts a presence that was restarted, and ends with the first device that is used.
    cluster.presence(0).restart().await;
    until(&alice, "bob to be away still", |view| view.away).await;
    phone.client().set_away(false).await.unwrap();
    is_told(&alice, |view| view.online && !view.away).await;
    phone.leave().await;
    is_told(&alice, |view| view.online && view.away).await;
}

/// Whoever lets nobody see them is offline in all eyes, with no trace of when they were here, on all devices
/// and after a restart; whoever lets others see them again is seen.
async fn seen_by_nobody(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    alice.direct("bob").await;
    until(&alice, "bob to be online", |view| view.online).await;
    bob.leave().await;
    until(&alice, "bob to have been seen", |view| !view.online && view.last_seen.is_some()).await;

    // While away, over HTTP: what was kept is forgotten.
    let nobody = r#"{"presence":"nobody"}"#;
    let changed = cluster.http("bob", 0).request(hyper::Method::PUT, "/v1/privacy", Some(nobody)).await;
    assert_eq!((changed.status, changed.body.as_str()), (200, nobody));
    until(&alice, "bob to be forgotten", |view| !view.online && view.last_seen.is_none()).await;
    alice.client().watch_presence(&[user("bob")]).await.unwrap();
    let bob = cluster.device("bob", 1).await;
    assert_eq!(bob.client().privacy().await.unwrap(), PrivacyView { presence: Audience::Nobody });
    let talk = bob.direct("alice").await;
    bob.say(&talk, "I am here").await;
    alice
        .find(|next| match next {
            Notification::PresenceChanged(view) => panic!("{view:?}"),
            Notification::Event(event, _) => event.entry.client_id.map(drop),
            _ => None,
        })
        .await;
    assert_eq!(
        view(&alice, "bob").await,
        Some(PresenceView { user: user("bob"), online: false, away: false, last_seen: None })
    );
    bob.leave().await;
    cluster.restart_everything().await;
    let bob = Device::connect("bob", cluster.client("bob", &[0]));
    bob.caught_up().await;
    let seen = view(&alice, "bob").await.unwrap();
    assert!(!seen.online && seen.last_seen.is_none(), "{seen:?}");

    bob.client().set_privacy(PrivacyView::default()).await.unwrap();
    until(&alice, "bob to be seen again", |view| view.online).await;
    // And off again while everybody looks.
    alice.client().watch_presence(&[user("bob")]).await.unwrap();
    bob.client().set_privacy(PrivacyView { presence: Audience::Nobody }).await.unwrap();
    let gone = is_told(&alice, |view| !view.online).await;
    assert_eq!(gone.last_seen, None);
}
