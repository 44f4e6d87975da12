//! Delivery with a real nats-server and a real archive: what arrives in inboxes.
#![allow(clippy::unwrap_used, missing_docs)]

mod events;
mod large;
mod markers;
mod replicas;
mod world;
