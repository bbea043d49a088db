//! Where events go: to standard error, which the journal reads.

use std::io::{self, IsTerminal as _, Write as _};

use tracing::{Dispatch, Level};
use tracing_subscriber::{
    EnvFilter, Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
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
            install(log, buffer.clone(), move |line| lines.take(line), Some(buffer));
            Some(flush)
        }
        Err(_) => {
            // There is nowhere to tell that there is nowhere to write to.
            install(log, io::stderr, |line| drop(io::stderr().write_all(line)), None);
            None
        }
    }
}

fn install<W>(
    log: &config::Log,
    out: W,
    lines: impl Fn(&[u8]) + Send + Sync + 'static,
    buffer: Option<Buffer>,
) where
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
        prepared::wanted(buffer.filter(|_| wants_decisions(&log.filter)));
    }
}

/// Whether a filter wants the events of all logins, whatever is in them. One that names spans or fields is not asked.
fn wants_decisions(filter: &str) -> bool {
    let targets = filter.parse::<Targets>().ok().filter(|_| !filter.contains('['));
    targets.is_some_and(|targets| targets.would_enable(super::decided::TARGET, &Level::INFO))
}

#[cfg(test)]
mod tests {
    use super::wants_decisions;

    #[test]
    fn only_a_filter_that_surely_wants_all_logins_is_not_asked_about_each() {
        for (filter, wants) in [
            ("info", true),
            ("debug", true),
            ("warn,gatepost=info", true),
            ("warn,gatepost::observe=info", true),
            ("warn", false),
            ("info,gatepost=warn", false),
            ("info,gatepost::observe::decided=off", false),
            ("info,[login{user=x}]=debug", false),
            ("info,gatepost[{user}]=warn", false),
        ] {
            assert_eq!(wants_decisions(filter), wants, "{filter}");
        }
    }
}
