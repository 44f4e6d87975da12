//! The wire format, pinned: golden texts, properties over all frames, and the tables of codes.

#![allow(clippy::unwrap_used)]

mod golden;
mod golden_client;
mod golden_groups;
mod golden_server;
mod properties;
mod strategies;
mod tables;
