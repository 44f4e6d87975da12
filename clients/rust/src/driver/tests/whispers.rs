//! What is said without waiting for an answer.

use super::*;
use crate::fake::conversation;
use natter_protocol::ClientFrame;

/// What somebody was writing before the connection was lost they are not writing now.
#[tokio::test]
async fn what_was_whispered_while_there_was_no_session_is_not_said_later() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let (session, _) = gateway.session().await;
    connected(&client).await;
    drop(session);
    disconnected(&client).await;
    client.typing(&conversation("bob"), false);
    let (mut session, _) = gateway.session().await;
    connected(&client).await;
    let carol = conversation("carol");
    client.typing(&carol, true);
    assert_eq!(session.frame().await, ClientFrame::Typing { conversation: carol, stopped: true });
}
