//! What a gateway sends, as the client reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = natter_client::decode_server_frame(text);
});
