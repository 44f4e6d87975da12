//! What checks look at, reached once for all of them.

use std::time::Duration;

use natter_bus::Bus;
use natter_config::{Config, ConfigError, Source};
use natter_ids::GatewayId;
use natter_storage::DatabaseReport;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    hidden,
    serve::{embedded, sqlite_url},
};

/// Where a configuration comes from.
#[derive(Debug)]
pub struct Layers {
    pub file: Option<String>,
    pub variables: Vec<String>,
    pub flags: Vec<String>,
}

impl Layers {
    /// Names only: values may be secrets.
    pub fn of(source: &Source) -> Self {
        let Source { overrides, environment } = source;
        Self {
            file: overrides.file.as_ref().map(|file| file.display().to_string()),
            variables: natter_config::variables(environment),
            flags: overrides.values.iter().map(|(key, _)| key.clone()).collect(),
        }
    }
}

/// What is examined.
pub struct Patient {
    pub layers: Layers,
    /// Defaults, when what was read cannot work.
    pub config: Config,
    pub invalid: Option<ConfigError>,
    /// Whether `natter serve` runs a NATS of its own here.
    pub embedded: bool,
    /// Why there is no connection to NATS.
    pub bus: Result<Bus, String>,
    /// Why there is nothing to tell of the database; `None`: it is not this process's.
    pub database: Option<Result<DatabaseReport, String>>,
    pub limit: Duration,
}

impl Patient {
    /// Reaches NATS and the database, both within the limit.
    pub async fn meet(loaded: Result<Config, ConfigError>, layers: Layers, limit: Duration) -> Self {
        let (mut config, invalid) = match loaded {
            Ok(config) => (config, None),
            Err(error) => (Config::default(), Some(error)),
        };
        let embedded = config.nats.url.is_none();
        if invalid.is_some() {
            let bus = Err("the configuration cannot be used".to_owned());
            return Self { layers, config, invalid, embedded, bus, database: None, limit };
        }
        if embedded {
            config.nats.url = embedded::running_url(&config.data_dir);
        }
        // A file that is not there yet is not created by looking at it.
        let file = config.data_dir.join("archive.db");
        if config.storage.url.is_none() && file.is_file() {
            config.storage.url = sqlite_url(&config.data_dir).ok();
        }
        let (bus, database) = tokio::join!(connect(&config, limit), database(&config, limit));
        Self { layers, config, invalid, embedded, bus, database, limit }
    }
}

async fn connect(config: &Config, limit: Duration) -> Result<Bus, String> {
    let Some(url) = &config.nats.url else {
        let place = config.data_dir.display();
        return Err(format!("`nats.url` is not set, and no `natter serve` runs on the data directory {place}"));
    };
    let place = hidden::place(url);
    let began = Instant::now();
    let connecting = timeout(limit, Bus::connect(&config.nats, GatewayId::random())).await;
    let bus = connecting.map_err(|_| format!("{place} does not answer"))?.map_err(|error| chain(&error))?;
    while !bus.is_connected() {
        if began.elapsed() > limit {
            return Err(format!("{place} does not take a connection within {limit:?}"));
        }
        sleep(Duration::from_millis(10)).await;
    }
    if bus.clock_offset_ms().await.is_some() {
        bus.compare_clocks().await;
    }
    Ok(bus)
}

async fn database(config: &Config, limit: Duration) -> Option<Result<DatabaseReport, String>> {
    let place = hidden::place(config.storage.url.as_deref()?);
    let examined = timeout(limit, natter_storage::examine(&config.storage)).await;
    Some(match examined {
        Ok(examined) => examined.map_err(|error| format!("{place}: {}", chain(&error))),
        Err(_) => Err(format!("{place} does not answer within {limit:?}")),
    })
}

/// An error with everything that led to it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !said.contains(&more) {
            said.push_str(": ");
            said.push_str(&more);
        }
        source = cause.source();
    }
    said
}
