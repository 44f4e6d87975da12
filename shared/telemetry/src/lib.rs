//! Logs on stderr, traces over OpenTelemetry, and the trace context that travels with messages.

mod config;
mod context;
mod init;

pub use config::{Config, Format, InvalidConfig};
pub use context::{TraceContext, current, extract, follow, inject};
pub use init::{Guard, InitError, init};
pub use opentelemetry::propagation::{Extractor, Injector};

use tracing_subscriber::EnvFilter;

/// The filter of a text, or nothing when it is none.
fn log_filter(text: &str) -> Option<EnvFilter> {
    EnvFilter::builder().parse(text).ok()
}
