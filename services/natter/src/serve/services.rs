//! Which services run in this process, and how they start.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Context;
use natter_bus::{Bus, storage_api::Archived};
use natter_config::{Config, ConfigError};
use natter_connection::{Gateway, StartError};
use natter_runtime::{Readiness, Scope};
use tokio::{
    runtime::{Builder, Runtime},
    time::sleep,
};

use crate::cli::ServiceName;

const RETRY: Duration = Duration::from_millis(100);

/// Threads of their own for the services that work on the log. A runtime shares its time fairly
/// among tasks: beside ten thousand sessions, delivery and storage would get next to none.
pub struct Workshop(Option<Runtime>);

impl Workshop {
    fn open() -> std::io::Result<Self> {
        Builder::new_multi_thread().thread_name("natter-work").enable_all().build().map(|runtime| Self(Some(runtime)))
    }

    /// Starts something there; whatever it spawns stays there.
    async fn start<T: Send + 'static>(
        &self,
        starting: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> anyhow::Result<T> {
        let runtime = self.0.as_ref().context("the services' threads have ended")?;
        #[allow(clippy::disallowed_methods, reason = "it is awaited right here")]
        let started = runtime.spawn(starting);
        started.await?
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // It goes inside a task, where nothing may wait; its tasks have ended before.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The services of this process, each once.
#[derive(Debug)]
pub struct Services(Vec<ServiceName>);

impl Services {
    /// The named ones, or all.
    pub fn chosen(named: &[ServiceName]) -> Self {
        let mut services = if named.is_empty() { ServiceName::ALL.to_vec() } else { named.to_vec() };
        services.sort_unstable();
        services.dedup();
        Self(services)
    }

    /// How logs and traces call the process.
    pub fn label(&self) -> String {
        if self.are_all() {
            return "serve".to_owned();
        }
        self.0.iter().map(|service| service.name()).collect::<Vec<_>>().join("-")
    }

    pub fn have(&self, service: ServiceName) -> bool {
        self.0.contains(&service)
    }

    fn are_all(&self) -> bool {
        self.0.len() == ServiceName::ALL.len()
    }

    /// Checks what the chosen services need besides valid values.
    ///
    /// # Errors
    /// [`ConfigError`] names the key that is missing, or the address that cannot be used.
    pub fn check(&self, config: &Config) -> Result<(), ConfigError> {
        if config.nats.url.is_none() && !self.are_all() {
            let reason = "must be set to run single services: the embedded server serves one process alone";
            return Err(ConfigError::key("nats.url", reason));
        }
        if !self.have(ServiceName::Connection) {
            return Ok(());
        }
        if config.nats.url.is_some() && !config.auth.has_keys() {
            let reason = "this, auth.jwks_url or auth.jwks_file must be set: without a key no token can be trusted";
            return Err(ConfigError::key("auth.hs256_secret", reason));
        }
        // The gateway starts last; an address that cannot be used should be known first.
        let address = config.connection.listen;
        std::net::TcpListener::bind(address).map(drop).map_err(|error| unusable("connection.listen", address, &error))
    }

    /// Starts the services, the gateway last; returns it once all are up.
    ///
    /// # Errors
    /// [`ConfigError`] for the gateway's address; a sentence for anything else.
    pub async fn start(
        &self,
        config: &Config,
        bus: &Bus,
        readiness: &Readiness,
        scopes: &super::Scopes,
    ) -> anyhow::Result<(Option<Gateway>, Workshop)> {
        let _all = readiness.latch("services");
        let workshop = Workshop::open()?;
        // A connection of its own: what sessions append does not hold up what delivery reads.
        let shared = self.have(ServiceName::Connection) && self.0.len() > 1;
        let work = if shared { Bus::connect(&config.nats, bus.instance().clone()).await? } else { bus.clone() };
        let (scope, Config { storage, presence, delivery, .. }) = (&scopes.services, config.clone());
        if self.have(ServiceName::Storage) {
            let _latch = readiness.latch("storage");
            let (bus, scope) = (work.clone(), scope.clone());
            workshop.start(async move { Ok(natter_storage::start(storage, bus, scope).await?) }).await?;
            wait_for_archive(&work).await;
        }
        if self.have(ServiceName::Presence) {
            let (bus, scope) = (work.clone(), scope.clone());
            workshop.start(async move { Ok(natter_presence::start(presence, bus, scope).await?) }).await?;
        }
        if self.have(ServiceName::Delivery) {
            let (bus, scope) = (work.clone(), scope.clone());
            workshop.start(async move { Ok(natter_delivery::start(delivery, bus, scope).await?) }).await?;
        }
        if self.have(ServiceName::Connection) {
            let gateway = start_gateway(config, bus, &scopes.connection).await?;
            return Ok((Some(gateway), workshop));
        }
        Ok((None, workshop))
    }
}

async fn start_gateway(config: &Config, bus: &Bus, scope: &Scope) -> anyhow::Result<Gateway> {
    let started =
        natter_connection::start(config.connection.clone(), config.auth.clone(), bus.clone(), scope.clone()).await;
    match started {
        Ok(gateway) => Ok(gateway),
        Err(StartError::Listen { address, source }) => Err(unusable("connection.listen", address, &source).into()),
        Err(error) => Err(error.into()),
    }
}

/// An address that cannot be listened on.
pub(super) fn unusable(key: &str, address: SocketAddr, error: &std::io::Error) -> ConfigError {
    ConfigError::key(key, format!("{address} cannot be used: {error}"))
}

/// Storage starts while its database is still down; it is up once the archive answers.
async fn wait_for_archive(bus: &Bus) {
    while let Err(error) = bus.ask(&Archived {}).await {
        tracing::debug!(%error, "the archive does not answer yet");
        sleep(RETRY).await;
    }
}

/// The URL of the SQLite file in the data directory.
///
/// # Errors
/// A sentence, when the current directory cannot be read.
pub fn sqlite_url(data_dir: &Path) -> anyhow::Result<String> {
    let path = std::path::absolute(data_dir.join("archive.db")).context("the current directory cannot be read")?;
    // The path is one part of a URL (RFC 3986, section 2.1).
    let escaped = path.display().to_string().chars().fold(String::new(), |mut url, c| {
        match c {
            '%' => url.push_str("%25"),
            '?' => url.push_str("%3F"),
            '#' => url.push_str("%23"),
            ' ' => url.push_str("%20"),
            other => url.push(other),
        }
        url
    });
    Ok(format!("sqlite://{escaped}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_service_runs_once() {
        let services = Services::chosen(&[ServiceName::Storage, ServiceName::Delivery, ServiceName::Storage]);
        assert_eq!(services.label(), "delivery-storage");
        assert_eq!(Services::chosen(&[]).label(), "serve");
        assert_eq!(Services::chosen(&ServiceName::ALL).label(), "serve");
    }

    #[test]
    fn odd_folders_become_urls() {
        assert_eq!(sqlite_url(Path::new("/a b/50%?#")).unwrap(), "sqlite:///a%20b/50%25%3F%23/archive.db");
    }
}
