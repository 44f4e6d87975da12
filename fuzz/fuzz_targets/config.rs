//! A section of the configuration file: taken, or refused with the key at fault.
#![no_main]

use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let over = |defaults: Figment| defaults.merge(Toml::string(text));
    let connection = over(Figment::from(Serialized::defaults(natter_connection::Config::default())));
    if let Ok(config) = connection.extract::<natter_connection::Config>() {
        let _ = config.validate();
    }
    let bus = over(Figment::from(Serialized::defaults(natter_bus::Config::default())));
    if let Ok(config) = bus.extract::<natter_bus::Config>() {
        let _ = config.validate();
    }
});
