//! A small file system that can be full.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A file system in memory over a folder. Unmounted when this value is dropped; what wrote into it
/// must be gone by then, or goes with its files.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Whether this process may mount one, found out by mounting one; otherwise a sentence that
    /// says what it takes.
    ///
    /// # Errors
    /// That sentence.
    pub fn possible() -> Result<(), String> {
        let tried = tempfile::tempdir().map_err(|error| error.to_string())?;
        match mount(tried.path(), 1) {
            true => drop(Self { folder: tried.path().to_owned() }),
            false => return Err("mounting a small file system takes root on Linux".to_owned()),
        }
        Ok(())
    }

    /// Mounts so many MiB over the folder, which is made when it is missing.
    ///
    /// # Panics
    /// When it cannot be mounted.
    pub fn mount(folder: &Path, mib: u32) -> Self {
        fs::create_dir_all(folder).expect("a folder to mount on");
        assert!(mount(folder, mib), "a file system of {mib} MiB cannot be mounted");
        Self { folder: folder.to_owned() }
    }

    /// Fills what is left, to the last byte.
    ///
    /// # Panics
    /// When the filler cannot be made.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file that fills the disk");
        let mut size = 1024 * 1024;
        let bytes = vec![0x5a; size];
        // Whatever the others take meanwhile, nothing is left at the end.
        while size > 0 {
            match filler.write(&bytes[..size]) {
                Ok(1..) => {}
                _ => size /= 2,
            }
        }
    }

    /// Makes room again.
    ///
    /// # Panics
    /// When the filler cannot be removed.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("the file that fills the disk is removed");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

fn mount(folder: &Path, mib: u32) -> bool {
    let size = format!("size={mib}m,mode=777");
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &size, "natter-small-disk"]).arg(folder);
    command.output().is_ok_and(|output| output.status.success())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever writes there still is killed at this very moment.
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}
