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

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The filter of a text, or nothing when it is none.
fn log_filter(text: &str) -> Option<EnvFilter> {
    let filter = EnvFilter::builder().parse(text).ok()?;
    // Below INFO the client of NATS writes whole answers down: texts of messages, and tickets.
    let wordy = filter.max_level_hint().is_none_or(|level| level > LevelFilter::INFO);
    Some(if wordy { filter.add_directive("async_nats=info".parse().ok()?) } else { filter })
}
