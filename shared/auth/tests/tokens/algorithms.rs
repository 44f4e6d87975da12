//! Each key with its own algorithm, and with no other.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use natter_auth::{AuthError, Config, KeyAlgorithm, Secret, Verifier};
use serde_json::json;

use crate::{
    keys::{assembled, eddsa, es256, good, rs256, rsa_public_forms, set},
    source::Issuer,
};

const SECRET: &str = "a secret of development, 32 bytes or more";

fn hs(algorithm: Algorithm, secret: &[u8], id: Option<&str>) -> String {
    let mut header = Header::new(algorithm);
    header.kid = id.map(ToOwned::to_owned);
    encode(&header, &good(), &EncodingKey::from_secret(secret)).unwrap()
}

#[tokio::test]
async fn a_key_set_by_address_and_by_file_verifies_every_algorithm() {
    let keys = [rs256("rsa"), es256("ec"), eddsa("ed")];
    let all = set(&keys.each_ref());
    let issuer = Issuer::start(&all).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, all.to_string()).unwrap();
    let by_file = Verifier::new(Config { jwks_file: Some(path), ..Config::default() }).unwrap();
    for verifier in [issuer.verifier(), by_file] {
        for key in &keys {
            let claims = verifier.verify(&key.sign(&good())).await.unwrap();
            assert_eq!(claims.subject, "alice");
            // Without an id the only key of the algorithm is meant.
            verifier.verify(&key.sign_as(None, &good())).await.unwrap();
        }
    }
    assert_eq!(issuer.asked(), 1, "keys are kept");
}

#[tokio::test]
async fn a_secret_verifies_hs256_only() {
    let verifier = Verifier::new(Config { hs256_secret: Some(Secret::new(SECRET)), ..Config::default() }).unwrap();
    verifier.verify(&hs(Algorithm::HS256, SECRET.as_bytes(), None)).await.unwrap();
    let refused = verifier.verify(&hs(Algorithm::HS256, b"another secret", None)).await;
    assert_eq!(refused, Err(AuthError::BadSignature));
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(verifier.verify(&hs(algorithm, SECRET.as_bytes(), None)).await, Err(AuthError::WrongAlgorithm));
    }
    assert_eq!(verifier.verify(&es256("ec").sign(&good())).await, Err(AuthError::KeysUnavailable));
}

#[tokio::test]
async fn a_public_key_is_never_a_secret() {
    let rsa = rs256("rsa");
    let issuer = Issuer::start(&set(&[&rsa])).await;
    let with_secret = Config { hs256_secret: Some(Secret::new(SECRET)), ..issuer.config() };
    let (without_secret, with_secret) = (issuer.verifier(), Verifier::new(with_secret).unwrap());
    with_secret.verify(&rsa.sign(&good())).await.unwrap();
    for form in rsa_public_forms() {
        for id in [Some("rsa"), None] {
            let forged = hs(Algorithm::HS256, &form, id);
            assert_eq!(without_secret.verify(&forged).await, Err(AuthError::WrongAlgorithm));
            assert_eq!(with_secret.verify(&forged).await, Err(AuthError::BadSignature));
        }
    }
}

#[tokio::test]
async fn an_unsigned_token_is_refused_however_it_says_so() {
    let issuer = Issuer::start(&set(&[&es256("ec")])).await;
    let config = Config { hs256_secret: Some(Secret::new(SECRET)), ..issuer.config() };
    let verifier = Verifier::new(config).unwrap();
    for name in ["none", "None", "NONE", "nOnE", ""] {
        for signature in ["", "AAAA"] {
            let header = json!({ "alg": name, "typ": "JWT", "kid": "ec" });
            let forged = assembled(&header, &good(), signature);
            assert_eq!(verifier.verify(&forged).await, Err(AuthError::WrongAlgorithm), "{name}");
        }
    }
    for name in ["HS256", "ES256", "EdDSA", "RS256"] {
        let forged = assembled(&json!({ "alg": name }), &good(), "");
        verifier.verify(&forged).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_key_is_used_with_its_own_algorithm_only() {
    let (rsa, ec, ed) = (rs256("rsa"), es256("ec"), eddsa("ed"));
    let issuer = Issuer::start(&set(&[&rsa, &ec, &ed])).await;
    let verifier = issuer.verifier();
    assert_eq!(verifier.verify(&ec.sign_as(Some("rsa"), &good())).await, Err(AuthError::UnknownKey));
    assert_eq!(verifier.verify(&ed.sign_as(Some("ec"), &good())).await, Err(AuthError::UnknownKey));
    // Another key under a known id.
    let forged = es256("ec").sign(&good());
    assert_eq!(verifier.verify(&forged).await, Err(AuthError::BadSignature));
    // The right key with a longer hash.
    let mut header = Header::new(Algorithm::RS512);
    header.kid = Some("rsa".to_owned());
    let longer = encode(&header, &good(), &rsa.private).unwrap();
    assert_eq!(verifier.verify(&longer).await, Err(AuthError::WrongAlgorithm));

    let pinned = Config { algorithms: vec![KeyAlgorithm::EdDSA], ..issuer.config() };
    let pinned = Verifier::new(pinned).unwrap();
    pinned.verify(&ed.sign(&good())).await.unwrap();
    assert_eq!(pinned.verify(&ec.sign(&good())).await, Err(AuthError::WrongAlgorithm));
}

#[tokio::test]
async fn keys_of_other_kinds_and_broken_ones_spoil_nothing() {
    let (good_key, encrypts, otherwise) = (eddsa("good"), es256("encrypts"), rs256("otherwise"));
    let mut keys = set(&[&good_key, &encrypts, &otherwise]);
    keys["keys"][1]["use"] = json!("enc");
    keys["keys"][2]["alg"] = json!("RS512");
    let broken = [
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AAAA" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "none" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "off the curve", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "EC", "crv": "secp256k1", "kid": "other curve", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "RSA", "kid": "no number", "n": "*", "e": "AQAB" }),
        json!({ "kty": "oct", "kid": "secret", "k": "AAAA" }),
        json!({ "kty": "AKP", "kid": "of the future", "pub": "AAAA" }),
        json!({ "kty": "RSA", "kid": 7 }),
        json!({}),
        json!("no key"),
    ];
    keys["keys"].as_array_mut().unwrap().extend(broken);
    let issuer = Issuer::start(&keys).await;
    let verifier = issuer.verifier();
    verifier.verify(&good_key.sign(&good())).await.unwrap();
    for id in ["short", "none"] {
        assert_eq!(verifier.verify(&good_key.sign_as(Some(id), &good())).await, Err(AuthError::UnknownKey), "{id}");
    }
    verifier.verify(&encrypts.sign_as(Some("off the curve"), &good())).await.unwrap_err();
    assert_eq!(verifier.verify(&encrypts.sign(&good())).await, Err(AuthError::UnknownKey));
    assert_eq!(verifier.verify(&otherwise.sign(&good())).await, Err(AuthError::UnknownKey));
    let secret = hs(Algorithm::HS256, &[0, 0, 0], Some("secret"));
    assert_eq!(verifier.verify(&secret).await, Err(AuthError::WrongAlgorithm));
}

#[tokio::test]
async fn without_an_id_two_keys_of_an_algorithm_are_no_answer() {
    let (one, other) = (es256("one"), es256("other"));
    let issuer = Issuer::start(&set(&[&one, &other])).await;
    let verifier = issuer.verifier();
    verifier.verify(&one.sign(&good())).await.unwrap();
    assert_eq!(verifier.verify(&one.sign_as(None, &good())).await, Err(AuthError::UnknownKey));
}
