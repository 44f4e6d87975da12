//! How many connections there may be: counted before anything is read from them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use natter_protocol::{ErrorBody, ErrorCode};
use natter_telemetry::metrics;

use crate::Config;

/// Room for connections.
pub(crate) struct Admission {
    all: Arc<Room>,
    unauthenticated: Arc<Room>,
}

/// So many places, which may become more or fewer while some are taken.
struct Room {
    limit: &'static str,
    places: AtomicU32,
    taken: AtomicU32,
}

/// A place that is taken until this is dropped.
struct Taken(Arc<Room>);

/// A place among all connections, and one among those without a valid token.
pub(crate) struct Admitted {
    _place: Taken,
    unauthenticated: Option<Taken>,
}

impl Room {
    fn new(limit: &'static str, places: u32) -> Arc<Self> {
        Arc::new(Self { limit, places: AtomicU32::new(places), taken: AtomicU32::new(0) })
    }

    fn take(self: &Arc<Self>) -> Result<Taken, ErrorBody> {
        let next = |taken: u32| (taken < self.places.load(Relaxed)).then(|| taken + 1);
        match self.taken.fetch_update(Relaxed, Relaxed, next) {
            Ok(_) => Ok(Taken(Arc::clone(self))),
            Err(_) => {
                metrics::CONNECTION_REFUSALS.add(1, [self.limit.into()]);
                Err(ErrorBody::new(ErrorCode::Overloaded).limit(self.limit))
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

impl Admission {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            all: Room::new("connections_max", config.connections_max),
            unauthenticated: Room::new("unauthenticated_max", config.unauthenticated_max),
        }
    }

    /// Whoever has a place keeps it.
    pub(crate) fn resize(&self, config: &Config) {
        self.all.places.store(config.connections_max, Relaxed);
        self.unauthenticated.places.store(config.unauthenticated_max, Relaxed);
    }

    pub(crate) fn admit(&self) -> Result<Admitted, ErrorBody> {
        let place = self.all.take()?;
        let unauthenticated = Some(self.unauthenticated.take()?);
        Ok(Admitted { _place: place, unauthenticated })
    }
}

impl Admitted {
    /// A valid token was shown.
    pub(crate) fn authenticated(&mut self) {
        self.unauthenticated = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_become_more_and_fewer_while_some_are_taken() {
        let config = |places| Config { connections_max: places, ..Config::default() };
        let admission = Admission::new(&config(2));
        let mut inside = vec![admission.admit().unwrap(), admission.admit().unwrap()];
        let refused = |admission: &Admission| admission.admit().err().unwrap().limit.unwrap();
        assert_eq!(refused(&admission), "connections_max");
        admission.resize(&config(3));
        inside.push(admission.admit().unwrap());
        admission.resize(&config(1));
        inside.pop();
        inside.pop();
        assert_eq!(refused(&admission), "connections_max", "one is inside, and one place is left");
        inside.pop();
        assert!(admission.admit().is_ok());
    }
}
