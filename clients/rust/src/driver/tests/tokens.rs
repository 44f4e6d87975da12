//! Tokens: refreshed in band, replaced, and given up.

use super::*;
use crate::{Fatal, TokenError};
use natter_protocol::{CloseCode, ErrorBody, ErrorCode, Request, RequestId, ServerFrame};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// `token 1`, `token 2` and so on.
fn counting() -> (TokenSource, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let source = TokenSource::from_fn(move || Ok(format!("token {}", count.fetch_add(1, Relaxed) + 1)));
    (source, asked)
}

fn client_of(gateway: &FakeGateway, source: TokenSource) -> Client {
    Client::builder([gateway.url.as_str()], source).receipts(false).backoff(SHORT, SHORT).connect().unwrap()
}

async fn asked_to_refresh(session: &mut crate::fake::FakeSession) -> (RequestId, String) {
    match session.request().await {
        (id, Request::RefreshToken { token }) => (id, token),
        other => panic!("{other:?} is no refresh"),
    }
}

#[tokio::test]
async fn a_token_is_refreshed_in_band_and_used_from_then_on() {
    let gateway = FakeGateway::start().await;
    let (source, asked) = counting();
    let client = client_of(&gateway, source);
    let (mut session, _) = gateway.session().await;
    assert_eq!(session.token, "Bearer token 1");
    session.send(&ServerFrame::TokenExpiring { expires_at: 1 }).await;
    let (id, token) = asked_to_refresh(&mut session).await;
    assert_eq!(token, "token 2");
    session.send(&ServerFrame::Refreshed { id, expires_at: 2 }).await;
    drop(session);
    let (session, _) = gateway.session().await;
    assert_eq!(session.token, "Bearer token 2");
    assert_eq!(asked.load(Relaxed), 2, "a token is asked for when it is needed");

    session.close(CloseCode::TokenExpired).await;
    let (session, _) = gateway.session().await;
    assert_eq!(session.token, "Bearer token 3");
    drop(client);
}

#[tokio::test]
async fn a_refused_refresh_is_tried_again_with_another_token() {
    let gateway = FakeGateway::start().await;
    let (source, _) = counting();
    let _client = client_of(&gateway, source);
    let (mut session, _) = gateway.session().await;
    session.send(&ServerFrame::TokenExpiring { expires_at: 1 }).await;
    let (id, _) = asked_to_refresh(&mut session).await;
    session.refuse(id, "unauthenticated").await;
    let (_, token) = asked_to_refresh(&mut session).await;
    assert_eq!(token, "token 3");
}

#[tokio::test]
async fn refused_tokens_are_replaced_and_then_given_up() {
    let gateway = FakeGateway::start().await;
    let (source, asked) = counting();
    let client = client_of(&gateway, source);
    let error = ErrorBody::new(ErrorCode::TokenExpired);
    let body = serde_json::to_string(&error).unwrap();
    gateway.refuse("401 Unauthorized", "", &body).await;
    assert_eq!(disconnected(&client).await.0, DisconnectReason::Refused(error.clone()));
    let (session, _) = gateway.session().await;
    assert_eq!(session.token, "Bearer token 2");
    connected(&client).await;

    session.close(CloseCode::Unauthenticated).await;
    assert_eq!(disconnected(&client).await.0, DisconnectReason::Closed(CloseCode::Unauthenticated));
    gateway.refuse("401 Unauthorized", "", &body).await;
    disconnected(&client).await;
    gateway.refuse("401 Unauthorized", "", &body).await;
    assert_eq!(next(&client).await, Notification::Fatal(Fatal::Refused(error)));
    assert_eq!(asked.load(Relaxed), 4);
}

#[tokio::test]
async fn a_source_that_fails_is_asked_again() {
    let gateway = FakeGateway::start().await;
    let failed = AtomicU32::new(0);
    let source = TokenSource::from_fn(move || match failed.fetch_add(1, Relaxed) {
        0 => Err(TokenError("not now".to_owned())),
        _ => Ok("token".to_owned()),
    });
    let client = client_of(&gateway, source);
    let (reason, _) = disconnected(&client).await;
    assert!(matches!(&reason, DisconnectReason::NoToken(why) if why.contains("not now")), "{reason:?}");
    gateway.session().await;
}
