//! What somebody blocked does to what was there before: none of it shows, and it is all there once the block is lifted.

use natter_client::Notification;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::{ConversationId, Position, Seq};
use natter_protocol::{BlockView, Change, Event, HistoryPage, MarkView, OverviewItem, OverviewPosition};
use natter_testkit::wait_for;

fn texts(events: &[Event]) -> Vec<&str> {
    let text = |event: &Event| matches!(event.entry.change, Change::Message { .. }).then_some(());
    let said = events.iter().filter(|event| text(event).is_some());
    said.filter_map(|event| if let Change::Message { text, .. } = &event.entry.change { Some(&**text) } else { None })
        .collect()
}

async fn history(device: &Device, of: &ConversationId) -> HistoryPage {
    device.client().history(of, None, None, None).await.unwrap()
}

/// A message's reactions, and whether it is pinned and edited.
fn state(page: &HistoryPage, seq: Seq) -> (Vec<(&str, u32)>, bool, bool) {
    let state = page.states.iter().find(|state| state.seq == seq);
    let reactions = state.map(|state| state.reactions.iter().map(|view| (&*view.emoji, view.count)).collect());
    let (pinned, edited) = state.map(|state| (state.pinned, state.edited_at.is_some())).unwrap_or_default();
    (reactions.unwrap_or_default(), pinned, edited)
}

/// Blocks bob for alice, at both gateways.
async fn block(cluster: &Cluster, alice: &Device) -> BlockView {
    let blocks = alice.client().block(&user("bob")).await.unwrap().blocks;
    // The other gateway has heard of it once it says so.
    wait_for("the block", PATIENCE, async || {
        cluster.http("alice", 1).get("/v1/blocks").await.body.contains("bob").then_some(())
    })
    .await;
    blocks[0].clone()
}

/// Waits until a user's history holds this text.
async fn until_said(device: &Device, of: &ConversationId, text: &str) {
    wait_for(text, PATIENCE, async || texts(&history(device, of).await.events).contains(&text).then_some(())).await;
}

on_every_database!(what_they_change_does_not_show);
/// Reactions, pins and edits of somebody blocked are neither in the history, through either gateway, nor among what is
/// pinned, nor forwarded: messages are as they were. Once the block is lifted they are as they are.
async fn what_they_change_does_not_show(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob, tablet) =
        (cluster.device("alice", 0).await, cluster.device("bob", 1).await, cluster.device("alice", 1).await);
    let (talk, notes) = (alice.direct("bob").await, alice.direct("alice").await);
    let mine = alice.say(&talk, "mine").await.seq;
    let old = bob.say(&talk, "old").await.seq;
    let twice = bob.say(&talk, "twice").await.seq;
    bob.client().edit(&talk, twice, "twice, once").await.unwrap();
    bob.client().react(&talk, mine, "👍", true).await.unwrap();
    until_said(&alice, &talk, "twice, once").await;
    block(&cluster, &alice).await;

    bob.client().react(&talk, mine, "👎", true).await.unwrap();
    bob.client().pin(&talk, mine).await.unwrap();
    bob.client().edit(&talk, old, "a secret").await.unwrap();
    bob.client().edit(&talk, twice, "a secret twice").await.unwrap();
    alice.client().react(&talk, mine, "🥾", true).await.unwrap();
    bob.say(&talk, "unheard").await;
    until_said(&bob, &talk, "unheard").await;
    let page = history(&bob, &talk).await;
    assert_eq!(texts(&page.events), ["mine", "a secret", "a secret twice", "unheard"], "bob learns nothing");
    assert_eq!(state(&page, mine), (vec![("👍", 1), ("👎", 1), ("🥾", 1)], true, false));
    for device in [&alice, &tablet] {
        let page = history(device, &talk).await;
        assert_eq!(texts(&page.events), ["mine", "old", "twice, once"]);
        assert_eq!(state(&page, mine), (vec![("👍", 1), ("🥾", 1)], false, false));
        assert_eq!((state(&page, old), state(&page, twice)), ((vec![], false, false), (vec![], false, true)));
        assert!(device.client().pinned(&talk, None, None).await.unwrap().events.is_empty());
        let logged = device.client().history_with_edits(&talk, None, None, None).await.unwrap();
        assert!(!format!("{logged:?}").contains("secret"), "{logged:?}");
        assert_eq!(state(&logged, mine).0, [("👍", 1), ("🥾", 1)]);
    }
    alice.client().forward((&talk, old), &notes, false).await.unwrap();
    until_said(&alice, &notes, "old").await;

    alice.client().unblock(&user("bob")).await.unwrap();
    tablet.find(|told| matches!(told, Notification::Unblocked { .. }).then_some(())).await;
    for device in [&alice, &tablet] {
        let page = history(device, &talk).await;
        assert_eq!(texts(&page.events), ["mine", "a secret", "a secret twice", "unheard"]);
        assert_eq!(state(&page, mine), (vec![("👍", 1), ("👎", 1), ("🥾", 1)], true, false));
        assert_eq!(texts(&device.client().pinned(&talk, None, None).await.unwrap().events), ["mine"]);
    }
}

