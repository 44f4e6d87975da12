//! A deployment in which everybody shows who they are: an nkey for each service, TLS on every wire.

use std::path::{Path, PathBuf};

use natter_testkit::{Authority, CertFiles};

use crate::service::Launch;

/// Keys and certificates of a deployment.
pub(super) struct Security {
    authority: Authority,
    server: CertFiles,
    client: CertFiles,
    users: PathBuf,
}

impl Security {
    /// Makes certificates, and users by `natter nats users`.
    pub(super) fn make(folder: &Path, launch: &Launch) -> Self {
        let authority = Authority::new(&folder.join("certs"));
        let (server, client) = (authority.issue("server"), authority.issue("natter"));
        let users = folder.join("nats-users");
        let made = launch.command().args(["nats", "users", "--out"]).arg(&users).output().expect("`natter` can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { authority, server, client, users }
    }

    /// For each nats-server: for everything, and for inside `cluster`.
    pub(super) fn of_servers(&self) -> (String, String) {
        let tls = format!(
            "tls {{\ncert_file: {:?}\nkey_file: {:?}\nca_file: {:?}\nverify: true\n}}\n",
            self.server.cert,
            self.server.key,
            self.authority.file()
        );
        // Paths are taken relative to the file that includes another.
        let accounts = std::fs::read_to_string(self.users.join("accounts.conf")).expect("accounts");
        let users = std::fs::read_to_string(self.users.join("users.conf")).expect("users");
        (format!("{}\n{tls}", accounts.replace("include ./users.conf", &users)), tls)
    }

    /// The authority's certificate.
    pub(super) fn ca(&self) -> String {
        self.authority.pem()
    }

    /// Lets what is launched show that it is this user of NATS.
    pub(super) fn as_user(&self, launch: &Launch, user: &str) -> Launch {
        let of = |path: &Path| path.display().to_string();
        let variables = [
            ("NATTER_NATS__NKEY_FILE", of(&self.users.join(format!("{user}.nk")))),
            ("NATTER_NATS__CA_FILE", of(&self.authority.file())),
            ("NATTER_NATS__CLIENT_CERT_FILE", of(&self.client.cert)),
            ("NATTER_NATS__CLIENT_KEY_FILE", of(&self.client.key)),
            ("NATTER_NATS__TLS_REQUIRED", "true".to_owned()),
            ("NATTER_CONNECTION__TLS_CERT_FILE", of(&self.server.cert)),
            ("NATTER_CONNECTION__TLS_KEY_FILE", of(&self.server.key)),
            ("NATTER_ADMIN__TLS_CERT_FILE", of(&self.server.cert)),
            ("NATTER_ADMIN__TLS_KEY_FILE", of(&self.server.key)),
        ];
        variables.iter().fold(launch.clone(), |launch, (name, value)| launch.with(name, value))
    }

    /// The user that a replica is.
    pub(super) fn user_of(replica: &str, together: bool) -> &'static str {
        match replica.split('-').next().unwrap_or_default() {
            _ if together => "all",
            "gateway" => "connection",
            "delivery" => "delivery",
            "storage" => "storage",
            _ => "presence",
        }
    }

    /// Signs the servers' certificate anew, over the one before.
    pub(super) fn renew(&self) {
        self.authority.issue("server");
    }
}
