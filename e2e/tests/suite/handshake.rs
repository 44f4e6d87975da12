//! How a connection begins: subprotocols, tokens in them, tickets, origins.

use natter_client::{RawConnection, RawOptions};
use natter_e2e::{Cluster, Http, Raw, Reply, token_for};
use natter_ids::DeviceId;
use natter_protocol::{ConversationPage, ErrorCode, ServerFrame};

fn code(reply: &Reply) -> ErrorCode {
    reply.read::<()>().unwrap_err().code
}

/// The gateway chooses the version it speaks out of those offered, or refuses.
#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_negotiated() {
    let cluster = Cluster::single().start().await;
    let http = cluster.http("alice", 0);
    for offered in [&["natter.v1"][..], &["natter.v2", "natter.v1"], &["chat", "natter.v1", "natter.v0"]] {
        let reply = http.handshake(offered).await;
        assert_eq!((reply.status, reply.header("sec-websocket-protocol")), (101, Some("natter.v1")), "{offered:?}");
        assert_eq!(reply.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455, section 1.3");
    }
    for offered in [&[][..], &["natter.v2"], &["Natter.V1"]] {
        assert_eq!(code(&http.handshake(offered).await), ErrorCode::Malformed, "{offered:?}");
    }
    let plain = http.get("/v1/ws").await;
    assert_eq!((plain.status, plain.header("sec-websocket-version")), (426, Some("13")), "no WebSocket at all");
    let old = http.with("sec-websocket-version", "8").handshake(&["natter.v1"]).await;
    assert!(old.status == 426 || old.status == 101, "{old:?}");
}

/// A token may come as a subprotocol, for browsers; it is taken and never echoed.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_as_a_subprotocol() {
    let cluster = Cluster::single().start().await;
    let nobody = Http::new(cluster.gateway(0).address());
    let bearer = format!("natter.bearer.{}", token_for("alice"));
    for offered in [["natter.v1", &bearer], [&bearer, "natter.v1"]] {
        let reply = nobody.handshake(&offered).await;
        assert_eq!((reply.status, reply.header("sec-websocket-protocol")), (101, Some("natter.v1")));
        assert!(!format!("{:?}{}", reply.headers, reply.body).contains(&token_for("alice")[..20]), "{reply:?}");
    }
    assert_eq!(code(&nobody.handshake(&[&bearer]).await), ErrorCode::Malformed, "a token is no version");
    let forged = nobody.handshake(&["natter.v1", "natter.bearer.forged"]).await;
    assert_eq!(code(&forged), ErrorCode::Unauthenticated);

    let options = RawOptions::new(cluster.gateway(0).url()).subprotocols(["natter.v1", &bearer]);
    let mut raw = Raw::open_with(options).await;
    assert_eq!(raw.connection().subprotocol(), Some("natter.v1"));
    let welcome = raw.connection().hello(DeviceId::random(), None).await.unwrap();
    assert!(matches!(welcome, ServerFrame::Welcome { user, .. } if user.as_str() == "alice"));
}

/// A ticket stands for the user who got it, once, at any gateway.
#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_used_once() {
    let cluster = Cluster::builder().start().await;
    let grant = cluster.http("alice", 0).ticket().await.unwrap();
    assert!(grant.expires_in_ms <= 30_000, "{} ms", grant.expires_in_ms);
    let ticket = format!("natter.ticket.{}", grant.ticket);
    let options = |gateway: usize| RawOptions::new(cluster.gateway(gateway).url()).subprotocols(["natter.v1", &ticket]);
    let mut raw = Raw::open_with(options(1)).await;
    let welcome = raw.connection().hello(DeviceId::random(), None).await.unwrap();
    assert!(matches!(welcome, ServerFrame::Welcome { user, .. } if user.as_str() == "alice"));
    raw.caught_up().await;

    for gateway in [0, 1] {
        let again = RawConnection::connect(&options(gateway)).await.unwrap_err();
        let refusal = again.refusal().expect("an HTTP answer");
        assert_eq!((refusal.status, refusal.error.as_ref().unwrap().code), (401, ErrorCode::Unauthenticated));
    }
    let nobody = Http::new(cluster.gateway(0).address());
    assert_eq!(nobody.ticket().await.unwrap_err().code, ErrorCode::Unauthenticated, "without a token no ticket");
    let bearer = Http::new(cluster.gateway(0).address()).with_token(&grant.ticket);
    assert_eq!(bearer.ticket().await.unwrap_err().code, ErrorCode::Unauthenticated, "a ticket is no token");
}

/// Two handshakes with one ticket at the same moment: one of them wins.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_not_used_twice_at_once() {
    let cluster = Cluster::builder().start().await;
    for _ in 0..10 {
        let ticket = format!("natter.ticket.{}", cluster.http("alice", 0).ticket().await.unwrap().ticket);
        let tries = (0..6).map(|number| {
            let (ticket, http) = (ticket.clone(), Http::new(cluster.gateway(number % 2).address()));
            async move { http.handshake(&["natter.v1", &ticket]).await.status }
        });
        let mut statuses = futures_util::future::join_all(tries).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [101, 401, 401, 401, 401, 401]);
    }
}

/// Pages of other origins may not connect; programs, which send no origin, may.
#[tokio::test(flavor = "multi_thread")]
async fn origins() {
    let cluster =
        Cluster::single().set("connection.origins", "https://chat.example.com,https://other.example").start().await;
    let http = cluster.http("alice", 0);
    let from = |origin: &str| http.clone().with("origin", origin);
    for allowed in ["https://chat.example.com", "https://other.example"] {
        assert_eq!(from(allowed).handshake(&["natter.v1"]).await.status, 101, "{allowed}");
        let page = from(allowed).get("/v1/conversations").await;
        assert_eq!(page.header("access-control-allow-origin"), Some(allowed));
        page.read::<ConversationPage>().unwrap();
    }
    let forbidden =
        ["https://evil.example", "http://chat.example.com", "https://chat.example.com.evil.example", "null"];
    for origin in forbidden {
        assert_eq!(code(&from(origin).handshake(&["natter.v1"]).await), ErrorCode::OriginForbidden, "{origin}");
        assert_eq!(code(&from(origin).get("/v1/conversations").await), ErrorCode::OriginForbidden, "{origin}");
    }
    assert_eq!(http.handshake(&["natter.v1"]).await.status, 101, "without an origin");
    let every = Cluster::single().start().await;
    let page = every.http("alice", 0).with("origin", "https://chat.example.com");
    assert_eq!(code(&page.handshake(&["natter.v1"]).await), ErrorCode::OriginForbidden, "none is allowed by default");
}

/// A request head over the limit is refused without being kept.
#[tokio::test(flavor = "multi_thread")]
async fn large_heads() {
    let cluster = Cluster::single().set("connection.handshake_bytes_max", 8_192).start().await;
    let http = cluster.http("alice", 0);
    let fits = http.clone().with("x-padding", &"x".repeat(6_000)).handshake(&["natter.v1"]).await;
    assert_eq!(fits.status, 101);
    let too_large = http.with("x-padding", &"x".repeat(20_000)).handshake(&["natter.v1"]).await;
    assert_eq!(too_large.status, 431);
}
