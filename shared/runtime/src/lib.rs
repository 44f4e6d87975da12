//! Supervision of tasks, signals, readiness, and the listener for health and metrics.

mod admin;
mod readiness;
mod scope;
mod signals;
mod tls;

pub use admin::{AdminConfig, AdminError, paths, serve_admin};
pub use readiness::{Latch, Readiness};
pub use scope::{OnEnd, Scope};
pub use signals::wait_for_stop;
pub use tls::{Tls, TlsError, TlsFiles, TlsListener, Wire};
