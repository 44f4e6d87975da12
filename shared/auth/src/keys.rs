//! The issuer's public keys: read, kept, and read again within bounds.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet},
};
use tokio::sync::Mutex;

use crate::Config;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const SET_BYTES_MAX: usize = 1024 * 1024;
const KEYS_MAX: usize = 100;

/// A public key and the one algorithm it may be used with.
#[derive(Clone)]
pub(crate) struct PublicKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, PublicKey>,
    read_at: Option<Instant>,
}

/// Public keys of one issuer by key id. Old keys go on working while the source is down.
pub(crate) struct PublicKeys {
    config: Config,
    http: reqwest::Client,
    known: Mutex<Known>,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// The source has no such key.
    Unknown,
    /// The source was never read.
    Unavailable,
}

impl PublicKeys {
    pub(crate) fn new(config: Config) -> Result<Self, String> {
        // Whoever installed a provider before is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(FETCH_TIMEOUT).build().map_err(|error| error.to_string())?;
        Ok(Self { config, http, known: Mutex::new(Known::default()) })
    }

    /// The key of an id; without an id, the only key of the algorithm.
    ///
    /// One reader at a time: everybody else waits for the same answer.
    pub(crate) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<PublicKey, NoKey> {
        let mut known = self.known.lock().await;
        let age = known.read_at.map(|at| at.elapsed());
        let found = known.pick(id, algorithm);
        let wait = match found {
            Some(_) => self.config.jwks_refresh_secs,
            None => self.config.jwks_refetch_min_secs,
        };
        if age.is_none_or(|age| age >= Duration::from_secs(wait.into())) {
            known.read_at = Some(Instant::now());
            match self.read().await {
                Ok(keys) => known.keys = keys,
                Err(error) => tracing::warn!(error, "the issuer's public keys cannot be read; old ones go on working"),
            }
        }
        let none = if known.keys.is_empty() { NoKey::Unavailable } else { NoKey::Unknown };
        known.pick(id, algorithm).ok_or(none)
    }

    async fn read(&self) -> Result<HashMap<String, PublicKey>, String> {
        let bytes = match (&self.config.jwks_url, &self.config.jwks_file) {
            (Some(url), _) => self.fetch(url).await?,
            (None, Some(path)) => tokio::fs::read(path).await.map_err(|error| error.to_string())?,
            (None, None) => return Ok(HashMap::new()),
        };
        if bytes.len() > SET_BYTES_MAX {
            return Err("the key set is larger than 1 MiB".to_owned());
        }
        let set: JwkSet = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let allowed: Vec<Algorithm> = self.config.algorithms.iter().map(|algorithm| (*algorithm).into()).collect();
        let usable = set.keys.iter().take(KEYS_MAX).enumerate().filter_map(|(index, jwk)| {
            let algorithm = algorithm_of(jwk).filter(|algorithm| allowed.contains(algorithm))?;
            let key = DecodingKey::from_jwk(jwk).ok()?;
            let id = jwk.common.key_id.clone().unwrap_or_else(|| format!("#{index}"));
            Some((id, PublicKey { algorithm, key }))
        });
        Ok(usable.collect())
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        let said = |error: reqwest::Error| error.without_url().to_string();
        let mut answer = self.http.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(said)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(said)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > SET_BYTES_MAX {
                break;
            }
        }
        Ok(bytes)
    }
}

impl Known {
    fn pick(&self, id: Option<&str>, algorithm: Algorithm) -> Option<PublicKey> {
        if let Some(id) = id {
            return self.keys.get(id).filter(|key| key.algorithm == algorithm).cloned();
        }
        let mut fitting = self.keys.values().filter(|key| key.algorithm == algorithm);
        fitting.next().filter(|_| fitting.next().is_none()).cloned()
    }
}

fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Some(Algorithm::ES256),
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Some(Algorithm::EdDSA),
        _ => None,
    }
}
