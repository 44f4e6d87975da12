//! Where a user's device stopped, kept between visits.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use anyhow::Context;
use natter_ids::{DeviceId, Position, UserId};
use serde::{Deserialize, Serialize};

use super::session::Session;
use crate::tokens::write_private;

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    device: DeviceId,
    position: Option<Position>,
}

/// The device of a user on this machine, and how far it has come.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    saved: Saved,
    /// `None`: another chat of the same user runs, and the place is its to keep.
    lock: Option<File>,
}

impl Place {
    /// Reads what the last visit left. While another chat of the same user runs, this one is a
    /// device of its own that is forgotten.
    ///
    /// # Errors
    /// A sentence with the path, when it cannot be read or written.
    pub fn open(data_dir: &Path, user: &UserId) -> anyhow::Result<Self> {
        let folder = data_dir.join("chat");
        let path = folder.join(format!("{}.json", user.token()));
        let cannot = || format!("{} cannot be used", path.display());
        std::fs::create_dir_all(&folder).with_context(cannot)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path.with_extension("lock"));
        let lock = Some(lock.with_context(cannot)?).filter(|lock| lock.try_lock().is_ok());
        let new = || Saved { device: DeviceId::random(), position: None };
        let saved = match std::fs::read(&path) {
            // A file that cannot be read costs a look at history, no message.
            Ok(bytes) if lock.is_some() => serde_json::from_slice(&bytes).unwrap_or_else(|_| new()),
            _ => new(),
        };
        Ok(Self { path, saved, lock })
    }

    /// Which device this is.
    pub fn device(&self) -> DeviceId {
        self.saved.device.clone()
    }

    /// Where it stopped; `None` on the first visit.
    pub fn position(&self) -> Option<Position> {
        self.saved.position.clone()
    }

    /// Whether the next visit starts from here.
    pub fn is_kept(&self) -> bool {
        self.lock.is_some()
    }

    /// Forgets the device: it was signed out, and the next visit is one of a new device.
    ///
    /// # Errors
    /// A sentence with the path, when it cannot be removed.
    pub fn forget(&mut self) -> anyhow::Result<()> {
        if !self.is_kept() || !self.path.exists() {
            return Ok(());
        }
        self.saved.position = None;
        std::fs::remove_file(&self.path).with_context(|| format!("{} cannot be removed", self.path.display()))
    }

    /// Keeps the position. Everything up to it has been shown.
    ///
    /// # Errors
    /// A sentence with the path, when it cannot be written.
    pub fn keep(&mut self, position: Option<Position>) -> anyhow::Result<()> {
        if !self.is_kept() || position.is_none() || position == self.saved.position {
            return Ok(());
        }
        self.saved.position = position;
        let text = serde_json::to_string(&self.saved)?;
        write_private(&self.path, &text).with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

impl Session {
    /// Keeps the place for the next visit; returns how many messages are not known to be stored.
    pub fn end(&mut self) -> usize {
        if self.client.fatal().is_some_and(super::account::is_signed_out) {
            if let Err(error) = self.place.forget() {
                self.fail(&format!("{error:#}"));
            }
        } else {
            self.keep_place();
        }
        self.outbox.unconfirmed()
    }

    pub(super) fn keep_place(&mut self) {
        // Before the start, and while some wait for what may be missing, events have been read that nobody has seen.
        if self.entered
            && !self.gap.is_open()
            && let Err(error) = self.place.keep(self.client.position())
        {
            self.fail(&format!("{error:#}"));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_place_comes_back_on_the_next_visit() {
        let folder = tempfile::tempdir().unwrap();
        let user = UserId::new("a/../b 🦀").unwrap();
        let mut first = Place::open(folder.path(), &user).unwrap();
        assert_eq!(first.position(), None);
        let position = Position::from_seqs([7]);
        first.keep(Some(position.clone())).unwrap();
        // A second window is another device, and keeps nothing.
        let mut beside = Place::open(folder.path(), &user).unwrap();
        assert_eq!((beside.is_kept(), beside.position()), (false, None));
        assert_ne!(beside.device(), first.device());
        beside.keep(Some(Position::from_seqs([1]))).unwrap();
        let device = first.device();
        drop(first);
        let mut again = Place::open(folder.path(), &user).unwrap();
        assert_eq!((again.device(), again.position()), (device.clone(), Some(position)));
        again.forget().unwrap();
        drop(again);
        let signed_out = Place::open(folder.path(), &user).unwrap();
        assert_ne!(signed_out.device(), device);
        assert_eq!(signed_out.position(), None);
    }
}
