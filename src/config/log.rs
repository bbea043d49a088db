//! `[log]`: what is written to standard error, and in which form.

use tracing_subscriber::EnvFilter;

use super::{
    problem::{Wrong, quoted},
    reader::Reader,
};

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `filter`: a level (`error`, `warn`, `info`, `debug`, `trace`), or `tracing`'s directives with one a
    /// target, as in `info,gatepost::session=debug`. Always one that `EnvFilter` accepts. Default `info`.
    pub filter: String,
    /// `format`. Default `text`.
    pub format: Format,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people and the journal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads `[log]`.
pub(super) fn log(mut reader: Reader<'_>) -> Log {
    let filter = reader.text("filter", filter);
    let format = reader.one_of("format", &[("text", Format::Text), ("json", Format::Json)], &[]);
    reader.finish();
    Log { filter: filter.unwrap_or_else(|| "info".to_owned()), format: format.unwrap_or(Format::Text) }
}

fn filter(text: &str) -> Result<String, Wrong> {
    // `EnvFilter` takes any one word for a target, "inof" too, and then logs nothing else.
    let level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|level| level.eq_ignore_ascii_case(word))
    };
    let directives = || text.split(',').map(str::trim);
    let sound = directives().all(|directive| level(directive) || directive.contains(['=', '[']));
    if sound && EnvFilter::builder().parse(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("{} is no log filter", quoted(text)),
        "write error, warn, info, debug or trace, or such as \"info,gatepost::session=debug\"",
    ))
}
