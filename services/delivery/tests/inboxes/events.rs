//! Who gets which events.

use futures_util::FutureExt;
use natter_bus::{
    InboxMessage,
    presence::{GatewayReport, ReportKind},
};
use natter_protocol::Change;
use natter_testkit::wait_for;

use crate::world::{SOON, World, next, user};

#[tokio::test]
async fn every_member_gets_every_event_in_order_each_linked_to_the_one_before() {
    let world = World::start().await;
    let delivery = world.deliver("d1").await;
    let [mut one, mut other, mut stranger] = world.inboxes(["a.b", "*", "c"]).await;
    let chat = world.begin_direct("a.b", "*").await;
    let mut sent = vec![Vec::new()];
    for number in 0..100 {
        let sender = if number % 2 == 0 { "a.b" } else { "*" };
        let text = format!("{number}\u{1F600}\n");
        world.say(&chat, sender, &text).await;
        sent.push(text.into_bytes());
    }
    for inbox in [&mut one, &mut other] {
        let (mut last, mut last_link) = (0, None);
        for expected in &sent {
            let (arrival, event) = next(inbox).await;
            assert_eq!((event.prev, &event.conversation), (last, &chat));
            if let Change::Message { text, .. } = &event.entry.change {
                assert_eq!(text.as_bytes(), expected);
            }
            if let Some(link) = last_link {
                assert_eq!(arrival.link, link, "linked to the event before");
            }
            (last, last_link) = (event.seq, Some(event.seq));
        }
    }
    let (arrivals, _) = world.markers("c", &mut stranger).await;
    assert_eq!(arrivals, [], "a stranger gets nothing");
    world.stop([delivery]).await;
}

#[tokio::test]
async fn after_the_removal_nothing_more_is_sent() {
    let world = World::start().await;
    let delivery = world.deliver("d1").await;
    let [mut stays, mut goes, mut leaves] = world.inboxes(["a", "goes", "leaves"]).await;
    let group = world.begin_group("a", &["a", "goes", "leaves"]).await;
    world.say(&group, "goes", "still here").await;
    let removed = world.append(&group, "a", Change::MemberRemoved { user: user("goes") }).await;
    world.say(&group, "a", "among us").await;
    let left = world.append(&group, "leaves", Change::MemberLeft {}).await;
    let last = world.say(&group, "a", "alone").await;
    while next(&mut stays).await.1.seq < last {}

    for (name, inbox, end) in [("goes", &mut goes, removed), ("leaves", &mut leaves, left)] {
        let mut seen = 0;
        while seen < end {
            seen = next(inbox).await.1.seq;
        }
        assert_eq!(seen, end, "the last event of {name}");
        let (arrivals, _) = world.markers(name, inbox).await;
        assert_eq!(arrivals, [], "nothing comes for {name} after the end");
    }
    // Whoever is added again gets what follows, from their own addition on.
    let readded = world.append(&group, "a", Change::MemberAdded { user: user("goes") }).await;
    assert_eq!(next(&mut goes).await.1.seq, readded);
    world.stop([delivery]).await;
}

#[tokio::test]
async fn whoever_is_offline_costs_no_message_and_learns_of_it_when_back() {
    let world = World::start().await;
    let delivery = world.deliver("d1").await;
    // In the order in which one entry is sent out.
    let [mut away, mut there] = world.inboxes(["away", "there"]).await;
    let chat = world.begin_direct("away", "there").await;
    let report = |number, kind| GatewayReport {
        gateway: natter_ids::GatewayId::new("gateway").unwrap(),
        epoch: 1,
        number,
        has_inbox: true,
        kind,
    };
    let full = ReportKind::Full { part: 0, parts: 1, users: vec![user("there")] };
    let mut last_sent = 0;
    // Until delivery trusts what it knows, it sends to everybody.
    let left_out = wait_for("an entry that is not sent to who is offline", SOON, async || {
        world.gateway.report_presence(&report(1, full.clone())).await.unwrap();
        let seq = world.say(&chat, "there", "hello?").await;
        while next(&mut there).await.1.seq < seq {}
        let mut came = None;
        while let Some(Some(InboxMessage::Event(arrival))) = away.next().now_or_never() {
            came = Some(arrival.event.seq);
        }
        last_sent = came.unwrap_or(last_sent);
        (came != Some(seq)).then_some(seq)
    })
    .await;
    assert!(last_sent < left_out);

    let joined = ReportKind::Delta { joined: vec![user("away")], left: Vec::new() };
    world.gateway.report_presence(&report(2, joined)).await.unwrap();
    let (arrivals, markers) = world.markers("away", &mut away).await;
    assert_eq!(arrivals, []);
    let partition = natter_ids::Partition::of(&chat, crate::world::PARTITIONS);
    let reached = markers.iter().flat_map(|marker| &marker.reached).find(|at| at.partition == partition).unwrap();
    assert!(reached.seq >= left_out, "the archive has what was left out");
    let seq = world.say(&chat, "there", "welcome back").await;
    let (arrival, event) = next(&mut away).await;
    assert_eq!((event.seq, arrival.link), (seq, reached.link), "linked to what the marker told");
    world.stop([delivery]).await;
}
