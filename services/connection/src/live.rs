//! What may change while the gateway runs: limits, rates and keys.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use natter_auth::Verifier;
use natter_protocol::Limits;

use crate::{Config, rates::Rates, server::Shared};

/// What holds now. Whoever works with it keeps it to the end of that piece of work.
pub(crate) struct Live {
    pub(crate) limits: Arc<Limits>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) verifier: Arc<Verifier>,
    /// What the rates were made from.
    quotas: [u32; 5],
}

/// The one in force.
pub(crate) struct Current(RwLock<Arc<Live>>);

fn quotas(config: &Config) -> [u32; 5] {
    [
        config.user_requests_per_sec,
        config.user_requests_burst,
        config.user_typing_per_sec,
        config.address_connects_per_sec,
        config.address_connects_burst,
    ]
}

impl Current {
    pub(crate) fn new(config: &Config, verifier: Verifier) -> Self {
        Self(RwLock::new(Arc::new(Live {
            limits: Arc::new(config.limits.clone()),
            rates: Arc::new(Rates::new(config)),
            verifier: Arc::new(verifier),
            quotas: quotas(config),
        })))
    }

    pub(crate) fn get(&self) -> Arc<Live> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, config: &Config, frame_bytes_max: u32, verifier: Verifier) {
        let before = self.get();
        // Sessions that are open were made for frames of this size, and so was the HTTP listener.
        let limits = Limits { frame_bytes_max, ..config.limits.clone() };
        // Who has used up a rate does not get it anew because something else changes.
        let same = before.quotas == quotas(config);
        let rates = if same { Arc::clone(&before.rates) } else { Arc::new(Rates::new(config)) };
        let (limits, verifier) = (Arc::new(limits), Arc::new(verifier));
        let live = Live { limits, rates, verifier, quotas: quotas(config) };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }
}

/// Changes a running gateway. It does not keep it running.
#[derive(Clone)]
pub struct Settings(pub(crate) Weak<Shared>);

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settings")
    }
}

impl Settings {
    /// Takes over limits, rates, room for connections, the pace of a drain, and keys, all other
    /// values stay as they were. Sessions stay open. Public keys are read now; when they cannot be
    /// read, those that are known go on working.
    ///
    /// # Errors
    /// A sentence, when the keys cannot be used at all.
    pub async fn change(&self, config: &Config, auth: natter_auth::Config) -> Result<(), String> {
        let Some(shared) = self.0.upgrade() else { return Ok(()) };
        let verifier = shared.live.get().verifier.renewed(auth).await?;
        shared.live.set(config, shared.config.limits.frame_bytes_max, verifier);
        shared.admission.resize(config);
        shared.pace.set(config.drain_per_sec);
        Ok(())
    }
}
