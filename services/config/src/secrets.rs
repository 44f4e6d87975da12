//! Secrets that stand in files of their own, as orchestrators mount them.

use std::path::Path;

use natter_auth::Secret;

use crate::{Config, ConfigError};

impl Config {
    /// Fills in what `…_file` keys name. What was read counts as if it had been set itself.
    pub(crate) fn read_secrets(&mut self) -> Result<(), ConfigError> {
        if let Some(path) = &self.auth.hs256_secret_file {
            let key = "auth.hs256_secret_file";
            refuse_both(self.auth.hs256_secret.is_some(), key, "auth.hs256_secret")?;
            self.auth.hs256_secret = Some(Secret::new(read(key, path)?));
        }
        if let Some(path) = &self.storage.url_file {
            let key = "storage.url_file";
            refuse_both(self.storage.url.is_some(), key, "storage.url")?;
            self.storage.url = Some(read(key, path)?);
        }
        if let Some(path) = &self.storage.password_file {
            let key = "storage.password_file";
            let password = read(key, path)?;
            let url = self.storage.url.as_deref().unwrap_or_default();
            let reason = "needs a `storage.url` such as postgres://user@host/database, without a password in it";
            self.storage.url = Some(with_password(url, &password).ok_or_else(|| ConfigError::key(key, reason))?);
        }
        Ok(())
    }
}

fn refuse_both(both: bool, key: &str, other: &str) -> Result<(), ConfigError> {
    if both { Err(ConfigError::key(key, format!("cannot be set beside `{other}`"))) } else { Ok(()) }
}

/// The text of a file. Editors and `echo` end it with a line break, which is no part of a secret.
fn read(key: &str, path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::key(key, format!("{} cannot be read: {error}", path.display())))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(ConfigError::key(key, format!("{} is empty", path.display())));
    }
    Ok(text.to_owned())
}

/// The URL with a password behind its user (RFC 3986, section 3.2.1); `None` when it has no user, or
/// a password already.
fn with_password(url: &str, password: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (user, host) = rest[..end].rsplit_once('@')?;
    if user.is_empty() || user.contains(':') {
        return None;
    }
    let escaped = password.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    });
    Some(format!("{scheme}://{user}:{escaped}@{host}{}", &rest[end..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Overrides;

    fn load(pairs: &[(&str, &Path)]) -> Result<Config, String> {
        let values = pairs.iter().map(|(key, path)| ((*key).to_owned(), path.display().to_string())).collect();
        Config::load(&Overrides { file: None, values }, &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let secret = file("secret", "12345678901234567890123456789012\n");
        let (url, password) = (file("url", "postgres://natter@db/natter\n"), file("password", "p@ss/w:rd\n"));
        let config = load(&[("auth.hs256_secret_file", &secret), ("storage.url_file", &url)]).unwrap();
        assert_eq!(config.auth.hs256_secret.unwrap().reveal(), "12345678901234567890123456789012");
        assert_eq!(config.storage.url.unwrap(), "postgres://natter@db/natter");
        let config = load(&[("storage.url_file", &url), ("storage.password_file", &password)]).unwrap();
        assert_eq!(config.storage.url.unwrap(), "postgres://natter:p%40ss%2Fw%3Ard@db/natter");

        let short = file("short", "short");
        assert!(load(&[("auth.hs256_secret_file", &short)]).unwrap_err().starts_with("auth.hs256_secret: must have"));
        let missing = folder.path().join("missing");
        let said = load(&[("storage.url_file", &missing)]).unwrap_err();
        assert!(said.starts_with("storage.url_file: ") && said.contains("cannot be read"), "{said}");
        let said = load(&[("storage.password_file", &password)]).unwrap_err();
        assert!(said.starts_with("storage.password_file: needs a `storage.url`"), "{said}");
        let plain = Path::new("postgres://natter@db/natter");
        let said = load(&[("storage.url_file", &url), ("storage.url", plain)]).unwrap_err();
        assert!(said.starts_with("storage.url_file: cannot be set beside"), "{said}");
    }

    #[test]
    fn a_password_goes_behind_the_user_alone() {
        let url = "postgresql://n@db:5432/natter?sslmode=verify-full";
        assert_eq!(with_password(url, "x").unwrap(), "postgresql://n:x@db:5432/natter?sslmode=verify-full");
        for url in ["", "postgres://db/natter", "postgres://n:old@db/natter", "postgres://db/a?x=n@b", "sqlite:///a@b"]
        {
            assert_eq!(with_password(url, "x"), None, "{url}");
        }
    }
}
