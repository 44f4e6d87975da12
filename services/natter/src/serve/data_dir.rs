//! The data directory belongs to one process at a time.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use natter_config::ConfigError;

/// A data directory that nobody else uses until it is dropped, or the process dies.
#[derive(Debug)]
pub struct DataDir {
    /// Absolute.
    pub path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory when it is missing, and locks it.
    ///
    /// # Errors
    /// [`ConfigError`] when another process holds it; a sentence when it cannot be used.
    pub fn lock(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path).context("the current directory cannot be read")?;
        let cannot = |what: &str| format!("data_dir: {} cannot be {what}", path.display());
        // Other users of the machine have no business with messages.
        DirBuilder::new().recursive(true).mode(0o700).create(&path).with_context(|| cannot("made"))?;
        let lock_path = path.join("lock");
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(lock_path);
        let lock = open.with_context(|| cannot("written to"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let reason = format!("another `natter serve` is using {}", path.display());
                Err(ConfigError::key("data_dir", reason).into())
            }
            // Some file systems have no locks; the process identity check of the server's pid
            // file is then all there is.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "this file system has no locks: start `natter serve` only once here");
                Ok(Self { path, _lock: lock })
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| cannot("locked")),
        }
    }
}
