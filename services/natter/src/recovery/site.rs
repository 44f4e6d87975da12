//! The NATS and the archive that a command works on: those of the configuration, or those that
//! `natter serve` keeps in the data directory.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use natter_bus::Bus;
use natter_config::Config;
use natter_ids::GatewayId;
use natter_runtime::Scope;
use natter_storage::Store;
use tokio::time::{Instant, sleep};

use crate::serve::{data_dir::DataDir, embedded, sqlite_url};

/// How long NATS may take to answer.
const CONNECT: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(15);

/// Something of Natter runs that must not.
#[derive(Debug, thiserror::Error)]
#[error("{} in the way: stop every service, then run this again; nothing was changed", runs(.0))]
pub struct Running(Vec<String>);

fn runs(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

/// What a command works on.
pub struct Site {
    pub config: Config,
    pub bus: Bus,
    /// The embedded server stops with it.
    nats: Scope,
    /// Held, so that no `natter serve` uses the directory meanwhile.
    _data_dir: Option<DataDir>,
}

impl Site {
    /// Reaches NATS, starting the server of the data directory when no other is configured.
    ///
    /// # Errors
    /// A sentence, when it cannot be reached.
    pub async fn open(mut config: Config) -> anyhow::Result<Self> {
        let data_dir = config.nats.url.is_none().then(|| DataDir::lock(&config.data_dir)).transpose()?;
        let nats = Scope::new();
        if let Some(data_dir) = &data_dir {
            let server = embedded::start(&config.embedded, &data_dir.path, &nats).await?;
            config.nats.url = Some(server.url);
        }
        if config.storage.url.is_none() {
            config.storage.url = Some(sqlite_url(&config.data_dir)?);
        }
        let bus = Bus::connect(&config.nats, GatewayId::random()).await?;
        let deadline = Instant::now() + CONNECT;
        while !bus.is_connected() {
            if Instant::now() > deadline {
                bail!("NATS at {} does not answer", config.nats.url.as_deref().unwrap_or_default());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { config, bus, nats, _data_dir: data_dir })
    }

    /// Opens the archive.
    ///
    /// # Errors
    /// A sentence, when it cannot be used.
    pub async fn archive(&self) -> anyhow::Result<Arc<Store>> {
        let store = Store::connect(&self.config.storage, self.bus.partitions()).await;
        store.map(Arc::new).context("storage.url: the archive cannot be opened")
    }

    /// Makes sure that no service works on this NATS.
    ///
    /// # Errors
    /// [`Running`] names those that do.
    pub async fn nobody_runs(&self) -> anyhow::Result<()> {
        let running = self.bus.who_runs().await?;
        if running.is_empty() { Ok(()) } else { Err(Running(running).into()) }
    }

    /// Stops what was started.
    pub async fn close(self) {
        drop(self.bus);
        self.nats.stop(STOP).await;
    }
}
