//! The listener for operators: health and metrics. Never exposed to clients.

use std::{net::SocketAddr, path::PathBuf};

use axum::{
    Router,
    http::{StatusCode, header},
    routing::get,
};
use natter_telemetry::metrics;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{OnEnd, Readiness, Scope, Tls, TlsError, TlsFiles, TlsListener};

/// Paths of operators' endpoints. Deployments probe and scrape them: `natter config --format json` tells them too.
pub mod paths {
    /// Whether the process lives.
    pub const LIVE: &str = "/health/live";
    /// Whether it may be sent work.
    pub const READY: &str = "/health/ready";
    /// Metrics, as Prometheus reads them.
    pub const METRICS: &str = "/metrics";
}

/// Where operators' endpoints listen.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address of `/health/live`, `/health/ready` and `/metrics`; absent: they are off.
    pub listen: Option<SocketAddr>,
    /// File with the PEM certificate of this listener, and those that lead to its root; absent: no
    /// TLS. A renewed one is taken without a restart.
    pub tls_cert_file: Option<PathBuf>,
    /// File with the PEM key of `tls_cert_file`.
    pub tls_key_file: Option<PathBuf>,
}

impl AdminConfig {
    /// What its listener shows, if it speaks TLS.
    pub fn tls(&self) -> Option<TlsFiles> {
        TlsFiles::of(self.tls_cert_file.as_ref(), self.tls_key_file.as_ref())
    }
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
    /// The certificate cannot be used.
    #[error("`admin.tls_cert_file`: {0}")]
    Tls(#[from] TlsError),
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
    let tls = config.tls().map(|files| Tls::start(files, scope)).transpose()?;
    let cancel = scope.cancel_token();
    let routes = routes(readiness);
    scope.spawn("admin", OnEnd::StopProcess, async move {
        let stop = cancel.cancelled_owned();
        let served = match tls {
            Some(tls) => axum::serve(TlsListener::new(listener, tls), routes).with_graceful_shutdown(stop).await,
            None => axum::serve(listener, routes).with_graceful_shutdown(stop).await,
        };
        if let Err(error) = served {
            tracing::error!(%error, "the admin listener failed");
        }
    });
    Ok(Some(bound))
}

/// Prometheus' text format (prometheus.io, "Exposition formats").
const TEXT: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];

fn routes(readiness: Readiness) -> Router {
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
        .route(paths::LIVE, get(|| async { "live\n" }))
        .route(paths::READY, get(ready))
        .route(paths::METRICS, get(|| async { (TEXT, metrics::exposition()) }))
}
