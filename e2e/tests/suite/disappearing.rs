//! Messages that disappear when their time has come.

use natter_e2e::{Cluster, Db, PATIENCE, user};
use natter_ids::{ClientId, ConversationId};
use natter_protocol::{AcceptedView, ErrorBody, ErrorCode};
use natter_testkit::wait_for;

use crate::changes::{archived, code, in_the_log, old_id, texts};

on_every_database!(messages_disappear);

/// Where a timer is set, messages disappear from history, from what a device missed, and from the log,
/// when their time has come; what was said before stays. In a group those who
/// manage it set it.
async fn messages_disappear(database: Db) {
    let cluster = Cluster::builder().set("nats.partitions", 1).database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let start = bob.client().position().unwrap();
    let talk = alice.direct("bob").await;
    alice.say(&talk, "it stays").await;
    let http = cluster.http("bob", 1);
    let id = ClientId::now();
    let set = async |seconds: u32| -> Result<AcceptedView, ErrorBody> {
        let body = serde_json::json!({ "client_id": id, "seconds": seconds }).to_string();
        http.post(&format!("/v1/conversations/{talk}/timer"), Some(&body)).await.read()
    };
    let first = set(2).await.unwrap();
    assert_eq!(set(2).await, Ok(first), "a retry");
    let secret = alice.say_as(&talk, old_id(), "the secret").await;
    bob.hears(["it stays", "the secret"]).await;
    let page = archived(&http, &talk, secret.seq).await;
    if texts(&page).len() == 2 {
        assert_eq!(page.states[0].expires_at, Some(secret.time + 2_000));
    }
    let gone = async || {
        let page = http.history(&talk, "edits=true").await.ok()?;
        (texts(&page) == ["it stays"] && in_the_log(&cluster, "the secret").await == 0).then_some(page)
    };
    let page = wait_for("the message to disappear", PATIENCE, gone).await;
    let kinds: Vec<_> = page.events.iter().map(|event| event.entry.change.kind()).collect();
    assert_eq!(kinds, ["direct_opened", "message", "timer_set", "erased"]);
    let missed = cluster.http("bob", 0).backlog(Some(&start), 100).await.unwrap().events;
    assert_eq!(missed.iter().filter(|event| event.conversation == talk).count(), 4);
    assert!(!format!("{missed:?}").contains("the secret"), "{missed:?}");

    let group = alice.group("friends", &["bob"]).await;
    assert_eq!(code(bob.client().set_timer(&group, 2).await), ErrorCode::NotAllowed);
    assert_eq!(code(alice.client().set_timer(&group, u32::MAX).await), ErrorCode::TooLarge);
    alice.client().set_timer(&group, 3_600).await.unwrap();

    // A device that was not there when it was set finds it.
    let later = cluster.device("bob", 0).await;
    let told = async || {
        let page = later.client().conversations(None, None).await.unwrap();
        let listed = later.client().overview(None).await.unwrap();
        let of = |id: &ConversationId| {
            let listed = listed.conversations.iter().find(|item| item.view.conversation == *id)?.view.timer_seconds;
            let view = page.conversations.iter().find(|view| view.conversation == *id)?;
            (view.timer_seconds == listed).then_some(listed)?
        };
        (of(&talk) == Some(2) && of(&group) == Some(3_600)).then_some(())
    };
    wait_for("the timers to be told", PATIENCE, told).await;
    let found = later.client().open_direct(&user("alice")).await.unwrap();
    assert_eq!(found.timer_seconds, Some(2), "also of a conversation that is found");
}
