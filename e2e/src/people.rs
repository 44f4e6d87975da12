//! Users of a deployment: their tokens, and their clients.

use std::time::Duration;

use natter_auth::{MintRequest, Secret, mint};
use natter_client::{Client, ClientBuilder, TokenSource};
use natter_ids::UserId;

use crate::{Cluster, Device, Http};

/// What tokens of test deployments are signed with.
pub const SECRET: &str = "natter-e2e-secret-of-at-least-32-bytes";

/// How long tokens are valid when a test does not say.
const TOKEN_TTL: Duration = Duration::from_secs(3600);
/// Notifications that wait for a test to read them.
const EVENTS_WAITING: usize = 16 * 1024;
/// The shortest and longest wait of test clients before they connect again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// A user id.
///
/// # Panics
/// When the text is none.
pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap_or_else(|error| panic!("{name:?}: {error}"))
}

/// A token that every test deployment trusts, for an hour.
///
/// # Panics
/// When the clock stands before 1970.
pub fn token_for(name: &str) -> String {
    token_until(name, TOKEN_TTL, SECRET)
}

/// A token that ends after `ttl`, signed with `secret`.
///
/// # Panics
/// When the clock stands before 1970.
pub fn token_until(name: &str, ttl: Duration, secret: &str) -> String {
    let request = MintRequest { subject: name.to_owned(), ttl, issuer: None, audience: None };
    mint(&Secret::new(secret), &request).expect("a token")
}

impl Cluster {
    /// Begins the settings of a client of a user that knows the numbered gateways, the first one
    /// first.
    pub fn client(&self, name: &str, gateways: &[usize]) -> ClientBuilder {
        let urls: Vec<_> = gateways.iter().map(|number| self.gateway(*number).url()).collect();
        let name = name.to_owned();
        let builder = Client::builder(urls, TokenSource::from_fn(move || Ok(token_for(&name))))
            // Most tests are about what the log holds; those about receipts switch them on.
            .receipts(false)
            .event_capacity(EVENTS_WAITING)
            .backoff(BACKOFF.0, BACKOFF.1);
        match self.ca() {
            Some(ca) => builder.trust_pem(ca.as_bytes()).expect("a certificate to trust"),
            None => builder,
        }
    }

    /// A new device of a user at one gateway, caught up.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn device(&self, name: &str, gateway: usize) -> Device {
        let device = Device::connect(name, self.client(name, &[gateway]));
        device.caught_up().await;
        device
    }

    /// A new device of a user that begins at one gateway and knows all, caught up.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn roaming_device(&self, name: &str, first: usize) -> Device {
        let count = self.gateways().len();
        let order: Vec<_> = (0..count).map(|number| (first + number) % count).collect();
        let device = Device::connect(name, self.client(name, &order));
        device.caught_up().await;
        device
    }

    /// The HTTP API of a gateway, as a user sees it.
    pub fn http(&self, name: &str, gateway: usize) -> Http {
        Http::new(self.gateway(gateway).address()).trusting(self.ca().as_deref()).with_token(token_for(name))
    }
}
