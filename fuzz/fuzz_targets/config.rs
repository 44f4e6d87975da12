//! The whole configuration: taken, or refused in one sentence.
//!
//! Lines `NATTER_…=…` are variables of the environment, lines `--set …=…` flags, and all others the
//! file's.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use natter_config::Config;

fuzz_target!(|text: &str| {
    let (mut file, mut environment, mut flags) = (String::new(), Vec::new(), Vec::new());
    for line in text.split('\n') {
        let pair = |text: &str| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        if line.starts_with("NATTER_") && let Some(variable) = pair(line) {
            environment.push(variable);
        } else if let Some(flag) = line.strip_prefix("--set ").and_then(pair) {
            flags.push(flag);
        } else {
            file.push_str(line);
            file.push('\n');
        }
    }
    if let Err(error) = Config::from_layers(Some((Path::new("natter.toml"), &file)), &environment, &flags) {
        let said = error.to_string();
        assert!(!said.is_empty() && !said.contains('\n'), "{said}");
    }
});
