//! Inboxes and markers.

use std::time::Duration;

use bytes::Bytes;
use natter_bus::{Arrival, Inbox, InboxMessage, LinkEvent, LiveEvent, Marker, MarkerRequest, Reached};
use natter_ids::{GatewayId, Partition, SessionId};

use crate::world::{SOON, World, settled, user, wait_until};

async fn next(inbox: &mut Inbox) -> InboxMessage {
    tokio::time::timeout(SOON, inbox.next()).await.expect("a live message in time").unwrap()
}

#[tokio::test]
async fn events_and_markers_arrive_in_the_order_sent_and_nowhere_else() {
    let (world, delivery) = World::new(1).await;
    let gateway = world.connect("gateway").await;
    let (odd, other) = (user("a.*.>"), user("a"));
    let (mut inbox, mut others) = (gateway.open_inbox(&odd).await.unwrap(), gateway.open_inbox(&other).await.unwrap());
    settled(&gateway).await;
    let session = SessionId::random();
    let mut sent = Vec::new();
    for seq in 1..=1_000_u64 {
        let json = Bytes::from(format!("{{\"n\":{seq}}}"));
        let event = LiveEvent { partition: Partition(0), seq, json, stored_at: Some(seq), trace: None };
        delivery.send_live(&odd, &event, seq - 1).await.unwrap();
        sent.push(InboxMessage::Event(Arrival { event, link: seq - 1 }));
        if seq % 100 == 0 {
            let reached = vec![Reached { partition: Partition(0), seq, link: seq }];
            let marker = Marker { session: session.clone(), round: 7, reached };
            delivery.send_marker(&odd, &marker).await.unwrap();
            sent.push(InboxMessage::Marker(marker));
        }
    }
    for expected in sent {
        assert_eq!(next(&mut inbox).await, expected);
    }
    let marker = Marker { session, round: 1, reached: Vec::new() };
    delivery.send_marker(&other, &marker).await.unwrap();
    assert_eq!(next(&mut others).await, InboxMessage::Marker(marker), "the first that the other user gets");
}

#[tokio::test]
async fn every_replica_hears_a_marker_request_and_answers_into_the_inbox() {
    let (world, gateway) = World::new(2).await;
    let who = user("a");
    let mut inbox = gateway.open_inbox(&who).await.unwrap();
    let replicas = [world.connect("d1").await, world.connect("d2").await];
    let mut requests = [replicas[0].marker_requests().await.unwrap(), replicas[1].marker_requests().await.unwrap()];
    for bus in replicas.iter().chain([&gateway]) {
        settled(bus).await;
    }
    let asked = MarkerRequest {
        user: who.clone(),
        session: SessionId::random(),
        round: 3,
        gateway: GatewayId::new("test").unwrap(),
        reported: 5,
    };
    gateway.request_markers(&asked).await.unwrap();
    for (number, requests) in requests.iter_mut().enumerate() {
        let heard = tokio::time::timeout(SOON, requests.next()).await.unwrap().unwrap();
        assert_eq!(heard, asked);
        let partition = Partition(u16::try_from(number).unwrap());
        let reached = vec![Reached { partition, seq: 9, link: 4 }];
        replicas[number].send_marker(&heard.user, &Marker { session: heard.session, round: 3, reached }).await.unwrap();
    }
    let mut partitions = Vec::new();
    for _ in 0..2 {
        let InboxMessage::Marker(marker) = next(&mut inbox).await else { panic!("only markers were sent") };
        assert_eq!((&marker.session, marker.round), (&asked.session, 3));
        partitions.extend(marker.reached.iter().map(|reached| reached.partition));
    }
    partitions.sort();
    assert_eq!(partitions, [Partition(0), Partition(1)]);
}

#[tokio::test]
async fn an_inbox_works_again_after_a_restart_which_is_told() {
    let (mut world, gateway) = World::new(1).await;
    let mut events = gateway.link_events();
    let mut inbox = gateway.open_inbox(&user("a")).await.unwrap();
    world.nats.restart().await;
    for expected in [LinkEvent::Lost, LinkEvent::Restored] {
        assert_eq!(tokio::time::timeout(SOON, events.recv()).await.unwrap().unwrap(), expected);
    }
    let delivery = world.connect("delivery").await;
    let event =
        LiveEvent { partition: Partition(0), seq: 1, json: Bytes::from_static(b"{}"), stored_at: None, trace: None };
    wait_until("an event after the restart", async || {
        delivery.send_live(&user("a"), &event, 0).await.unwrap();
        tokio::time::timeout(Duration::from_millis(200), inbox.next()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn archived_numbers_reach_every_follower_and_never_go_back() {
    let (world, storage) = World::new(2).await;
    let gateway = world.connect("gateway").await;
    let cancel = tokio_util::sync::CancellationToken::new();
    let follow = gateway.follow_archived(cancel.clone());
    let check = async {
        let mut known = gateway.watch_archived();
        for (announced, expected) in [(5, 5), (3, 5), (9, 9)] {
            // The follower may not have subscribed yet.
            wait_until("the announcement", async || {
                storage.announce_archived(Partition(1), announced).await.unwrap();
                let seen = known.wait_for(|position| position.get(Partition(1)) >= expected);
                tokio::time::timeout(Duration::from_millis(200), seen).await.is_ok()
            })
            .await;
            assert_eq!(known.borrow().get(Partition(1)), expected);
            assert_eq!(known.borrow().get(Partition(0)), 0);
        }
        cancel.cancel();
    };
    tokio::join!(follow, check);
}
