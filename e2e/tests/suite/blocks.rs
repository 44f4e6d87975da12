//! Blocking: nothing arrives, nobody learns of it, and nothing is lost once it is lifted.

use natter_client::Notification;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::{ConversationId, Seq};
use natter_protocol::{Change, ErrorCode, Event};
use natter_testkit::wait_for;

fn texts(events: &[Event]) -> Vec<String> {
    let text = |event: &Event| match &event.entry.change {
        Change::Message { text, .. } => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

async fn history(device: &Device, of: &ConversationId) -> Vec<String> {
    texts(&device.client().history(of, None, None, None).await.unwrap().events)
}

/// Asserts that these messages come next, those of different conversations in whatever order.
async fn hear<const N: usize>(device: &Device, mut wanted: [&str; N]) {
    let mut heard = Vec::new();
    for _ in 0..N {
        heard.push(device.message().await.1);
    }
    heard.sort();
    wanted.sort_unstable();
    assert_eq!(heard, wanted);
}

/// Waits until a device is told that a block was lifted.
async fn unblocked(device: &Device) -> (String, ConversationId, Seq) {
    let told = |next| match next {
        Notification::Unblocked { user, conversation, after } => Some((user.to_string(), conversation, after)),
        Notification::Event(event, _) => panic!("not before the block is lifted: {event:?}"),
        _ => None,
    };
    device.find(told).await
}

/// Waits until a message is the newest of what the archive has for somebody.
async fn archived(device: &Device, of: &ConversationId, text: &str) {
    wait_for(text, PATIENCE, async || history(device, of).await.iter().any(|said| said == text).then_some(())).await;
}

on_every_database!(nothing_arrives_and_nothing_is_lost);
/// What somebody blocked says in the direct conversation is accepted and archived, reaches no device of the one
/// who blocked them, live, on resume, by polling or in history, and is in history once the block is lifted; all
/// devices are told so, also one that was away. In groups, and with others, nothing changes.
async fn nothing_arrives_and_nothing_is_lost(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let tablet = cluster.device("alice", 1).await;
    let phone = natter_ids::DeviceId::new("phone").unwrap();
    let away = Device::connect("alice", cluster.client("alice", &[1]).device(phone.clone()));
    away.caught_up().await;
    let (talk, group) = (bob.direct("alice").await, bob.group("all", &["alice"]).await);
    bob.say(&talk, "before").await;
    for device in [&alice, &tablet, &away] {
        device.hears(["before"]).await;
    }
    let position = away.leave().await;
    let before = cluster.http("alice", 0).backlog(None, 10).await.unwrap().position;

    assert_eq!(alice.client().block(&user("bob")).await.unwrap().blocks.len(), 1);
    // The other device's gateway goes by what it says.
    let listed = cluster.http("alice", 1).get("/v1/blocks").await;
    assert!(listed.body.contains("bob"), "{}", listed.body);
    let unheard = bob.say(&talk, "unheard").await;
    bob.say(&group, "in the group").await;
    hear(&bob, ["before", "unheard", "in the group"]).await;
    for device in [&alice, &tablet] {
        device.hears(["in the group"]).await;
    }
    // Alice's own link to nothing that is not shown: no device finds a hole.
    alice.say(&talk, "mine").await;
    for device in [&alice, &tablet] {
        device.hears(["mine"]).await;
        assert_eq!(device.client().stats().holes, 0);
    }
    archived(&bob, &talk, "mine").await;
    assert_eq!(history(&bob, &talk).await, ["before", "unheard", "mine"], "bob learns nothing");
    assert_eq!(history(&alice, &talk).await, ["before", "mine"]);
    let polled = cluster.http("alice", 1).backlog(Some(&before), 100).await.unwrap();
    assert!(!texts(&polled.events).contains(&"unheard".to_owned()), "{polled:?}");

    // Resuming with the block, on another device and after everything was restarted.
    cluster.restart_everything().await;
    let back = Device::connect("alice", cluster.client("alice", &[0]).device(phone.clone()).position(position));
    hear(&back, ["in the group", "mine"]).await;
    let position = back.leave().await;
    bob.say(&talk, "unheard too").await;
    alice.say(&talk, "mine too").await;
    for device in [&alice, &tablet] {
        device.hears(["mine too"]).await;
    }
    archived(&bob, &talk, "mine too").await;

    alice.client().unblock(&user("bob")).await.unwrap();
    for device in [&alice, &tablet] {
        let (who, conversation, after) = unblocked(device).await;
        assert_eq!((who.as_str(), &conversation), ("bob", &talk));
        let missed = device.client().history(&talk, None, Some(after), None).await.unwrap().events;
        assert!(
            after < unheard.seq && texts(&missed) == ["unheard", "mine", "unheard too", "mine too"],
            "{after} {missed:?}"
        );
    }
    bob.say(&talk, "heard").await;
    for device in [&alice, &tablet] {
        device.hears(["heard"]).await;
        assert_eq!(device.client().stats().holes, 0);
    }
    // The device that was away past it is told when it comes, and has no hole either.
    let back = Device::connect("alice", cluster.client("alice", &[1]).device(phone).position(position));
    assert_eq!(unblocked(&back).await.0, "bob");
    back.hears(["unheard too", "mine too", "heard"]).await;
    assert_eq!(back.client().stats().holes, 0);
}

/// Whoever is blocked sees neither that the other one is online nor that they write, as if they had gone; those
/// who are not, do.
async fn presence_and_typing_do_not_flow(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob, carol) =
        (cluster.device("alice", 0).await, cluster.device("bob", 1).await, cluster.device("carol", 1).await);
    let group = alice.group("all", &["bob", "carol"]).await;
    let talk = bob.direct("alice").await;
    for device in [&bob, &carol] {
        wait_for("alice to be seen", PATIENCE, async || {
            let watched = device.client().watch_presence(&[user("alice")]).await.unwrap();
            watched.iter().any(|view| view.online).then_some(())
        })
        .await;
    }
    alice.client().block(&user("bob")).await.unwrap();
    let gone = bob.sees("alice", false).await;
    assert_eq!(gone.last_seen, None);
    let views = cluster.http("bob", 0).presence(&["alice"]).await.unwrap().users;
    assert!(views.iter().all(|view| !view.online && view.last_seen.is_none()), "{views:?}");
    assert!(cluster.http("carol", 0).presence(&["alice"]).await.unwrap().users[0].online);

    alice.client().typing(&group, false);
    carol.find(|told| matches!(told, Notification::Typing { .. }).then_some(())).await;
    bob.client().typing(&talk, false);
    bob.client().typing(&group, false);
    carol.find(|told| matches!(told, Notification::Typing { .. }).then_some(())).await;
    alice.say(&group, "the end").await;
    for device in [&alice, &bob] {
        device
            .find(|told| match told {
                Notification::Typing { user, .. } => panic!("{user} writes"),
                Notification::Event(event, _) => (texts(&[*event]) == ["the end"]).then_some(()),
                _ => None,
            })
            .await;
    }
    alice.client().unblock(&user("bob")).await.unwrap();
    bob.sees("alice", true).await;
    let refused = alice.client().block(&user("alice")).await.unwrap_err();
    assert!(matches!(refused, natter_client::RequestError::Refused(error) if error.code == ErrorCode::Malformed));
}

/// Somebody who is blocked before they ever said anything begins a conversation that nobody sees, until the block
/// is lifted.
async fn a_stranger_who_is_blocked_beforehand(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, mallory) = (cluster.device("alice", 0).await, cluster.device("mallory", 1).await);
    let blocked = cluster.http("alice", 1).request(hyper::Method::PUT, "/v1/blocks/mallory", None).await;
    assert_eq!(blocked.status, 200, "{}", blocked.body);
    assert_eq!(alice.client().blocks().await.unwrap().blocks.len(), 1);
    let talk = mallory.direct("alice").await;
    mallory.say(&talk, "hello?").await;
    mallory.hears(["hello?"]).await;
    archived(&mallory, &talk, "hello?").await;
    let notes = alice.direct("alice").await;
    alice.say(&notes, "quiet here").await;
    alice.hears(["quiet here"]).await;
    let listed = alice.client().conversations(None, None).await.unwrap().conversations;
    assert!(listed.iter().all(|view| view.conversation != talk), "{listed:?}");
    alice.client().unblock(&user("mallory")).await.unwrap();
    assert_eq!(history(&alice, &talk).await, ["hello?"]);
}

