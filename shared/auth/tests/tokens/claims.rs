//! What a token says, and what it must say.

use std::time::Duration;

use natter_auth::{AuthError, Claims, Config, MintRequest, Secret, Verifier, mint};
use serde_json::{Value, json};

use crate::keys::{assembled, eddsa, good, now, set};

const LEEWAY: u64 = 5;

struct Signed {
    key: crate::keys::Key,
    verifier: Verifier,
    _folder: tempfile::TempDir,
}

fn signed(config: Config) -> Signed {
    let (key, folder) = (eddsa("key"), tempfile::tempdir().unwrap());
    let path = folder.path().join("keys.json");
    std::fs::write(&path, set(&[&key]).to_string()).unwrap();
    let verifier = Verifier::new(Config { jwks_file: Some(path), ..config }).unwrap();
    Signed { key, verifier, _folder: folder }
}

impl Signed {
    async fn check(&self, claims: Value) -> Result<Claims, AuthError> {
        self.verifier.verify(&self.key.sign(&claims)).await
    }
}

#[tokio::test]
async fn the_clock_decides_with_some_leeway() {
    let signed = signed(Config::default());
    let at = |exp: u64| json!({ "sub": "a", "exp": exp });
    assert_eq!(signed.check(at(now() + 60)).await.unwrap().expires_at % 1_000, 0);
    signed.check(at(now() - LEEWAY / 2)).await.unwrap();
    assert_eq!(signed.check(at(now() - LEEWAY - 2)).await, Err(AuthError::Expired));
    assert_eq!(signed.check(at(0)).await, Err(AuthError::Expired));
    let from = |nbf: u64| json!({ "sub": "a", "exp": now() + 60, "nbf": nbf });
    signed.check(from(now())).await.unwrap();
    signed.check(from(now() + LEEWAY / 2)).await.unwrap();
    assert_eq!(signed.check(from(now() + LEEWAY + 10)).await, Err(AuthError::NotYetValid));
}

#[tokio::test]
async fn the_end_is_told_in_milliseconds_whatever_it_is() {
    let signed = signed(Config::default());
    let end = now() + 60;
    let fraction = json!({ "sub": "a", "exp": end as f64 + 0.5 });
    assert_eq!(signed.check(fraction).await.unwrap().expires_at, end * 1_000 + 500);
    let never = json!({ "sub": "a", "exp": 1e18 });
    assert_eq!(signed.check(never).await.unwrap().expires_at, u64::MAX);
}

#[tokio::test]
async fn what_is_missing_or_of_another_type_is_malformed() {
    let signed = signed(Config::default());
    for claims in [
        json!({}),
        json!({ "sub": "a" }),
        json!({ "exp": now() + 60 }),
        json!({ "sub": "a", "exp": "soon" }),
        json!({ "sub": "a", "exp": null }),
        json!({ "sub": 7, "exp": now() + 60 }),
        json!({ "sub": "a", "exp": now() + 60, "nbf": "later" }),
        json!([]),
        json!("claims"),
    ] {
        assert_eq!(signed.check(claims.clone()).await, Err(AuthError::Malformed), "{claims}");
    }
}

#[tokio::test]
async fn issuer_and_audience_are_checked_when_set() {
    let config = Config { issuer: Some("https://issuer".into()), audience: Some("natter".into()), ..Config::default() };
    let signed = signed(config);
    let says = |iss: Value, aud: Value| {
        let mut claims = good();
        (claims["iss"], claims["aud"]) = (iss, aud);
        claims
    };
    let (iss, aud) = (json!("https://issuer"), json!("natter"));
    signed.check(says(iss.clone(), aud.clone())).await.unwrap();
    signed.check(says(iss.clone(), json!(["other", "natter"]))).await.unwrap();
    for wrong in [json!("https://issuer/"), json!("HTTPS://ISSUER"), json!(""), json!(null), json!(7)] {
        assert_eq!(signed.check(says(wrong.clone(), aud.clone())).await, Err(AuthError::WrongIssuer), "{wrong}");
    }
    for wrong in [json!("natter2"), json!(["other"]), json!([]), json!(null), json!({})] {
        assert_eq!(signed.check(says(iss.clone(), wrong.clone())).await, Err(AuthError::WrongAudience), "{wrong}");
    }
    assert!(matches!(signed.check(good()).await, Err(AuthError::WrongIssuer | AuthError::WrongAudience)));
}

#[tokio::test]
async fn extensions_that_must_be_understood_are_refused() {
    let signed = signed(Config::default());
    let mut header = jsonwebtoken::Header::new(signed.key.algorithm);
    (header.kid, header.crit) = (Some("key".into()), Some(vec!["http://future".into()]));
    let token = jsonwebtoken::encode(&header, &good(), &signed.key.private).unwrap();
    assert_eq!(signed.verifier.verify(&token).await, Err(AuthError::Malformed));
}

#[tokio::test]
async fn a_signature_is_of_these_claims_and_no_others() {
    let signed = signed(Config::default());
    let token = signed.key.sign(&good());
    let (parts, other) = (token.split('.').collect::<Vec<_>>(), signed.key.sign(&json!({ "sub": "bob", "exp": 1 })));
    let others: Vec<_> = other.split('.').collect();
    let swapped = format!("{}.{}.{}", parts[0], others[1], parts[2]);
    assert_eq!(signed.verifier.verify(&swapped).await, Err(AuthError::BadSignature));
    let header = json!({ "alg": "EdDSA", "kid": "key" });
    let relabelled = assembled(&header, &good(), parts[2]);
    assert_eq!(signed.verifier.verify(&relabelled).await, Err(AuthError::BadSignature));
}

#[tokio::test]
async fn a_token_of_excessive_size_is_not_even_looked_at() {
    let signed = signed(Config::default());
    let of = |length: usize| json!({ "sub": "a", "exp": now() + 60, "padding": "x".repeat(length) });
    signed.check(of(5_000)).await.unwrap();
    assert_eq!(signed.check(of(8_000)).await, Err(AuthError::Malformed));
}

#[tokio::test]
async fn a_minted_token_holds_and_its_times_never_overflow() {
    let secret = Secret::new("a secret of development, 32 bytes or more");
    let config = Config {
        hs256_secret: Some(secret.clone()),
        issuer: Some("natter".into()),
        audience: Some("chat".into()),
        ..Config::default()
    };
    let verifier = Verifier::new(config).unwrap();
    for (subject, ttl) in [("a.b *>\u{1F600}", Duration::from_secs(60)), ("a", Duration::MAX)] {
        let request =
            MintRequest { subject: subject.into(), ttl, issuer: Some("natter".into()), audience: Some("chat".into()) };
        let claims = verifier.verify(&mint(&secret, &request).unwrap()).await.unwrap();
        assert_eq!(claims.subject, subject);
        assert!(claims.expires_at > now() * 1_000);
    }
}
