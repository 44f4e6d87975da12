//! How this process shows NATS who it is, and knows that it speaks to NATS.

use std::path::Path;

use async_nats::ConnectOptions;

use crate::{Config, connect::ConnectError, permissions};

/// Options of a connection with everything that the configuration says of keys and certificates.
///
/// Certificates are read again at each connection, so renewed ones are taken by and by; here they are
/// read once, because a connection that is waited for would not say what is wrong with them.
pub(crate) async fn options(config: &Config) -> Result<ConnectOptions, ConnectError> {
    let mut options = ConnectOptions::new().require_tls(config.tls_required);
    let mut inbox = config.inbox_prefix.clone();
    if let Some(path) = &config.credentials_file {
        options = options.credentials_file(path).await.map_err(|error| unusable("credentials_file", path, &error))?;
    }
    if let Some(path) = &config.nkey_file {
        let seed = text("nkey_file", path).await?;
        let key = permissions::public_key(&seed).map_err(|error| unusable("nkey_file", path, &error))?;
        inbox.get_or_insert_with(|| permissions::inbox_prefix(&key));
        options = options.nkey(seed.trim().to_owned());
    }
    if let Some(path) = &config.ca_file {
        pem("ca_file", path, "CERTIFICATE").await?;
        options = options.add_root_certificates(path.clone());
    }
    if let (Some(certificate), Some(key)) = (&config.client_cert_file, &config.client_key_file) {
        pem("client_cert_file", certificate, "CERTIFICATE").await?;
        pem("client_key_file", key, "PRIVATE KEY").await?;
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    if let Some(prefix) = inbox {
        options = options.custom_inbox_prefix(prefix);
    }
    Ok(options)
}

fn unusable(key: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> ConnectError {
    ConnectError::File { key, path: path.display().to_string(), reason: reason.to_string() }
}

async fn text(key: &'static str, path: &Path) -> Result<String, ConnectError> {
    tokio::fs::read_to_string(path).await.map_err(|error| unusable(key, path, &error))
}

async fn pem(key: &'static str, path: &Path, kind: &str) -> Result<(), ConnectError> {
    let found = text(key, path).await?;
    let holds = found.lines().any(|line| line.starts_with("-----BEGIN ") && line.ends_with(&format!("{kind}-----")));
    if holds { Ok(()) } else { Err(unusable(key, path, &format!("it holds no PEM block of the kind {kind}"))) }
}