/// What somebody blocked pins is not shown among the pinned, what they begin is in no list; and a block
/// that is refused for there being too many has no effect.
async fn neither_pins_nor_new_conversations_get_through(database: Db) {
    let cluster = Cluster::builder().database(database).set("connection.limits.blocks_max", 2).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let (dave, carol) = (cluster.device("dave", 1).await, cluster.device("carol", 1).await);
    let talk = bob.direct("alice").await;
    bob.say(&talk, "before").await;
    alice.hears(["before"]).await;
    let with_carol = carol.direct("alice").await;
    carol.say(&with_carol, "hello").await;
    alice.hears(["hello"]).await;
    for other in ["bob", "dave"] {
        alice.client().block(&user(other)).await.unwrap();
    }
    let loud = bob.say(&talk, "loud").await.seq;
    bob.client().pin(&talk, loud).await.unwrap();
    let unseen = dave.direct("alice").await;
    dave.say(&unseen, "you do not know me").await;
    archived(&dave, &unseen, "you do not know me").await;
    wait_for("the pin", PATIENCE, async || {
        let pinned = bob.client().pinned(&talk, None, None).await.unwrap().events;
        (texts(&pinned) == ["loud"]).then_some(())
    })
    .await;
    let pinned = alice.client().pinned(&talk, None, None).await.unwrap();
    assert_eq!((texts(&pinned.events), pinned.states.len()), (Vec::new(), 0));
    let listed = alice.client().overview(None).await.unwrap().conversations;
    let listed: Vec<_> = listed.iter().map(|item| &item.view.conversation).collect();
    assert!(listed.contains(&&talk) && listed.contains(&&with_carol) && !listed.contains(&&unseen), "{listed:?}");

    let too_many = alice.client().block(&user("carol")).await;
    assert!(matches!(too_many, Err(natter_client::RequestError::Refused(error)) if error.code == ErrorCode::TooLarge));
    let seen = carol.client().watch_presence(&[user("alice")]).await.unwrap();
    assert!(seen[0].online, "carol is not blocked: {seen:?}");
}

