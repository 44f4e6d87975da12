//! Reports of gateways, questions and changes.

use natter_bus::presence::{GatewayReport, Left, ReportKind};
use natter_ids::GatewayId;
use natter_protocol::PresenceView;
use tokio_util::sync::CancellationToken;

use crate::world::{SOON, World, settled, user};

fn report(number: u64, kind: ReportKind) -> GatewayReport {
    GatewayReport { gateway: GatewayId::new("g1").unwrap(), epoch: 3, number, has_inbox: true, kind }
}

#[tokio::test]
async fn reports_arrive_complete_and_in_order() {
    let (world, gateway) = World::new(1).await;
    let presence = world.connect("presence").await;
    let (mut reports, mut refreshes) =
        (presence.gateway_reports().await.unwrap(), gateway.refresh_requests().await.unwrap());
    settled(&presence).await;
    settled(&gateway).await;
    let sent = [
        report(0, ReportKind::Full { part: 0, parts: 1, users: vec![user("a.b"), user("*")] }),
        report(
            1,
            ReportKind::Delta { joined: vec![user("c")], left: vec![Left { user: user("*"), at: 1_700_000_000_000 }] },
        ),
        report(1, ReportKind::Beat),
        report(1, ReportKind::Gone { at: 5 }),
    ];
    for report in &sent {
        gateway.report_presence(report).await.unwrap();
    }
    for report in sent {
        assert_eq!(tokio::time::timeout(SOON, reports.next()).await.unwrap(), Some(report));
    }
    presence.request_presence_refresh().await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, refreshes.next()).await.unwrap(), Some(()));
}

#[tokio::test]
async fn questions_are_answered_by_one_replica_and_changes_reach_everybody() {
    let (world, gateway) = World::new(1).await;
    let replicas = [world.connect("p1").await, world.connect("p2").await];
    let mut changes = [gateway.presence_changes().await.unwrap(), replicas[0].presence_changes().await.unwrap()];
    let view =
        |name: &str, online| PresenceView { user: user(name), online, away: false, last_seen: (!online).then_some(4) };
    let cancel = CancellationToken::new();
    let answer = |users: Vec<natter_ids::UserId>| async move {
        users.into_iter().map(|user| PresenceView { user, online: true, away: false, last_seen: None }).collect()
    };
    let responders =
        futures_util::future::join_all(replicas.iter().map(|bus| bus.respond_presence(4, cancel.clone(), answer)));
    let check = async {
        let asked = [user("a"), user(">")];
        let views = natter_testkit::wait_for("an answer", SOON, async || gateway.ask_presence(&asked).await.ok()).await;
        assert_eq!(views, [view("a", true), view(">", true)]);
        let changed = view("x.y", false);
        settled(&gateway).await;
        settled(&replicas[0]).await;
        replicas[1].announce_presence(&changed).await.unwrap();
        for changes in &mut changes {
            assert_eq!(tokio::time::timeout(SOON, changes.next()).await.unwrap(), Some(changed.clone()));
        }
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(responders, check);
    assert!(ended.into_iter().all(|result| result.is_ok()));
}

#[tokio::test]
async fn last_seen_is_kept_across_restarts() {
    let (mut world, bus) = World::new(1).await;
    assert_eq!(bus.last_seen(&user("a.b")).await.unwrap(), None);
    for at in [4, 1_700_000_000_123] {
        bus.keep_last_seen(&user("a.b"), at).await.unwrap();
    }
    world.nats.restart().await;
    let again = world.connect("again").await;
    assert_eq!(again.last_seen(&user("a.b")).await.unwrap(), Some(1_700_000_000_123));
    assert_eq!(again.last_seen(&user("a")).await.unwrap(), None);
}
