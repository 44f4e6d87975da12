//! The same client id is one message, however late and wherever it is said again (G4).

use std::time::{Duration, SystemTime};

use natter_client::{Accepted, SendError};
use natter_e2e::{Cluster, Db, Device, PATIENCE};
use natter_ids::{ClientId, ConversationId};
use natter_protocol::{AcceptedView, Change, ErrorBody, ErrorCode, GroupPatch, Who};
use natter_testkit::wait_for;

on_every_database!(a_retry_is_the_same_message);

const DAYS_AGO: Duration = Duration::from_secs(9 * 24 * 3600);

/// An id that was made days ago: the log has long forgotten it.
fn old_id() -> ClientId {
    let then = SystemTime::now() - DAYS_AGO;
    ClientId::at(u64::try_from(then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap())
}

/// A retry gets the first answer and adds nothing: at once, through another gateway, long after
/// the log's duplicate window, and after everything was killed and restarted. Under the same id
/// another text is a conflict.
async fn a_retry_is_the_same_message(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, elsewhere) = (cluster.device("alice", 0).await, cluster.device("alice", 1).await);
    let talk = alice.direct("bob").await;
    let ids = [ClientId::now(), old_id()];
    let mut first = Vec::new();
    for id in ids {
        first.push(alice.say_as(&talk, id, "say it once").await);
    }
    for (id, first) in ids.iter().zip(&first) {
        assert_eq!(&alice.say_as(&talk, *id, "say it once").await, first, "at once");
        assert_eq!(&elsewhere.say_as(&talk, *id, "say it once").await, first, "through another gateway");
        refused_as_conflict(&alice, &talk, *id).await;
    }

    cluster.restart_everything().await;
    for (id, first) in ids.iter().zip(&first) {
        assert_eq!(&elsewhere.say_as(&talk, *id, "say it once").await, first, "after a restart");
        refused_as_conflict(&elsewhere, &talk, *id).await;
    }
    let after = alice.say(&talk, "the end").await;
    assert_eq!(archived(&alice, &talk, &after).await, ["say it once", "say it once", "the end"]);
}

async fn refused_as_conflict(device: &Device, to: &ConversationId, id: ClientId) {
    let refused = device.client().send_with_id(to.clone(), id, "something else").await;
    assert!(
        matches!(&refused, Err(SendError::Refused(error)) if error.code == ErrorCode::ClientIdConflict),
        "another text under the same id: {refused:?}"
    );
}

/// The messages that the archive holds, once it holds the last one.
async fn archived(device: &Device, talk: &ConversationId, last: &Accepted) -> Vec<String> {
    natter_testkit::wait_for("the archive", natter_e2e::PATIENCE, async || {
        let page = device.client().history(talk, None, None, None).await.unwrap();
        let complete = page.events.last().is_some_and(|event| event.seq >= last.seq);
        let text = |change| match change {
            Change::Message { text, .. } => Some(text),
            _ => None,
        };
        complete.then(|| page.events.into_iter().filter_map(|event| text(event.entry.change)).collect())
    })
    .await
}

/// Two devices that retry one message at the same moment, at two gateways, make one of it; with
/// ids of now, which the log recognises, and of long ago, which only the archive does.
#[tokio::test(flavor = "multi_thread")]
async fn retries_at_the_same_moment() {
    let cluster = Cluster::builder().start().await;
    let (one, other) = (cluster.device("alice", 0).await, cluster.device("alice", 1).await);
    let bob = cluster.device("bob", 1).await;
    let talk = one.direct("bob").await;
    let mut expected = Vec::new();
    for round in 0..20 {
        let id = if round % 2 == 0 { ClientId::now() } else { old_id() };
        let text = format!("round {round}");
        let (first, second) = tokio::join!(one.say_as(&talk, id, &text), other.say_as(&talk, id, &text));
        assert_eq!(first, second, "round {round}");
        expected.push(text);
    }
    let last = one.say(&talk, "the end").await;
    expected.push("the end".to_owned());
    bob.hears(&expected).await;
    assert_eq!(archived(&one, &talk, &last).await, expected);
}

/// The same id is another message when somebody else says it, or when it is said elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn ids_belong_to_a_sender_and_a_conversation() {
    let cluster = Cluster::single().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 0).await);
    let (talk, group) = (alice.direct("bob").await, alice.group("both", &["bob"]).await);
    let id = ClientId::now();
    let mut numbers = vec![
        (talk.clone(), alice.say_as(&talk, id, "alice").await.seq),
        (talk.clone(), bob.say_as(&talk, id, "bob").await.seq),
        (group.clone(), alice.say_as(&group, id, "in the group").await.seq),
    ];
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(bob.message().await.1);
    }
    heard.sort();
    assert_eq!(heard, ["alice", "bob", "in the group"]);
}

/// An id from the future is refused: its retry could not be recognised.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_from_the_future_is_refused() {
    let cluster = Cluster::single().start().await;
    let alice = cluster.device("alice", 0).await;
    let talk = alice.direct("bob").await;
    let tomorrow = ClientId::at(ClientId::now().time_ms() + 24 * 3600 * 1000);
    let refused = alice.client().send_with_id(talk, tomorrow, "early").await;
    assert!(matches!(refused, Err(SendError::Refused(error)) if error.code == ErrorCode::ClientIdInFuture));
}

/// What was said while it was allowed stays said: a retry gets the first answer, although the right is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_outlives_the_right_to_say_it() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let group = alice.group("all", &["bob"]).await;
    let id = ClientId::now();
    let first = bob.say_as(&group, id, "say it once").await;
    let forward = serde_json::json!({ "client_id": ClientId::now(), "from": group, "target": first.seq }).to_string();
    let forwarded = async |gateway| -> Result<AcceptedView, ErrorBody> {
        let path = format!("/v1/conversations/{group}/forward");
        cluster.http("bob", gateway).post(&path, Some(&forward)).await.read()
    };
    let forwarded_first = forwarded(1).await.unwrap();
    let patch = GroupPatch { write: Some(Who::Admins), ..GroupPatch::default() };
    alice.client().change_group(&group, patch).await.unwrap();
    wait_for("bob to be refused", PATIENCE, async || {
        let said = bob.client().send(group.clone(), "may I still?").await;
        matches!(said, Err(SendError::Refused(error)) if error.code == ErrorCode::NotAllowed).then_some(())
    })
    .await;
    assert_eq!(bob.say_as(&group, id, "say it once").await, first);
    let elsewhere = cluster.device("bob", 0).await;
    assert_eq!(elsewhere.say_as(&group, id, "say it once").await, first);
    for gateway in [0, 1] {
        assert_eq!(forwarded(gateway).await.unwrap(), forwarded_first, "gateway {gateway}");
    }
    refused_as_conflict(&bob, &group, id).await;
}
