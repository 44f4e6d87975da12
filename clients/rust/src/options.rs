//! Settings of a client.

use std::time::Duration;

use natter_ids::{DeviceId, Position};

use crate::TokenSource;

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub urls: Vec<String>,
    pub token: TokenSource,
    pub device: DeviceId,
    pub device_name: Option<String>,
    pub position: Option<Position>,
    /// Whether notifications reach the application at all.
    pub events: bool,
    pub event_capacity: usize,
    /// Whether the client tells what the application was handed, and asks for marks it has missed.
    pub receipts: bool,
    /// Up to where marks are known.
    pub marks_position: Option<Position>,
    /// Messages of one conversation on the wire at once.
    pub pipeline: usize,
    pub send_deadline: Option<Duration>,
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
    pub write_timeout: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// How gateways are checked; made at the first use of a `wss://` address when not set.
    #[cfg(feature = "tls")]
    pub trust: Option<crate::trust::Trust>,
}

impl Options {
    pub fn new(urls: Vec<String>, token: TokenSource) -> Self {
        Self {
            urls,
            token,
            device: DeviceId::random(),
            device_name: None,
            position: None,
            events: true,
            event_capacity: 256,
            receipts: true,
            marks_position: None,
            pipeline: 1,
            send_deadline: None,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            #[cfg(feature = "tls")]
            trust: None,
        }
    }
}
