//! `gatepost check`: everything that `serve` would refuse, without starting.

use serde_json::json;

use super::{Answer, Common, Exit, small_runtime};
use crate::{config::Config, daemon, daemon::Failure};

pub(super) fn check(common: &Common) -> Answer {
    let loaded = match Config::load(common.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(problems) => return Answer::problems(&problems),
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Answer::failure(&Failure::Io("the runtime", error)),
    };
    let _inside = runtime.enter();
    if let Err(failure) = daemon::engine(&loaded.config) {
        return Answer::failure(&failure);
    }
    let files: Vec<_> = loaded.files.iter().map(|file| file.display().to_string()).collect();
    let config = &loaded.config;
    let text = if loaded.is_embedded() {
        "no configuration file; the embedded default is fine".to_owned()
    } else {
        format!(
            "fine: {} listeners, {} directories, from {}",
            config.listeners.len(),
            config.directories.len(),
            files.join(", "),
        )
    };
    let json = json!({
        "outcome": "valid", "files": files,
        "listeners": config.listeners.len(), "directories": config.directories.len(),
    });
    Answer { exit: Exit::Yes, text, json }
}
