//! Where events go: to standard error, which the journal reads.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

pub use super::buffer::Flush;
use super::{buffer::Buffer, line::Line};
use crate::config;

/// Starts the log. Events before this are lost, so it comes first; those of the last moment are written when what this
/// gives is dropped, so that goes last.
///
/// Text of others is written in quotes and escaped (string values at the events, not `%`); colours only where
/// somebody looks at a terminal.
pub fn start(log: &config::Log) -> Option<Flush> {
    let filter = EnvFilter::builder().parse_lossy(&log.filter);
    // Without a thread that gathers them, events are written one by one, by whoever has them.
    let (writer, flush) = match Buffer::start(io::stderr()) {
        Ok((buffer, flush)) => (BoxMakeWriter::new(buffer), Some(flush)),
        Err(_) => (BoxMakeWriter::new(io::stderr), None),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    // A second start (in tests) keeps the first one's log.
    let _ = match log.format {
        // The journal and Docker put the time to each line themselves, but a file does not.
        config::Format::Text if io::stderr().is_terminal() => builder.try_init(),
        config::Format::Text => builder.event_format(Line).try_init(),
        config::Format::Json => builder.json().flatten_event(true).try_init(),
    };
    flush
}
