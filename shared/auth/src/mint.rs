//! Making HS256 tokens, for development and tests.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

use crate::Secret;

/// What a new token says.
#[derive(Debug, Clone)]
pub struct MintRequest {
    /// Who it is for.
    pub subject: String,
    /// How long it is valid.
    pub ttl: Duration,
    /// Its `iss`.
    pub issuer: Option<String>,
    /// Its `aud`.
    pub audience: Option<String>,
}

/// The token cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be made: {0}")]
pub struct MintError(String);

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// Makes a token signed with the secret.
///
/// # Errors
/// [`MintError`], when the clock stands before 1970.
pub fn mint(secret: &Secret, request: &MintRequest) -> Result<String, MintError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|error| MintError(error.to_string()))?;
    let claims = Claims {
        sub: &request.subject,
        exp: now.saturating_add(request.ttl).as_secs(),
        iss: request.issuer.as_deref(),
        aud: request.audience.as_deref(),
    };
    let key = EncodingKey::from_secret(secret.reveal().as_bytes());
    encode(&Header::default(), &claims, &key).map_err(|error| MintError(error.to_string()))
}
