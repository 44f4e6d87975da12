//! How many connections there may be: counted before anything is read from them.

use std::sync::Arc;

use natter_protocol::{ErrorBody, ErrorCode};
use natter_telemetry::metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Config;

/// Room for connections.
pub(crate) struct Admission {
    all: Arc<Semaphore>,
    unauthenticated: Arc<Semaphore>,
}

/// A place among all connections, and one among those without a valid token.
pub(crate) struct Admitted {
    _place: OwnedSemaphorePermit,
    unauthenticated: Option<OwnedSemaphorePermit>,
}

impl Admission {
    pub(crate) fn new(config: &Config) -> Self {
        let room = |places: u32| Arc::new(Semaphore::new(places as usize));
        Self { all: room(config.connections_max), unauthenticated: room(config.unauthenticated_max) }
    }

    pub(crate) fn admit(&self) -> Result<Admitted, ErrorBody> {
        let take = |room: &Arc<Semaphore>, limit: &'static str| {
            Arc::clone(room).try_acquire_owned().map_err(|_| {
                metrics::CONNECTION_REFUSALS.add(1, [limit.into()]);
                ErrorBody::new(ErrorCode::Overloaded).limit(limit)
            })
        };
        let place = take(&self.all, "connections_max")?;
        let unauthenticated = Some(take(&self.unauthenticated, "unauthenticated_max")?);
        Ok(Admitted { _place: place, unauthenticated })
    }
}

impl Admitted {
    /// A valid token was shown.
    pub(crate) fn authenticated(&mut self) {
        self.unauthenticated = None;
    }
}
