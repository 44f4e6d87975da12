//! Reading the configuration again while the process runs.

use serde_json::Value;

use crate::{Config, ConfigError, KEYS, Overrides};

/// The keys, or all below one, that a running process takes over. Every other one needs a restart.
const TAKEN: [&str; 11] = [
    "telemetry.log",
    "connection.limits.",
    "connection.connections_max",
    "connection.unauthenticated_max",
    "connection.user_requests_per_sec",
    "connection.user_requests_burst",
    "connection.address_connects_per_sec",
    "connection.address_connects_burst",
    "connection.drain_per_sec",
    "connection.drain_delay_ms",
    "auth.",
];

/// Exceptions: sessions and listeners are made for frames of one size.
const FIXED: [&str; 1] = ["connection.limits.frame_bytes_max"];

/// Whether a running process takes the key over when the configuration is read again.
pub fn is_taken_over(key: &str) -> bool {
    let taken = TAKEN.iter().any(|taken| key == *taken || (taken.ends_with('.') && key.starts_with(taken)));
    taken && !FIXED.contains(&key)
}

/// Where a configuration is read from, as often as is wanted. It holds secrets, so it cannot be
/// printed.
#[derive(Clone)]
pub struct Source {
    /// What the command line says.
    pub overrides: Overrides,
    /// The variables of the environment.
    pub environment: Vec<(String, String)>,
}

impl Source {
    /// Reads all layers.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.overrides, &self.environment)
    }
}

impl Config {
    /// The keys whose values differ.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let values = |config: &Self| serde_json::to_value(config).unwrap_or_default();
        let (ours, theirs) = (values(self), values(other));
        let of = |values: &Value, path: &str| {
            path.split('.').try_fold(values.clone(), |value, level| value.get(level).cloned()).unwrap_or_default()
        };
        let keys = KEYS.sections.iter().flat_map(|section| &section.keys).map(|key| key.path.as_str());
        let differs = |path: &&str| match *path {
            // Its value is not among those.
            "auth.hs256_secret" => self.auth.hs256_secret != other.auth.hs256_secret,
            path => of(&ours, path) != of(&theirs, path),
        };
        keys.filter(differs).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use natter_auth::Secret;

    use super::*;

    #[test]
    fn every_entry_of_the_table_names_keys_that_exist() {
        let keys: Vec<_> = KEYS.sections.iter().flat_map(|section| &section.keys).map(|key| &key.path).collect();
        for taken in TAKEN.iter().chain(&FIXED) {
            let named = keys.iter().filter(|key| key.as_str() == *taken || key.starts_with(taken));
            assert!(named.count() > 0, "{taken}");
        }
        assert!(is_taken_over("connection.limits.message_bytes_max") && !is_taken_over("connection.listen"));
        assert!(!is_taken_over("connection.limits.frame_bytes_max"));
    }

    #[test]
    fn differences_are_found_also_in_secrets() {
        let mut changed = Config::default();
        assert_eq!(Config::default().differences(&changed), [""; 0]);
        changed.auth.hs256_secret = Some(Secret::new("a"));
        changed.connection.limits.message_bytes_max += 1;
        changed.nats.url = Some("nats://a".to_owned());
        let mut found = Config::default().differences(&changed);
        found.sort();
        assert_eq!(found, ["auth.hs256_secret", "connection.limits.message_bytes_max", "nats.url"]);
        let mut other = changed.clone();
        other.auth.hs256_secret = Some(Secret::new("b"));
        assert_eq!(changed.differences(&other), ["auth.hs256_secret"]);
    }
}
