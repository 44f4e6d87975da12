//! An entry of the log: read, or poison; what is read says the same when written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natter_protocol::Entry;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = serde_json::from_slice::<Entry>(bytes) {
        let written = serde_json::to_vec(&entry).expect("an entry can be written");
        let again: Entry = serde_json::from_slice(&written).expect("a written entry can be read");
        assert_eq!(entry, again);
    }
});
