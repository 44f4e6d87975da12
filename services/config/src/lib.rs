//! The configuration of the whole process: one struct of one struct per section.
//!
//! Four layers, each over the one before: defaults, a TOML file, `NATTER_…` variables of the
//! environment, flags. Every key is documented where it is declared; `natter config` and
//! `docs/configuration.md` are made from that.

mod error;
mod layers;
mod reload;
mod schema;
mod secrets;
mod table;

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use layers::Overrides;
pub use reload::{Source, is_taken_over};
pub use table::{markdown, text};

static KEYS: LazyLock<schema::Keys> = LazyLock::new(schema::Keys::new);

/// What concerns the whole process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder of everything that `natter serve` keeps when no external NATS or database is set,
    /// and of what `natter chat` remembers.
    pub data_dir: PathBuf,
    /// How to reach NATS, and what the log is made of.
    pub nats: natter_bus::Config,
    /// The NATS server that `natter serve` starts when `nats.url` is absent.
    pub embedded: EmbeddedConfig,
    /// What an accepted message must survive, asked of an external NATS at start.
    pub durability: DurabilityConfig,
    /// The archive.
    pub storage: natter_storage::Config,
    /// Who is online.
    pub presence: natter_presence::Config,
    /// Fan-out of live events.
    pub delivery: natter_delivery::Config,
    /// Gateways.
    pub connection: natter_connection::Config,
    /// Which tokens are trusted.
    pub auth: natter_auth::Config,
    /// Health and metrics for operators.
    pub admin: natter_runtime::AdminConfig,
    /// Logs and traces.
    pub telemetry: natter_telemetry::Config,
    /// What operators did.
    pub audit: AuditConfig,
}

/// A line for each action of an operator: who did what, when, and how it ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// File that a JSON line is appended to for each `natter nats apply`, `backup`, `restore` and
    /// `token`, and for each reload and stop of a service; `-`: standard error. Absent: services
    /// log it under the target `natter::audit`, and commands write nothing.
    pub file: Option<PathBuf>,
}

/// The NATS server that `natter serve` starts by itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// How often what is acknowledged is forced to the disk, in milliseconds; 0: before every
    /// acknowledgement. The death of the process loses nothing either way; a power failure takes
    /// at most this much.
    pub sync_interval_ms: u32,
}

/// What an accepted message must survive when `nats.url` is set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DurabilityConfig {
    /// The monitoring addresses of all NATS servers, such as `http://nats-1:8222`: each is asked
    /// when it syncs.
    pub monitor_urls: Vec<String>,
    /// Longest time for which an acknowledged message may be in a server's page cache only, in
    /// milliseconds; 0: it is on the disk before (`sync_interval: always`).
    pub sync_interval_ms_max: u32,
    /// How many servers must keep each stream, at least.
    pub replicas_min: u8,
    /// What to do at start when NATS promises less, or does not tell: `warn` in the log, or
    /// `refuse` to start.
    pub when_weaker: WhenWeaker,
}

/// What to do when NATS promises less than is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenWeaker {
    /// Say so in the log, and start.
    #[default]
    Warn,
    /// Do not start.
    Refuse,
}

impl Default for DurabilityConfig {
    fn default() -> Self {
        Self { monitor_urls: Vec::new(), sync_interval_ms_max: 0, replicas_min: 3, when_weaker: WhenWeaker::default() }
    }
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        // On one disk, syncing each write costs a development machine most of its throughput and
        // a second of messages is what a power failure may cost it. Production has three replicas.
        Self { sync_interval_ms: 1_000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from(".natter"),
            nats: natter_bus::Config::default(),
            embedded: EmbeddedConfig::default(),
            durability: DurabilityConfig::default(),
            storage: natter_storage::Config::default(),
            presence: natter_presence::Config::default(),
            delivery: natter_delivery::Config::default(),
            connection: natter_connection::Config::default(),
            auth: natter_auth::Config::default(),
            admin: natter_runtime::AdminConfig::default(),
            telemetry: natter_telemetry::Config::default(),
            audit: AuditConfig::default(),
        }
    }
}

impl Config {
    /// Reads all layers and checks every value.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that cannot work.
    pub fn load(overrides: &Overrides, environment: &[(String, String)]) -> Result<Self, ConfigError> {
        let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|source| ConfigError::file(path, &source));
        let text = overrides.file.as_ref().map(read).transpose()?;
        let file = overrides.file.as_deref().zip(text.as_deref());
        let mut config = Self::from_layers(file, environment, &overrides.values)?;
        config.read_secrets()?;
        config.validate()?;
        Ok(config)
    }

    /// Like [`Config::load`], from what stands in the file, with the name that errors call it by,
    /// the variables of the environment, and the keys that flags set.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_layers(
        file: Option<(&Path, &str)>,
        environment: &[(String, String)],
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let mut layers = Figment::from(Serialized::defaults(Self::default()));
        if let Some((_, text)) = file {
            layers = layers.merge(Toml::string(text));
        }
        layers = layers.merge(layers::environment(environment, &KEYS)?);
        layers = layers.merge(layers::flags(flags, &KEYS)?);
        let extracted = layers.extract();
        let config: Self = extracted.map_err(|error| ConfigError::of_figment(error, file.map(|(path, _)| path)))?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let Self {
            data_dir,
            nats,
            embedded: _,
            durability: _,
            storage,
            presence,
            delivery: _,
            connection,
            auth,
            admin,
            telemetry,
            audit: _,
        } = self;
        let fail = |section: &str, key: &str, reason: &str| Err(ConfigError::key(format!("{section}{key}"), reason));
        if data_dir.as_os_str().is_empty() {
            return fail("", "data_dir", "must not be empty");
        }
        nats.validate().or_else(|error| fail("nats.", error.key, error.reason))?;
        storage.validate().or_else(|error| fail("storage.", error.key, error.reason))?;
        presence.validate().or_else(|error| fail("presence.", error.key, error.reason))?;
        connection.validate().or_else(|error| fail("connection.", error.key, error.reason))?;
        auth.validate().or_else(|error| fail("auth.", error.key, error.reason))?;
        match (&admin.tls_cert_file, &admin.tls_key_file) {
            (Some(_), None) => fail("admin.", "tls_key_file", "must be set beside `tls_cert_file`")?,
            (None, Some(_)) => fail("admin.", "tls_cert_file", "must be set beside `tls_key_file`")?,
            _ => {}
        }
        telemetry.validate().or_else(|error| fail("telemetry.", error.key, error.reason))
    }
}

/// The names of those variables that set a key.
pub fn variables(environment: &[(String, String)]) -> Vec<String> {
    let ours = environment.iter().filter(|(name, value)| layers::key_of(name, value, &KEYS).is_some());
    ours.map(|(name, _)| name.clone()).collect()
}

/// The JSON Schema of the configuration file.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
