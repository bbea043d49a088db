//! An event as a line of text.

use std::{fmt, time::SystemTime};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// `<time> <level> <message> [<name>=<value>]*`, the form that tracing-subscriber has by default, without colours.
///
/// Its own code for this dresses each name and sign for a terminal, also where there is none, and takes more than twice
/// as long; with an event a decision that is a large part of what a login costs. Spans are left out: there are none.
pub(super) struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let time = humantime::format_rfc3339_micros(SystemTime::now());
        write!(out, "{time} {}", level(*event.metadata().level()))?;
        let mut fields = Fields { out: out.by_ref(), result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        out.write_char('\n')
    }
}

/// Writes each with a blank before it.
struct Fields<'a> {
    out: Writer<'a>,
    result: fmt::Result,
}

impl Fields<'_> {
    /// Writes the name of a field, and its value if the name was written.
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let name = field.name();
        // Where an event of the `log` crate comes from.
        if self.result.is_err() || name.starts_with("log.") {
            return;
        }
        self.result = self.out.write_char(' ').and_then(|()| match name {
            "message" => Ok(()),
            name => self.out.write_str(name).and_then(|()| self.out.write_char('=')),
        });
        self.result = self.result.and_then(|()| value(&mut self.out));
    }
}

impl Visit for Fields<'_> {
    /// In quotes, and escaped, unless it is the message.
    fn record_str(&mut self, field: &Field, value: &str) {
        // What needs no escape need not go through the formatting of what does.
        let simple = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
        match field.name() {
            "message" => self.put(field, |out| out.write_str(value)),
            _ if simple => self.put(field, |out| {
                out.write_char('"')?;
                out.write_str(value)?;
                out.write_char('"')
            }),
            _ => self.put(field, |out| write!(out, "{value:?}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, |out| write!(out, "{value:?}"));
    }
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => " WARN",
        Level::INFO => " INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::{debug, error, info, subscriber::with_default, warn};
    use tracing_subscriber::fmt::MakeWriter;

    use super::Line;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What is written of some events, without the times; with our own form and with the library's.
    fn written(events: fn()) -> [Vec<String>; 2] {
        let [ours, theirs] = [Written::default(), Written::default()];
        let builder = |written: &Written| {
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::DEBUG)
                .with_target(false)
                .with_ansi(false)
                .with_writer(written.clone())
        };
        with_default(builder(&ours).event_format(Line).finish(), events);
        with_default(builder(&theirs).finish(), events);
        [ours, theirs].map(|written| {
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
        })
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
        let [ours, theirs] = written(events);
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
        let [ours, theirs] = written(events);
        assert_eq!(ours, theirs);
        assert_eq!(ours[1], r#" INFO decided user="a\" outcome=\"b""#);
    }

    #[test]
    fn the_time_is_that_of_rfc_3339_in_microseconds() {
        let ours = Written::default();
        let subscriber = tracing_subscriber::fmt().event_format(Line).with_writer(ours.clone()).finish();
        with_default(subscriber, || info!("now"));
        let text = String::from_utf8(ours.0.lock().unwrap().clone()).unwrap();
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!(rest, " INFO now\n");
        let since = humantime::parse_rfc3339(time).unwrap().elapsed().unwrap();
        assert!(since.as_secs() < 60 && time.len() == "2026-01-01T00:00:00.000000Z".len(), "{time}");
    }
}
