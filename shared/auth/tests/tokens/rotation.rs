//! The issuer's keys change, and the issuer fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use natter_auth::{AuthError, Config, Verifier};
use natter_testkit::wait_for;
use tokio::task::JoinSet;

use crate::{
    keys::{eddsa, es256, good, set},
    source::Issuer,
};

const SOON: Duration = Duration::from_secs(20);

async fn check_many(verifier: &Arc<Verifier>, token: &str, expected: Result<(), AuthError>) {
    let mut checks = JoinSet::new();
    for _ in 0..50 {
        let (verifier, token) = (Arc::clone(verifier), token.to_owned());
        checks.spawn(async move { verifier.verify(&token).await.map(drop) });
    }
    while let Some(checked) = checks.join_next().await {
        assert_eq!(checked.unwrap(), expected);
    }
}

#[tokio::test]
async fn an_unknown_key_makes_the_set_be_read_once_for_everybody() {
    let (known, unknown) = (es256("known"), es256("unknown"));
    let issuer = Issuer::start(&set(&[&known])).await;
    let config = Config { jwks_refetch_min_secs: 2, ..issuer.config() };
    let verifier = Arc::new(Verifier::new(config).unwrap());
    check_many(&verifier, &known.sign(&good()), Ok(())).await;
    assert_eq!(issuer.asked(), 1, "those who ask at once share an answer");
    check_many(&verifier, &unknown.sign(&good()), Err(AuthError::UnknownKey)).await;
    assert_eq!(issuer.asked(), 1, "the set was read just now");
    let token = unknown.sign(&good());
    wait_for("another look", SOON, async || {
        assert_eq!(verifier.verify(&token).await.map(drop), Err(AuthError::UnknownKey));
        (issuer.asked() == 2).then_some(())
    })
    .await;
    check_many(&verifier, &token, Err(AuthError::UnknownKey)).await;
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_new_key_works_as_soon_as_it_is_used() {
    let (old, new) = (es256("old"), eddsa("new"));
    let issuer = Issuer::start(&set(&[&old])).await;
    let config = Config { jwks_refetch_min_secs: 0, ..issuer.config() };
    let verifier = Verifier::new(config).unwrap();
    verifier.verify(&old.sign(&good())).await.unwrap();
    issuer.publish(&set(&[&old, &new]));
    verifier.verify(&new.sign(&good())).await.unwrap();
    verifier.verify(&old.sign(&good())).await.unwrap();
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_key_that_was_withdrawn_ends_with_the_refresh() {
    let (old, new) = (es256("old"), es256("new"));
    let issuer = Issuer::start(&set(&[&old])).await;
    let config = Config { jwks_refresh_secs: 0, jwks_refetch_min_secs: 0, ..issuer.config() };
    let verifier = Verifier::new(config).unwrap();
    verifier.verify(&old.sign(&good())).await.unwrap();
    issuer.publish(&set(&[&new]));
    assert_eq!(verifier.verify(&old.sign(&good())).await, Err(AuthError::UnknownKey));
    verifier.verify(&new.sign(&good())).await.unwrap();
}

#[tokio::test]
async fn while_the_source_is_down_old_keys_go_on() {
    let (old, new) = (es256("old"), es256("new"));
    let issuer = Issuer::start(&set(&[&old])).await;
    let config = Config { jwks_refresh_secs: 0, jwks_refetch_min_secs: 0, ..issuer.config() };
    let verifier = Verifier::new(config).unwrap();
    issuer.set_down(true);
    assert_eq!(verifier.verify(&old.sign(&good())).await, Err(AuthError::KeysUnavailable));
    issuer.set_down(false);
    verifier.verify(&old.sign(&good())).await.unwrap();
    issuer.set_down(true);
    issuer.publish(&set(&[&new]));
    verifier.verify(&old.sign(&good())).await.unwrap();
    assert_eq!(verifier.verify(&new.sign(&good())).await, Err(AuthError::UnknownKey));
    // What is no key set counts as down.
    issuer.set_down(false);
    for nonsense in [serde_json::json!("nonsense"), serde_json::json!({ "keys": 7 })] {
        issuer.publish(&nonsense);
        verifier.verify(&old.sign(&good())).await.unwrap();
    }
    issuer.publish(&set(&[&new]));
    verifier.verify(&new.sign(&good())).await.unwrap();
}

#[tokio::test]
async fn a_source_that_hangs_delays_nobody_whose_key_is_known() {
    let key = es256("key");
    let issuer = Issuer::start(&set(&[&key])).await;
    let config = Config { jwks_refresh_secs: 2, ..issuer.config() };
    let verifier = Arc::new(Verifier::new(config).unwrap());
    let token = key.sign(&good());
    verifier.verify(&token).await.unwrap();
    issuer.set_hanging(true);
    wait_for("the refresh", SOON, async || {
        let asked = Instant::now();
        verifier.verify(&token).await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(1), "waited {:?} for a known key", asked.elapsed());
        (issuer.asked() == 2).then_some(())
    })
    .await;
    check_many(&verifier, &token, Ok(())).await;
    assert_eq!(issuer.asked(), 2, "one reader at a time");
}

#[tokio::test]
async fn somebody_who_hangs_up_does_not_stop_the_first_reading() {
    let key = es256("key");
    let issuer = Issuer::start(&set(&[&key])).await;
    issuer.set_hanging(true);
    let verifier = issuer.verifier();
    let token = key.sign(&good());
    let first = verifier.verify(&token);
    tokio::select! {
        checked = first => panic!("the source hangs: {checked:?}"),
        () = wait_for("the request", SOON, async || (issuer.asked() == 1).then_some(())) => {}
    }
    // Whoever comes next waits for the reading that is under way, whose time limit has begun.
    assert_eq!(verifier.verify(&token).await, Err(AuthError::KeysUnavailable));
    assert_eq!(issuer.asked(), 1);
}
