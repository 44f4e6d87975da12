//! Tokens: which are taken, when they end, and that nothing shows them.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use natter_client::{Client, RawConnection, RawOptions, TokenSource};
use natter_e2e::{Cluster, Device, Http, Raw, SECRET, token_for, token_until};
use natter_protocol::{CloseCode, ConversationPage, ErrorCode, Request, ServerFrame};
use serde_json::{Value, json};

const OTHER_SECRET: &str = "another-secret-of-at-least-thirty-two-bytes";
const HOUR: Duration = Duration::from_secs(3600);

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn signed(algorithm: Algorithm, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A token that claims to need no signature (RFC 8725, section 2.1), or to have been signed
/// with what is in it.
fn unsigned(algorithm: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(json!({"alg": algorithm, "typ": "JWT"})), part(json!({"sub": "alice", "exp": now() + 60})))
}

/// Tokens that must not be taken, and the code of the refusal.
fn bad_tokens() -> Vec<(&'static str, String, ErrorCode)> {
    let good = token_for("alice");
    let claims = json!({"sub": "mallory", "exp": now() + 60});
    let (head, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = good.rsplit_once('.').unwrap();
    let header = good.split('.').next().unwrap();
    let payload = signed(Algorithm::HS256, &claims).split('.').nth(1).unwrap().to_owned();
    vec![
        ("expired", signed(Algorithm::HS256, &json!({"sub": "alice", "exp": now() - 60})), ErrorCode::TokenExpired),
        ("wrong secret", token_until("alice", HOUR, OTHER_SECRET), ErrorCode::Unauthenticated),
        ("alg none", unsigned("none"), ErrorCode::Unauthenticated),
        ("alg HS256 without signature", unsigned("HS256"), ErrorCode::Unauthenticated),
        (
            "another algorithm",
            signed(Algorithm::HS512, &json!({"sub": "alice", "exp": now() + 60})),
            ErrorCode::Unauthenticated,
        ),
        ("another payload", format!("{header}.{payload}.{signature}"), ErrorCode::Unauthenticated),
        ("cut short", format!("{head}.{}", &signature[..signature.len() / 2]), ErrorCode::Unauthenticated),
        ("no signature", head.to_owned(), ErrorCode::Unauthenticated),
        ("nonsense", "nonsense".to_owned(), ErrorCode::Unauthenticated),
        ("without subject", signed(Algorithm::HS256, &json!({"exp": now() + 60})), ErrorCode::Unauthenticated),
        ("without expiry", signed(Algorithm::HS256, &json!({"sub": "alice"})), ErrorCode::Unauthenticated),
        ("empty subject", signed(Algorithm::HS256, &json!({"sub": "", "exp": now() + 60})), ErrorCode::Unauthenticated),
        (
            "not yet valid",
            signed(Algorithm::HS256, &json!({"sub": "alice", "exp": now() + 600, "nbf": now() + 300})),
            ErrorCode::Unauthenticated,
        ),
        ("subject too long", token_for(&"x".repeat(129)), ErrorCode::Unauthenticated),
    ]
}

/// A bad token is refused at the handshake, over HTTP, and in `hello`, with a code that tells
/// whether a new one helps.
#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_are_refused() {
    let cluster = Cluster::single().start().await;
    let url = cluster.gateway(0).url();
    for (what, token, expected) in bad_tokens() {
        let refused = RawConnection::connect(&RawOptions::new(&url).token(&token)).await.unwrap_err();
        let refusal = refused.refusal().unwrap_or_else(|| panic!("{what}: {refused}"));
        assert_eq!((refusal.status, refusal.error.as_ref().unwrap().code), (401, expected), "{what}");
        let http = Http::new(cluster.gateway(0).address()).with_token(&token);
        let page = http.get("/v1/conversations").await.read::<ConversationPage>();
        assert_eq!(page.unwrap_err().code, expected, "{what}, over HTTP");

        let mut raw = Raw::open_with(RawOptions::new(&url)).await;
        raw.send(&json!({"type": "hello", "device": "d", "token": token}).to_string()).await;
        assert_eq!(raw.refusal().await.error.code, expected, "{what}, in hello");
        let close =
            if expected == ErrorCode::TokenExpired { CloseCode::TokenExpired } else { CloseCode::Unauthenticated };
        assert_eq!(raw.closed().await, close.number(), "{what}, in hello");
    }
    let mut without = Raw::open_with(RawOptions::new(&url)).await;
    without.send(r#"{"type":"hello","device":"d"}"#).await;
    assert_eq!(without.refusal().await.error.code, ErrorCode::Unauthenticated);
    assert_eq!(without.closed().await, CloseCode::Unauthenticated.number());
    let mut good = Raw::open_with(RawOptions::new(&url)).await;
    good.send(&json!({"type": "hello", "device": "d", "token": token_for("alice")}).to_string()).await;
    good.caught_up().await;
}

/// Issuer and audience are checked where they are configured.
#[tokio::test(flavor = "multi_thread")]
async fn issuer_and_audience() {
    let cluster =
        Cluster::single().set("auth.issuer", "https://issuer.example").set("auth.audience", "natter").start().await;
    let status = async |claims: Value| {
        let token = signed(Algorithm::HS256, &claims);
        Http::new(cluster.gateway(0).address()).with_token(token).get("/v1/conversations").await.status
    };
    let exp = now() + 60;
    let (iss, aud) = ("https://issuer.example", "natter");
    assert_eq!(status(json!({"sub": "alice", "exp": exp, "iss": iss, "aud": aud})).await, 200);
    assert_eq!(status(json!({"sub": "alice", "exp": exp, "iss": iss, "aud": ["x", aud]})).await, 200);
    assert_eq!(status(json!({"sub": "alice", "exp": exp, "iss": "https://evil.example", "aud": aud})).await, 401);
    assert_eq!(status(json!({"sub": "alice", "exp": exp, "iss": iss, "aud": "x"})).await, 401);
    assert_eq!(status(json!({"sub": "alice", "exp": exp, "aud": aud})).await, 401);
    assert_eq!(status(json!({"sub": "alice", "exp": exp, "iss": iss})).await, 401);
}

/// A token that ends during a session ends it, after a warning, with a code of its own; one that
/// was replaced in time does not. The client library replaces it by itself.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_end() {
    let cluster = Cluster::single().set("connection.token_warning_ms", 2_000).start().await;
    let url = cluster.gateway(0).url();
    // Sessions begin at once only after delivery owns its partitions: short tokens must not wait for that.
    let _carol = cluster.device("carol", 0).await;
    let short = || token_until("alice", Duration::from_secs(6), SECRET);
    let mut ends = Raw::open_with(RawOptions::new(&url).token(short())).await;
    let mut refreshed = Raw::open_with(RawOptions::new(&url).token(short())).await;
    for raw in [&mut ends, &mut refreshed] {
        raw.begin(None).await;
    }
    let source = TokenSource::from_fn(|| Ok(token_until("bob", Duration::from_secs(6), SECRET)));
    let by_itself = Device::connect("bob", Client::builder([url], source));
    by_itself.caught_up().await;

    let warned_of = ends.find(expiring).await;
    let left = warned_of.saturating_sub(now() * 1_000);
    assert!(left <= 3_000, "warned {left} ms before the end");
    refreshed.find(expiring).await;
    for (what, token) in
        [("another user's", token_for("mallory")), ("a forged one", token_until("alice", HOUR, OTHER_SECRET))]
    {
        let refused = refreshed.ask(Request::RefreshToken { token }).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unauthenticated, "{what}");
    }
    let answer = refreshed.ask(Request::RefreshToken { token: token_for("alice") }).await.unwrap();
    let ServerFrame::Refreshed { expires_at, .. } = answer else { panic!("{answer:?}") };
    assert!(expires_at > now() * 1_000 + 3_000_000);

    assert_eq!(ends.closed().await, CloseCode::TokenExpired.number());
    assert!(now() * 1_000 + 1_000 >= warned_of, "closed too early");
    refreshed.ping_pong().await;
    // A second generation of tokens ends; by then bob's client has replaced its own twice.
    let mut later = Raw::open_with(RawOptions::new(cluster.gateway(0).url()).token(short())).await;
    later.begin(None).await;
    assert_eq!(later.closed().await, CloseCode::TokenExpired.number());
    refreshed.ping_pong().await;
    by_itself.direct("alice").await;
    assert_eq!(by_itself.client().stats().disconnects, 0);
}