/// A conversation as a list shows it: where it stands, how far it goes, what is unread and what was said last.
fn shown(item: &OverviewItem) -> (u64, Seq, u64, Vec<&str>) {
    let last = item.last.as_ref().map(|last| texts(std::slice::from_ref(last))).unwrap_or_default();
    (item.active_at, item.view.last_seq, item.unread, last)
}

async fn listed(device: &Device, since: Option<&OverviewPosition>) -> (Vec<OverviewItem>, OverviewPosition) {
    let list = device.client().overview(since).await.unwrap();
    (list.conversations, list.position)
}

on_every_database!(the_list_stands_still);
/// What somebody blocked does moves their conversation nowhere in the list and is no change of it; what the user says
/// there is. Once the block is lifted the conversation has changed.
async fn the_list_stands_still(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob, carol) =
        (cluster.device("alice", 0).await, cluster.device("bob", 1).await, cluster.device("carol", 1).await);
    let (talk, other) = (bob.direct("alice").await, carol.direct("alice").await);
    let before = bob.say(&talk, "before").await;
    until_said(&alice, &talk, "before").await;
    let reaction = bob.client().react(&talk, before.seq, "👍", true).await.unwrap();
    carol.say(&other, "hello").await;
    until_said(&alice, &other, "hello").await;
    block(&cluster, &alice).await;
    let (list, position) = listed(&alice, None).await;
    let ids: Vec<_> = list.iter().map(|item| &item.view.conversation).collect();
    assert_eq!(ids, [&other, &talk]);
    let stood = shown(&list[1]);
    assert_eq!(stood, (before.time, reaction, 0, vec!["before"]));

    bob.client().edit(&talk, before.seq, "louder").await.unwrap();
    let loud = bob.say(&talk, "loud").await;
    until_said(&bob, &talk, "loud").await;
    let tablet = cluster.device("alice", 1).await;
    for device in [&alice, &tablet] {
        let (list, _) = listed(device, None).await;
        let ids: Vec<_> = list.iter().map(|item| &item.view.conversation).collect();
        assert_eq!((ids, shown(&list[1])), (vec![&other, &talk], stood.clone()));
        let (changed, _) = listed(device, Some(&position)).await;
        assert!(changed.is_empty(), "{changed:?}");
        let plain = device.client().conversations(None, None).await.unwrap().conversations;
        let plain = plain.iter().find(|view| view.conversation == talk).unwrap();
        assert!(plain.last_seq < loud.seq, "{plain:?}");
    }
    let mine = alice.say(&talk, "mine").await;
    let louder = bob.say(&talk, "louder still").await;
    until_said(&bob, &talk, "louder still").await;
    let (changed, position) = listed(&alice, Some(&position)).await;
    assert_eq!(changed.iter().map(shown).collect::<Vec<_>>(), [(mine.time, mine.seq, 0, vec!["mine"])]);

    alice.client().unblock(&user("bob")).await.unwrap();
    let (changed, position) = listed(&alice, Some(&position)).await;
    let lifted = (louder.time, louder.seq, 1, vec!["louder still"]);
    assert_eq!(changed.iter().map(shown).collect::<Vec<_>>(), [lifted]);
    assert!(listed(&alice, Some(&position)).await.0.is_empty());
}

