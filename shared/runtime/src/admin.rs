//! The listener for operators: health and metrics. Never exposed to clients.

use std::net::SocketAddr;

use axum::{Router, http::StatusCode, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{OnEnd, Readiness, Scope};

/// Where operators' endpoints listen.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address of `/health/live`, `/health/ready` and `/metrics`; absent: they are off.
    pub listen: Option<SocketAddr>,
}

/// Why the listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken or not this machine's.
    #[error("`admin.listen`: {address} cannot be used")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Another recorder of metrics is installed.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(String),
}

/// Serves health and metrics; returns the address in use.
///
/// # Errors
/// [`AdminError`].
pub async fn serve_admin(
    config: &AdminConfig,
    readiness: Readiness,
    scope: &Scope,
) -> Result<Option<SocketAddr>, AdminError> {
    let Some(address) = config.listen else { return Ok(None) };
    let in_use = |source| AdminError::Listen { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(in_use)?;
    let bound = listener.local_addr().map_err(in_use)?;
    let metrics =
        PrometheusBuilder::new().install_recorder().map_err(|error| AdminError::Metrics(error.to_string()))?;
    let cancel = scope.cancel_token();
    let upkeep = metrics.clone();
    let routes = routes(readiness, metrics);
    scope.spawn("admin", OnEnd::StopProcess, async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(cancel.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the admin listener failed");
        }
    });
    let cancel = scope.cancel_token();
    scope.spawn("metrics-upkeep", OnEnd::StopProcess, async move {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(5));
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            upkeep.run_upkeep();
        }
    });
    Ok(Some(bound))
}

fn routes(readiness: Readiness, metrics: PrometheusHandle) -> Router {
    let ready = move || {
        let waiting = readiness.waiting_for();
        async move {
            if waiting.is_empty() {
                (StatusCode::OK, "ready\n".to_owned())
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting.join(", ")))
            }
        }
    };
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(move || async move { metrics.render() }))
}
