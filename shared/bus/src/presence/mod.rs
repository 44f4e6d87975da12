//! Who is online, as gateways report it.
//!
//! Every gateway numbers its reports. Whoever keeps a [`Registry`] of them notices a missing one
//! and asks all gateways to report in full. A gateway that falls silent takes its users with it.

mod registry;
mod verbs;
mod wire;

pub use registry::{Registry, Slot, Transition};
pub use verbs::{GatewayReports, PresenceChanges, RefreshRequests};
pub use wire::{GatewayReport, Left, ReportKind, Status, UserStatus};
