//! What can be configured.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use natter_protocol::Limits;
use natter_runtime::TlsFiles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a gateway.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the WebSocket and HTTP listener.
    pub listen: SocketAddr,
    /// File with the PEM certificate of the listener, and those that lead to its root; absent: no
    /// TLS, which then has to be in front of it. A renewed one is taken without a restart.
    pub tls_cert_file: Option<PathBuf>,
    /// File with the PEM key of `tls_cert_file`.
    pub tls_key_file: Option<PathBuf>,
    /// Origins of pages that may connect, such as `https://chat.example.com`; `*` allows all.
    /// Clients that send no origin (all but browsers) are not concerned.
    pub origins: Vec<String>,
    /// What clients may send and ask for.
    #[serde(deserialize_with = "natter_protocol::configured_limits")]
    pub limits: Limits,
    /// How long after it was said a message may be edited by its sender, in seconds; 0: for ever.
    pub edit_limit_s: u32,
    /// How long after it was said a message may be deleted by its sender, in seconds; 0: for ever. Those
    /// who manage a group may delete at any time.
    pub delete_limit_s: u32,
    /// Most connections at once.
    pub connections_max: u32,
    /// Most connections at once that have not shown a valid token.
    pub unauthenticated_max: u32,
    /// How long a client may take over the HTTP request and `hello`, in milliseconds.
    pub handshake_timeout_ms: u32,
    /// Largest HTTP request head, in bytes; at least 8192.
    pub handshake_bytes_max: u32,
    /// How often the gateway pings, in milliseconds. A client that is silent for twice as long
    /// is closed.
    pub ping_interval_ms: u32,
    /// Most bytes of live events that wait for a client to read them; one that falls further behind is
    /// closed and resumes.
    pub outbound_bytes_max: u32,
    /// Most bytes of live events that a session holds while it reads what it missed.
    pub held_bytes_max: u32,
    /// Requests of one session answered at once; more wait unread in the network.
    pub requests_at_once: u32,
    /// Sessions of this gateway that read what they missed at once; others wait their turn.
    pub resumes_at_once: u32,
    /// Header in which a trusted proxy gives the client's address, such as `x-forwarded-for`;
    /// absent: the address of the connection itself counts.
    pub address_header: Option<String>,
    /// How long a client may take to read anything at all, in milliseconds.
    pub write_timeout_ms: u32,
    /// Events asked of storage at once when a device resumes.
    pub backlog_page: u32,
    /// How often a session makes sure that it missed nothing, in milliseconds.
    pub audit_interval_ms: u32,
    /// How long before a token expires its client is warned, in milliseconds.
    pub token_warning_ms: u32,
    /// How often marks of one user in one conversation are stored, in milliseconds; what is said in
    /// between becomes one.
    pub marks_gather_ms: u32,
    /// Most users and conversations whose marks wait to be stored, or were stored a moment ago.
    pub marks_waiting_max: u32,
    /// Requests per second of one user, over all sessions at this gateway.
    pub user_requests_per_sec: u32,
    /// Requests that one user may make at once.
    pub user_requests_burst: u32,
    /// How often per second one user may tell that they are writing, over all sessions at this gateway; what is more is
    /// dropped. 0: nobody is told.
    pub user_typing_per_sec: u32,
    /// For how long somebody counts as writing who does not tell it again, in milliseconds.
    pub typing_ms: u32,
    /// New connections per second from one address.
    pub address_connects_per_sec: u32,
    /// New connections from one address at once.
    pub address_connects_burst: u32,
    /// How long the gateway goes on accepting and serving after it was asked to stop, in
    /// milliseconds. It says at once that it is not ready; load balancers need this time to notice.
    pub drain_delay_ms: u32,
    /// Sessions closed per second when the gateway stops.
    pub drain_per_sec: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls_cert_file: None,
            tls_key_file: None,
            origins: Vec::new(),
            limits: Limits::default(),
            edit_limit_s: 24 * 3600,
            delete_limit_s: 0,
            connections_max: 100_000,
            unauthenticated_max: 2_000,
            handshake_timeout_ms: 10_000,
            handshake_bytes_max: 16 * 1024,
            ping_interval_ms: 25_000,
            outbound_bytes_max: 1024 * 1024,
            held_bytes_max: 256 * 1024,
            requests_at_once: 32,
            resumes_at_once: 64,
            address_header: None,
            write_timeout_ms: 30_000,
            backlog_page: 200,
            audit_interval_ms: 60_000,
            token_warning_ms: 60_000,
            marks_gather_ms: 500,
            marks_waiting_max: 50_000,
            user_requests_per_sec: 100,
            user_requests_burst: 500,
            user_typing_per_sec: 2,
            typing_ms: 6_000,
            address_connects_per_sec: 200,
            address_connects_burst: 2_000,
            drain_delay_ms: 0,
            drain_per_sec: 500,
        }
    }
}

