//! The devices of a user, as the user sees them.

use natter_ids::DeviceId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device of the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceView {
    /// Which.
    pub device: DeviceId,
    /// What people call it, when it has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it connected first, in milliseconds since 1970 UTC.
    pub first_seen: u64,
    /// When it was here last, in milliseconds since 1970 UTC; of a device that is connected, up to an
    /// hour ago.
    pub last_seen: u64,
    /// Whether it has a session now, as far as is known: a gateway that dies takes up to two hours to
    /// be seen through.
    pub connected: bool,
    /// Whether it is the device that asks; never over HTTP, which has none.
    pub current: bool,
}

/// All devices of the user that were not signed out, the one seen last first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DevicePage {
    /// The devices.
    pub devices: Vec<DeviceView>,
}
