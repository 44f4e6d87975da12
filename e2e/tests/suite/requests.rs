//! What strangers begin with somebody who wants to be asked.

use std::time::Duration;

use natter_client::Notification;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::{ConversationId, Seq};
use natter_protocol::{
    ArrangementDraft, ErrorCode, OverviewPage, OverviewPosition, PresenceView, ServerFrame, SettingsView, ShowRequests,
    Strangers,
};
use natter_testkit::wait_for;

use crate::changes::code;

on_every_database!(a_request_waits_until_it_is_accepted);
on_every_database!(whoever_answers_accepts);

/// A device that hides nothing: it tells what was delivered by itself.
async fn telling(cluster: &Cluster, name: &str, gateway: usize) -> Device {
    let device = Device::connect(name, cluster.client(name, &[gateway]).receipts(true));
    device.caught_up().await;
    device
}

async fn listed(
    device: &Device,
    requests: ShowRequests,
    since: Option<&OverviewPosition>,
) -> Vec<(ConversationId, bool)> {
    let list = device.client().overview_showing(requests, since).await.unwrap().conversations;
    list.into_iter().map(|item| (item.view.conversation, item.arrangement.request)).collect()
}

/// Waits until a device's requests are these: the archive is a moment behind.
async fn until(device: &Device, requests: ShowRequests, expected: &[(ConversationId, bool)]) {
    wait_for(&format!("{requests:?}: {expected:?}"), PATIENCE, async || {
        (listed(device, requests, None).await == expected).then_some(())
    })
    .await;
}

/// What the one who wrote is shown of the other: in the receipts, the marks, the list, and of presence.
async fn shown(of: &Device, who: &str, talk: &ConversationId, seq: Seq) -> (u32, u32, Seq, Vec<PresenceView>) {
    let client = of.client();
    let receipts = client.receipts(talk, seq, None, None).await.unwrap();
    let start = natter_ids::Position::start(client.position().unwrap().partitions());
    let marks = client.marks(Some(&start), None).await.unwrap().conversations;
    let marks = marks.iter().filter(|view| view.conversation == *talk).flat_map(|view| &view.marks);
    let list = client.overview(None).await.unwrap().conversations;
    let own = list.iter().filter(|item| item.view.conversation == *talk).flat_map(|item| &item.marks);
    let newest = marks.chain(own).filter(|mark| mark.user == user(who)).map(|mark| mark.delivered.max(mark.read));
    (receipts.delivered, receipts.read, newest.max().unwrap_or(0), client.presence(&[user(who)]).await.unwrap())
}

fn unseen(who: &str) -> PresenceView {
    PresenceView { user: user(who), online: false, away: false, last_seen: None }
}

/// The next thing about typing or marks of somebody; what else is told is passed over.
async fn hears_of(device: &Device, who: &str) -> &'static str {
    device
        .find(|next| match next {
            Notification::Typing { user, .. } if user.as_str() == who => Some("typing"),
            Notification::MarksChanged(view) if view.marks.iter().any(|mark| mark.user.as_str() == who) => {
                Some("marks")
            }
            Notification::PresenceChanged(view) if view.user.as_str() == who => Some("presence"),
            _ => None,
        })
        .await
}

