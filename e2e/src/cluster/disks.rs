//! Disks that tests fill.

use natter_testkit::SmallDisk;

use crate::folder::Folder;

/// Room for a scenario's messages, and for what the servers lay out in advance.
const MIB: u32 = 256;

/// Small disks below a deployment's stores.
pub(super) struct Disks {
    pub(super) nats: SmallDisk,
    pub(super) archive: SmallDisk,
}

impl Disks {
    pub(super) fn mount(folder: &Folder) -> Self {
        let disk = |name: &str| SmallDisk::mount(&folder.path().join(name), MIB);
        Self { nats: disk("nats"), archive: disk("archive") }
    }
}
