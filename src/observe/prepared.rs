//! Lines that are ready before their events come.
//!
//! An event names each of its fields and shows each of its values through two layers of pointers to functions, which
//! costs more than to write its line at once. Whoever has many events of one shape therefore prepares the line where the
//! values are at hand and have their types. Where the log is of lines and its filter is known to want all events of this
//! kind, the line goes right to where lines are gathered. Otherwise the event is had as ever: it goes the way of all
//! events, past the filter, and what writes lines finds that of this one ready; whatever else wants it takes its fields.

use std::{
    cell::RefCell,
    mem,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{Level, level_filters::LevelFilter};

use super::{
    buffer::Buffer,
    line::level,
    room::Room,
    time::{self, Second},
};

/// Whether there is something that writes lines.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Where they go without having to pass the filter.
static DIRECT: OnceLock<Buffer> = OnceLock::new();

thread_local! {
    static LINES: RefCell<Lines> = const { RefCell::new(Lines::new()) };
}

/// So many bytes of one turn are gathered, or up to [`LONGEST`] less, before they are handed on: some thirty lines.
const BATCHED: usize = 8 * 1024;

/// A line of more bytes is made in the usual way.
const LONGEST: usize = 512;

/// For so long the time of day is reckoned from when it was last looked up.
const RECKONED: Duration = Duration::from_secs(1);

/// What was logged, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Logged {
    /// When the question came that it is about. One reading of the clock is for all that came with it.
    pub(super) asked: Instant,
    /// How long ago that is.
    pub(super) took: Duration,
}

/// Lines of a thread.
struct Lines {
    /// First those that wait for others of the same turn, and behind them the one that is prepared.
    bytes: [u8; BATCHED],
    /// How many bytes wait.
    waiting: usize,
    /// Where the prepared line ends: where it begins while nothing is prepared.
    prepared: usize,
    /// What the lines of one second begin with, and so many after 1970 began it was.
    second: (u64, Second),
    /// A moment for which the time of day was looked up, and what it was then.
    looked_up: Option<(Instant, Duration)>,
    /// The same of the last question, for which it was reckoned from that.
    reckoned: Option<(Instant, Duration)>,
}

/// Lines may be prepared from here on. With a `buffer`, nobody else is to see them first.
pub(super) fn wanted(buffer: Option<Buffer>) {
    if let Some(buffer) = buffer {
        let _ = DIRECT.set(buffer);
    }
    WANTED.store(true, Ordering::Relaxed);
}

