//! Connection: the gateway that clients connect to.
//!
//! Holds WebSockets and no state that cannot be lost: a session that ends here goes on at any
//! other gateway from the position its device kept. Every append goes through the log's own
//! fence, every read through a membership check.

mod admission;
mod blocks;
mod changes;
mod config;
mod devices;
mod doubt;
mod gate;
mod group_settings;
mod groups;
mod hindsight;
mod http_api;
mod http_changes;
mod http_groups;
mod http_marks;
mod http_requests;
mod invites;
mod live;
mod mailbox;
mod marks;
mod members;
mod observe;
mod once;
mod overview;
mod pace;
mod posting;
mod presence;
mod privacy;
mod queries;
mod rates;
mod reactors;
mod rights;
mod screen;
mod server;
mod session;
mod shown;
mod typing;
mod upgrade;
mod watches;

use std::{net::SocketAddr, sync::Arc};

use natter_auth::Verifier;
use natter_bus::Bus;
use natter_runtime::{OnEnd, Scope, Tls, TlsError};

pub use config::{Config, InvalidConfig};
pub use live::Settings;

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not this machine's.
    #[error("`connection.listen`: {address} cannot be used")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error("`connection.tls_cert_file`: {0}")]
    Tls(#[from] TlsError),
    /// NATS or the token verifier cannot be used.
    #[error("the gateway cannot start: {0}")]
    Unavailable(String),
}

/// A gateway that runs.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    /// Changes it while it runs.
    pub settings: Settings,
}

/// Starts a gateway. When the scope is cancelled it stops accepting, tells every client when to
/// come back, closes them at the configured pace and ends.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: Config, auth: natter_auth::Config, bus: Bus, scope: Scope) -> Result<Gateway, StartError> {
    let listen = |source| StartError::Listen { address: config.listen, source };
    let listener = tokio::net::TcpListener::bind(config.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let tls = config.tls().map(|files| Tls::start(files, &scope)).transpose()?;
    let verifier = Verifier::new(auth).map_err(StartError::Unavailable)?;
    let inbox = bus.open_gateway_inbox().await.map_err(StartError::Unavailable)?;
    let reporter = presence::Reporter::start(bus.clone(), &scope).await.map_err(StartError::Unavailable)?;
    let watches = watches::Watches::start(&bus, &scope).await.map_err(StartError::Unavailable)?;
    let doubts = doubt::start(&bus, &scope);
    let devices = devices::Devices::start(&bus, reporter.clone(), doubts.clone(), &scope)
        .await
        .map_err(StartError::Unavailable)?;
    mailbox::start(inbox, devices.clone(), &scope);
    let (follow, cancel) = (bus.clone(), scope.cancel_token());
    scope.spawn("connection-archived", OnEnd::StopProcess, async move { follow.follow_archived(cancel).await });
    let marks = marks::Marks::start(&config, &bus, &scope);
    let parts = server::Parts { bus, verifier, reporter, watches, devices, doubts, marks };
    let shared = Arc::new(server::Shared::new(config, parts, &scope));
    let settings = Settings(Arc::downgrade(&shared));
    server::start(listener, tls, shared, &scope);
    Ok(Gateway { address, settings })
}
