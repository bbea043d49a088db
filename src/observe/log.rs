//! Where events go: to standard error, which the journal reads.

use std::io::{self, IsTerminal as _, Write as _};

use tracing::Dispatch;
use tracing_subscriber::{
    EnvFilter, Registry, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

pub use super::buffer::Flush;
use super::{buffer::Buffer, line::Lines, prepared};
use crate::config;

/// Starts the log. Events before this are lost, so it comes first; those of the last moment are written when what this
/// gives is dropped, so that goes last.
///
/// Text of others is written in quotes and escaped (string values at the events, not `%`); colours only where
/// somebody looks at a terminal.
pub fn start(log: &config::Log) -> Option<Flush> {
    // Without a thread that gathers them, events are written one by one, by whoever has them.
    match Buffer::start(io::stderr()) {
        Ok((buffer, flush)) => {
            let lines = buffer.clone();
            install(log, buffer, move |line| lines.take(line));
            Some(flush)
        }
        Err(_) => {
            // There is nowhere to tell that there is nowhere to write to.
            install(log, io::stderr, |line| drop(io::stderr().write_all(line)));
            None
        }
    }
}

fn install<W>(log: &config::Log, out: W, lines: impl Fn(&[u8]) + Send + Sync + 'static)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse_lossy(&log.filter);
    let library = |out| tracing_subscriber::fmt().with_writer(out).with_target(false);
    let subscriber: Dispatch = match log.format {
        // The journal and Docker put the time to each line themselves, but a file does not.
        config::Format::Text if io::stderr().is_terminal() => library(out).with_env_filter(filter).into(),
        config::Format::Text => Registry::default().with(filter).with(Lines(lines)).into(),
        config::Format::Json => library(out).json().flatten_event(true).with_env_filter(filter).into(),
    };
    // A second start (in tests) keeps the first one's log.
    if subscriber.try_init().is_ok()
        && matches!(log.format, config::Format::Text)
        && !io::stderr().is_terminal()
    {
        prepared::wanted();
    }
}
