//! Checks of the configuration and of this machine.

use std::{path::Path, time::Duration};

use natter_config::Config;
use rustix::process::{Resource, getrlimit};

use super::{finding::Finding, patient::Patient};

/// Open files that a process needs besides those of its clients.
const OTHER_FILES: u64 = 256;
const MIB: u64 = 1024 * 1024;
/// A certificate should be renewed when it is valid for less than this.
const CERTIFICATE_DAYS: i64 = 14;

pub fn configuration(patient: &Patient) -> Finding {
    if let Some(error) = &patient.invalid {
        return Finding::fail(error.to_string(), "correct the key; `natter config` lists all keys");
    }
    let layers = &patient.layers;
    let mut said = vec![layers.file.as_ref().map_or_else(|| "no file".to_owned(), |file| format!("the file {file}"))];
    if !layers.variables.is_empty() {
        said.push(layers.variables.join(", "));
    }
    if !layers.flags.is_empty() {
        said.push(format!("flags for {}", layers.flags.join(", ")));
    }
    Finding::ok(format!("valid; read from {}", said.join("; ")))
}

pub fn files(patient: &Patient) -> Finding {
    let wanted = u64::from(patient.config.connection.connections_max) + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let said = format!("this process may open {limit} files; `connection.connections_max` needs {wanted}");
    let next = "raise the limit of open files (`ulimit -n`, LimitNOFILE of systemd, the container runtime's), or lower \
                connection.connections_max";
    match limit {
        limit if limit >= wanted => Finding::ok(said),
        // A machine of somebody who tries things out.
        _ if patient.embedded => Finding::warn(said, next),
        _ => Finding::fail(said, next),
    }
}

pub fn disk(patient: &Patient) -> Finding {
    let folder = &patient.config.data_dir;
    let archive = patient.config.storage.url.as_deref().and_then(|url| url.strip_prefix("sqlite:"));
    let archive = archive.map(|path| path.trim_start_matches("//").split('?').next().unwrap_or_default());
    let folders = [archive.and_then(|file| Path::new(file).parent()), Some(folder.as_path())];
    let Some(folder) = folders.into_iter().flatten().find(|folder| folder.is_dir()) else {
        return Finding::skip("nothing is kept on this machine");
    };
    let stat = match rustix::fs::statvfs(folder) {
        Ok(stat) => stat,
        Err(error) => {
            let said = format!("{} cannot be looked at: {error}", folder.display());
            return Finding::fail(said, "see to the permissions of the folder");
        }
    };
    let (free, all) = (stat.f_bavail * stat.f_frsize / MIB, (stat.f_blocks * stat.f_frsize / MIB).max(1));
    let said = format!("{free} of {all} MiB are free for {}", folder.display());
    let next = "make room: an archive on a full disk stops, and so does an embedded NATS";
    match free * 100 / all {
        _ if free < 100 => Finding::fail(said, next),
        percent if percent < 5 || free < 1024 => Finding::warn(said, next),
        _ => Finding::ok(said),
    }
}

pub async fn keys(patient: &Patient) -> Finding {
    let auth = &patient.config.auth;
    let next = "tokens are checked by gateways: set auth.jwks_url or auth.jwks_file to your issuer's keys";
    let secret = auth.hs256_secret.as_ref().map(|_| "tokens signed with auth.hs256_secret are trusted");
    let source = match (&auth.jwks_url, &auth.jwks_file) {
        (Some(url), _) => crate::hidden::place(url),
        (None, Some(path)) => path.display().to_string(),
        (None, None) => {
            return match secret {
                Some(said) => Finding::ok(said),
                None if patient.embedded => {
                    Finding::ok("`natter serve` keeps a secret of its own in the data directory")
                }
                None => Finding::skip("no key is configured: no gateway can run with this configuration"),
            };
        }
    };
    match natter_auth::count_public_keys(auth).await {
        Ok(0) => Finding::fail(format!("{source} holds no key that auth.algorithms allows"), next),
        Ok(count) => Finding::ok(format!(
            "{source} holds {count} usable keys{}",
            secret.map_or("", |_| ", besides auth.hs256_secret")
        )),
        Err(error) => Finding::fail(
            format!("{source} cannot be read: {error}"),
            "make the key set reachable from here; until then no new session can begin once the known keys are too old",
        ),
    }
}

/// The files that the configuration names for TLS: every key that ends in `cert_file` or `ca_file`.
fn certificate_files(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let sections = serde_json::to_value(config).unwrap_or_default();
    for (section, keys) in sections.as_object().into_iter().flatten() {
        for (key, value) in keys.as_object().into_iter().flatten() {
            if let (true, Some(path)) = (key.ends_with("cert_file") || key.ends_with("ca_file"), value.as_str()) {
                found.push((format!("{section}.{key}"), path.to_owned()));
            }
        }
    }
    found
}

pub fn certificates(patient: &Patient) -> Finding {
    let files = certificate_files(&patient.config);
    if files.is_empty() {
        return Finding::skip("the configuration names no certificate");
    }
    let (mut bad, mut soon, mut good) = (Vec::new(), Vec::new(), Vec::new());
    for (key, path) in &files {
        match days_left(Path::new(path)) {
            Ok(days) if days < 0 => bad.push(format!("{key}: {path} has expired")),
            Ok(days) if days < CERTIFICATE_DAYS => soon.push(format!("{key}: {path} expires in {days} days")),
            Ok(days) => good.push(format!("{key} is valid for {days} days")),
            Err(error) => bad.push(format!("{key}: {path} {error}")),
        }
    }
    let next = "renew the certificate; cert-manager or your issuer should do it by itself";
    Finding::ok(good.join("; "))
        .unless(&soon, |said| Finding::warn(said, next))
        .unless(&bad, |said| Finding::fail(said, next))
}

/// For how many days the certificate that expires first is valid.
fn days_left(path: &Path) -> Result<i64, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut least = None;
    for pem in x509_parser::pem::Pem::iter_from_buffer(&bytes) {
        let pem = pem.map_err(|error| format!("is no PEM: {error}"))?;
        let certificate = pem.parse_x509().map_err(|error| format!("holds what is no certificate: {error}"))?;
        let left = match certificate.validity().time_to_expiration() {
            Some(left) => {
                i64::try_from(Duration::try_from(left).unwrap_or_default().as_secs() / 86_400).unwrap_or(i64::MAX)
            }
            None => -1,
        };
        least = Some(least.map_or(left, |least: i64| least.min(left)));
    }
    least.ok_or_else(|| "holds no certificate".to_owned())
}
