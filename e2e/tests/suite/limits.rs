//! Overload is refused with a named limit and a time to come back.

use std::time::Duration;

use natter_e2e::{Cluster, Http, PATIENCE, Raw};
use natter_ids::ClientId;
use natter_protocol::{ConversationPage, ErrorBody, ErrorCode, Request};
use natter_testkit::wait_for;
use tokio::net::TcpStream;

fn conversations() -> Request {
    Request::Conversations { after: None, limit: None }
}

/// A user's requests are counted over all sessions at a gateway and over HTTP; others are not
/// concerned; after the time that the refusal names the next one passes.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_user() {
    let cluster = Cluster::single()
        .set("connection.user_requests_per_sec", 1)
        .set("connection.user_requests_burst", 6)
        .start()
        .await;
    let mut sessions = [Raw::open(cluster.gateway(0), "alice").await, Raw::open(cluster.gateway(0), "alice").await];
    for session in &mut sessions {
        session.begin(None).await;
    }
    let mut refused: Option<ErrorBody> = None;
    for number in 0..12 {
        refused = sessions[number % 2].ask(conversations()).await.err().or(refused);
    }
    let refused = refused.expect("twelve requests are more than six");
    assert_eq!((refused.code, refused.limit.as_deref()), (ErrorCode::RateLimited, Some("user_requests_per_sec")));
    let wait = refused.retry_after_ms.expect("a time to retry after");
    assert!((1..=1_000).contains(&wait), "{wait} ms");

    let over_http = cluster.http("alice", 0).get("/v1/conversations").await;
    let error = over_http.read::<ConversationPage>().unwrap_err();
    assert_eq!((over_http.status, error.limit.as_deref()), (429, Some("user_requests_per_sec")));

    let mut bob = Raw::open(cluster.gateway(0), "bob").await;
    bob.begin(None).await;
    bob.ask(conversations()).await.expect("bob is not concerned");
    wait_for("alice's next request to pass", PATIENCE, async || sessions[0].ask(conversations()).await.ok()).await;
}

/// New connections from one address are counted.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_address() {
    let cluster = Cluster::single()
        .set("connection.address_connects_per_sec", 1)
        .set("connection.address_connects_burst", 3)
        .start()
        .await;
    let http = cluster.http("alice", 0);
    let refused =
        wait_for("a refusal", PATIENCE, async || http.get("/v1/conversations").await.read::<ConversationPage>().err())
            .await;
    assert_eq!((refused.code, refused.limit.as_deref()), (ErrorCode::RateLimited, Some("address_connects_per_sec")));
    wait_for("the next connection", PATIENCE, async || {
        http.get("/v1/conversations").await.read::<ConversationPage>().ok()
    })
    .await;
}

/// Connections that have shown no token are counted before they say anything; places become free
/// when they go or are too slow.
#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_token() {
    let cluster = Cluster::single()
        .set("connection.unauthenticated_max", 3)
        .set("connection.handshake_timeout_ms", 2_000)
        .start()
        .await;
    // Whoever has shown a token does not count.
    let mut authenticated = Vec::new();
    for _ in 0..6 {
        let mut raw = Raw::open(cluster.gateway(0), "alice").await;
        raw.begin(None).await;
        authenticated.push(raw);
    }
    let address = cluster.gateway(0).address();
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let refused = cluster.http("bob", 0).handshake(&["natter.v1"]).await;
    let error = refused.read::<()>().unwrap_err();
    assert_eq!((error.code, error.limit.as_deref()), (ErrorCode::Overloaded, Some("unauthenticated_max")));
    let began = tokio::time::Instant::now();
    wait_for("the silent ones to be closed", PATIENCE, async || {
        (cluster.http("bob", 0).handshake(&["natter.v1"]).await.status == 101).then_some(())
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    for raw in &mut authenticated {
        raw.ping_pong().await;
    }
}

/// All connections are counted.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_gateway() {
    let cluster = Cluster::single().set("connection.connections_max", 2).start().await;
    let mut first = Raw::open(cluster.gateway(0), "alice").await;
    first.begin(None).await;
    let second = Raw::open(cluster.gateway(0), "alice").await;
    let refused = cluster.http("bob", 0).get("/v1/conversations").await;
    let error = refused.read::<ConversationPage>().unwrap_err();
    assert_eq!(
        (refused.status, error.code, error.limit.as_deref()),
        (503, ErrorCode::Overloaded, Some("connections_max"))
    );
    drop(second);
    let bob: Http = cluster.http("bob", 0);
    wait_for("a free place", PATIENCE, async || bob.get("/v1/conversations").await.read::<ConversationPage>().ok())
        .await;
    first.ping_pong().await;
}

/// A log at its size limit refuses what comes, and says so; it drops nothing that it holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_log() {
    let cluster = Cluster::single().set("nats.log_mib_max", 4).start().await;
    let alice = cluster.device("alice", 0).await;
    let talk = alice.direct("bob").await;
    let http = cluster.http("alice", 0);
    let text = "x".repeat(60_000);
    let mut accepted = 0;
    let refused = loop {
        match http.say(&talk, ClientId::now(), &text).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "4 MiB take no 100 messages of 60 KB");
    };
    assert_eq!((refused.code, refused.limit.as_deref()), (ErrorCode::Unavailable, Some("log_mib_max")));
    assert!(accepted > 5, "{accepted} messages fit");
    let kept = alice.client().history(&talk, None, Some(0), Some(200)).await.unwrap();
    assert!(!kept.events.is_empty());
}