/// How far somebody has come, by each of the three ways of asking.
async fn told(device: &Device, of: &ConversationId, who: &str, seq: Seq) -> [Option<(Seq, Seq)>; 3] {
    let mark = |marks: &[MarkView]| {
        let mark = marks.iter().find(|mark| mark.user == user(who));
        mark.map(|mark| (mark.delivered, mark.read))
    };
    let asked = device.client().receipts(of, seq, None, None).await.unwrap();
    let counted = asked.marks.iter().filter(|mark| mark.read >= seq).count();
    assert_eq!(counted, asked.read as usize, "{asked:?}");
    let start = Position::start(device.client().position().unwrap().partitions());
    let page = device.client().marks(Some(&start), None).await.unwrap().conversations;
    let changed = page.iter().find(|view| view.conversation == *of).and_then(|view| mark(&view.marks));
    let (list, _) = listed(device, None).await;
    let item = list.iter().find(|item| item.view.conversation == *of).unwrap();
    [mark(&asked.marks), changed, mark(&item.marks)]
}

on_every_database!(nobody_is_told_how_far_the_other_has_come);
/// While alice blocks bob, her marks stay for him where they were, by every way of asking and live, though she marks
/// what she says herself; she is told nothing of his. Her other device knows hers. Lifted, both are told.
async fn nobody_is_told_how_far_the_other_has_come(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = cluster.device("alice", 0).await;
    let (bob, tablet) = (cluster.device("bob", 1).await, cluster.device("alice", 1).await);
    let talk = bob.direct("alice").await;
    let first = bob.say(&talk, "first").await.seq;
    alice.hears(["first"]).await;
    alice.client().mark(&talk, None, Some(first)).await.unwrap();
    let told_bob = async |upto: Seq| {
        bob.find(|next| match next {
            Notification::MarksChanged(view) if view.conversation == talk => {
                let mark = view.marks.into_iter().find(|mark| mark.user == user("alice"))?;
                assert!(mark.read <= upto, "{mark:?}");
                (mark.read == upto).then_some(())
            }
            _ => None,
        })
        .await;
    };
    told_bob(first).await;
    block(&cluster, &alice).await;

    let unheard = bob.say(&talk, "unheard").await.seq;
    let mine = alice.say(&talk, "mine").await.seq;
    for device in [&alice, &tablet] {
        let marked = device.client().mark(&talk, None, Some(mine)).await.unwrap();
        assert_eq!((marked.delivered, marked.read), (mine, mine));
    }
    bob.client().mark(&talk, None, Some(mine)).await.unwrap();
    assert_eq!(told(&bob, &talk, "alice", unheard).await, [Some((first, first)); 3], "bob learns nothing");
    assert_eq!(told(&tablet, &talk, "alice", mine).await[1], Some((mine, mine)), "alice knows her own");
    for device in [&alice, &tablet] {
        assert_eq!(told(device, &talk, "bob", mine).await, [None; 3]);
    }

    alice.client().unblock(&user("bob")).await.unwrap();
    // The first that bob is told beyond what he knew.
    told_bob(mine).await;
    assert_eq!(told(&bob, &talk, "alice", unheard).await, [Some((mine, mine)); 3]);
    tablet.find(|told| matches!(told, Notification::Unblocked { .. }).then_some(())).await;
    for device in [&alice, &tablet] {
        assert_eq!(told(device, &talk, "bob", mine).await, [Some((mine, mine)); 3]);
    }
}
