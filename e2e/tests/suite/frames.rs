//! What clients should not send, and what they are told.

use natter_e2e::{Cluster, Raw, user};
use natter_ids::{ConversationId, Position};
use natter_protocol::{CloseCode, ErrorCode, Request, ServerFrame};

/// A session of alice that has begun.
async fn session(cluster: &Cluster) -> Raw {
    let mut raw = Raw::open(cluster.gateway(0), "alice").await;
    raw.begin(None).await;
    raw
}

/// What is no frame is refused with the reason and the id of the request, and the session goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_is_refused() {
    let cluster = Cluster::single().start().await;
    let mut raw = session(&cluster).await;
    let cases = [
        ("nonsense", None, ErrorCode::Malformed),
        ("[]", None, ErrorCode::Malformed),
        ("", None, ErrorCode::Malformed),
        (r#"{"id":3}"#, Some(3), ErrorCode::Malformed),
        (r#"{"type":"dance","id":4}"#, Some(4), ErrorCode::UnknownType),
        (r#"{"type":"send","id":5}"#, Some(5), ErrorCode::Malformed),
        (r#"{"type":"send","id":6,"conversation":"x.y.*","client_id":"a","text":"b"}"#, Some(6), ErrorCode::Malformed),
        (r#"{"type":"open_direct","id":7,"user":""}"#, Some(7), ErrorCode::Malformed),
        (r#"{"type":"open_direct","id":8,"user":"a\nb"}"#, Some(8), ErrorCode::Malformed),
        (r#"{"type":"leave","conversation":"gAAAAAAAAAAAAAAAAAAAAAA"}"#, None, ErrorCode::Malformed),
        (r#"{"type":"hello","device":"again"}"#, None, ErrorCode::OutOfState),
        (r#"{"type":"hello","device":"a.b.c"}"#, None, ErrorCode::Malformed),
    ];
    for (text, id, code) in cases {
        raw.send(text).await;
        let refused = raw.refusal().await;
        assert_eq!((refused.id, refused.error.code), (id, code), "{text}: {}", refused.error.message);
        raw.ping_pong().await;
    }
    let longest = format!(r#"{{"type":"open_direct","id":9,"user":"{}"}}"#, "x".repeat(129));
    raw.send(&longest).await;
    assert_eq!(raw.refusal().await.error.code, ErrorCode::Malformed, "a user id of 129 bytes");
    raw.send_binary(b"\x00\xff").await;
    assert_eq!(raw.refusal().await.error.code, ErrorCode::Malformed, "binary");
    raw.ping_pong().await;
}

/// Unknown fields are ignored: an older gateway serves a newer client.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_ignored() {
    let cluster = Cluster::single().start().await;
    let mut raw = Raw::open(cluster.gateway(0), "alice").await;
    raw.send(r#"{"type":"hello","device":"d","invented":{"later":[1]}}"#).await;
    raw.caught_up().await;
    raw.send(r#"{"type":"open_direct","id":1,"user":"bob","priority":"high"}"#).await;
    assert!(matches!(raw.frame().await, ServerFrame::Conversation { id: 1, .. } | ServerFrame::Event { .. }));
}

/// A client that sends nothing but garbage is closed with a code that says not to come back.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_without_end_ends_the_session() {
    let cluster = Cluster::single().start().await;
    for binary in [false, true] {
        let mut raw = session(&cluster).await;
        for _ in 0..10 {
            if binary { raw.send_binary(&[1, 2, 3]).await } else { raw.send("garbage").await }
        }
        assert_eq!(raw.closed().await, CloseCode::ProtocolError.number());
    }
}

/// Before `hello` there is no session: requests are out of state, and a client that never says
/// it is closed with a code that says to come back.
#[tokio::test(flavor = "multi_thread")]
async fn before_hello() {
    let cluster = Cluster::single().set("connection.handshake_timeout_ms", 1_500).start().await;
    let mut raw = Raw::open(cluster.gateway(0), "alice").await;
    raw.ping_pong().await;
    raw.send(r#"{"type":"conversations","id":1}"#).await;
    let refused = raw.refusal().await;
    assert_eq!((refused.id, refused.error.code), (Some(1), ErrorCode::OutOfState));
    raw.begin(None).await;
    raw.ping_pong().await;

    let mut silent = Raw::open(cluster.gateway(0), "alice").await;
    let began = tokio::time::Instant::now();
    assert_eq!(silent.closed().await, CloseCode::HelloTimeout.number());
    assert!(began.elapsed().as_millis() >= 1_400, "closed after {:?}", began.elapsed());
    raw.ping_pong().await;

    let mut binary = Raw::open(cluster.gateway(0), "alice").await;
    binary.send_binary(b"hello").await;
    assert_eq!(binary.closed().await, CloseCode::ProtocolError.number());
}

/// A frame over the limit closes the session without being read; what only asks for too much is
/// refused with the limit's name, and the session goes on.
#[tokio::test(flavor = "multi_thread")]
async fn too_large() {
    let cluster = Cluster::single()
        .set("connection.limits.message_bytes_max", 1_000)
        .set("connection.limits.frame_bytes_max", 8_000)
        .set("connection.limits.group_name_bytes_max", 20)
        .set("connection.limits.page_items_max", 10)
        .set("connection.limits.presence_users_max", 2)
        .start()
        .await;
    let mut raw = session(&cluster).await;
    let talk = ConversationId::direct(&user("alice"), &user("bob"));
    raw.ask(Request::OpenDirect { user: user("bob") }).await.unwrap();
    let send = |text: String| Request::send(talk.clone(), natter_ids::ClientId::now(), text);
    let three = ["a", "b", "c"].map(user).to_vec();
    let page =
        Request::History { conversation: talk.clone(), before: None, after: None, limit: Some(11), edits: false };
    let group =
        Request::CreateGroup { client_id: natter_ids::ClientId::now(), name: "x".repeat(21), members: Vec::new() };
    let cases = [
        (send("x".repeat(1_001)), "message_bytes_max"),
        (send("é".repeat(501)), "message_bytes_max"),
        (group, "group_name_bytes_max"),
        (page, "page_items_max"),
        (Request::Presence { users: three.clone() }, "presence_users_max"),
        (Request::WatchPresence { users: three }, "presence_users_max"),
    ];
    for (request, limit) in cases {
        let refused = raw.ask(request).await.unwrap_err();
        assert_eq!((refused.code, refused.limit.as_deref()), (ErrorCode::TooLarge, Some(limit)));
    }
    raw.ask(send("x".repeat(1_000))).await.unwrap();
    raw.send(&format!(r#"{{"type":"ping","id":1,"padding":"{}"}}"#, "x".repeat(8_000))).await;
    assert_eq!(raw.closed().await, CloseCode::FrameTooLarge.number());
}

/// A position that was never handed out is refused: the device starts without one.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_positions() {
    let cluster = Cluster::single().start().await;
    let future = Position::from_seqs([1 << 40, 0, 0, 0]).to_string();
    let of_another_size = Position::from_seqs([0, 0]).to_string();
    for position in ["nonsense", "1.", "2.AAAA", &future, &of_another_size] {
        let mut raw = Raw::open(cluster.gateway(0), "alice").await;
        raw.send(&format!(r#"{{"type":"hello","device":"d","position":"{position}"}}"#)).await;
        assert_eq!(raw.refusal().await.error.code, ErrorCode::InvalidPosition, "{position}");
        assert_eq!(raw.closed().await, CloseCode::InvalidPosition.number(), "{position}");
    }
}

/// Requests that come faster than they are answered wait their turn, and what one says in a
/// conversation keeps its order.
#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once() {
    const MANY: u64 = 300;
    let cluster = Cluster::single().set("connection.requests_at_once", 4).start().await;
    let mut raw = session(&cluster).await;
    raw.ask(Request::OpenDirect { user: user("bob") }).await.unwrap();
    let talk = ConversationId::direct(&user("alice"), &user("bob"));
    for number in 0..MANY {
        let client_id = natter_ids::ClientId::now();
        let send = serde_json::json!({
            "type": "send", "id": 1_000 + number, "conversation": talk, "client_id": client_id, "text": "x"
        });
        raw.send(&send.to_string()).await;
    }
    let mut accepted = Vec::new();
    while accepted.len() < usize::try_from(MANY).unwrap() {
        match raw.frame().await {
            ServerFrame::Accepted { id, seq, .. } => accepted.push((id, seq)),
            ServerFrame::Error { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
    assert!(accepted.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1), "{accepted:?}");
}

/// A client that neither sends nor answers pings is closed; one that only reads is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_closed() {
    let cluster = Cluster::single().set("connection.ping_interval_ms", 1_000).start().await;
    let alice = cluster.device("alice", 0).await;
    let mut silent = Raw::open(cluster.gateway(0), "silent").await;
    silent.begin(None).await;
    alice.direct("silent").await;
    natter_testkit::wait_for("the silent one to be online", natter_e2e::PATIENCE, async || {
        alice.client().watch_presence(&[user("silent")]).await.unwrap().iter().any(|view| view.online).then_some(())
    })
    .await;
    // Not reading, it does not see the pings, which the library would answer.
    alice.sees("silent", false).await;
    assert_eq!(silent.closed().await, CloseCode::Silent.number());
    assert_eq!(alice.client().stats().disconnects, 0, "who reads answers");
}
