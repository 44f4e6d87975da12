//! How sessions end, and what follows.

use super::*;
use crate::{
    Fatal, RequestError, SendError,
    fake::{conversation, user},
};
use natter_ids::Position;
use natter_protocol::{ClientFrame, CloseCode, ErrorBody, ErrorCode, Limits, ServerFrame};
use std::time::Instant;

#[tokio::test]
async fn a_gateway_that_goes_away_is_left_for_another_after_the_wait() {
    let (first, second) = (FakeGateway::start().await, FakeGateway::start().await);
    let client = builder(&[&first, &second]).connect().unwrap();
    let (mut session, _) = first.session().await;
    connected(&client).await;
    let (announced, wait) = (Instant::now(), 120);
    session.send(&ServerFrame::GoingAway { reconnect_after_ms: wait }).await;
    session.close(CloseCode::GoingAway).await;
    let (reason, retry_in) = disconnected(&client).await;
    assert_eq!(reason, DisconnectReason::GoingAway);
    assert!(retry_in <= Duration::from_millis(wait.into()), "{retry_in:?}");
    second.session().await;
    let waited = announced.elapsed();
    assert!(waited >= Duration::from_millis(wait.into()), "{waited:?}");
}

#[tokio::test]
async fn a_gateway_that_announces_and_stays_is_left_all_the_same() {
    let (first, second) = (FakeGateway::start().await, FakeGateway::start().await);
    let client = builder(&[&first, &second]).connect().unwrap();
    let (mut session, _) = first.session().await;
    session.send(&ServerFrame::GoingAway { reconnect_after_ms: 30 }).await;
    assert_eq!(session.end().await, Some(1000));
    second.session().await;
    connected(&client).await;
    assert_eq!(disconnected(&client).await.0, DisconnectReason::GoingAway);
}

#[tokio::test]
async fn a_close_that_says_come_back_is_followed() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let (session, _) = gateway.session().await;
    connected(&client).await;
    session.close(CloseCode::SlowConsumer).await;
    assert_eq!(disconnected(&client).await.0, DisconnectReason::Closed(CloseCode::SlowConsumer));
    gateway.session().await;
}

#[tokio::test]
async fn a_close_that_says_stay_away_ends_the_client() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let script = async {
        let (mut session, _) = gateway.session().await;
        session.request().await;
        session.close(CloseCode::ProtocolError).await;
    };
    let (sent, ()) = both(client.send(conversation("bob"), "x"), script).await;
    let fatal = Fatal::Closed(CloseCode::ProtocolError);
    assert_eq!(sent, Err(SendError::Fatal(fatal.clone())));
    connected(&client).await;
    assert_eq!(next(&client).await, Notification::Fatal(fatal.clone()));
    assert_eq!(soon("end", client.next_event()).await, None);
    assert_eq!(client.fatal(), Some(&fatal));
    let later = client.open_direct(&user("bob")).await;
    assert_eq!(later, Err(RequestError::Fatal(fatal)));
}

/// Before `welcome` or in the middle of a session: the client says so and begins anew.
#[tokio::test]
async fn a_position_that_is_refused_is_forgotten() {
    let gateway = FakeGateway::start().await;
    let position = Position::from_seqs([9_u64]);
    let client = builder(&[&gateway]).position(position.clone()).connect().unwrap();
    let (mut session, hello) = gateway.greet().await;
    assert_eq!(hello.position, Some(position));
    let error = ErrorBody::new(ErrorCode::InvalidPosition);
    session.send(&ServerFrame::Error { id: None, error: error.clone() }).await;
    assert_eq!(next(&client).await, Notification::PositionRefused);
    assert_eq!(client.position(), None);
    assert_eq!(disconnected(&client).await.0, DisconnectReason::Refused(error));

    let (mut session, hello) = gateway.session().await;
    assert_eq!(hello.position, None, "a new device");
    connected(&client).await;
    let here = Position::from_seqs([4_u64]);
    session.send(&ServerFrame::CaughtUp { position: here.clone() }).await;
    assert_eq!(next(&client).await, Notification::CaughtUp(here.clone()));
    assert_eq!(client.position(), Some(here));
    session.close(CloseCode::InvalidPosition).await;
    assert_eq!(next(&client).await, Notification::PositionRefused);
    assert_eq!(client.position(), None);
    let (_, hello) = gateway.session().await;
    assert_eq!(hello.position, None);
}

