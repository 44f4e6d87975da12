//! Who is meant: counted in the list of conversations.

use natter_client::Client;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::{ClientId, ConversationId, Seq};
use natter_protocol::{OverviewPage, OverviewPosition, Request, ServerFrame};
use natter_testkit::wait_for;

on_every_database!(mentions_are_counted_in_the_list);

async fn accepted(client: &Client, request: Request) -> Seq {
    match client.request(request).await.unwrap() {
        ServerFrame::Accepted { seq, .. } => seq,
        other => panic!("{other:?}"),
    }
}

async fn mention(from: &Device, to: &ConversationId, name: &str) -> Seq {
    let (conversation, mentions) = (to.clone(), vec![user(name)]);
    let text = format!("@{name}, look");
    accepted(from.client(), Request::Send { conversation, client_id: ClientId::now(), text, reply_to: None, mentions })
        .await
}

/// Waits until so many unread messages, and so many of them that mean the user, are in a device's list.
async fn until(device: &Device, of: &ConversationId, since: Option<&OverviewPosition>, expected: (u64, u64)) {
    wait_for(&format!("{expected:?} to be listed"), PATIENCE, async || {
        let list = device.client().overview(since).await.unwrap().conversations;
        let item = list.iter().find(|item| item.view.conversation == *of)?;
        ((item.unread, item.mentions) == expected).then_some(())
    })
    .await;
}

/// Each device of whoever is meant sees how often, of what is unread: what was read, or edited to mean
/// somebody else, or deleted does not count, nor is what was deleted unread; and the others of the group are not meant.
async fn mentions_are_counted_in_the_list(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let (phone, laptop) = (cluster.device("carol", 0).await, cluster.device("carol", 1).await);
    let group = alice.group("friends", &["bob", "carol"]).await;
    alice.say(&group, "who comes?").await;
    let first = mention(&alice, &group, "carol").await;
    let second = mention(&bob, &group, "carol").await;
    let third = mention(&alice, &group, "carol").await;
    for device in [&phone, &laptop] {
        until(device, &group, None, (4, 3)).await;
    }
    let known = laptop.client().overview(None).await.unwrap().position;
    until(&bob, &group, None, (1, 0)).await;

    phone.client().mark(&group, None, Some(first)).await.unwrap();
    until(&laptop, &group, Some(&known), (2, 2)).await;
    let (conversation, client_id) = (group.clone(), ClientId::now());
    let edit = Request::Edit {
        conversation,
        client_id,
        target: second,
        text: "@alice, look".to_owned(),
        mentions: vec![user("alice")],
    };
    accepted(bob.client(), edit).await;
    until(&laptop, &group, Some(&known), (2, 1)).await;
    alice.client().delete(&group, third).await.unwrap();
    until(&laptop, &group, Some(&known), (1, 0)).await;
    let fourth = mention(&bob, &group, "carol").await;
    until(&phone, &group, None, (2, 1)).await;
    // Over HTTP, both ways of asking.
    let page: OverviewPage = cluster.http("carol", 1).get("/v1/overview").await.read().unwrap();
    assert_eq!((page.conversations[0].mentions, page.conversations[0].view.last_seq), (1, fourth));
    let asked = cluster.http("carol", 0).post("/v1/requests", Some(r#"{"type":"overview"}"#)).await;
    assert!(asked.body.contains(r#""unread":2,"mentions":1"#), "{}", asked.body);
    laptop.say(&group, "yes").await;
    until(&phone, &group, None, (0, 0)).await;
}
