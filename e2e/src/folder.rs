//! Where a deployment keeps everything.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

/// A folder that goes with the test, unless the test fails.
pub(crate) struct Folder(Mutex<Option<TempDir>>, PathBuf);

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("natter-e2e-").tempdir().expect("a temporary folder");
        let path = folder.path().to_owned();
        Self(Mutex::new(Some(folder)), path)
    }

    pub fn path(&self) -> &Path {
        &self.1
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let folder = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(folder) = folder.filter(|_| std::thread::panicking()) {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Not captured by the test harness: also a run that shows no output tells.
            let _ = writeln!(
                std::io::stderr(),
                "{test} failed: logs (*.log), stores (nats/, archive.db) and histories (*.jsonl) are in {}",
                folder.keep().display()
            );
        }
    }
}
