//! What can be configured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// Settings of logs and traces. The standard `OTEL_*` variables of the environment set what is
/// not set here, such as `OTEL_EXPORTER_OTLP_HEADERS` or `OTEL_TRACES_SAMPLER`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which log lines are written: a level, or levels by target such as
    /// `info,natter_delivery=debug`.
    pub log: String,
    /// How log lines are written.
    pub format: Format,
    /// The name that traces carry; absent: `OTEL_SERVICE_NAME`, then `natter` and what runs.
    pub service_name: Option<String>,
    /// Where traces and metrics go over OTLP/HTTP, such as `http://collector:4318`; absent:
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, then nowhere.
    pub otlp_endpoint: Option<String>,
    /// Which share of the clients' requests is traced, from 0 to 1; `OTEL_TRACES_SAMPLER` and its
    /// argument go before it.
    pub trace_ratio: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            format: Format::Text,
            service_name: None,
            otlp_endpoint: None,
            trace_ratio: 0.01,
        }
    }
}

/// A value that cannot work, with the key it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {reason}")]
pub struct InvalidConfig {
    /// The key inside this section.
    pub key: &'static str,
    /// What is wrong with it, as the rest of a sentence.
    pub reason: &'static str,
}

impl Config {
    /// Checks values.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the first key that cannot work.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let fail = |key, reason| Err(InvalidConfig { key, reason });
        if crate::log_filter(&self.log).is_none() {
            return fail("log", "must be a level, or levels by target such as `info,natter_delivery=debug`");
        }
        match self {
            Self { service_name: Some(name), .. } if name.is_empty() => fail("service_name", "must not be empty"),
            Self { otlp_endpoint: Some(url), .. } if !url.starts_with("http://") && !url.starts_with("https://") => {
                fail("otlp_endpoint", "must begin with http:// or https://")
            }
            Self { trace_ratio, .. } if !(0.0..=1.0).contains(trace_ratio) => {
                fail("trace_ratio", "must be a number from 0 to 1")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_that_cannot_work_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let key = |config: Config| config.validate().map_err(|error| error.key);
        assert_eq!(key(Config { log: "info,natter_bus=loud".into(), ..Config::default() }), Err("log"));
        assert_eq!(key(Config { log: "warn,natter_bus=trace".into(), ..Config::default() }), Ok(()));
        assert_eq!(key(Config { service_name: Some(String::new()), ..Config::default() }), Err("service_name"));
        assert_eq!(key(Config { trace_ratio: 1.5, ..Config::default() }), Err("trace_ratio"));
        assert_eq!(key(Config { trace_ratio: f64::NAN, ..Config::default() }), Err("trace_ratio"));
        let endpoint = |url: &str| key(Config { otlp_endpoint: Some(url.into()), ..Config::default() });
        assert_eq!(endpoint("collector:4318"), Err("otlp_endpoint"));
        assert_eq!(endpoint("http://collector:4318"), Ok(()));
    }
}
