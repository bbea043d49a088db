//! A configuration file: problems or a configuration, never a panic. A reload must not end the daemon.
#![no_main]

use std::path::Path;

use gatepost::config::{Config, Surroundings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Secrets would be read from wherever a path points to.
    if text.contains("_file") || text.contains("_credential") {
        return;
    }
    let around = Surroundings {
        state_dir: Some("/var/lib/gatepost".into()),
        runtime_dir: Some("/run/gatepost".into()),
        ..Surroundings::none()
    };
    match Config::from_texts(&[(Path::new("gatepost.toml"), text)], &around) {
        Ok(config) => assert!(!config.directories.is_empty() && !config.sasl.mechanisms.is_empty()),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