/// alice wants to be asked: what mallory begins is a request on both of alice's devices, is heard live, and is not in
/// her list. Whatever she does there is not shown to mallory, to whom it looks as if she had not come yet. Once she
/// accepts it on one device it is a conversation like any other on both, and mallory is shown how far she has come.
async fn a_request_waits_until_it_is_accepted(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, tablet) = (telling(&cluster, "alice", 0).await, telling(&cluster, "alice", 1).await);
    let (mallory, bob) = (telling(&cluster, "mallory", 1).await, telling(&cluster, "bob", 1).await);
    let friends = alice.group("friends", &["bob"]).await;
    until(&alice, ShowRequests::Without, &[(friends.clone(), false)]).await;
    let set = alice.client().set_strangers(Strangers::Request).await.unwrap();
    assert_eq!(set, SettingsView { read_receipts: true, strangers: Strangers::Request });
    let told = |next| if let Notification::SettingsChanged(settings) = next { Some(settings) } else { None };
    assert_eq!(tablet.find(told).await, set);
    let before = tablet.client().overview(None).await.unwrap().position;

    // Whom she knows is no stranger.
    let known = bob.direct("alice").await;
    let talk = mallory.direct("alice").await;
    let said = mallory.say(&talk, "hello").await.seq;
    for device in [&alice, &tablet] {
        device.hears(["hello"]).await;
        until(device, ShowRequests::Only, &[(talk.clone(), true)]).await;
        until(device, ShowRequests::Without, &[(known.clone(), false), (friends.clone(), false)]).await;
        let mut all = listed(device, ShowRequests::With, None).await;
        all.sort();
        assert_eq!(all.len(), 3, "{all:?}");
    }
    assert_eq!(listed(&tablet, ShowRequests::Without, Some(&before)).await, [(known.clone(), false)]);
    assert_eq!(listed(&mallory, ShowRequests::With, None).await, [(talk.clone(), false)], "mallory learns nothing");

    // Delivered, read, typing: none of it is told.
    alice.client().mark(&talk, Some(said), Some(said)).await.unwrap();
    let quiet = mallory.client().overview(None).await.unwrap().position;
    alice.client().mark(&talk, Some(said), Some(said)).await.unwrap();
    alice.client().typing(&talk, false);
    assert_eq!(shown(&mallory, "alice", &talk, said).await, (0, 0, 0, vec![unseen("alice")]));
    assert_eq!(mallory.client().watch_presence(&[user("alice")]).await.unwrap(), [unseen("alice")]);
    let third = telling(&cluster, "alice", 1).await;
    third.client().mark(&talk, None, Some(said + 1)).await.unwrap();
    assert_eq!(mallory.client().overview(Some(&quiet)).await.unwrap().conversations, [], "nothing has changed for her");
    let body = r#"{"type":"presence","users":["alice"]}"#;
    let asked = cluster.http("mallory", 0).post("/v1/requests", Some(body)).await;
    let ServerFrame::Presence { users, .. } = asked.read::<ServerFrame>().unwrap() else { panic!("{}", asked.body) };
    assert_eq!(users, [unseen("alice")]);

    let since = tablet.client().overview_showing(ShowRequests::Only, None).await.unwrap().position;
    let wrong = ArrangementDraft { accepted: Some(false), ..ArrangementDraft::default() };
    assert_eq!(code(alice.client().arrange(&talk, wrong).await), ErrorCode::Malformed);
    let muted = ArrangementDraft { muted_until: Some(4_000_000_000_000), ..ArrangementDraft::default() };
    assert!(alice.client().arrange(&talk, muted).await.unwrap().arrangement.request, "to mute is not to accept");
    // The very first thing that mallory hears of alice is what accepting shows.
    let accepted = alice.client().accept(&talk).await.unwrap();
    assert!(!accepted.arrangement.request && accepted.arrangement.muted_until.is_some());
    assert_eq!(hears_of(&mallory, "alice").await, "marks");
    for device in [&alice, &tablet] {
        let told = device.find(|next| match next {
            Notification::ArrangementChanged(it) if it.conversation == talk && !it.arrangement.request => Some(it),
            _ => None,
        });
        assert_eq!(told.await, accepted);
        assert_eq!(listed(device, ShowRequests::Only, None).await, []);
        assert_eq!(listed(device, ShowRequests::Without, Some(&since)).await, [(talk.clone(), false)]);
    }
    let requests = tablet.client().overview_showing(ShowRequests::Only, Some(&since)).await.unwrap();
    assert_eq!((requests.conversations.len(), requests.gone), (0, vec![talk.clone()]));
    let (delivered, read, newest, presence) = shown(&mallory, "alice", &talk, said).await;
    assert!(delivered == 1 && read == 1 && newest >= said && presence[0].online, "{newest} {presence:?}");
    assert!(!mallory.client().overview(Some(&quiet)).await.unwrap().conversations.is_empty(), "now it has");
    alice.client().typing(&talk, false);
    assert_eq!(hears_of(&mallory, "alice").await, "typing");
    assert_eq!(alice.client().accept(&talk).await.unwrap(), accepted, "said twice, done once");
}

