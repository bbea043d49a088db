//! An event as a line of text.

use std::{
    cell::Cell,
    fmt::{self, Write as _},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{prepared, time};

/// Writes each event as a line: `<time> <level> <message> [<name>=<value>]*`, the form that tracing-subscriber has by
/// default, without colours.
///
/// Its own code for this dresses each name and sign for a terminal, also where there is none; with an event a decision
/// that would be the larger part of what a login costs. Spans are left out: there are none.
pub(super) struct Lines<W>(pub(super) W);

impl<S: Subscriber, W: Fn(&[u8]) + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if prepared::write_to(&self.0) {
            return;
        }
        // It is not there for an event within an event, or when the thread is at its end.
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.clear();
        let now = time::now();
        line.extend_from_slice(&time::second(now.as_secs()));
        line.extend_from_slice(&time::micros(now.subsec_micros()));
        line.extend_from_slice(level(*event.metadata().level()));
        event.record(&mut Fields(&mut line));
        line.push(b'\n');
        self.0(&line);
        if line.capacity() <= LONG {
            let _ = LINE.try_with(|last| last.set(line));
        }
    }
}

/// More memory than this is not kept for the next line.
const LONG: usize = 16 * 1024;

thread_local! {
    /// The memory of the last line.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Appends each with a blank before it.
struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    /// Begins a field, if it is written.
    fn begin(&mut self, name: &str) -> bool {
        match name {
            "message" => self.0.push(b' '),
            // Where an event of the `log` crate comes from.
            name if name.starts_with("log.") => return false,
            name => {
                self.0.push(b' ');
                self.0.extend_from_slice(name.as_bytes());
                self.0.push(b'=');
            }
        }
        true
    }
}

impl Visit for Fields<'_> {
    /// In quotes, and escaped, unless it is the message.
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.begin(field.name()) {
            // Of a value that cannot show itself the rest is left out: the line is worth more than that.
            let _ = write!(self, "{value:?}");
        }
    }
}

impl fmt::Write for Fields<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

pub(super) const fn level(level: Level) -> &'static [u8; 6] {
    match level {
        Level::ERROR => b" ERROR",
        Level::WARN => b"  WARN",
        Level::INFO => b"  INFO",
        Level::DEBUG => b" DEBUG",
        Level::TRACE => b" TRACE",
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing::{debug, error, info, warn};

    use crate::observe::tests::{by_the_library, lines};

    fn both(events: fn()) -> [Vec<String>; 2] {
        [lines(events), by_the_library(events)]
    }

    #[test]
    fn an_event_is_written_as_it_would_be_by_default() {
        let events = || {
            info!("ready");
            info!(sockets = 4, took_ms = 0.5, fine = true, "ready");
            warn!(what = %"a b", which = ?Some("c"), none = Option::<u8>::None, some = Some("x"), "careful");
            error!(error = %io::Error::other("broken"), "gone");
            debug!(r#type = "raw", "{} and {}", 1, "two");
            info!(only = "fields");
        };
        let [ours, theirs] = both(events);
        assert_eq!(ours, theirs);
        assert_eq!(ours.len(), 6);
    }

    #[test]
    fn what_others_chose_stays_on_its_line_and_in_its_quotes() {
        let events = || {
            for text in ["plain", "a\" outcome=\"b", "a\\", "\n\r\t\0\u{1b}[2J", "ü\u{9b}\u{2028}", ""] {
                info!(user = text, "decided");
            }
        };
        let [ours, theirs] = both(events);
        assert_eq!(ours, theirs);
        assert_eq!(ours[1], r#" INFO decided user="a\" outcome=\"b""#);
    }

    #[test]
    fn every_character_of_a_string_is_written_as_it_would_be_by_default() {
        let events = || {
            for character in ('\0'..'\u{250}').chain(['\u{2028}', '\u{202e}', '\u{feff}', '\u{10ffff}']) {
                info!(alone = &*character.to_string(), within = &*format!("of{character}others"), "said");
            }
        };
        let [ours, theirs] = both(events);
        assert_eq!(ours, theirs);
        assert_eq!(ours.len(), 0x254);
    }
}
