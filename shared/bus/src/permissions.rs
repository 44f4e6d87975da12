//! Who may do what in NATS: `nats/permissions.toml`, made into the servers' configuration.

use std::{collections::BTreeMap, fmt::Write};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use natter_ids::Partition;
use serde::Deserialize;

use crate::subjects;

const SOURCE: &str = include_str!("../../../nats/permissions.toml");
/// How long a question may wait for its answer: longer than who asked waits.
const ANSWER_WITHIN: &str = "1m";

/// A fault of the build or of a key.
#[derive(Debug, thiserror::Error)]
pub enum PermissionsError {
    /// The built-in file cannot be read: a fault of the build.
    #[error("nats/permissions.toml cannot be read: {0}")]
    Source(String),
    /// The text is no seed of a NATS user.
    #[error("it holds no seed of an nkey user, which begins with SU: `natter nats users` makes one")]
    Seed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permissions {
    every: Rights,
    user: BTreeMap<String, UserDefinition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rights {
    publish: Vec<String>,
    subscribe: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserDefinition {
    about: String,
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    responds: bool,
    /// Whose rights this user has besides.
    #[serde(default)]
    like: Vec<String>,
}

/// A user of NATS, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsUser {
    /// As on the command line: the service, or `all`, or `admin`.
    pub name: String,
    /// In words.
    pub about: String,
}

/// Every user that there is.
///
/// # Errors
/// [`PermissionsError::Source`].
pub fn users() -> Result<Vec<NatsUser>, PermissionsError> {
    Ok(read()?.user.into_iter().map(|(name, user)| NatsUser { name, about: user.about }).collect())
}

/// A new secret key of a user: the seed to keep.
///
/// # Errors
/// [`PermissionsError::Seed`] when this machine gives no random numbers.
pub fn new_seed() -> Result<String, PermissionsError> {
    nkeys::KeyPair::new_user().seed().map_err(|_| PermissionsError::Seed)
}

/// The public key of a user's seed.
///
/// # Errors
/// [`PermissionsError::Seed`].
pub fn public_key(seed: &str) -> Result<String, PermissionsError> {
    let seed = seed.trim();
    // Another kind of key, such as an account's, signs nothing that a server takes.
    if !seed.starts_with("SU") {
        return Err(PermissionsError::Seed);
    }
    nkeys::KeyPair::from_seed(seed).map(|pair| pair.public_key()).map_err(|_| PermissionsError::Seed)
}

/// Signs what a server asks to be signed; with the public key. For those who speak the protocol of
/// NATS themselves.
///
/// # Errors
/// [`PermissionsError::Seed`].
pub fn sign(seed: &str, nonce: &str) -> Result<(String, String), PermissionsError> {
    let key = public_key(seed)?;
    let pair = nkeys::KeyPair::from_seed(seed.trim()).map_err(|_| PermissionsError::Seed)?;
    let signature = pair.sign(nonce.as_bytes()).map_err(|_| PermissionsError::Seed)?;
    Ok((key, URL_SAFE_NO_PAD.encode(signature)))
}

/// Where answers to a user's questions arrive. Its public key is in it, so that who reads the seed
/// knows it, and nobody else may subscribe to it.
pub(crate) fn inbox_prefix(public_key: &str) -> String {
    format!("_INBOX.{public_key}")
}

/// The list of users as nats-server's configuration wants it: `users: […]`, for inside an account.
/// `keys` holds each user's public key.
///
/// # Errors
/// [`PermissionsError::Source`].
pub fn server_config(keys: &BTreeMap<String, String>, partitions: u16) -> Result<String, PermissionsError> {
    let permissions = read()?;
    let mut text = "users: [\n".to_owned();
    for (key, user) in permissions.user.iter().filter_map(|(name, user)| Some((keys.get(name)?, user))) {
        let rights = permissions.rights(user)?;
        let list = |patterns: &[String]| expand(patterns, partitions, &inbox_prefix(key));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "  # {}\n  {{\n    nkey: {key}\n    permissions: {{\n      publish: {{ allow: [\n{}      ] }}\n      \
             subscribe: {{ allow: [\n{}      ] }}\n",
            user.about,
            list(&rights.publish),
            list(&rights.subscribe),
        );
        if permissions.responds(user) {
            let _ = writeln!(text, "      allow_responses: {{ max: 1, expires: \"{ANSWER_WITHIN}\" }}");
        }
        text.push_str("    }\n  }\n");
    }
    text.push_str("]\n");
    Ok(text)
}

fn read() -> Result<Permissions, PermissionsError> {
    toml::from_str(SOURCE).map_err(|error| PermissionsError::Source(error.to_string()))
}

impl Permissions {
    fn like(&self, user: &UserDefinition) -> Result<Vec<&UserDefinition>, PermissionsError> {
        let find = |name: &String| {
            self.user.get(name).ok_or_else(|| PermissionsError::Source(format!("there is no user {name}")))
        };
        user.like.iter().map(find).collect()
    }

