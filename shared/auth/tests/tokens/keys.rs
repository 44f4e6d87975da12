//! Keys made on the spot, and tokens signed with them.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use rsa::{
    pkcs1::EncodeRsaPrivateKey,
    rand_core::{CryptoRng, Error, RngCore},
    traits::PublicKeyParts,
};
use serde_json::{Value, json};

pub struct Key {
    pub id: &'static str,
    pub algorithm: Algorithm,
    pub private: EncodingKey,
    /// The public half, as a JWK.
    pub jwk: Value,
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn es256(id: &'static str) -> Key {
    let secret = p256::SecretKey::from_slice(&rand::random::<[u8; 32]>()).unwrap();
    let point = secret.public_key().to_encoded_point(false);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256",
        "x": text(point.x().unwrap()), "y": text(point.y().unwrap()) });
    let private = EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes());
    Key { id, algorithm: Algorithm::ES256, private, jwk }
}

pub fn eddsa(id: &'static str) -> Key {
    let secret = ed25519_dalek::SigningKey::from_bytes(&rand::random());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "Ed25519",
        "x": text(secret.verifying_key().as_bytes()) });
    let private = EncodingKey::from_ed_der(secret.to_pkcs8_der().unwrap().as_bytes());
    Key { id, algorithm: Algorithm::EdDSA, private, jwk }
}

/// Made once: it takes a while.
static RSA: LazyLock<rsa::RsaPrivateKey> = LazyLock::new(|| rsa::RsaPrivateKey::new(&mut System, 2048).unwrap());

pub fn rs256(id: &'static str) -> Key {
    let jwk = json!({ "kty": "RSA", "kid": id, "use": "sig",
        "n": text(RSA.n().to_bytes_be()), "e": text(RSA.e().to_bytes_be()) });
    let private = EncodingKey::from_rsa_der(RSA.to_pkcs1_der().unwrap().as_bytes());
    Key { id, algorithm: Algorithm::RS256, private, jwk }
}

/// Everything about the RSA key that is public: what an attacker may try as a secret.
pub fn rsa_public_forms() -> Vec<Vec<u8>> {
    use rsa::{
        pkcs1::EncodeRsaPublicKey,
        pkcs8::{EncodePublicKey, LineEnding},
    };
    let public = RSA.to_public_key();
    vec![
        public.to_public_key_der().unwrap().as_bytes().to_vec(),
        public.to_public_key_pem(LineEnding::LF).unwrap().into_bytes(),
        public.to_pkcs1_der().unwrap().as_bytes().to_vec(),
        public.n().to_bytes_be(),
        rs256("rsa").jwk.to_string().into_bytes(),
    ]
}

impl Key {
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(Some(self.id), claims)
    }

    pub fn sign_as(&self, id: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = id.map(ToOwned::to_owned);
        encode(&header, claims, &self.private).unwrap()
    }
}

pub fn set(keys: &[&Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| &key.jwk).collect::<Vec<_>>() })
}

pub fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// What a good token says.
pub fn good() -> Value {
    json!({ "sub": "alice", "exp": now() + 600 })
}

/// A token from parts as they are, signed by nobody.
pub fn assembled(header: &Value, claims: &Value, signature: &str) -> String {
    format!("{}.{}.{signature}", text(header.to_string()), text(claims.to_string()))
}

/// The system's randomness for the `rsa` crate, which wants an older interface.
struct System;

impl CryptoRng for System {}

impl RngCore for System {
    fn next_u32(&mut self) -> u32 {
        rand::random()
    }

    fn next_u64(&mut self) -> u64 {
        rand::random()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
