//! What a client sends: read, or refused with a code; what is read says the same when written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natter_protocol::decode_client_frame;

fuzz_target!(|text: &str| {
    if let Ok(frame) = decode_client_frame(text) {
        let written = serde_json::to_string(&frame).expect("a frame can be written");
        let again = decode_client_frame(&written).expect("a written frame can be read");
        assert_eq!(frame, again);
    }
});
