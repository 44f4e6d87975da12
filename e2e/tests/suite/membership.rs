//! Who is no member reads and writes nothing, on any path, from the moment it is accepted (G8).
//!
//! All conversations of these tests are in one partition, where everything a device gets is in
//! one order: once it has a later event, an earlier one that has not come never comes.

use natter_client::{RequestError, SendError};
use natter_e2e::{Cluster, ClusterBuilder, Db, Device, Http, user};
use natter_ids::{ClientId, ConversationId, Position};
use natter_protocol::{BacklogPage, Change, ErrorBody, ErrorCode, Event, MemberPage};
use natter_testkit::wait_for;

on_every_database!(who_is_removed_is_out_at_once);

fn in_one_partition() -> ClusterBuilder {
    Cluster::builder().set("nats.partitions", 1)
}

/// A removed member's open sockets, on both gateways, get the removal and nothing after it; every
/// request about the group is refused, over WebSocket and HTTP; the others go on.
async fn who_is_removed_is_out_at_once(database: Db) {
    let cluster = in_one_partition().database(database).start().await;
    let (alice, carol) = (cluster.device("alice", 0).await, cluster.device("carol", 1).await);
    let bobs = [cluster.device("bob", 0).await, cluster.device("bob", 1).await];
    let start = bobs[0].client().position().unwrap();
    let fence = alice.direct("bob").await;
    let group = alice.group("friends", &["bob", "carol"]).await;
    alice.say(&group, "bob is here").await;
    bobs[0].say(&group, "so I am").await;

    let removed = alice.client().remove_member(&group, &user("bob")).await.unwrap();
    alice.say(&group, "bob is gone").await;
    refused_everything(&bobs[1], &cluster.http("bob", 1), &group).await;
    alice.say(&group, "carol hears this").await;
    alice.say(&fence, "only between us").await;

    for bob in &bobs {
        let got = events_until(bob, "only between us").await;
        let last = got.iter().rev().find(|event| event.conversation == group).unwrap();
        assert_eq!(last.seq, removed, "the removal is the last thing that bob gets of the group");
        assert_eq!(last.entry.change, Change::MemberRemoved { user: user("bob") });
    }
    carol.hears(["bob is here", "so I am", "bob is gone", "carol hears this"]).await;

    // What a device of bob's that was away missed ends with the removal too, both ways.
    let away = Device::connect("bob", cluster.client("bob", &[1]).position(start.clone()));
    let missed = events_until(&away, "only between us").await;
    assert_eq!(missed.iter().rfind(|event| event.conversation == group).unwrap().seq, removed);
    let pulled = pull_until(&cluster.http("bob", 0), start, "only between us").await;
    assert_eq!(pulled.iter().rfind(|event| event.conversation == group).unwrap().seq, removed);
}

/// Everything that one could ask about a conversation, asked by somebody who is no member.
async fn refused_everything(device: &Device, http: &Http, group: &ConversationId) {
    let client = device.client();
    let sent = client.send(group.clone(), "let me in").await;
    assert!(matches!(&sent, Err(SendError::Refused(error)) if error.code == ErrorCode::NotAMember), "{sent:?}");
    assert_eq!(code(client.history(group, None, None, None).await), ErrorCode::NotAMember, "history");
    assert_eq!(code(client.members(group, None, None).await), ErrorCode::NotAMember, "members");
    assert_eq!(code(client.add_member(group, &device.user()).await), ErrorCode::NotAMember, "adding oneself");
    assert_eq!(code(client.remove_member(group, &user("alice")).await), ErrorCode::NotAMember, "removing somebody");
    assert_eq!(code(client.leave(group).await), ErrorCode::NotAMember, "leaving");
    // A list is the archive's, which is a moment behind; it holds nothing that was said.
    wait_for("the list of conversations to be without it", natter_e2e::PATIENCE, async || {
        let listed = client.conversations(None, None).await.unwrap().conversations;
        listed.iter().all(|view| view.conversation != *group).then_some(())
    })
    .await;

    let said = http.say(group, ClientId::now(), "let me in").await;
    assert_eq!(said.map_err(|error| error.code), Err(ErrorCode::NotAMember), "POST");
    assert_eq!(http.history(group, "").await.map_err(|error| error.code), Err(ErrorCode::NotAMember), "GET history");
    let members: Result<MemberPage, ErrorBody> = http.get(&format!("/v1/conversations/{group}/members")).await.read();
    assert_eq!(members.map_err(|error| error.code), Err(ErrorCode::NotAMember), "GET members");
}

