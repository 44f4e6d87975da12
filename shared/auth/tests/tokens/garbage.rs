//! Whatever comes, the answer is an error.

use std::sync::LazyLock;

use natter_auth::{Config, Secret, Verifier};
use proptest::prelude::*;
use serde_json::json;

use crate::keys::{Key, assembled, eddsa, es256, good, set};

struct Setting {
    verifier: Verifier,
    tokens: Vec<String>,
    _folder: tempfile::TempDir,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let keys: [Key; 2] = [es256("ec"), eddsa("ed")];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, set(&keys.each_ref()).to_string()).unwrap();
    let secret = Secret::new("a secret of development, 32 bytes or more");
    let config = Config { jwks_file: Some(path), hs256_secret: Some(secret), ..Config::default() };
    let tokens = keys.iter().map(|key| key.sign(&good())).collect();
    Setting { verifier: Verifier::new(config).unwrap(), tokens, _folder: folder }
});

fn refuses(token: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(SETTING.verifier.verify(token)).is_err()
}

proptest! {
    #[test]
    fn any_text_is_refused(token in any::<String>()) {
        prop_assert!(refuses(&token));
    }

    #[test]
    fn anything_that_looks_like_a_token_is_refused(token in "[A-Za-z0-9_=-]{0,40}(\\.[A-Za-z0-9_=-]{0,40}){0,4}") {
        prop_assert!(refuses(&token));
    }

    #[test]
    fn any_header_and_signature_are_refused(
        algorithm in "(HS256|ES256|EdDSA|RS256|none|[A-Za-z0-9]{0,8})",
        id in prop::option::of("(ec|ed|.{0,8})"),
        signature in "[A-Za-z0-9_-]{0,100}",
    ) {
        let token = assembled(&json!({ "alg": algorithm, "kid": id }), &good(), &signature);
        prop_assert!(refuses(&token));
    }

    #[test]
    fn a_token_with_one_character_changed_is_refused(which in 0..2_usize, at in any::<prop::sample::Index>(), to in 0..64_u8) {
        let token = &SETTING.tokens[which];
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // The last character of a part holds bits that mean nothing; changing only those is no change.
        let is_last = bytes.get(at + 1).is_none_or(|next| *next == b'.');
        prop_assume!(bytes[at] != alphabet[usize::from(to)] && !is_last);
        bytes[at] = alphabet[usize::from(to)];
        prop_assert!(refuses(&String::from_utf8(bytes).unwrap()));
    }
}
