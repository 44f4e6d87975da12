//! Tokens for development, and where the gateway of this folder listens.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use natter_auth::{MintRequest, Secret};
use natter_client::ClientBuilder;
use natter_config::Config;
use natter_ids::UserId;
use rand::{Rng, distr::Alphanumeric};

/// Length of a secret made here: 285 bits.
const SECRET_CHARS: usize = 48;

fn secret_path(config: &Config) -> PathBuf {
    config.data_dir.join("dev-secret")
}

/// Where `natter serve` writes its gateway's address while it runs on its own NATS.
pub(crate) fn gateway_path(config: &Config) -> PathBuf {
    config.data_dir.join("gateway")
}

/// Makes a token for a user, signed with `auth.hs256_secret` or the secret that `natter serve`
/// keeps in the data directory.
///
/// # Errors
/// A sentence, when there is no secret to sign with.
pub fn dev_token(config: &Config, user: &UserId, ttl: Duration) -> anyhow::Result<String> {
    let secret = match &config.auth.hs256_secret {
        Some(secret) => secret.clone(),
        None => read_secret(config)?.with_context(|| {
            let path = secret_path(config);
            format!(
                "there is no secret to sign a token with: run `natter serve` first, which makes {}, or set auth.hs256_secret",
                path.display()
            )
        })?,
    };
    let request = MintRequest {
        subject: user.as_str().to_owned(),
        ttl,
        issuer: config.auth.issuer.clone(),
        audience: config.auth.audience.clone(),
    };
    Ok(natter_auth::mint(&secret, &request)?)
}

fn read_secret(config: &Config) -> anyhow::Result<Option<Secret>> {
    let path = secret_path(config);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => Ok(Some(Secret::new(text.trim()))),
        Ok(_) => bail!("{} holds no secret of 32 bytes: remove it to have a new one made", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// The secret of the data directory; made on first use, readable by its owner alone. The caller
/// holds the directory's lock.
///
/// # Errors
/// A sentence with the path, when it cannot be read or written.
pub(crate) fn ensure_secret(config: &Config) -> anyhow::Result<Secret> {
    if let Some(secret) = read_secret(config)? {
        return Ok(secret);
    }
    let text: String = rand::rng().sample_iter(Alphanumeric).take(SECRET_CHARS).map(char::from).collect();
    let path = secret_path(config);
    write_private(&path, &format!("{text}\n")).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(Secret::new(text))
}

/// Writes a file that only its owner may read. Whoever reads it sees all of it or nothing.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

/// The address to connect to when none is given: of the `natter serve` that runs on this data
/// directory, or of the configured listener, as seen from this machine.
pub fn default_gateway(config: &Config) -> String {
    let running = std::fs::read_to_string(gateway_path(config)).ok();
    let running = running.map(|text| text.trim().to_owned()).filter(|text| text.starts_with("ws"));
    running.unwrap_or_else(|| gateway_url(config, config.connection.listen))
}

/// A client that trusts only gateways with certificates of those in the file, if one is named.
///
/// # Errors
/// A sentence, when the file cannot be used.
pub fn trusting(builder: ClientBuilder, ca_file: Option<&Path>) -> anyhow::Result<ClientBuilder> {
    let Some(path) = ca_file else { return Ok(builder) };
    let pem = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    builder.trust_pem(&pem).with_context(|| format!("{} cannot be used", path.display()))
}

/// The WebSocket address of a listener, as seen from this machine.
pub fn gateway_url(config: &Config, listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let scheme = if config.connection.tls().is_some() { "wss" } else { "ws" };
    format!("{scheme}://{}/v1/ws", SocketAddr::new(ip, listen.port()))
}