/// Everything that comes to a device up to a text.
async fn events_until(device: &Device, text: &str) -> Vec<Event> {
    let mut got = Vec::new();
    loop {
        got.push(device.event().await);
        if matches!(&got[got.len() - 1].entry.change, Change::Message { text: heard, .. } if heard == text) {
            return got;
        }
    }
}

/// The same over HTTP: pulls pages until the text is in one.
async fn pull_until(http: &Http, mut position: Position, text: &str) -> Vec<Event> {
    let mut got = Vec::new();
    wait_for(&format!("{text:?} to be pulled"), natter_e2e::PATIENCE, async || {
        let BacklogPage { events, position: reached, .. } = http.backlog(Some(&position), 100).await.unwrap();
        position = reached;
        got.extend(events);
        let found = |event: &Event| matches!(&event.entry.change, Change::Message { text: heard, .. } if heard == text);
        got.iter().any(found).then_some(())
    })
    .await;
    got
}

/// Who leaves gets their own leaving and nothing after it, and is out.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_out_at_once() {
    let cluster = in_one_partition().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let fence = alice.direct("bob").await;
    let group = alice.group("friends", &["bob"]).await;
    alice.say(&group, "together").await;
    let left = bob.client().leave(&group).await.unwrap();
    alice.say(&group, "alone").await;
    alice.say(&fence, "farewell").await;

    let got = events_until(&bob, "farewell").await;
    let last = got.iter().rfind(|event| event.conversation == group).unwrap();
    assert_eq!((last.seq, &last.entry.change), (left, &Change::MemberLeft {}));
    refused_everything(&bob, &cluster.http("bob", 0), &group).await;
    alice.hears(["together", "alone", "farewell"]).await;
}

/// A stranger cannot tell a conversation from one that does not exist.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_nothing() {
    let cluster = in_one_partition().start().await;
    let (alice, mallory) = (cluster.device("alice", 0).await, cluster.device("mallory", 1).await);
    let (group, talk) = (alice.group("secret", &["bob"]).await, alice.direct("bob").await);
    alice.say(&group, "psst").await;
    alice.say(&talk, "psst").await;
    let http = cluster.http("mallory", 0);
    let nowhere = ConversationId::group(&user("nobody"), ClientId::now());
    for conversation in [&group, &talk, &nowhere] {
        refused_everything(&mallory, &http, conversation).await;
    }
    let refusals = [&group, &nowhere].map(|conversation| mallory.client().history(conversation, None, None, None));
    let [real, none] = futures_util::future::join_all(refusals).await.try_into().unwrap();
    assert_eq!(real, none, "the same words for what exists and what does not");
    let fence = alice.direct("mallory").await;
    alice.say(&fence, "hello mallory").await;
    let got = events_until(&mallory, "hello mallory").await;
    assert!(got.iter().all(|event| event.conversation == fence), "nothing of others' conversations: {got:?}");
}

