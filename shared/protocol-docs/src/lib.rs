//! Documents of the wire protocol, generated from its types and checked in, so that a change of
//! the protocol shows as a change of the documents.
//!
//! ```text
//! docs/protocol/natter.v1.schema.json   JSON Schema 2020-12 of every frame and HTTP body
//! docs/protocol/asyncapi.json           AsyncAPI 3.0 of the WebSocket
//! docs/protocol/openapi.json            OpenAPI 3.1 of the HTTP API
//! docs/protocol.md                      the parts between `begin generated` and `end generated`
//! ```
//!
//! `cargo run -p natter-protocol-docs` rewrites them; a test of this crate fails when they are stale.

mod advice;
mod asyncapi;
mod examples;
mod http_api;
mod http_changes;
mod http_groups;
mod http_marks;
mod json_schema;
mod markdown;
mod openapi;
mod page;
mod wire;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::Value;

pub use examples::{client_examples, server_examples};

/// A generated file.
#[derive(Debug)]
pub struct Document {
    /// Its path below `docs/`.
    pub path: &'static str,
    /// What it must hold.
    pub text: String,
}

impl Document {
    fn json(path: &'static str, value: &Value) -> anyhow::Result<Self> {
        Ok(Self { path, text: serde_json::to_string_pretty(value)? + "\n" })
    }
}

/// The workspace's `docs/`.
pub fn docs_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// Makes every document. Of `protocol.md` in `docs`, which must exist, only the marked parts
/// are replaced.
///
/// # Errors
/// A frame without an example or advice, a page that cannot be read, or a mark that is missing.
pub fn generate(docs: &Path) -> anyhow::Result<Vec<Document>> {
    let wire = wire::Wire::read()?;
    let page = docs.join("protocol.md");
    let page = fs::read_to_string(&page).with_context(|| format!("{} cannot be read", page.display()))?;
    Ok(vec![
        Document::json("protocol/natter.v1.schema.json", &json_schema::document(&wire))?,
        Document::json("protocol/asyncapi.json", &asyncapi::document(&wire)?)?,
        Document::json("protocol/openapi.json", &openapi::document(&wire)?)?,
        Document { path: "protocol.md", text: page::fill(&page, &wire)? },
    ])
}
