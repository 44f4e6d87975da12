//! Who is writing: told to members who are online, in conversations that are not too large, and to nobody else.

use std::time::Duration;

use natter_client::Notification;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::ConversationId;
use natter_protocol::Change;
use natter_testkit::wait_for;

/// The next thing that a device is told of somebody who writes, or what is said to it, whichever is first.
async fn next(device: &Device) -> Result<(ConversationId, String, Duration), String> {
    device
        .find(|told| match told {
            Notification::Typing { conversation, user, expires_in } => {
                Some(Ok((conversation, user.to_string(), expires_in)))
            }
            Notification::Event(event, _) => match event.entry.change {
                Change::Message { text, .. } => Some(Err(text)),
                _ => None,
            },
            _ => None,
        })
        .await
}

/// The next two: who writes where, or what was said.
async fn two(device: &Device) -> [Result<ConversationId, String>; 2] {
    [
        next(device).await.map(|(conversation, ..)| conversation),
        next(device).await.map(|(conversation, ..)| conversation),
    ]
}

/// Members at any gateway see it for as long as was configured, also that it has stopped; the writer's own
/// devices, strangers and former members do not, and it is in no history.
#[tokio::test(flavor = "multi_thread")]
async fn members_see_who_is_writing() {
    let cluster = Cluster::builder().set("connection.typing_ms", 5_000).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let (tablet, mallory) = (cluster.device("alice", 1).await, cluster.device("mallory", 1).await);
    let group = alice.group("friends", &["bob", "carol"]).await;
    let carol = cluster.device("carol", 1).await;
    alice.say(&group, "hello").await;
    for device in [&bob, &tablet, &carol] {
        assert_eq!(next(device).await, Err("hello".to_owned()));
    }
    alice.client().typing(&group, false);
    for device in [&bob, &carol] {
        let (conversation, who, expires_in) = next(device).await.expect("alice writes");
        assert_eq!((conversation, who.as_str()), (group.clone(), "alice"));
        assert!(expires_in > Duration::from_secs(2) && expires_in <= Duration::from_secs(5), "{expires_in:?}");
    }
    alice.client().typing(&group, true);
    let (_, _, expires_in) = next(&bob).await.expect("alice stops");
    assert_eq!(expires_in, Duration::ZERO);

    // A stranger's is dropped, and so is that of who was a member.
    mallory.client().typing(&group, false);
    alice.client().remove_member(&group, &user("carol")).await.unwrap();
    alice.say(&group, "carol is gone").await;
    assert_eq!(next(&bob).await, Err("carol is gone".to_owned()));
    carol.client().typing(&group, false);
    alice.client().typing(&group, false);
    let (_, who, _) = next(&bob).await.expect("alice writes again");
    assert_eq!(who, "alice", "neither mallory nor carol");
    alice.say(&group, "the end").await;
    assert_eq!(next(&bob).await, Err("the end".to_owned()));
    assert_eq!(next(&tablet).await, Err("carol is gone".to_owned()), "nothing of their own");
    // Created, three messages, one removal, and nothing else.
    let kept = wait_for("the end of the history", PATIENCE, async || {
        let kept = bob.client().history(&group, None, None, None).await.unwrap().events;
        let ends = kept
            .last()
            .is_some_and(|last| matches!(&last.entry.change, Change::Message { text, .. } if text == "the end"));
        ends.then_some(kept)
    })
    .await;
    assert_eq!(kept.len(), 5, "{kept:?}");
}

on_every_database!(it_is_stored_nowhere);
/// Whoever writes leaves no entry in the log and no row in any table, live or stopped.
async fn it_is_stored_nowhere(database: Db) {
    let cluster = Cluster::builder().set("nats.partitions", 1).database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let said = alice.say(&talk, "hello").await.seq;
    assert_eq!(next(&bob).await, Err("hello".to_owned()));
    bob.client().mark(&talk, None, Some(said)).await.unwrap();
    let rows = async || natter_testkit::archive::tables(cluster.database_url()).await.unwrap();
    let before = (entries(&cluster).await, rows().await);
    for stopped in [false, true, false] {
        alice.client().typing(&talk, stopped);
        let (_, who, expires_in) = next(&bob).await.expect("alice writes");
        assert_eq!((who.as_str(), expires_in.is_zero()), ("alice", stopped));
    }
    assert_eq!((entries(&cluster).await, rows().await), before);
    // What is said is counted by both.
    let end = alice.say(&talk, "the end").await.seq;
    bob.client().mark(&talk, None, Some(end)).await.unwrap();
    assert_eq!(next(&bob).await, Err("the end".to_owned()));
    let after = (entries(&cluster).await, rows().await);
    assert_eq!((after.0, after.1["entries"]), (before.0 + 1, before.1["entries"] + 1));
}

/// How many entries the log has had.
async fn entries(cluster: &Cluster) -> u64 {
    let client = async_nats::connect(cluster.nats().url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("CHAT-0").await.unwrap();
    stream.cached_info().state.last_sequence
}

/// What is too much is dropped without a word, and large conversations are not bothered.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_kept_within_bounds() {
    let cluster =
        Cluster::builder().set("delivery.typing_members_max", 2).set("connection.user_typing_per_sec", 1).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let (talk, group) = (alice.direct("bob").await, alice.group("three", &["bob", "carol"]).await);
    alice.say(&group, "in the group").await;
    alice.say(&talk, "to bob").await;
    // Between two conversations there is no order.
    let said = two(&bob).await;
    assert!(said.contains(&Err("in the group".to_owned())) && said.contains(&Err("to bob".to_owned())), "{said:?}");
    alice.client().typing(&group, false);
    alice.say(&group, "behind it").await;
    alice.client().typing(&talk, false);
    let told = two(&bob).await;
    assert!(told.contains(&Err("behind it".to_owned())) && told.contains(&Ok(talk.clone())), "{told:?}");

    // Two at once and one per second are let through.
    for _ in 0..200 {
        alice.client().typing(&talk, false);
        tokio::task::yield_now().await;
    }
    alice.say(&talk, "enough").await;
    let mut seen = 0;
    while next(&bob).await.is_ok() {
        seen += 1;
    }
    assert!(seen <= 4, "{seen} of 200 were passed on");
    assert_eq!(alice.client().stats().disconnects, 0);
}
