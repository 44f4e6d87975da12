//! Rewrites the generated documents in `docs/`.

use std::{
    fs,
    io::{Write, stdout},
};

use anyhow::Context;
use natter_protocol_docs::{Document, docs_dir, generate};

fn main() -> anyhow::Result<()> {
    let docs = docs_dir();
    for Document { path, text } in generate(&docs)? {
        let file = docs.join(path);
        let said = if fs::read_to_string(&file).is_ok_and(|old| old == text) {
            "is up to date"
        } else {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
            "was rewritten"
        };
        writeln!(stdout(), "docs/{path} {said}")?;
    }
    Ok(())
}
