//! Ready when everything that must be up has come up.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// What the process still waits for. Cheap to clone; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<&'static str>>>);

/// Something that is waited for; dropping it says that it is up.
#[derive(Debug)]
pub struct Latch {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Waits for something from now on, until the latch is dropped.
    #[must_use]
    pub fn latch(&self, name: &'static str) -> Latch {
        self.lock().insert(name);
        Latch { name, readiness: self.clone() }
    }

    /// The names of what is waited for; empty: ready.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.readiness.lock().remove(self.name);
    }
}
