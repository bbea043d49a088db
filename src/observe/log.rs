//! Where events go: to standard error, which the journal reads.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config;

/// Starts the log. Events before this are lost, so it comes first.
///
/// Text of others is written in quotes and escaped (string values at the events, not `%`); colours only where
/// somebody looks at a terminal.
pub fn start(log: &config::Log) {
    let filter = EnvFilter::builder().parse_lossy(&log.filter);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second start (in tests) keeps the first one's log.
    let _ = match log.format {
        // The journal and Docker put the time to each line themselves, but a file does not.
        config::Format::Text => builder.try_init(),
        config::Format::Json => builder.json().flatten_event(true).try_init(),
    };
}
