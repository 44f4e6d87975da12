//! What people do, done over HTTP at one gateway and seen on a device at the other.

use hyper::Method;
use natter_client::Notification;
use natter_e2e::{Cluster, Db, PATIENCE, user};
use natter_ids::ClientId;
use natter_protocol::{AcceptedView, Audience, BlockPage, Change, HistoryPage, PrivacyView};
use natter_testkit::wait_for;

use crate::changes::{archived, sees, texts};

on_every_database!(messages_are_changed_over_http);

/// A message is edited, pinned, unpinned and deleted by requests, each of which a device of the other user sees live,
/// and what is pinned is read.
async fn messages_are_changed_over_http(database: Db) {
    let cluster = Cluster::builder().set("nats.partitions", 1).database(database).start().await;
    let (alice, bob) = (cluster.http("alice", 0), cluster.device("bob", 1).await);
    let talk = bob.direct("alice").await;
    let said = alice.say(&talk, ClientId::now(), "teh message").await.unwrap().seq;
    let post = async |what: &str, more: &str| -> AcceptedView {
        let body = format!(r#"{{"client_id":"{}"{more}}}"#, ClientId::now());
        alice.post(&format!("/v1/conversations/{talk}/messages/{said}/{what}"), Some(&body)).await.read().unwrap()
    };
    let pinned =
        async || -> HistoryPage { alice.get(&format!("/v1/conversations/{talk}/pinned")).await.read().unwrap() };
    post("edit", r#","text":"the message""#).await;
    let pin = post("pin", "").await;
    archived(&alice, &talk, pin.seq).await;
    assert_eq!(texts(&pinned().await), ["the message"]);
    let unpin = post("unpin", "").await;
    archived(&alice, &talk, unpin.seq).await;
    assert_eq!(texts(&pinned().await), [""; 0]);
    let last = post("delete", "").await;
    let expected = [
        Change::Edited { target: said, text: "the message".into(), mentions: Vec::new() },
        Change::Pinned { target: said },
        Change::Unpinned { target: said },
        Change::Deleted { target: said },
    ];
    assert_eq!(sees(&bob, &expected).await[3].seq, last.seq);
    assert_eq!(texts(&archived(&alice, &talk, last.seq).await), [""; 0]);
}

/// A block is set and lifted, and privacy chosen, over HTTP, and holds on a device at the other gateway.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_kept_over_http() {
    let cluster = Cluster::builder().start().await;
    let (alice, hers) = (cluster.http("alice", 0), cluster.device("alice", 1).await);
    let bob = cluster.device("bob", 0).await;
    let talk = bob.direct("alice").await;
    assert_eq!(hers.event().await.conversation, talk);
    let blocked: BlockPage = alice.request(Method::PUT, "/v1/blocks/bob", None).await.read().unwrap();
    assert_eq!(blocked.blocks.iter().map(|block| &block.user).collect::<Vec<_>>(), [&user("bob")]);
    // The device's gateway goes by what it says.
    assert_eq!(hers.client().blocks().await.unwrap().blocks, blocked.blocks);
    bob.say(&talk, "unheard").await;
    let lifted: BlockPage = alice.request(Method::DELETE, "/v1/blocks/bob", None).await.read().unwrap();
    assert_eq!(lifted.blocks, []);
    let told = hers.find(|next| match next {
        Notification::Event(event, _) if event.conversation == talk => panic!("{event:?} came through a block"),
        Notification::Unblocked { user, .. } => Some(user),
        _ => None,
    });
    assert_eq!(told.await, user("bob"));

    let hidden = PrivacyView { presence: Audience::Nobody };
    let body = serde_json::to_string(&hidden).unwrap();
    let chosen: PrivacyView = alice.request(Method::PUT, "/v1/privacy", Some(&body)).await.read().unwrap();
    let read: PrivacyView = cluster.http("alice", 1).get("/v1/privacy").await.read().unwrap();
    assert_eq!((&chosen, &read), (&hidden, &hidden));
    wait_for("alice to be unseen", PATIENCE, async || {
        let views = bob.client().presence(&[user("alice")]).await.unwrap();
        views.iter().all(|view| !view.online && view.last_seen.is_none()).then_some(())
    })
    .await;
}