on_every_database!(the_list_neither_counts_nor_shows_who_is_blocked);
on_every_database!(presence_and_typing_do_not_flow);
on_every_database!(a_stranger_who_is_blocked_beforehand);
on_every_database!(neither_pins_nor_new_conversations_get_through);
/// What somebody blocked says in the direct conversation is neither counted in the list of conversations nor
/// shown there, nor counted as a mention, on any device; in a group it is. Once the block is lifted it is all there.
async fn the_list_neither_counts_nor_shows_who_is_blocked(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let tablet = cluster.device("alice", 1).await;
    let (talk, group) = (bob.direct("alice").await, bob.group("all", &["alice"]).await);
    let first = bob.say(&talk, "before").await.seq;
    let listed = async |device: &Device, of: &ConversationId| {
        let list = device.client().overview(None).await.unwrap().conversations;
        let item = list.into_iter().find(|item| item.view.conversation == *of)?;
        let last = item.last.filter(|last| matches!(last.entry.change, Change::Message { .. }));
        Some((item.view.last_seq, (item.unread, item.mentions, last.map(|last| texts(&[last]).remove(0)))))
    };
    // Both of alice's devices, once the archive has what was said last.
    let until = async |of: &ConversationId, upto: Seq, expected: (u64, u64, Option<&str>)| {
        for device in [&alice, &tablet] {
            wait_for(&format!("{upto} as {expected:?}"), PATIENCE, async || {
                let (last_seq, (unread, mentions, last)) = listed(device, of).await?;
                (last_seq >= upto && (unread, mentions, last.as_deref()) == expected).then_some(())
            })
            .await;
        }
    };
    until(&talk, first, (1, 0, Some("before"))).await;
    alice.client().mark(&talk, None, Some(first)).await.unwrap();
    alice.client().block(&user("bob")).await.unwrap();
    let heard = cluster.http("alice", 1).get("/v1/blocks").await;
    assert!(heard.body.contains("bob"), "{}", heard.body);

    let meant = bob.client().reply(&talk, first, "unheard", &[user("alice")]).await.unwrap().seq;
    archived(&bob, &talk, "unheard").await;
    until(&talk, first, (0, 0, Some("before"))).await;
    let seq = bob.say(&group, "in the group").await.seq;
    until(&group, seq, (1, 0, Some("in the group"))).await;
    let page: natter_protocol::OverviewPage = cluster.http("alice", 1).get("/v1/overview").await.read().unwrap();
    assert!(!serde_json::to_string(&page).unwrap().contains("unheard"), "{page:?}");

    alice.client().unblock(&user("bob")).await.unwrap();
    // The other device's gateway goes by what it says.
    tablet.find(|told| matches!(told, Notification::Unblocked { .. }).then_some(())).await;
    until(&talk, meant, (1, 1, Some("unheard"))).await;
    let seq = bob.say(&talk, "heard").await.seq;
    until(&talk, seq, (2, 1, Some("heard"))).await;
}
