//! The raw connection against a gateway that follows a script.

#![allow(clippy::unwrap_used)]

use natter_protocol::{CloseCode, ErrorBody, ErrorCode, Limits, Request};

use super::*;
use crate::Refusal;
use crate::fake::{FakeGateway, PATIENCE, soon, user};

#[tokio::test]
async fn frames_go_both_ways_and_the_close_is_told() {
    let gateway = FakeGateway::start().await;
    let options = RawOptions::new(&gateway.url).token("t").receive_buffer(8 << 10);
    let (raw, session) = tokio::join!(RawConnection::connect(&options), gateway.upgrade());
    let (mut raw, mut session) = (raw.unwrap(), session);
    assert_eq!((session.token.as_str(), raw.subprotocol()), ("Bearer t", Some("natter.v1")));

    let device = DeviceId::random();
    let answer = async {
        let ClientFrame::Hello(hello) = session.frame().await else { panic!() };
        session.welcome(1_000, Limits::default()).await;
        hello
    };
    let (welcome, hello) = tokio::join!(raw.hello(device.clone(), None), answer);
    assert!(matches!(welcome.unwrap(), ServerFrame::Welcome { .. }));
    assert_eq!((hello.device, hello.token), (device, None));

    raw.feed_text(r#"{"type":"open_direct","id":1,"user":"bob"}"#).unwrap();
    raw.feed_text(r#"{"type":"open_direct","id":2,"user":"bob"}"#).unwrap();
    raw.flush().await.unwrap();
    for id in [1, 2] {
        assert_eq!(session.request().await, (id, Request::OpenDirect { user: user("bob") }));
    }
    session.send_text(r#"{"type":"of_another_version"}"#.to_owned()).await;
    assert!(matches!(raw.frame(PATIENCE).await, Err(RawError::Unreadable(_))));
    let nothing = raw.receive(Duration::from_millis(20)).await;
    assert!(matches!(nothing, Err(RawError::Timeout)), "{nothing:?}");

    let ((), closed) = tokio::join!(session.close(CloseCode::SlowConsumer), async {
        let closed = raw.closed(PATIENCE).await;
        let _ = raw.receive(PATIENCE).await;
        closed
    });
    assert_eq!(closed.unwrap(), (Some(4001), "slow_consumer".to_owned()));
}

#[tokio::test]
async fn frames_of_any_kind_can_be_sent() {
    let gateway = FakeGateway::start().await;
    let options = RawOptions::new(&gateway.url);
    let (raw, mut session) = tokio::join!(RawConnection::connect(&options), gateway.upgrade());
    let mut raw = raw.unwrap();
    assert_eq!(session.token, "", "no token, no header");
    raw.send_binary([1, 2]).await.unwrap();
    assert_eq!(session.message().await, Message::binary(vec![1, 2]));
    raw.send_raw(1, false, "two ").await.unwrap();
    raw.send_raw(0, true, "halves").await.unwrap();
    assert_eq!(session.message().await, Message::text("two halves"));
    raw.send_bytes(&[0xff; 16]).await.unwrap();
    let broken = soon("error", session.socket.next()).await;
    assert!(broken.unwrap().is_err());
}

#[tokio::test]
async fn a_refused_upgrade_is_told() {
    let gateway = FakeGateway::start().await;
    let error = ErrorBody::new(ErrorCode::RateLimited);
    let body = serde_json::to_string(&error).unwrap();
    let options = RawOptions::new(&gateway.url);
    let refuse = gateway.refuse("429 Too Many Requests", "Retry-After: 3\r\n", &body);
    let (raw, ()) = tokio::join!(RawConnection::connect(&options), refuse);
    let refused = raw.unwrap_err();
    let expected = Refusal { status: 429, error: Some(error), retry_after_secs: Some(3) };
    assert_eq!(refused.refusal(), Some(&expected));
}

#[test]
fn options_hide_the_token() {
    let options = RawOptions::new("ws://host").token("secret").header("cookie", "secret").subprotocols(["secret"]);
    assert!(!format!("{options:?}").contains("secret"));
}
