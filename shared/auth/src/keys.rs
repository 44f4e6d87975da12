//! The issuer's public keys: read, kept, and read again within bounds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use tokio::{sync::OwnedMutexGuard, task::JoinHandle};

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
    source: Arc<Source>,
    /// One reader at a time: everybody else waits for the same answer.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Source {
    config: Config,
    http: reqwest::Client,
    known: Mutex<Known>,
}

/// How many keys the source has that can be used; reads it once.
///
/// # Errors
/// Why it cannot be read, in words.
pub async fn count_public_keys(config: &Config) -> Result<usize, String> {
    let keys = PublicKeys::new(config.clone())?;
    keys.source.read().await.map(|keys| keys.len())
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
        let source = Arc::new(Source { config, http, known: Mutex::default() });
        Ok(Self { source, turn: Arc::default() })
    }

    /// The key of an id; without an id, the only key of the algorithm.
    pub(crate) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<PublicKey, NoKey> {
        match self.source.pick(id, algorithm) {
            (Ok(key), Age::Fresh) => return Ok(key),
            // A slow source delays nobody whose key is known, as long as that is no older than twice
            // the time set.
            (Ok(key), Age::Due) => {
                if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
                    drop(self.read(turn));
                }
                return Ok(key);
            }
            (Err(none), Age::Fresh) => return Err(none),
            (_, Age::Due | Age::Overdue) => {}
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Whoever waited for the turn may find that somebody has just read.
        if !matches!(self.source.pick(id, algorithm).1, Age::Fresh) && self.read(turn).await.is_err() {
            tracing::error!("reading the issuer's public keys panicked");
        }
        self.source.pick(id, algorithm).0
    }

    /// Takes the place of other keys: what they know holds until the source is read, which is tried
    /// now.
    pub(crate) async fn follow(&self, before: &Self) {
        if !self.source.is_configured() {
            return;
        }
        let known = before.source.known.lock().unwrap_or_else(PoisonError::into_inner).keys.clone();
        self.source.known.lock().unwrap_or_else(PoisonError::into_inner).keys = known;
        self.source.refresh().await;
    }

    #[allow(clippy::disallowed_methods, reason = "it ends by the timeout, and goes on when the asker hangs up")]
    fn read(&self, turn: OwnedMutexGuard<()>) -> JoinHandle<()> {
        let source = Arc::clone(&self.source);
        tokio::spawn(async move {
            source.refresh().await;
            drop(turn);
        })
    }
}

/// How old what is known is, for a question that it answers, or for one that it does not.
enum Age {
    Fresh,
    /// It should be read again.
    Due,
    /// It must be read again before it is relied on, if it can be.
    Overdue,
}

impl Source {
    fn pick(&self, id: Option<&str>, algorithm: Algorithm) -> (Result<PublicKey, NoKey>, Age) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let none = if known.keys.is_empty() { NoKey::Unavailable } else { NoKey::Unknown };
        let found = known.pick(id, algorithm).ok_or(none);
        let limit = match found {
            Ok(_) => self.config.jwks_refresh_secs,
            Err(_) => self.config.jwks_refetch_min_secs,
        };
        let limit = Duration::from_secs(limit.into());
        let age = match known.read_at.map(|at| at.elapsed()) {
            Some(age) if age < limit => Age::Fresh,
            Some(age) if age < limit * 2 => Age::Due,
            _ => Age::Overdue,
        };
        (found, age)
    }

    /// Without a source, keys that were known by another configuration are trusted no more.
    fn is_configured(&self) -> bool {
        self.config.jwks_url.is_some() || self.config.jwks_file.is_some()
    }

    async fn refresh(&self) {
        let keys = self.read().await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.read_at = Some(Instant::now());
        match keys {
            Ok(keys) => known.keys = keys,
            Err(error) => tracing::warn!(error, "the issuer's public keys cannot be read; old ones go on working"),
        }
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
        let set: KeySet = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let allowed: Vec<Algorithm> = self.config.algorithms.iter().map(|algorithm| (*algorithm).into()).collect();
        let usable = set.keys.into_iter().take(KEYS_MAX).enumerate().filter_map(|(index, value)| {
            let jwk: Jwk = serde_json::from_value(value).ok()?;
            let algorithm = algorithm_of(&jwk).filter(|algorithm| allowed.contains(algorithm))?;
            let key = DecodingKey::from_jwk(&jwk).ok()?;
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

/// A JWK set. A key that cannot be understood does not spoil the others (RFC 7517, section 5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// The algorithm a key is for; `None` when it is not for one of ours.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        // The library that checks signatures takes the length for granted.
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 && is_ed25519(&pair.x) => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    // RFC 9864 calls EdDSA on this curve Ed25519, which the library does not know.
    let fits = |named: &KeyAlgorithm| *named == algorithm.into() || algorithm == Algorithm::EdDSA;
    (signs && jwk.common.key_algorithm.as_ref().is_none_or(fits)).then_some(algorithm)
}

fn is_ed25519(x: &str) -> bool {
    URL_SAFE_NO_PAD.decode(x).is_ok_and(|bytes| bytes.len() == 32)
}
