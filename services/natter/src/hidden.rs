//! Places without the secrets that belong to them.

use natter_config::Config;

/// A URL, or several separated by commas, without user, password and parameters.
pub fn place(urls: &str) -> String {
    let plain = |url: &str| {
        let url = url.trim();
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let host = authority.rsplit('@').next().unwrap_or_default();
        if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
    };
    urls.split(',').map(plain).collect::<Vec<_>>().join(",")
}

/// What must not appear in anything that is printed or written down.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        let mut secrets = Vec::new();
        secrets.extend(config.auth.hs256_secret.as_ref().map(|secret| secret.reveal().to_owned()));
        // What stands alone before the host is a token on NATS, and a user elsewhere.
        for (urls, alone) in [(&config.nats.url, true), (&config.storage.url, false)] {
            for url in urls.iter().flat_map(|urls| urls.split(',')) {
                let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                let Some((user, _)) = authority.rsplit_once('@') else { continue };
                let secret = user.split_once(':').map(|(_, password)| password).or_else(|| alone.then_some(user));
                secrets.extend(secret.map(str::to_owned));
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        Self(secrets)
    }

    /// A text in which none of them appears.
    pub fn remove(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "(hidden)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_user_and_no_parameters() {
        for (url, plain) in [
            ("nats://a:4222", "nats://a:4222"),
            ("nats://user:p@ss@a:4222, tls://token@b:4222", "nats://a:4222,tls://b:4222"),
            ("postgres://natter:secret@db:5432/natter?password=x", "postgres://db:5432/natter"),
            ("sqlite:///data/archive.db?mode=rwc", "sqlite:///data/archive.db"),
            ("host:4222", "host:4222"),
        ] {
            assert_eq!(place(url), plain);
        }
    }

    #[test]
    fn secrets_are_taken_out_of_any_text() {
        let mut config = Config::default();
        config.nats.url = Some("nats://token-abc@a:1,nats://u:p@ss@b:1".to_owned());
        config.storage.url = Some("postgres://natter:secret@db/natter".to_owned());
        let secrets = Secrets::of(&config);
        let text = secrets.remove("token-abc failed, p@ss failed, secret failed at db");
        assert_eq!(text, "(hidden) failed, (hidden) failed, (hidden) failed at db");
        assert_eq!(Secrets::of(&Config::default()).remove("as it is"), "as it is");
    }
}