/// Has the line of an `info` event prepared, from its message on, and written, or then the event. If there is not room
/// enough, or something in it needs escapes, the line is left to be made from the fields. Without a time `at`, it is now.
/// With `batched` it may wait for [`flush`].
#[inline]
pub(super) fn info(
    at: Option<Logged>,
    batched: bool,
    prepare: impl FnOnce(&mut Room<'_>) -> Option<()>,
    event: impl FnOnce(),
) {
    if !WANTED.load(Ordering::Relaxed) || Level::INFO > LevelFilter::current() {
        return event();
    }
    let written = LINES.try_with(|lines| {
        let mut lines = lines.try_borrow_mut().ok()?;
        lines.prepare(at, prepare)?;
        let direct = DIRECT.get()?;
        if batched {
            lines.gather(|lines| direct.take(lines));
        } else {
            lines.hand_on(|line| direct.take(line));
        }
        Some(())
    });
    if !matches!(written, Ok(Some(()))) {
        event();
        // It may not have got there.
        let _ = LINES.try_with(|lines| lines.try_borrow_mut().map(|mut lines| lines.drop_prepared()));
    }
}

/// Hands on what this thread has gathered. What it logs otherwise comes after that.
pub fn flush() {
    if let Some(direct) = DIRECT.get() {
        let _ = LINES.try_with(|lines| {
            lines.try_borrow_mut().map(|mut lines| {
                lines.drop_prepared();
                lines.hand_on(|line| direct.take(line));
            })
        });
    }
}

/// Writes what is prepared, if there is anything, and before it what was gathered.
pub(super) fn write_to(out: &impl Fn(&[u8])) -> bool {
    let written = LINES.try_with(|lines| {
        lines.try_borrow_mut().is_ok_and(|mut lines| {
            let prepared = lines.is_prepared();
            lines.hand_on(out);
            prepared
        })
    });
    written.unwrap_or(false)
}

impl Lines {
    const fn new() -> Self {
        Self {
            bytes: [0; _],
            waiting: 0,
            prepared: 0,
            second: (0, time::second(0)),
            looked_up: None,
            reckoned: None,
        }
    }

    #[inline]
    fn prepare(&mut self, at: Option<Logged>, rest: impl FnOnce(&mut Room<'_>) -> Option<()>) -> Option<()> {
        let now = self.time_of_day(at);
        if self.second.0 != now.as_secs() {
            self.second = (now.as_secs(), time::second(now.as_secs()));
        }
        let mut room = Room(self.bytes.get_mut(self.waiting..self.waiting + LONGEST)?);
        room.put(&self.second.1)?;
        room.put(&time::micros(now.subsec_micros()))?;
        room.put(level(Level::INFO))?;
        room.put(b" ")?;
        rest(&mut room)?;
        room.put(b"\n")?;
        self.prepared = self.waiting + LONGEST - room.0.len();
        Some(())
    }

    /// Since 1970. Looking at two clocks for each line is a large part of what a line costs, and reckoning with their times
    /// not a small one.
    #[inline]
    fn time_of_day(&mut self, at: Option<Logged>) -> Duration {
        let Some(Logged { asked, took }) = at else { return time::now() };
        match self.reckoned {
            Some((last, then)) if last == asked => then + took,
            _ => self.time_of_question(asked, took) + took,
        }
    }

    /// The same of when a question came.
    fn time_of_question(&mut self, asked: Instant, took: Duration) -> Duration {
        let since = |looked_up| asked.checked_duration_since(looked_up).filter(|since| *since < RECKONED);
        let reckoned = self.looked_up.and_then(|(looked_up, then)| Some(then + since(looked_up)?));
        let then = reckoned.unwrap_or_else(|| {
            let then = time::now().saturating_sub(took);
            self.looked_up = Some((asked, then));
            then
        });
        self.reckoned = Some((asked, then));
        then
    }

    const fn is_prepared(&self) -> bool {
        self.prepared > self.waiting
    }

    /// What is prepared is not wanted.
    const fn drop_prepared(&mut self) {
        self.prepared = self.waiting;
    }

    /// Has what is prepared wait for others.
    #[inline]
    fn gather(&mut self, out: impl Fn(&[u8])) {
        self.waiting = self.prepared;
        if self.waiting > BATCHED - LONGEST {
            self.hand_on(out);
        }
    }

    /// Hands on what waits, and after that what is prepared.
    fn hand_on(&mut self, out: impl Fn(&[u8])) {
        let (waiting, prepared) = (mem::take(&mut self.waiting), mem::take(&mut self.prepared));
        for lines in [self.bytes.get(..waiting), self.bytes.get(waiting..prepared)].into_iter().flatten() {
            if !lines.is_empty() {
                out(lines);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        time::{Duration, Instant},
    };

    use super::{BATCHED, LONGEST, Lines, Logged, RECKONED};

    /// What has been handed on, as one text for each time.
    #[derive(Default)]
    struct Out(RefCell<Vec<String>>);

    impl Out {
        fn take(&self, lines: &[u8]) {
            self.0.borrow_mut().push(String::from_utf8(lines.to_vec()).unwrap());
        }
    }

    fn prepare(lines: &mut Lines, text: &str) -> Option<()> {
        lines.prepare(None, |line| line.word(text))
    }

    #[test]
    fn lines_that_wait_are_handed_on_in_their_order_and_all_of_them() {
        let (mut lines, out) = (Lines::new(), Out::default());
        for number in 0..1000 {
            prepare(&mut lines, &format!("line {number} {}", "x".repeat(number % 400))).unwrap();
            lines.gather(|lines| out.take(lines));
        }
        lines.hand_on(|lines| out.take(lines));
        let handed_on = out.0.into_inner();
        assert!(handed_on.iter().all(|lines| lines.len() <= BATCHED && lines.ends_with('\n')));
        let (last, before) = handed_on.split_last().unwrap();
        assert!(!last.is_empty() && before.iter().all(|lines| lines.len() > BATCHED - LONGEST));
        let handed_on = handed_on.concat();
        let numbers =
            handed_on.lines().map(|line| line.split_whitespace().nth(3).unwrap().parse::<usize>().unwrap());
        assert!(numbers.eq(0..1000));
    }

    #[test]
    fn a_prepared_line_stands_behind_those_that_wait_and_one_that_is_dropped_nowhere() {
        let (mut lines, out) = (Lines::new(), Out::default());
        prepare(&mut lines, "first").unwrap();
        lines.gather(|lines| out.take(lines));
        prepare(&mut lines, "dropped").unwrap();
        assert!(lines.is_prepared());
        lines.drop_prepared();
        assert!(prepare(&mut lines, &"x".repeat(LONGEST)).is_none() && !lines.is_prepared());
        prepare(&mut lines, "second").unwrap();
        lines.hand_on(|lines| out.take(lines));
        lines.hand_on(|lines| out.take(lines));
        let handed_on = out.0.into_inner();
        let ends: Vec<_> = handed_on.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ends, ["first\n", "second\n"]);
    }

    #[test]
    fn the_time_is_that_of_the_question_and_how_long_ago_that_is() {
        let mut lines = Lines::new();
        let begun = Instant::now();
        let mut at = |asked: Instant, took: Duration| lines.time_of_day(Some(Logged { asked, took }));
        let first = at(begun, Duration::ZERO);
        for after in [0, 1, 999_999, 1_000_000, 70_000_000].map(Duration::from_nanos) {
            assert_eq!(at(begun, after), first + after, "the same question");
            assert_eq!(at(begun + after, Duration::ZERO), first + after, "another one");
            assert_eq!(at(begun + after, after), first + after + after);
        }
        // Then it is looked up again, and what was asked before that as well.
        let close = |one: Duration, other: Duration| one.abs_diff(other) < Duration::from_secs(60);
        let later = begun + RECKONED * 3600;
        assert!(close(at(later, Duration::ZERO), first));
        assert!(close(at(begun, Duration::ZERO), first));
    }
}
