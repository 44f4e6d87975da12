//! What was said before one came: as far as it may be read, it may be answered.

use natter_client::RequestError;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::{ConversationId, Seq};
use natter_protocol::{Change, ErrorCode, GroupPatch, Past};
use natter_testkit::wait_for;

use crate::changes::code;

on_every_database!(the_past_is_answered_where_it_is_shown);
on_every_database!(an_edit_does_not_show_what_was_said_before);

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

/// What carol gets up to this message, as kinds; none of it holds the word.
async fn gets(device: &Device, last: &str, word: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    loop {
        let event = device.event().await;
        assert!(!format!("{event:?}").contains(word), "{event:?}");
        kinds.push(event.entry.change.kind().to_owned());
        if matches!(&event.entry.change, Change::Message { text, .. } if text == last) {
            assert_eq!(device.client().stats().holes, 0);
            return kinds;
        }
    }
}

/// A message from before carol came is edited, and reacted to and pinned: those who see it get the text; she gets an
/// edit without one, live at either gateway, on resume, by polling and in history, and no hole. Where the group shows
/// its past, she gets it.
async fn an_edit_does_not_show_what_was_said_before(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let (carol, tablet) = (cluster.device("carol", 1).await, cluster.device("carol", 0).await);
    let group = alice.group("friends", &["bob"]).await;
    let before = alice.say(&group, "before carol came").await.seq;
    alice.client().add_member(&group, &user("carol")).await.unwrap();
    for device in [&carol, &tablet] {
        assert_eq!(device.event().await.entry.change.kind(), "member_added");
    }
    let phone = Device::connect("carol", cluster.client("carol", &[0]));
    phone.caught_up().await;
    let position = phone.leave().await;
    let hers = carol.say(&group, "hers").await.seq;
    alice.client().edit(&group, before, "the secret").await.unwrap();
    carol.client().edit(&group, hers, "hers, and better").await.unwrap();
    bob.client().react(&group, before, "👍", true).await.unwrap();
    bob.client().pin(&group, before).await.unwrap();
    alice.say(&group, "the end").await;

    for device in [&carol, &tablet] {
        let live = gets(device, "the end", "secret").await;
        assert_eq!(live, ["message", "erased", "edited", "reacted", "erased", "message"]);
    }
    let read = |next| match next {
        natter_client::Notification::Event(event, _) => match event.entry.change {
            Change::Edited { text, .. } if event.entry.sender == user("alice") => Some(text),
            _ => None,
        },
        _ => None,
    };
    assert_eq!(bob.find(read).await, "the secret");
    let missed = ["message", "erased", "edited", "erased", "erased", "message"];
    let resumed = Device::connect("carol", cluster.client("carol", &[1]).position(position.clone()));
    assert_eq!(gets(&resumed, "the end", "secret").await, missed);
    let polled = cluster.http("carol", 0).backlog(Some(&position), 100).await.unwrap().events;
    let logged = carol.client().history_with_edits(&group, None, None, None).await.unwrap().events;
    let plain = carol.client().history(&group, None, None, None).await.unwrap().events;
    for events in [&polled, &logged, &plain] {
        assert!(!format!("{events:?}").contains("secret"), "{events:?}");
    }
    let kinds = |events: &[natter_protocol::Event]| -> Vec<String> {
        events.iter().map(|event| event.entry.change.kind().to_owned()).collect()
    };
    assert_eq!(kinds(&polled), missed);
    assert_eq!(kinds(&logged)[1..], missed);
    assert_eq!(kinds(&plain), ["member_added", "message", "erased", "message"]);

    let patch = GroupPatch { past: Some(Past::All), ..GroupPatch::default() };
    alice.client().change_group(&group, patch).await.unwrap();
    shown(&carol, &group, true).await;
    alice.client().edit(&group, before, "in the open").await.unwrap();
    for device in [&carol, &tablet] {
        assert_eq!(device.find(read).await, "in the open");
    }
}
