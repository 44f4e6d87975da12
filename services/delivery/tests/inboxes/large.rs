//! Large conversations: an event goes once to each gateway.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use natter_bus::{
    Bus, GatewayInbox, Shipment,
    presence::{GatewayReport, ReportKind},
};
use natter_ids::{Seq, UserId};
use natter_protocol::Change;
use natter_testkit::wait_for;

use crate::world::{SOON, World, next, user};

fn name(number: usize) -> String {
    format!("u{number}")
}

/// A gateway's report of everybody who is there.
async fn report(bus: &Bus, has_inbox: bool, users: impl Iterator<Item = usize>) {
    let users = users.map(|number| user(&name(number))).collect();
    let kind = ReportKind::Full { part: 0, parts: 1, users };
    let report = GatewayReport { gateway: bus.instance().clone(), epoch: 1, number: 1, has_inbox, kind };
    bus.report_presence(&report).await.unwrap();
}

async fn shipment(inbox: &mut GatewayInbox) -> Shipment {
    tokio::time::timeout(SOON, inbox.next()).await.expect("a shipment in time").unwrap()
}

fn recipients(shipment: &Shipment) -> BTreeMap<UserId, Seq> {
    shipment.recipients().map(|(name, link)| (user(name), link)).collect()
}

#[tokio::test]
async fn an_event_goes_once_to_each_gateway_and_alone_to_one_of_an_earlier_version() {
    let world = World::start().await;
    let (there, earlier) = (world.another_gateway("there").await, world.another_gateway("earlier").await);
    let (mut here_inbox, mut there_inbox) =
        (world.gateway.open_gateway_inbox().await.unwrap(), there.open_gateway_inbox().await.unwrap());
    there.newest_seq(natter_ids::Partition(0)).await.unwrap();
    let [mut alone] = world.inboxes(["u5"]).await;
    let delivery = world.deliver("d1").await;
    let members: Vec<_> = (0..40).map(name).collect();
    let members: Vec<_> = members.iter().map(String::as_str).collect();
    let room = world.begin_group("u0", &members).await;

    // Until delivery trusts what it knows, everybody is sent to alone.
    let (first, mut before) = wait_for("the first shipment", SOON, async || {
        report(&world.gateway, true, 0..30).await;
        report(&there, true, 20..35).await;
        report(&earlier, false, 5..6).await;
        let seq = world.say(&room, "u0", "hello").await;
        while next(&mut alone).await.1.seq < seq {}
        here_inbox.next().now_or_never().flatten().map(|shipment| (seq, shipment))
    })
    .await;
    // It may be that of the round before, which took its time.
    while before.event.seq < first {
        before = shipment(&mut here_inbox).await;
    }
    while shipment(&mut there_inbox).await.event.seq < first {}

    for text in ["one", "two"] {
        let seq = world.say(&room, "u0", text).await;
        let (here, there) = (shipment(&mut here_inbox).await, shipment(&mut there_inbox).await);
        assert_eq!([here.event.seq, there.event.seq], [seq; 2]);
        let link = before.event.seq;
        let expected = |numbers: &mut dyn Iterator<Item = usize>| -> BTreeMap<_, _> {
            numbers.map(|number| (user(&name(number)), link)).collect()
        };
        assert_eq!(recipients(&here), expected(&mut (0..30).filter(|number| *number != 5)));
        assert_eq!(recipients(&there), expected(&mut (20..35)));
        let (arrival, event) = next(&mut alone).await;
        assert_eq!((event.seq, arrival.link), (seq, link), "whoever is at a gateway without an inbox gets it alone");
        before = here;
    }
    assert!(here_inbox.next().now_or_never().is_none(), "one message each");

    // Who goes gets the removal, and nothing after it.
    let removed = world.append(&room, "u0", Change::MemberRemoved { user: user("u7") }).await;
    assert!(!recipients(&shipment(&mut here_inbox).await).contains_key(&user("u7")));
    let last = world.say(&room, "u0", "they are gone").await;
    let after = shipment(&mut here_inbox).await;
    assert!(after.event.seq == last && removed < last && !recipients(&after).contains_key(&user("u7")));
    world.stop([delivery]).await;
}
