//! What an application hears, and what a gateway is told about it.

use super::*;
use crate::fake::{at, conversation, event};
use natter_ids::{Partition, Position, Seq};
use natter_protocol::ServerFrame;

/// Asserts that this event comes next.
async fn hears(client: &Client, with: &str, seq: Seq, prev: Seq) {
    let expected = Notification::Event(Box::new(event(with, seq, prev)), at(seq));
    assert_eq!(next(client).await, expected);
}

#[tokio::test]
async fn after_a_loss_the_position_is_presented_to_another_gateway() {
    let (first, second) = (FakeGateway::start().await, FakeGateway::start().await);
    let client = builder(&[&first, &second]).connect().unwrap();
    let (mut session, hello) = first.session().await;
    assert_eq!((hello.position, session.token.as_str()), (None, "Bearer token"));
    assert_eq!(connected(&client).await.gateway, first.url);
    assert_eq!(client.position(), None);
    session.caught_up(5).await;
    assert_eq!(next(&client).await, Notification::CaughtUp(at(5)));
    session.event("bob", 6, 5).await;
    session.event("bob", 8, 6).await;
    drop(session);

    // The application has not read yet; the gateway is told what will reach it all the same.
    let (mut session, again) = second.session().await;
    assert_eq!((again.position, again.device), (Some(at(8)), hello.device));
    assert_eq!(client.position(), Some(at(5)));
    hears(&client, "bob", 6, 5).await;
    assert_eq!(client.position(), Some(at(6)), "the one to store is that of the event read");
    hears(&client, "bob", 8, 6).await;
    assert!(matches!(disconnected(&client).await, (DisconnectReason::Lost(_), _)));
    assert_eq!(connected(&client).await.gateway, second.url);
    session.event("bob", 9, 8).await;
    hears(&client, "bob", 9, 8).await;
    let stats = client.stats();
    assert_eq!((stats.sessions, stats.disconnects), (2, 1));
}

#[tokio::test]
async fn repeats_are_dropped_and_counted() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).position(at(4)).connect().unwrap();
    let (mut session, hello) = gateway.session().await;
    assert_eq!(hello.position, Some(at(4)));
    connected(&client).await;
    for (seq, prev) in [(3, 2), (6, 4), (6, 4)] {
        session.event("bob", seq, prev).await;
    }
    drop(session);
    hears(&client, "bob", 6, 4).await;
    disconnected(&client).await;
    let (mut session, hello) = gateway.session().await;
    assert_eq!(hello.position, Some(at(6)), "a repeat moves no position");
    connected(&client).await;
    session.event("bob", 6, 4).await;
    session.event("bob", 7, 6).await;
    hears(&client, "bob", 7, 6).await;
    let stats = client.stats();
    assert_eq!((stats.repeats_across_sessions, stats.repeats_in_session, stats.holes), (2, 1, 0));
}

#[tokio::test]
async fn a_hole_is_resumed_from_before_it() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).position(at(4)).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    connected(&client).await;
    session.event("bob", 5, 4).await;
    // Entry 6 of that conversation is left out, and the position moves past it.
    session.event("carol", 7, 3).await;
    session.event("bob", 8, 6).await;
    hears(&client, "bob", 5, 4).await;
    hears(&client, "carol", 7, 3).await;
    assert_eq!(disconnected(&client).await.0, DisconnectReason::Hole);
    let (mut session, hello) = gateway.session().await;
    assert_eq!(hello.position, Some(at(5)), "the position kept was past what is missing");
    connected(&client).await;
    session.event("bob", 6, 5).await;
    session.event("carol", 7, 3).await;
    session.event("bob", 8, 6).await;
    hears(&client, "bob", 6, 5).await;
    hears(&client, "bob", 8, 6).await;
    assert_eq!(client.stats().holes, 1);
}

#[tokio::test]
async fn an_event_of_a_later_version_leaves_no_hole() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).position(at(4)).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    connected(&client).await;
    let frame = serde_json::to_string(&ServerFrame::Event { position: at(5), event: event("bob", 5, 4) }).unwrap();
    session.send_text(frame.replace(r#""kind":"message""#, r#""kind":"applause""#)).await;
    session.event("bob", 6, 5).await;
    let Notification::Event(later, _) = next(&client).await else { panic!("not told") };
    assert_eq!((later.seq, later.entry.change.kind()), (5, "applause"), "told as what it is");
    hears(&client, "bob", 6, 5).await;
}

#[tokio::test]
async fn positions_of_many_partitions_move_forward_only() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    connected(&client).await;
    session.send(&ServerFrame::CaughtUp { position: Position::from_seqs([5_u64, 9]) }).await;
    next(&client).await;
    let mut position = Position::from_seqs([4_u64, 9]);
    let partition = Partition::of(&conversation("bob"), 2);
    let seq = position.get(partition) + 10;
    position.advance(partition, seq);
    let told = ServerFrame::Event { position: position.clone(), event: event("bob", seq, 1) };
    session.send(&told).await;
    next(&client).await;
    assert_eq!(client.position(), Some(position.clone()), "what the gateway says is what to store");
    drop(session);
    let (_session, hello) = gateway.session().await;
    position.advance(Partition(0), 5);
    assert_eq!(hello.position, Some(position));
}

/// Nothing is lost, and the session stays, when the application takes its time.
#[tokio::test]
async fn a_slow_application_holds_up_the_gateway() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).position(at(0)).event_capacity(1).connect().unwrap();
    let (mut session, _) = gateway.greet().await;
    session.welcome(40, natter_protocol::Limits::default()).await;
    for seq in 1..=50 {
        session.event("bob", seq, seq - 1).await;
    }
    // More than twice the interval, without a word: the client is not reading, so it pings.
    for _ in 0..4 {
        assert!(matches!(session.frame().await, natter_protocol::ClientFrame::Ping { .. }));
    }
    connected(&client).await;
    for seq in 1..=50 {
        hears(&client, "bob", seq, seq - 1).await;
    }
    assert_eq!(client.stats().disconnects, 0);
}

#[tokio::test]
async fn an_application_that_wants_no_events_keeps_its_place() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).position(at(4)).discard_events().connect().unwrap();
    let (mut session, _) = gateway.session().await;
    session.event("bob", 6, 4).await;
    drop(session);
    let (_session, hello) = gateway.session().await;
    assert_eq!(hello.position, Some(at(6)));
    assert_eq!(client.position(), Some(at(6)));
    assert_eq!(soon("end", client.next_event()).await, None);
}
