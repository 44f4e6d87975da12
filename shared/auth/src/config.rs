//! What can be configured.

use std::path::PathBuf;

use jsonwebtoken::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Secret;

/// An algorithm that public keys may be used with (RFC 7518, section 3.1; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// RSA with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::RS256 => Self::RS256,
            KeyAlgorithm::ES256 => Self::ES256,
            KeyAlgorithm::EdDSA => Self::EdDSA,
        }
    }
}

/// Which tokens are trusted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Secret of HS256 tokens, at least 32 bytes; for development.
    pub hs256_secret: Option<Secret>,
    /// File with that secret, instead.
    pub hs256_secret_file: Option<PathBuf>,
    /// Address of the issuer's public keys as a JWK set (RFC 7517).
    pub jwks_url: Option<String>,
    /// File with the issuer's public keys as a JWK set.
    pub jwks_file: Option<PathBuf>,
    /// Algorithms that public keys may be used with.
    pub algorithms: Vec<KeyAlgorithm>,
    /// The `iss` that tokens must carry; absent: not checked.
    pub issuer: Option<String>,
    /// The `aud` that tokens must carry; absent: not checked.
    pub audience: Option<String>,
    /// How much clocks may differ, in seconds.
    pub leeway_secs: u32,
    /// After how long public keys are read again, in seconds.
    pub jwks_refresh_secs: u32,
    /// How soon an unknown key id may make public keys be read again, in seconds.
    pub jwks_refetch_min_secs: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hs256_secret: None,
            hs256_secret_file: None,
            jwks_url: None,
            jwks_file: None,
            algorithms: vec![KeyAlgorithm::RS256, KeyAlgorithm::ES256, KeyAlgorithm::EdDSA],
            issuer: None,
            audience: None,
            leeway_secs: 5,
            jwks_refresh_secs: 300,
            jwks_refetch_min_secs: 10,
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
    /// Whether any token can be trusted at all.
    pub fn has_keys(&self) -> bool {
        self.hs256_secret.is_some() || self.jwks_url.is_some() || self.jwks_file.is_some()
    }

    /// Checks values.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the first key that cannot work.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let fail = |key, reason| Err(InvalidConfig { key, reason });
        let web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        match self {
            Self { hs256_secret: Some(secret), .. } if secret.reveal().len() < 32 => {
                fail("hs256_secret", "must have at least 32 bytes")
            }
            Self { jwks_url: Some(_), jwks_file: Some(_), .. } => fail("jwks_file", "cannot be set beside `jwks_url`"),
            Self { jwks_url: Some(url), .. } if !web(url) => fail("jwks_url", "must begin with https:// or http://"),
            Self { algorithms, .. } if algorithms.is_empty() => fail("algorithms", "must name at least one"),
            _ => Ok(()),
        }
    }
}
