//! How a session begins.

use natter_ids::{DeviceId, Position};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a session begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// Which installation this is.
    pub device: DeviceId,
    /// What people call the device, such as `Alice's phone`, up to `device_name_bytes_max` bytes; absent:
    /// the one that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the device stopped; absent for a new device, which starts at the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// A token, when none came with the HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}
