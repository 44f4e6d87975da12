//! A position token: there is one text for each position, and no other is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natter_ids::Position;

fuzz_target!(|token: &str| {
    if let Ok(position) = Position::parse(token) {
        assert_eq!(position.to_string(), token);
    }
});
