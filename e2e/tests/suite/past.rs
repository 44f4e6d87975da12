//! What was said before one came: as far as it may be read, it may be answered.

use natter_client::RequestError;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::{ConversationId, Seq};
use natter_protocol::{Change, ErrorCode, GroupPatch, Past};
use natter_testkit::wait_for;

use crate::changes::code;

on_every_database!(the_past_is_answered_where_it_is_shown);

/// Waits until a device's history of a conversation begins with its first entry, or not.
async fn shown(device: &Device, of: &ConversationId, wanted: bool) {
    wait_for("the setting to hold", PATIENCE, async || {
        let page = device.client().history(of, None, None, None).await.unwrap();
        let whole = page.events.first().is_some_and(|event| matches!(event.entry.change, Change::GroupCreated { .. }));
        (whole == wanted).then_some(())
    })
    .await;
}

/// Everything that refers to a message from before carol came; each is refused alike, or done.
async fn refer(carol: &Device, of: &ConversationId, to: Seq, notes: &ConversationId) -> Vec<Option<ErrorCode>> {
    let client = carol.client();
    let answers = [
        client.react(of, to, "👍", true).await,
        client.reply(of, to, "I heard", &[]).await.map(|said| said.seq).map_err(RequestError::from),
        client.pin(of, to).await,
        client.unpin(of, to).await,
        client.forward((of, to), notes, false).await.map(|said| said.seq).map_err(RequestError::from),
    ];
    answers.into_iter().map(|answer| answer.is_err().then(|| code(answer))).collect()
}

/// Where a group shows its past a new member reacts to it, answers and forwards it, and sees what of it is
/// pinned; where it hides it there is no such message, through either gateway.
async fn the_past_is_answered_where_it_is_shown(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, carol) = (cluster.device("alice", 0).await, cluster.device("carol", 1).await);
    let notes = carol.direct("carol").await;
    let group = alice.group("friends", &["bob"]).await;
    let before = alice.say(&group, "before carol came").await.seq;
    let pinned = alice.say(&group, "the rules").await.seq;
    alice.client().pin(&group, pinned).await.unwrap();
    alice.client().add_member(&group, &user("carol")).await.unwrap();
    carol.find(|next| matches!(next, natter_client::Notification::Event(..)).then_some(())).await;
    shown(&carol, &group, false).await;
    let hidden = vec![Some(ErrorCode::NoSuchMessage); 5];
    assert_eq!(refer(&carol, &group, before, &notes).await, hidden);
    let list = async || carol.client().pinned(&group, None, None).await.unwrap().events.len();
    assert_eq!(list().await, 0);

    let patch = |past| GroupPatch { past: Some(past), ..GroupPatch::default() };
    alice.client().change_group(&group, patch(Past::All)).await.unwrap();
    shown(&carol, &group, true).await;
    assert_eq!(list().await, 1, "what is pinned belongs to what is shown");
    let second = cluster.device("carol", 0).await;
    for device in [&carol, &second] {
        assert_eq!(refer(device, &group, before, &notes).await, vec![None; 5]);
    }
    let edit = carol.client().edit(&group, before, "not hers").await;
    assert_eq!(code(edit), ErrorCode::NotAllowed, "seen, and still alice's");
    wait_for("the reaction to be counted", PATIENCE, async || {
        let page = alice.client().history(&group, None, None, None).await.unwrap();
        let state = page.states.into_iter().find(|state| state.seq == before)?;
        (state.reactions.iter().map(|view| view.count).sum::<u32>() == 1).then_some(())
    })
    .await;

    alice.client().change_group(&group, patch(Past::SinceJoined)).await.unwrap();
    shown(&carol, &group, false).await;
    assert_eq!(refer(&carol, &group, before, &notes).await, hidden, "hidden again");
}