/// Whoever says something accepts; who blocks the stranger has no request any more; over HTTP as well. Switched off,
/// strangers are like others again.
async fn whoever_answers_accepts(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, tablet) = (cluster.device("alice", 0).await, cluster.device("alice", 1).await);
    let http = cluster.http("alice", 1);
    let set: SettingsView = http.post("/v1/settings", Some(r#"{"strangers":"request"}"#)).await.read().unwrap();
    assert_eq!(set.strangers, Strangers::Request);
    let (mallory, eve) = (cluster.device("mallory", 1).await, cluster.device("eve", 0).await);
    let talk = mallory.direct("alice").await;
    mallory.say(&talk, "hello").await;
    for device in [&alice, &tablet] {
        device.hears(["hello"]).await;
        until(device, ShowRequests::Only, &[(talk.clone(), true)]).await;
    }
    let page: OverviewPage = http.get("/v1/overview?requests=only").await.read().unwrap();
    assert!(page.conversations[0].arrangement.request && page.conversations.len() == 1);
    alice.client().typing(&talk, false);
    alice.say(&talk, "who are you?").await;
    let first = mallory.find(|next| match next {
        Notification::Event(event, _) if event.entry.sender == user("alice") => Some("said"),
        Notification::Typing { .. } => Some("typing"),
        _ => None,
    });
    assert_eq!(first.await, "said");
    let told = |next| match next {
        Notification::ArrangementChanged(it) if it.conversation == talk => Some(it.arrangement.request),
        _ => None,
    };
    assert!(!tablet.find(told).await, "the other device is told");
    for device in [&alice, &tablet] {
        until(device, ShowRequests::Only, &[]).await;
        until(device, ShowRequests::Without, &[(talk.clone(), false)]).await;
    }
    let seen = mallory.client().presence(&[user("alice")]).await.unwrap();
    assert!(seen[0].online, "{seen:?}");

    let other = eve.direct("alice").await;
    eve.say(&other, "psst").await;
    alice.hears(["hello", "who are you?", "psst"].into_iter().skip(1)).await;
    until(&alice, ShowRequests::Only, &[(other.clone(), true)]).await;
    alice.client().block(&user("eve")).await.unwrap();
    until(&alice, ShowRequests::Only, &[]).await;
    alice.client().unblock(&user("eve")).await.unwrap();
    until(&alice, ShowRequests::Only, &[(other.clone(), true)]).await;
    // A device that comes later, and everything started anew.
    cluster.restart_everything().await;
    let late = cluster.device("alice", 0).await;
    until(&late, ShowRequests::Only, &[(other.clone(), true)]).await;
    let accept = r#"{"accepted":true}"#;
    let arranged = http.post(&format!("/v1/conversations/{other}/arrangement"), Some(accept)).await;
    assert_eq!((arranged.status, arranged.body.contains("request")), (200, false), "{}", arranged.body);
    until(&late, ShowRequests::Only, &[]).await;

    late.client().set_strangers(Strangers::Allow).await.unwrap();
    let dave = cluster.device("dave", 1).await;
    let new = dave.direct("alice").await;
    let found = wait_for("the conversation", Duration::from_secs(30), async || {
        listed(&late, ShowRequests::Without, None).await.into_iter().find(|(conversation, _)| *conversation == new)
    });
    assert!(!found.await.1);
}
