//! Takes over a changed configuration without a restart, as far as that is possible.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use natter_config::{Config, ConfigError, Source, is_taken_over};
use natter_connection::Settings;
use natter_telemetry::{LogLevel, metrics};
use serde_json::json;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;

/// How often the files are looked at. What was found twice in a row is taken: a file that is just
/// being written is not.
const LOOK: Duration = Duration::from_secs(1);

/// Takes over what changes.
pub struct Reloader {
    source: Source,
    /// As it was read at the start: what needs a restart holds until then.
    started: Config,
    /// As it was read last.
    loaded: Config,
    log: LogLevel,
    audit: Audit,
    hangup: Signal,
    current: watch::Sender<natter_connection::Config>,
}

/// What it needs of the process, once that is up.
pub struct Running {
    /// Of the gateway, if there is one.
    pub settings: Option<Settings>,
    /// The keys of an embedded deployment, which no configuration names.
    pub own_auth: Option<natter_auth::Config>,
}

impl Reloader {
    /// Listens for SIGHUP from now on.
    ///
    /// # Errors
    /// `audit.file` cannot be written to, or there are no signals.
    pub fn new(source: Source, config: &Config, log: LogLevel) -> anyhow::Result<Self> {
        loaded_now();
        Ok(Self {
            source,
            started: config.clone(),
            loaded: config.clone(),
            log,
            audit: Audit::open(config)?,
            hangup: signal(SignalKind::hangup())?,
            current: watch::Sender::new(config.connection.clone()),
        })
    }

    /// The gateway's configuration, as it is taken over.
    pub fn current(&self) -> watch::Receiver<natter_connection::Config> {
        self.current.subscribe()
    }

    /// Takes over changes until cancelled.
    pub async fn run(mut self, running: Running, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        let mut taken = self.fingerprint();
        let mut last = taken;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = self.hangup.recv() => {
                    tracing::info!("SIGHUP: the configuration is read again");
                    (taken, last) = (self.fingerprint(), self.fingerprint());
                }
                _ = tick.tick() => {
                    let now = self.fingerprint();
                    let settled = now == last;
                    last = now;
                    if !settled || now == taken {
                        continue;
                    }
                    taken = now;
                    tracing::info!("a file of the configuration has changed: it is read again");
                }
            }
            let result = self.reload(&running).await;
            let outcome = if result.is_ok() { "ok" } else { "invalid" };
            metrics::CONFIG_RELOADS.add(1, [outcome.into()]);
            let (parameters, outcome) = match result {
                Ok(changed) => (json!({ "changed": changed }), Ok(())),
                Err(error) => {
                    tracing::error!(%error, "the new configuration cannot be used: nothing was changed");
                    (json!({}), Err(error.to_string()))
                }
            };
            self.audit.record("reload", parameters, outcome);
        }
    }

    /// What stands in the files; a file that cannot be read is something else than any text.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for path in [&self.source.overrides.file, &self.loaded.auth.jwks_file].into_iter().flatten() {
            std::fs::read(path).ok().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Returns the keys that were taken over.
    async fn reload(&mut self, running: &Running) -> Result<Vec<String>, ConfigError> {
        let config = self.source.load()?;
        let mut auth = config.auth.clone();
        if !auth.has_keys() && running.settings.is_some() {
            let missing = "this, auth.jwks_url or auth.jwks_file must be set: without a key no token can be trusted";
            auth = running.own_auth.clone().ok_or_else(|| ConfigError::key("auth.hs256_secret", missing))?;
        }
        self.log.set(&config.telemetry.log).map_err(|error| ConfigError::key("telemetry.log", error))?;
        if let Some(settings) = &running.settings {
            let changed = settings.change(&config.connection, auth).await;
            changed.map_err(|error| ConfigError::key("auth", error))?;
        }
        self.current.send_replace(config.connection.clone());
        let differences = self.loaded.differences(&config);
        let changed: Vec<_> = differences.into_iter().filter(|key| is_taken_over(key)).collect();
        let waiting = self.started.differences(&config).into_iter().filter(|key| !is_taken_over(key));
        let waiting: Vec<_> = waiting.collect();
        tracing::info!(changed = changed.join(", "), "the configuration was read again, and keys with it");
        if !waiting.is_empty() {
            tracing::warn!(keys = waiting.join(", "), "these keys need a restart, and stay as they were");
        }
        self.loaded = config;
        loaded_now();
        Ok(changed)
    }
}

fn loaded_now() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::CONFIG_LOADED.set(now.as_secs_f64(), []);
}
