//! Presence: which users are online, and when the others were seen last.
//!
//! Gateways report who is connected to them; every replica keeps all of it in memory and answers.
//! A gateway that falls silent is dead, and its users are offline as of its last report. Nothing
//! here is needed to deliver a message.

mod config;
mod service;

use natter_bus::Bus;
use natter_runtime::{OnEnd, Scope};

pub use config::{Config, InvalidConfig};

/// Why presence did not start.
#[derive(Debug, thiserror::Error)]
#[error("presence cannot start: {0}")]
pub struct StartError(String);

/// Starts presence; it stops when the scope is cancelled.
///
/// # Errors
/// [`StartError`] when the connection to NATS is closed.
pub async fn start(config: Config, bus: Bus, scope: Scope) -> Result<(), StartError> {
    let reports = bus.gateway_reports().await.map_err(StartError)?;
    let told = bus.gateways_told().await.map_err(StartError)?;
    let service = service::Presence::new(config, bus.clone());
    let (follower, cancel) = (service.clone(), scope.cancel_token());
    scope.spawn("presence-reports", OnEnd::StopProcess, async move { follower.follow(reports, told, cancel).await });
    let cancel = scope.cancel_token();
    scope.spawn("presence-answers", OnEnd::StopProcess, async move {
        let answered = bus.respond_presence(64, cancel, |users| service.clone().answer(users)).await;
        if let Err(error) = answered {
            tracing::error!(error, "questions cannot be answered");
        }
    });
    Ok(())
}