    fn rights(&self, user: &UserDefinition) -> Result<Rights, PermissionsError> {
        let mut rights = self.every.clone();
        let others = self.like(user)?;
        for each in others.into_iter().chain([user]) {
            rights.publish.extend(each.publish.iter().cloned());
            rights.subscribe.extend(each.subscribe.iter().cloned());
        }
        for patterns in [&mut rights.publish, &mut rights.subscribe] {
            patterns.sort();
            patterns.dedup();
        }
        Ok(rights)
    }

    fn responds(&self, user: &UserDefinition) -> bool {
        user.responds || self.like(user).is_ok_and(|others| others.iter().any(|other| other.responds))
    }
}

/// One line per subject; nothing in these needs to be escaped inside quotes.
fn expand(patterns: &[String], partitions: u16, inbox: &str) -> String {
    let mut lines = String::new();
    for pattern in patterns {
        let pattern = pattern.replace("{inbox}", inbox);
        let streams: Vec<_> = match pattern.contains("{log}") {
            true => Partition::all(partitions).map(subjects::stream).collect(),
            false => vec![String::new()],
        };
        for stream in streams {
            let _ = writeln!(lines, "        \"{}\"", pattern.replace("{log}", &stream));
        }
    }
    lines
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Service, subjects::*};

    #[test]
    fn the_file_names_what_the_code_uses() {
        for service in Service::ALL {
            assert!(SOURCE.contains(&format!("$JS.API.CONSUMER.RESET.{{log}}.{}", service.name())));
            assert!(SOURCE.contains(&format!("[user.{}]", service.name())));
        }
        for name in BUCKETS.map(|bucket| format!("$JS.API.STREAM.INFO.KV_{bucket}")) {
            assert!(SOURCE.contains(&name), "{name}");
        }
        for subject in
            [ARCHIVED, TOLD, TYPING, MARKER_REQUEST, GATEWAY_REPORTS, GATEWAY_REFRESH, PRESENCE_QUERY, PRESENCE_CHANGES]
        {
            assert!(SOURCE.contains(&format!("\"{subject}\"")), "{subject}");
        }
    }

    #[test]
    fn every_partition_has_its_own_lines_and_every_user_its_own_inbox() {
        let keys: BTreeMap<_, _> =
            users().unwrap().into_iter().map(|user| (user.name.clone(), format!("U{}", user.name))).collect();
        let config = server_config(&keys, 3).unwrap();
        assert_eq!(config.matches("nkey: ").count(), 6, "{config}");
        assert_eq!(config.matches("\"$JS.API.CONSUMER.RESET.CHAT-2.storage\"").count(), 2, "storage and all: {config}");
        assert!(!config.contains("CHAT-3") && !config.contains("{log}"), "{config}");
        assert!(config.contains("\"_INBOX.Uadmin.>\"") && !config.contains("\"_INBOX.>\""), "{config}");
    }

    #[test]
    fn only_seeds_of_users_are_taken() {
        let seed = new_seed().unwrap();
        assert!(public_key(&format!("{seed}\n")).unwrap().starts_with('U'));
        let account = nkeys::KeyPair::new_account().seed().unwrap();
        for other in ["", "SU", "SUAB", &account, &public_key(&seed).unwrap()] {
            assert!(public_key(other).is_err(), "{other}");
        }
    }
}
