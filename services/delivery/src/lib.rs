//! Delivery: reads each partition's log in order and sends every event to the inboxes of the
//! members who are online.
//!
//! It keeps nothing that cannot be read again. An entry is acknowledged after it was sent, so a
//! replica that dies leaves its last entries to be sent once more by the next; gateways drop
//! what they have passed on already.

mod config;
mod conversation;
mod conversations;
mod links;
mod listeners;
mod markers;
mod notices;
mod online;
mod progress;
mod rosters;
mod typing;
mod view;
mod worker;

use std::sync::Arc;

use natter_bus::{Bus, Service};
use natter_runtime::{OnEnd, Scope};

pub use config::Config;

/// Why delivery did not start.
#[derive(Debug, thiserror::Error)]
#[error("delivery cannot start: {0}")]
pub struct StartError(String);

/// Starts delivery; it stops when the scope is cancelled.
///
/// # Errors
/// [`StartError`] when the connection to NATS is closed.
pub async fn start(config: Config, bus: Bus, scope: Scope) -> Result<(), StartError> {
    let progress = Arc::new(progress::Progress::new(bus.partitions()));
    let online = online::Online::start(bus.clone(), Arc::clone(&progress), &scope).await.map_err(StartError)?;
    let requests = bus.marker_requests().await.map_err(StartError)?;
    let markers = markers::Markers::new(bus.clone(), online.clone(), Arc::clone(&progress));
    let cancel = scope.cancel_token();
    scope.spawn("delivery-markers", OnEnd::StopProcess, async move { markers.run(requests, cancel).await });
    let (notices, told, by, cancel) =
        (bus.notices().await.map_err(StartError)?, online.clone(), bus.clone(), scope.cancel_token());
    scope.spawn("delivery-notices", OnEnd::StopProcess, async move { notices::run(by, told, notices, cancel).await });
    let members_max = config.typing_members_max;
    let worker = Arc::new(worker::FanOut::new(&config, bus.clone(), online.clone(), progress));
    let signals = bus.typing_signals().await.map_err(StartError)?;
    let whispers = typing::Whispers::new(bus.clone(), online, Arc::clone(&worker), members_max);
    let cancel = scope.cancel_token();
    scope.spawn("delivery-typing", OnEnd::StopProcess, async move { whispers.run(signals, cancel).await });
    let cancel = scope.cancel_token();
    scope.spawn("delivery-partitions", OnEnd::StopProcess, async move {
        bus.run_partitions(Service::Delivery, worker, cancel).await;
    });
    Ok(())
}