fn expiring(frame: ServerFrame) -> Option<u64> {
    match frame {
        ServerFrame::TokenExpiring { expires_at } => Some(expires_at),
        _ => None,
    }
}

/// However much is logged, no token, ticket, secret or text of a message is.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_logged() {
    const TEXT: &str = "a-text-that-nobody-else-may-read";
    let verbose = "debug,natter=trace,natter_connection=trace,natter_delivery=trace,natter_storage=trace,\
                   natter_presence=trace,natter_bus=trace,natter_auth=trace,natter_runtime=trace";
    let cluster = Cluster::builder().set("telemetry.log", verbose).start().await;
    let url = cluster.gateway(0).url();
    let (by_header, by_hello) = (token_for("alice"), token_for("bob"));
    let (by_subprotocol, refresh) = (token_for("carol"), token_until("alice", HOUR * 2, SECRET));
    let forged = token_until("alice", HOUR, OTHER_SECRET);
    let ticket = Http::new(cluster.gateway(1).address()).with_token(&by_header).ticket().await.unwrap().ticket;

    let mut alice = Raw::open_with(RawOptions::new(&url).token(&by_header)).await;
    alice.begin(None).await;
    alice.ask(Request::RefreshToken { token: refresh.clone() }).await.unwrap();
    let mut bob = Raw::open_with(RawOptions::new(&url)).await;
    bob.send(&json!({"type": "hello", "device": "d", "token": by_hello}).to_string()).await;
    bob.caught_up().await;
    for hidden in [
        format!("natter.bearer.{by_subprotocol}"),
        format!("natter.ticket.{ticket}"),
        format!("natter.bearer.{forged}"),
    ] {
        let _ = RawConnection::connect(&RawOptions::new(&url).subprotocols(["natter.v1", &hidden])).await;
    }
    let _ = RawConnection::connect(&RawOptions::new(&url).token(&forged)).await;
    alice.ask(Request::RefreshToken { token: forged.clone() }).await.unwrap_err();

    let device = cluster.device("alice", 1).await;
    let talk = device.direct("bob").await;
    device.say(&talk, TEXT).await;
    device.client().send_with_id(talk.clone(), natter_ids::ClientId::now(), format!("{TEXT} 2")).await.unwrap();
    bob.send(&format!(r#"{{"type":"send","id":1,"text":"{TEXT}"}}"#)).await;
    bob.find(|frame| matches!(frame, ServerFrame::Error { .. }).then_some(())).await;
    cluster.restart_everything().await;
    device.hears([TEXT]).await;

    assert!(!cluster.log_lines_with("DEBUG").is_empty(), "the logs are verbose indeed");
    for secret in [SECRET, TEXT, &ticket, &by_header, &by_hello, &by_subprotocol, &refresh, &forged] {
        // Tokens may be cut: the signature's end alone would do to recognise one.
        let part = if secret.contains('.') { secret.rsplit('.').next().unwrap() } else { secret };
        assert_eq!(cluster.log_lines_with(part), [""; 0], "logged: {secret}");
    }
}
