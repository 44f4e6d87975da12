//! Messages that answer others, mention members, and are forwarded.

use natter_e2e::{Cluster, Db, Device, user};
use natter_ids::{ClientId, ConversationId, Seq};
use natter_protocol::{AcceptedView, Change, ErrorBody, ErrorCode};

use crate::changes::{archived, code};

on_every_database!(messages_refer_to_others);

/// A message answers another, mentions members and is forwarded: everybody sees so, live and in history;
/// and it tells nobody of a conversation that they do not know.
async fn messages_refer_to_others(database: Db) {
    let cluster = Cluster::builder().database(database).set("nats.partitions", 1).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let carol = cluster.device("carol", 1).await;
    let group = alice.group("friends", &["bob"]).await;
    let talk = bob.direct("carol").await;
    let (a, b, c) = (alice.client(), bob.client(), carol.client());
    let first = alice.say(&group, "who comes?").await.seq;
    let mentions = [user("alice")];
    let answer = b.reply(&group, first, "@alice, I do", &mentions).await.unwrap().seq;
    let said = Change::Message {
        text: "@alice, I do".to_owned(),
        reply_to: Some(first),
        forwarded: None,
        mentions: mentions.to_vec(),
    };
    for device in [&alice, &bob] {
        device.hears(["who comes?"]).await;
        let (event, _) = device.message().await;
        assert_eq!((event.seq, &event.entry.change), (answer, &said));
    }
    let page = archived(&cluster.http("bob", 0), &group, answer).await;
    assert_eq!(page.events.last().unwrap().entry.change, said);

    // Only members can be mentioned, and only what one sees be answered or forwarded.
    assert_eq!(code(b.reply(&group, first, "@carol", &[user("carol")]).await), ErrorCode::NotAllowed);
    assert_eq!(code(b.reply(&group, first + 1_000, "x", &[]).await), ErrorCode::NoSuchMessage);
    assert_eq!(code(c.forward((&group, first), &talk, false).await), ErrorCode::NotAMember, "not hers");
    assert_eq!(code(a.forward((&group, first), &talk, false).await), ErrorCode::NotAMember, "not her talk");

    a.edit(&group, first, "who comes along?").await.unwrap();
    b.forward((&group, first), &talk, false).await.unwrap();
    let (event, text) = carol.message().await;
    assert_eq!(text, "who comes along?", "as it is now");
    let Change::Message { forwarded, .. } = &event.entry.change else { panic!("{event:?}") };
    assert_eq!(forwarded.as_ref().unwrap().sender, Some(user("alice")));
    assert!(!serde_json::to_string(&event).unwrap().contains(&group.to_string()), "{event:?}");
    // Forwarded once more it is still alice's; and who said it can be left untold.
    let notes = carol.direct("carol").await;
    c.forward((&talk, event.seq), &notes, false).await.unwrap();
    c.forward((&talk, event.seq), &notes, true).await.unwrap();
    for sender in [Some(user("alice")), None] {
        let (event, _) = carol.message().await;
        let Change::Message { forwarded, .. } = event.entry.change else { panic!("no message") };
        assert_eq!(forwarded.unwrap().sender, sender);
    }
    a_forward_is_made_once(&cluster, &bob, (&group, first), &talk).await;
}

/// A retry is the same message, though what was forwarded was edited, or deleted, since.
async fn a_forward_is_made_once(cluster: &Cluster, bob: &Device, of: (&ConversationId, Seq), to: &ConversationId) {
    let client_id = ClientId::now();
    let body = serde_json::json!({ "client_id": client_id, "from": of.0, "target": of.1 }).to_string();
    let forward = async |gateway| -> Result<AcceptedView, ErrorBody> {
        let http = cluster.http("bob", gateway);
        http.post(&format!("/v1/conversations/{to}/forward"), Some(&body)).await.read()
    };
    let first = forward(0).await.unwrap();
    assert_eq!(forward(1).await.unwrap(), first, "at once");
    let alice = cluster.device("alice", 1).await;
    alice.client().edit(of.0, of.1, "edited since").await.unwrap();
    assert_eq!(forward(1).await.unwrap(), first, "after an edit");
    alice.client().delete(of.0, of.1).await.unwrap();
    assert_eq!(forward(1).await.unwrap(), first, "after the deletion");
    let other = bob.client().send_with_id(to.clone(), client_id, "something else").await;
    assert!(other.is_err(), "{other:?}");
}
