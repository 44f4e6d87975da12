//! The layers that are text: variables of the environment, and flags.

use std::path::PathBuf;

use figment::{
    Error, Figment, Metadata, Profile, Provider,
    util::nest,
    value::{Dict, Map, Value},
};

use crate::{
    ConfigError,
    schema::{Keys, Kind},
};

const PREFIX: &str = "NATTER_";
const LEVELS: &str = "__";

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The TOML file, if any.
    pub file: Option<PathBuf>,
    /// Keys and values, the later over the earlier.
    pub values: Vec<(String, String)>,
}

/// One value, and where it came from.
struct Layer {
    source: String,
    key: String,
    value: Value,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = nest(&self.key, self.value.clone()).into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(nested))
    }
}

/// The keys that variables of the environment set.
///
/// `NATTER_<SECTION>__<KEY>`: two underscores between levels, because keys contain one. Other
/// variables that begin with `NATTER_` are left alone, among them those that Kubernetes adds for
/// a service of that name. An empty variable counts as absent.
pub(crate) fn environment(variables: &[(String, String)], keys: &Keys) -> Result<Figment, ConfigError> {
    let mut layers = Figment::new();
    for (name, value) in variables {
        if let Some(key) = key_of(name, value, keys) {
            layers = layers.merge(layer(&key, value, name.clone(), keys)?);
        }
    }
    Ok(layers)
}

/// The key that a variable sets, if it is one of ours.
pub(crate) fn key_of(name: &str, value: &str, keys: &Keys) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    let key = rest.to_lowercase().replace(LEVELS, ".");
    (!value.is_empty() && (rest.contains(LEVELS) || keys.kind(&key).is_some())).then_some(key)
}

/// The keys that flags set.
pub(crate) fn flags(values: &[(String, String)], keys: &Keys) -> Result<Figment, ConfigError> {
    let mut layers = Figment::new();
    for (key, value) in values {
        layers = layers.merge(layer(key, value, "the command line".to_owned(), keys)?);
    }
    Ok(layers)
}

fn layer(key: &str, text: &str, source: String, keys: &Keys) -> Result<Layer, ConfigError> {
    let kind = keys.kind(key).ok_or_else(|| ConfigError::unknown(key, &source))?;
    Ok(Layer { source, key: key.to_owned(), value: typed(text, kind) })
}

/// Reads a text as what the key wants; a text that is something else stays text, for the error.
fn typed(text: &str, kind: &Kind) -> Value {
    match kind {
        // Also when it looks like a number, as a secret may.
        Kind::Text | Kind::Choice(_) => Value::from(text),
        Kind::List(item) if !text.trim_start().starts_with('[') => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::from(items.map(|part| typed(part, item)).collect::<Vec<_>>())
        }
        Kind::Number | Kind::Truth | Kind::List(_) => text.parse().unwrap_or_else(|_| Value::from(text)),
    }
}
