//! Checking a token.

use std::time::SystemTime;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;

use crate::{
    Config,
    keys::{NoKey, PublicKeys},
};

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who it is for: the `sub`.
    pub subject: String,
    /// When it ends, in milliseconds since 1970 UTC.
    pub expires_at: u64,
}

/// Why a token does not hold. The texts never contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It is no JWT, or lacks `sub` or `exp`.
    #[error("The token is not a JWT with `sub` and `exp`.")]
    Malformed,
    /// Its time is over.
    #[error("The token has expired.")]
    Expired,
    /// Its time has not come.
    #[error("The token is not valid yet.")]
    NotYetValid,
    /// It was not signed by whoever it claims.
    #[error("The token's signature is not valid.")]
    BadSignature,
    /// Its algorithm is not allowed.
    #[error("The token's algorithm is not allowed here.")]
    WrongAlgorithm,
    /// Its key is not one of the issuer's.
    #[error("The token was signed with an unknown key.")]
    UnknownKey,
    /// It is of another issuer.
    #[error("The token is of another issuer.")]
    WrongIssuer,
    /// It is for another audience.
    #[error("The token is for another audience.")]
    WrongAudience,
    /// The issuer's keys cannot be read now; trying again may help.
    #[error("The issuer's keys cannot be read now.")]
    KeysUnavailable,
}

#[derive(Deserialize)]
struct RawClaims {
    sub: String,
    /// Seconds since 1970 UTC, with a fraction or without (RFC 7519, section 2).
    exp: f64,
    nbf: Option<f64>,
}

/// Checks tokens by one configuration.
pub struct Verifier {
    config: Config,
    secret: Option<DecodingKey>,
    keys: PublicKeys,
}

impl Verifier {
    /// A verifier; keys are read when first needed.
    ///
    /// # Errors
    /// A sentence, when no TLS client can be made.
    pub fn new(config: Config) -> Result<Self, String> {
        let secret = config.hs256_secret.as_ref().map(|secret| DecodingKey::from_secret(secret.reveal().as_bytes()));
        Ok(Self { keys: PublicKeys::new(config.clone())?, secret, config })
    }

    /// A verifier by another configuration. Public keys are read now; when they cannot be, those
    /// known here go on working.
    ///
    /// # Errors
    /// A sentence, when no TLS client can be made.
    pub async fn renewed(&self, config: Config) -> Result<Self, String> {
        let renewed = Self::new(config)?;
        renewed.keys.follow(&self.keys).await;
        Ok(renewed)
    }

    /// Checks a token by this machine's clock.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        self.verify_at(token, now_ms()).await
    }

    /// Checks a token as of a time, in milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn verify_at(&self, token: &str, now_ms: u64) -> Result<Claims, AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::Malformed);
        }
        let header = decode_header(token).map_err(|_| not_a_header(token))?;
        // Extensions that must be understood, of which there are none here (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(AuthError::Malformed);
        }
        let key = match header.alg {
            Algorithm::HS256 => self.secret.clone().ok_or(AuthError::WrongAlgorithm)?,
            algorithm @ (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) => {
                if !self.config.algorithms.iter().any(|allowed| Algorithm::from(*allowed) == algorithm) {
                    return Err(AuthError::WrongAlgorithm);
                }
                self.keys.find(header.kid.as_deref(), algorithm).await.map_err(no_key)?.key
            }
            _ => return Err(AuthError::WrongAlgorithm),
        };
        let claims =
            decode::<RawClaims>(token, &key, &self.validation(header.alg)).map_err(|error| refusal(error.kind()))?;
        let RawClaims { sub, exp, nbf } = claims.claims;
        let (now, leeway) = (now_ms as f64 / 1000.0, f64::from(self.config.leeway_secs));
        if exp < now - leeway {
            return Err(AuthError::Expired);
        }
        if nbf.is_some_and(|nbf| nbf > now + leeway) {
            return Err(AuthError::NotYetValid);
        }
        // The conversion saturates.
        Ok(Claims { subject: sub, expires_at: (exp * 1000.0) as u64 })
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        // Times are compared with the clock that the caller goes by.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let mut required = vec!["exp", "sub"];
        match &self.config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &self.config.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Tells an algorithm that is not known, `none` among them, from what is no header at all.
fn not_a_header(token: &str) -> AuthError {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "alg")]
        _alg: String,
    }
    let header = token.split('.').next().unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    match serde_json::from_slice::<Named>(&bytes) {
        Ok(_) => AuthError::WrongAlgorithm,
        Err(_) => AuthError::Malformed,
    }
}

fn no_key(reason: NoKey) -> AuthError {
    match reason {
        NoKey::Unknown => AuthError::UnknownKey,
        NoKey::Unavailable => AuthError::KeysUnavailable,
    }
}

fn refusal(kind: &ErrorKind) -> AuthError {
    match kind {
        ErrorKind::ExpiredSignature => AuthError::Expired,
        ErrorKind::ImmatureSignature => AuthError::NotYetValid,
        ErrorKind::InvalidSignature => AuthError::BadSignature,
        ErrorKind::InvalidAlgorithm => AuthError::WrongAlgorithm,
        ErrorKind::InvalidIssuer => AuthError::WrongIssuer,
        ErrorKind::InvalidAudience => AuthError::WrongAudience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => AuthError::WrongIssuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => AuthError::WrongAudience,
        _ => AuthError::Malformed,
    }
}
