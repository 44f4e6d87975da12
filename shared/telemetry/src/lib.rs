//! Logs on stderr, metrics, traces, and how the two leave over OpenTelemetry's protocol.

mod config;
mod init;
pub mod metrics;
mod sampling;
mod trace;

pub use config::{Config, Format, InvalidConfig};
pub use init::{Guard, InitError, LogLevel, init};
pub use sampling::InvalidSampler;
pub use trace::{Ingress, TRACEPARENT, Trace};

use tracing_subscriber::EnvFilter;

/// The filter of a text, or nothing when it is none.
fn log_filter(text: &str) -> Option<EnvFilter> {
    EnvFilter::builder().parse(text).ok()
}
