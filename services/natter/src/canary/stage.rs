//! What is measured, and what can go wrong.

use std::time::Duration;

use natter_ids::UserId;

/// A part of the path, or a promise about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From nothing to `welcome`.
    Connect,
    /// From the send to the answer that the log has stored it.
    Accepted,
    /// From the send to the other user's device.
    Delivered,
    /// From nothing to everything that was missed.
    Resumed,
    /// A message came after a later one.
    Order,
    /// A message came twice.
    Double,
    /// An accepted message was left out.
    Lost,
}

impl Stage {
    pub const ALL: [Self; 7] =
        [Self::Connect, Self::Accepted, Self::Delivered, Self::Resumed, Self::Order, Self::Double, Self::Lost];
    /// Those that take time.
    pub const TIMED: [Self; 4] = [Self::Connect, Self::Accepted, Self::Delivered, Self::Resumed];

    /// The label of the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Resumed => "resumed",
            Self::Order => "order",
            Self::Double => "double",
            Self::Lost => "lost",
        }
    }

    /// What to look at when it fails.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Connect => {
                "is the address one of a gateway, is the gateway ready (/health/ready), is the token one that it trusts?"
            }
            Self::Accepted => "is NATS up, and do the streams have their leaders? `natter doctor` tells",
            Self::Delivered => "does delivery run, and how far behind is it? `natter doctor` tells",
            Self::Resumed => "do storage and delivery run, and how far behind are they? `natter doctor` tells",
            Self::Order | Self::Double | Self::Lost => {
                "this breaks a guarantee: keep the logs of gateways, delivery and storage, and report it"
            }
        }
    }
}

/// A stage that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub stage: Stage,
    /// The user at whose device it was seen.
    pub user: UserId,
    pub said: String,
}

/// How one stage went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed { stage: Stage, user: UserId, took: Duration },
    Failed(Failure),
}
