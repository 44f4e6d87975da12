//! Tokens of every kind against the verifier.
#![allow(clippy::unwrap_used, missing_docs)]

mod algorithms;
mod claims;
mod garbage;
mod keys;
mod rotation;
mod source;
