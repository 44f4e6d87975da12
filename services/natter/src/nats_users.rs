//! `natter nats users`: keys and permissions of what runs, for nats-server's configuration.

use std::{collections::BTreeMap, io::ErrorKind, path::Path, process::ExitCode};

use anyhow::Context;
use natter_bus::permissions;

use crate::{output, tokens::write_private};

/// The user of the account that JetStream and the servers report to; Natter does not use it.
const SYSTEM: &str = "system";
/// What a leaf node connects with. It passes on what others do, whose rights its own server checks.
const LEAF: &str = "leaf";

/// Writes `<user>.nk` for each user that has none yet, `users.conf` and `accounts.conf`.
///
/// # Errors
/// A sentence with the file that cannot be read or written.
pub fn write(folder: &Path, partitions: u16, leaf: bool) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut keys = BTreeMap::new();
    for user in permissions::users()? {
        let key = key_of(folder, &user.name, &user.about)?;
        keys.insert(user.name, key);
    }
    let system = key_of(folder, SYSTEM, "the servers' own account, for the `nats` program")?;
    let leaf = leaf.then(|| key_of(folder, LEAF, "leaf nodes, which may do everything in the account")).transpose()?;
    file(folder, "users.conf", &users(&keys, partitions)?)?;
    file(folder, "accounts.conf", &accounts(&system, leaf.as_deref()))?;
    Ok(ExitCode::SUCCESS)
}

/// The public key of a user. A secret key that exists stays: services go on with it.
fn key_of(folder: &Path, name: &str, about: &str) -> anyhow::Result<String> {
    let path = folder.join(format!("{name}.nk"));
    let shown = path.display();
    match std::fs::read_to_string(&path) {
        Ok(seed) => {
            let key = permissions::public_key(&seed).with_context(|| format!("{shown} cannot be used"))?;
            output::say(&format!("{shown} kept: {about}"));
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let seed = permissions::new_seed()?;
            write_private(&path, &format!("{seed}\n")).with_context(|| format!("{shown} cannot be written"))?;
            output::say(&format!("{shown} made: {about}"));
            Ok(permissions::public_key(&seed)?)
        }
        Err(error) => Err(error).with_context(|| format!("{shown} cannot be read")),
    }
}

fn file(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    output::say(&format!("{} written", path.display()));
    Ok(())
}

fn users(keys: &BTreeMap<String, String>, partitions: u16) -> anyhow::Result<String> {
    let users = permissions::server_config(keys, partitions)?;
    Ok(format!(
        "# Written by `natter nats users` for {partitions} partition(s): who may do what. Public keys only.\n{users}"
    ))
}

fn accounts(system: &str, leaf: Option<&str>) -> String {
    let leaf = leaf.map(|key| {
        format!(
            "leafnodes {{\n  authorization {{\n    nkey: {key}\n    account: NATTER\n  }}\n}}\n\
             # Natter asks JetStream without naming a domain, also behind a leaf node.\n\
             default_js_domain: {{ NATTER: \"\" }}\n"
        )
    });
    format!(
        "# Written by `natter nats users`. Natter has an account of its own: nobody outside it sees its subjects.\n\
         accounts {{\n  NATTER {{\n    jetstream: enabled\n    include ./users.conf\n  }}\n  \
         SYS {{\n    users: [ {{ nkey: {system} }} ]\n  }}\n}}\nsystem_account: SYS\n{}",
        leaf.unwrap_or_default()
    )
}
