//! What gateways tell.

use natter_ids::{GatewayId, UserId};
use serde::{Deserialize, Serialize};

/// A user whose last device at a gateway has gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Who.
    pub user: UserId,
    /// When, in milliseconds since 1970 UTC.
    pub at: u64,
}

/// What a user wants others to see of them, at one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserStatus {
    /// Who.
    pub user: UserId,
    /// All of it.
    #[serde(flatten)]
    pub status: Status,
}

/// What others are to see of somebody who is online.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// They are at none of their devices.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
    /// They are not to be seen at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// A numbered report of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayReport {
    /// Which gateway.
    pub gateway: GatewayId,
    /// When that process started, in milliseconds since 1970 UTC: numbers begin anew with it.
    pub epoch: u64,
    /// Counts the changes; a beat repeats the number of the last change.
    pub number: u64,
    /// Whether it listens to an inbox of its own, beside those of its users: versions before that
    /// knew it do not.
    #[serde(default)]
    pub has_inbox: bool,
    /// What is reported.
    #[serde(flatten)]
    pub kind: ReportKind,
}

/// What a gateway reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReportKind {
    /// The gateway lives; nothing changed since the number.
    Beat,
    /// These came and went.
    Delta {
        /// Users whose first device connected.
        joined: Vec<UserId>,
        /// Users whose last device went.
        left: Vec<Left>,
    },
    /// Everybody connected as of the number, in parts that are sent one after the other.
    Full {
        /// This part, from 0.
        part: u32,
        /// How many parts.
        parts: u32,
        /// The users of this part.
        users: Vec<UserId>,
    },
    /// What users want others to see of them has changed.
    Status {
        /// Whether whoever is not listed wants nothing.
        whole: bool,
        /// Of these users, all of it.
        users: Vec<UserStatus>,
    },
    /// The gateway ends by itself.
    Gone {
        /// When, in milliseconds since 1970 UTC.
        at: u64,
    },
}
