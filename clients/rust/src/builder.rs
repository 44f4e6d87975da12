//! Making a client.

use std::time::Duration;

use natter_ids::{DeviceId, Position};

use crate::{BuildError, Client, TokenSource, options::Options};

/// Settings of a [`Client`] to be.
#[derive(Debug)]
#[must_use = "nothing happens before `connect`"]
pub struct ClientBuilder(Options);

impl ClientBuilder {
    pub(crate) fn new(urls: Vec<String>, token: TokenSource) -> Self {
        Self(Options::new(urls, token))
    }

    /// Which installation this is; a random one when not set.
    pub fn device(mut self, device: DeviceId) -> Self {
        self.0.device = device;
        self
    }

    /// What people call the device, in their list of devices.
    pub fn device_name(mut self, name: impl Into<String>) -> Self {
        self.0.device_name = Some(name.into());
        self
    }

    /// Where the device stopped the last time: what [`Client::position`] said then. Without one
    /// the device is new and starts at the present.
    pub fn position(mut self, position: impl Into<Option<Position>>) -> Self {
        self.0.position = position.into();
        self
    }

    /// Whether the client tells the gateway which events it has handed to the application, as
    /// delivered, and after each connection asks for the marks it has missed. It does when not set.
    pub fn receipts(mut self, receipts: bool) -> Self {
        self.0.receipts = receipts;
        self
    }

    /// Up to where marks were known the last time: what [`Client::marks_position`] said then.
    /// Without one only marks that change from now on are told.
    pub fn marks_position(mut self, position: impl Into<Option<Position>>) -> Self {
        self.0.marks_position = position.into();
        self
    }

    /// Drops all notifications, for an application that only sends and asks.
    pub fn discard_events(mut self) -> Self {
        self.0.events = false;
        self
    }

    /// How many notifications wait for the application, at least 1; 256 when not set. When that
    /// many wait the client stops reading, and answers to requests wait too.
    pub fn event_capacity(mut self, capacity: usize) -> Self {
        self.0.event_capacity = capacity.max(1);
        self
    }

    /// How many messages of one conversation are sent before the first is answered, at least 1.
    ///
    /// With 1, the default, messages stay in order whatever happens. With more, a message that
    /// the gateway refuses for a moment is overtaken by those sent behind it.
    pub fn pipeline(mut self, depth: usize) -> Self {
        self.0.pipeline = depth.max(1);
        self
    }

    /// How long [`Client::send`] tries; for ever when not set.
    pub fn send_deadline(mut self, deadline: Duration) -> Self {
        self.0.send_deadline = Some(deadline);
        self
    }

    /// How long requests other than sends try; 30 seconds when not set.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.0.request_timeout = timeout;
        self
    }

    /// How long a gateway may take until `welcome`; 10 seconds when not set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.0.connect_timeout = timeout;
        self
    }

    /// The shortest and longest wait before connecting again; 100 milliseconds and 5 seconds when
    /// not set.
    pub fn backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.0.backoff_min, self.0.backoff_max) = (min, max);
        self
    }

    /// Trusts only gateways whose certificate leads to one of these, in PEM form; without this,
    /// those that browsers trust.
    ///
    /// # Errors
    /// [`BuildError::Certificates`].
    #[cfg(feature = "tls")]
    pub fn trust_pem(mut self, pem: &[u8]) -> Result<Self, BuildError> {
        self.0.trust = Some(crate::trust::Trust::in_pem(pem)?);
        Ok(self)
    }

    /// Starts the client. It connects in the background; must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`] when no address, or one that is none of a gateway, was given.
    pub fn connect(mut self) -> Result<Client, BuildError> {
        if self.0.urls.is_empty() {
            return Err(BuildError::NoGateway);
        }
        if let Some(url) = self.0.urls.iter().find(|url| !url.starts_with("ws://") && !url.starts_with("wss://")) {
            return Err(BuildError::Address(url.clone()));
        }
        #[cfg(not(feature = "tls"))]
        if let Some(url) = self.0.urls.iter().find(|url| url.starts_with("wss://")) {
            return Err(BuildError::NoTls(url.clone()));
        }
        #[cfg(feature = "tls")]
        if self.0.trust.is_none() && self.0.urls.iter().any(|url| url.starts_with("wss://")) {
            self.0.trust = Some(crate::trust::Trust::usual()?);
        }
        Ok(Client::start(self.0))
    }
}