/// A value that cannot work, with the key it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {reason}")]
pub struct InvalidConfig {
    /// The key inside this section.
    pub key: &'static str,
    /// What is wrong with it, as the rest of a sentence.
    pub reason: &'static str,
}

impl Config {
    /// Checks values.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the first key that cannot work.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let positive = [
            ("connections_max", self.connections_max),
            ("unauthenticated_max", self.unauthenticated_max),
            ("handshake_timeout_ms", self.handshake_timeout_ms),
            ("backlog_page", self.backlog_page),
            ("requests_at_once", self.requests_at_once),
            ("resumes_at_once", self.resumes_at_once),
            ("write_timeout_ms", self.write_timeout_ms),
            ("marks_waiting_max", self.marks_waiting_max),
            ("user_requests_per_sec", self.user_requests_per_sec),
            ("user_requests_burst", self.user_requests_burst),
            ("address_connects_per_sec", self.address_connects_per_sec),
            ("address_connects_burst", self.address_connects_burst),
            ("drain_per_sec", self.drain_per_sec),
            ("limits.page_items_max", self.limits.page_items_max),
        ];
        let fail = |key, reason| Err(InvalidConfig { key, reason });
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return fail(key, "must be at least 1");
        }
        match self {
            Self { tls_cert_file: Some(_), tls_key_file: None, .. } => {
                fail("tls_key_file", "must be set beside `tls_cert_file`")
            }
            Self { tls_cert_file: None, tls_key_file: Some(_), .. } => {
                fail("tls_cert_file", "must be set beside `tls_key_file`")
            }
            Self { ping_interval_ms, .. } if *ping_interval_ms < 1_000 => {
                fail("ping_interval_ms", "must be at least 1000")
            }
            Self { typing_ms, .. } if *typing_ms < 1_000 => fail("typing_ms", "must be at least 1000"),
            Self { audit_interval_ms, .. } if *audit_interval_ms < 1_000 => {
                fail("audit_interval_ms", "must be at least 1000")
            }
            Self { handshake_bytes_max, .. } if *handshake_bytes_max < 8_192 => {
                fail("handshake_bytes_max", "must be at least 8192")
            }
            Self { outbound_bytes_max, .. } if *outbound_bytes_max < 64 * 1024 => {
                fail("outbound_bytes_max", "must be at least 65536")
            }
            Self { limits, .. } if limits.message_bytes_max > 256 * 1024 => {
                fail("limits.message_bytes_max", "must be at most 262144: NATS carries messages up to 1 MiB")
            }
            Self { limits, .. } if !(1..=1_000).contains(&limits.overview_items_max) => {
                fail("limits.overview_items_max", "must be between 1 and 1000: NATS carries messages up to 1 MiB")
            }
            Self { limits, .. } if limits.frame_bytes_max < limits.message_bytes_max => {
                fail("limits.frame_bytes_max", "must be at least `limits.message_bytes_max`")
            }
            _ => Ok(()),
        }
    }

    /// What the listener shows, if it speaks TLS.
    pub fn tls(&self) -> Option<TlsFiles> {
        TlsFiles::of(self.tls_cert_file.as_ref(), self.tls_key_file.as_ref())
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms.into())
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms.into())
    }

    pub(crate) fn audit_interval(&self) -> Duration {
        Duration::from_millis(self.audit_interval_ms.into())
    }

    pub(crate) fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval_ms.into())
    }
}
