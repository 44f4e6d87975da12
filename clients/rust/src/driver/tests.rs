//! The driver against a gateway that follows a script.

#![allow(clippy::unwrap_used)]

mod endings;
mod events;
mod marks;
mod requests;
mod schedules;
mod tokens;
mod whispers;

use std::{sync::Arc, time::Duration};

use super::Driver;
use crate::{
    Client, ClientBuilder, DisconnectReason, Notification, SessionInfo, TokenSource,
    fake::{FakeGateway, soon},
    options::Options,
};

const SHORT: Duration = Duration::from_millis(5);

/// A client of these gateways, in a hurry.
fn builder(gateways: &[&FakeGateway]) -> ClientBuilder {
    let urls = gateways.iter().map(|gateway| gateway.url.as_str());
    Client::builder(urls, TokenSource::fixed("token")).receipts(false).backoff(SHORT, SHORT)
}

/// Both outputs, of the client's side and of the gateway's.
async fn both<A, B>(client: impl Future<Output = A>, gateway: impl Future<Output = B>) -> (A, B) {
    soon("answer", Box::pin(async { tokio::join!(client, gateway) })).await
}

async fn next(client: &Client) -> Notification {
    soon("notification", client.next_event()).await.expect("the client's end")
}

async fn connected(client: &Client) -> SessionInfo {
    match next(client).await {
        Notification::Connected(info) => *info,
        other => panic!("{other:?} instead of connected"),
    }
}

async fn disconnected(client: &Client) -> (DisconnectReason, Duration) {
    match next(client).await {
        Notification::Disconnected { reason, retry_in } => (reason, retry_in),
        other => panic!("{other:?} instead of disconnected"),
    }
}

/// Benchmarks and tests run thousands of clients in one process.
#[test]
fn a_client_is_small() {
    let options = Arc::new(Options::new(vec!["ws://host".to_owned()], TokenSource::fixed("token")));
    let run = Driver::new(options, Arc::default(), Arc::default(), None).run();
    let task = size_of_val(&run);
    // A channel allocates 32 places at once.
    let channel = 32 * size_of::<super::Told>();
    assert!(task <= 4 << 10, "the task of a client takes {task} bytes");
    assert!(channel <= 5 << 10, "the channel of a client takes {channel} bytes");
}
