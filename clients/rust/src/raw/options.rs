//! How a raw connection is opened.

use std::{fmt, time::Duration};

/// How a [`RawConnection`](crate::RawConnection) is opened.
#[derive(Clone)]
pub struct RawOptions {
    /// The gateway's address, such as `ws://host:port`; the path is added when it has none.
    pub url: String,
    /// The token of the `Authorization` header; none when absent.
    pub token: Option<String>,
    /// What to offer in `Sec-WebSocket-Protocol`; `natter.v1` when absent, no such header when empty.
    pub subprotocols: Option<Vec<String>>,
    /// More headers, such as `Origin`. They replace those that a WebSocket needs, too.
    pub headers: Vec<(String, String)>,
    /// Size of the kernel's receive buffer, in bytes: a small one makes a slow reader.
    pub receive_buffer: Option<u32>,
    /// How a `wss://` gateway is checked; as browsers do when absent.
    #[cfg(feature = "tls")]
    pub(crate) trust: Option<crate::trust::Trust>,
    /// How long opening, and each write, may take.
    pub timeout: Duration,
}

impl RawOptions {
    /// An address, no token, 10 seconds.
    pub fn new(url: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(10);
        Self {
            url: url.into(),
            token: None,
            subprotocols: None,
            headers: Vec::new(),
            receive_buffer: None,
            #[cfg(feature = "tls")]
            trust: None,
            timeout,
        }
    }

    /// Trusts only a gateway whose certificate leads to one of these, in PEM form.
    ///
    /// # Errors
    /// [`BuildError::Certificates`](crate::BuildError::Certificates).
    #[cfg(feature = "tls")]
    pub fn trust_pem(mut self, pem: &[u8]) -> Result<Self, crate::BuildError> {
        self.trust = Some(crate::trust::Trust::in_pem(pem)?);
        Ok(self)
    }

    /// With a token in the `Authorization` header.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Offers these subprotocols.
    #[must_use]
    pub fn subprotocols<T: Into<String>>(mut self, offered: impl IntoIterator<Item = T>) -> Self {
        self.subprotocols = Some(offered.into_iter().map(Into::into).collect());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a receive buffer of so many bytes.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }
}

/// Leaves out what may hold a token.
impl fmt::Debug for RawOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawOptions").field("url", &self.url).finish_non_exhaustive()
    }
}
