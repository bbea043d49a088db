//! `gatepost check`: everything that `serve` would refuse, without starting, and which directories do not answer now.

use serde_json::json;

use super::{Answer, Common, Exit, small_runtime};
use crate::{
    config::Config,
    daemon::{self, Failure},
    decision::Engine,
};

pub(super) fn check(common: &Common) -> Answer {
    let loaded = match Config::load(common.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(problems) => return Answer::problems(&problems),
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Answer::failure(&Failure::Io("the runtime", error)),
    };
    let inside = runtime.enter();
    let engine = match daemon::engine(&loaded.config) {
        Ok(engine) => engine,
        Err(failure) => return Answer::failure(&failure),
    };
    drop(inside);
    let unavailable = match runtime.block_on(silent(&engine, loaded.is_embedded())) {
        Ok(unavailable) => unavailable,
        Err(failure) => return Answer::failure(&failure),
    };
    let files: Vec<_> = loaded.files.iter().map(|file| file.display().to_string()).collect();
    let config = &loaded.config;
    let mut text = if loaded.is_embedded() {
        "no configuration file; the embedded default is fine".to_owned()
    } else {
        format!(
            "fine: {} listeners, {} directories, from {}",
            config.listeners.len(),
            config.directories.len(),
            files.join(", "),
        )
    };
    for warning in &unavailable {
        text.push_str("\nbut for now ");
        text.push_str(warning);
    }
    let json = json!({
        "outcome": "valid", "files": files, "unavailable": unavailable,
        "listeners": config.listeners.len(), "directories": config.directories.len(),
    });
    Answer { exit: Exit::Yes, text, json }
}

/// The directories that do not answer, and the app passwords if they cannot be read. With them the daemon starts, and all who are in them get temporary failures:
/// the path of a passwd-file may be mistyped.
async fn silent(engine: &Engine, is_embedded: bool) -> Result<Vec<String>, Failure> {
    if is_embedded {
        return Ok(Vec::new());
    }
    let unavailable = engine.chain().examine().await.map_err(Failure::Misfits)?;
    let unavailable = unavailable.into_iter().chain(engine.app_passwords().look().await);
    Ok(unavailable.map(|unavailable| unavailable.to_string()).collect())
}