/// Who was removed and added again sees what was said while they were a member, and no more:
/// live, from the backlog, by pull and in history.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_added_again_sees_only_their_spans() {
    let cluster = in_one_partition().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let start = bob.client().position().unwrap();
    let group = alice.group("friends", &[]).await;
    for (said, change) in [("before", Some(true)), ("first span", Some(false)), ("between", Some(true))] {
        alice.say(&group, said).await;
        match change {
            Some(true) => alice.client().add_member(&group, &user("bob")).await.unwrap(),
            _ => alice.client().remove_member(&group, &user("bob")).await.unwrap(),
        };
    }
    alice.say(&group, "second span").await;

    let texts = |events: Vec<Event>| -> Vec<String> {
        let text = |event: Event| match event.entry.change {
            Change::Message { text, .. } => Some(text),
            _ => None,
        };
        events.into_iter().filter_map(text).collect()
    };
    let seen = ["first span", "second span"];
    assert_eq!(texts(events_until(&bob, "second span").await), seen, "live");
    let away = Device::connect("bob", cluster.client("bob", &[0]).position(start.clone()));
    assert_eq!(texts(events_until(&away, "second span").await), seen, "from the backlog");
    let http = cluster.http("bob", 0);
    assert_eq!(texts(pull_until(&http, start, "second span").await), seen, "by pull");
    for limit in [1, 200] {
        assert_eq!(texts(read_back(&bob, &group, limit).await), seen, "in history, {limit} at a time");
    }
}

/// All of a conversation's history, read from its end in pages.
async fn read_back(device: &Device, of: &ConversationId, limit: u32) -> Vec<Event> {
    let (mut read, mut before) = (Vec::new(), None);
    loop {
        let page = device.client().history(of, before, None, Some(limit)).await.unwrap();
        before = page.events.first().map(|event| event.seq);
        read.splice(0..0, page.events);
        if !page.more {
            return read;
        }
    }
}

/// Sends and a removal race: whatever was accepted has a place in the log before the removal, so
/// the log holds nothing of who is no member.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_races_with_what_the_member_says() {
    let cluster = in_one_partition().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let group = alice.group("friends", &["bob"]).await;
    bob.say(&group, "warm").await;
    let talk = async {
        let mut accepted = Vec::new();
        loop {
            match bob.client().send(group.clone(), "still here").await {
                Ok(sent) => accepted.push(sent.seq),
                Err(SendError::Refused(error)) => return (accepted, error.code),
                Err(error) => panic!("{error}"),
            }
        }
    };
    let remove = async {
        // Removed in the middle of it.
        alice.hears(["warm", "still here", "still here", "still here"]).await;
        alice.client().remove_member(&group, &user("bob")).await.unwrap()
    };
    let ((accepted, refused), removed) = tokio::join!(talk, remove);
    assert_eq!(refused, ErrorCode::NotAMember);
    assert!(accepted.len() >= 3 && accepted.iter().all(|seq| *seq < removed), "{accepted:?} before {removed}");
}

/// A group takes as many members as configured and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_group_says_so() {
    let cluster = Cluster::single().set("connection.limits.group_members_max", 3).start().await;
    let alice = cluster.device("alice", 0).await;
    let group = alice.group("three", &["bob", "carol"]).await;
    let full =
        |error: &ErrorBody| error.code == ErrorCode::GroupFull && error.limit.as_deref() == Some("group_members_max");
    let added = alice.client().add_member(&group, &user("dave")).await;
    assert!(matches!(&added, Err(RequestError::Refused(error)) if full(error)), "{added:?}");
    let four = [user("bob"), user("carol"), user("dave")];
    let created = alice.client().create_group("four", &four).await;
    assert!(matches!(&created, Err(RequestError::Refused(error)) if full(error)), "{created:?}");
    alice.client().remove_member(&group, &user("bob")).await.unwrap();
    wait_for("room in the group", natter_e2e::PATIENCE, async || {
        alice.client().add_member(&group, &user("dave")).await.ok()
    })
    .await;
}

fn code<T: std::fmt::Debug>(result: Result<T, RequestError>) -> ErrorCode {
    match result {
        Err(RequestError::Refused(error)) => error.code,
        other => panic!("not refused: {other:?}"),
    }
}
