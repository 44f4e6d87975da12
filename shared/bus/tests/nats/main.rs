//! The bus against a real nats-server, one for each test.
#![allow(clippy::unwrap_used, missing_docs)]

mod append;
mod definitions;
mod erase;
mod live;
mod partitions;
mod permissions;
mod presence;
mod reader;
mod request;
mod restore;
mod tickets;
mod upgrade;
mod users;
mod worker;
mod world;