#[tokio::test]
async fn a_position_that_was_not_presented_cannot_be_forgotten() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let (mut session, _) = gateway.greet().await;
    let error = ErrorBody::new(ErrorCode::InvalidPosition);
    session.send(&ServerFrame::Error { id: None, error: error.clone() }).await;
    assert_eq!(next(&client).await, Notification::Fatal(Fatal::Refused(error)));
}

#[tokio::test]
async fn a_silent_gateway_is_pinged_then_left() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let (mut session, _) = gateway.greet().await;
    let interval = Duration::from_millis(300);
    session.welcome(300, Limits::default()).await;
    connected(&client).await;
    // As long as pings are answered the session stays.
    for _ in 0..3 {
        let ClientFrame::Ping { id } = session.frame().await else { panic!() };
        session.send(&ServerFrame::Pong { id }).await;
    }
    let heard = Instant::now();
    assert!(matches!(session.frame().await, ClientFrame::Ping { .. }));
    assert_eq!(disconnected(&client).await.0, DisconnectReason::Silent);
    assert!(heard.elapsed() >= interval * 2 - Duration::from_millis(10), "{:?}", heard.elapsed());
    gateway.session().await;
}

#[tokio::test]
async fn a_gateway_without_a_word_is_given_up() {
    let (first, second) = (FakeGateway::start().await, FakeGateway::start().await);
    let client = builder(&[&first, &second]).connect_timeout(Duration::from_millis(400)).connect().unwrap();
    let (_silent, _) = first.greet().await;
    second.session().await;
    let (reason, _) = disconnected(&client).await;
    assert!(matches!(reason, DisconnectReason::Unreachable(_)), "{reason:?}");
    connected(&client).await;
}

#[tokio::test]
async fn a_refused_connection_waits_as_long_as_it_was_asked_to() {
    let (first, second) = (FakeGateway::start().await, FakeGateway::start().await);
    let client = builder(&[&first, &second]).connect().unwrap();
    let refused = Instant::now();
    first.refuse("503 Service Unavailable", "Retry-After: 1\r\n", "").await;
    let (reason, retry_in) = disconnected(&client).await;
    assert!(matches!(reason, DisconnectReason::Unreachable(_)), "{reason:?}");
    assert!(retry_in >= Duration::from_secs(1), "{retry_in:?}");
    let error = ErrorBody::new(ErrorCode::Overloaded).retry_after_ms(40);
    let body = serde_json::to_string(&error).unwrap();
    second.refuse("503 Service Unavailable", "Retry-After: 1\r\n", &body).await;
    assert!(refused.elapsed() >= Duration::from_secs(1));
    let (reason, retry_in) = disconnected(&client).await;
    assert_eq!(reason, DisconnectReason::Refused(error));
    assert!(retry_in >= Duration::from_millis(40) && retry_in < Duration::from_millis(500), "{retry_in:?}");
    first.session().await;
}

#[tokio::test]
async fn closing_takes_leave() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let script = async {
        let (mut session, _) = gateway.session().await;
        session.request().await;
        let ((), code) = both(client.close(), session.end()).await;
        assert_eq!(code, Some(1000));
    };
    let (sent, ()) = both(client.send(conversation("bob"), "x"), script).await;
    assert_eq!(sent, Err(SendError::Closed));
    connected(&client).await;
    assert_eq!(soon("end", client.next_event()).await, None);
    assert_eq!(client.open_direct(&user("bob")).await, Err(RequestError::Closed));
    assert_eq!(client.stats().disconnects, 0);
}

#[tokio::test]
async fn a_client_that_cannot_connect_can_be_closed() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).event_capacity(1).connect().unwrap();
    for _ in 0..2 {
        gateway.refuse("502 Bad Gateway", "", "").await;
    }
    soon("close", client.close()).await;
    assert!(matches!(disconnected(&client).await.0, DisconnectReason::Unreachable(_)));
}
