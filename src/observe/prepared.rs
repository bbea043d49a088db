//! Lines that are ready before their events come.
//!
//! An event names each of its fields and shows each of its values through two layers of pointers to functions, which
//! costs more than to write its line at once. Whoever has many events of one shape therefore prepares the line where the
//! values are at hand and have their types. Where the log is of lines and its filter is known to want all events of this
//! kind, the line goes right to where lines are gathered. Otherwise the event is had as ever: it goes the way of all
//! events, past the filter, and what writes lines finds that of this one ready; whatever else wants it takes its fields.

use std::{
    cell::RefCell,
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
    static LINE: RefCell<Line> = const { RefCell::new(Line::new()) };
    /// Lines that wait for others of the same turn.
    static BATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// So many bytes of one turn are gathered before they are handed on: some thirty lines.
const BATCHED: usize = 8 * 1024;

/// For so long the time of day is reckoned from when it was last looked up.
const RECKONED: Duration = Duration::from_secs(1);

struct Line {
    bytes: [u8; 512],
    /// How many of them; none while nothing is prepared.
    length: usize,
    /// What the lines of one second begin with, and so many after 1970 began it was.
    second: (u64, Second),
    /// When the time of day was looked up, and what it was then.
    looked_up: Option<(Instant, Duration)>,
}

/// Lines may be prepared from here on. With a `buffer`, nobody else is to see them first.
pub(super) fn wanted(buffer: Option<Buffer>) {
    if let Some(buffer) = buffer {
        let _ = DIRECT.set(buffer);
    }
    WANTED.store(true, Ordering::Relaxed);
}

/// Has the line of an `info` event prepared, from its message on, and written, or then the event. If there is not room
/// enough, or something in it needs escapes, the line is left to be made from the fields. `at` is now, if that is known.
/// With `batched` it may wait for [`flush`].
#[inline]
pub(super) fn info(
    at: Option<Instant>,
    batched: bool,
    prepare: impl FnOnce(&mut Room<'_>) -> Option<()>,
    event: impl FnOnce(),
) {
    if !WANTED.load(Ordering::Relaxed) || Level::INFO > LevelFilter::current() {
        return event();
    }
    let written = LINE.try_with(|line| {
        let mut line = line.try_borrow_mut().ok()?;
        line.prepare(at, prepare)?;
        let direct = DIRECT.get()?;
        if batched {
            BATCH.try_with(|batch| batch.try_borrow_mut().ok()?.gather(line.taken(), direct)).ok()?
        } else {
            flush();
            direct.take(line.taken());
            Some(())
        }
    });
    if !matches!(written, Ok(Some(()))) {
        event();
        // It may not have got there.
        let _ = LINE.try_with(|line| line.try_borrow_mut().map(|mut line| line.length = 0));
    }
}

/// Hands on what this thread has gathered. What it logs otherwise comes after that.
pub fn flush() {
    if let Some(direct) = DIRECT.get() {
        let _ = BATCH.try_with(|batch| batch.try_borrow_mut().map(|mut batch| batch.hand_on(direct)));
    }
}

/// Lines of a thread.
trait Batch {
    fn gather(&mut self, line: &[u8], direct: &Buffer) -> Option<()>;
    fn hand_on(&mut self, direct: &Buffer);
}

impl Batch for Vec<u8> {
    fn gather(&mut self, line: &[u8], direct: &Buffer) -> Option<()> {
        if self.len() + line.len() > BATCHED {
            self.hand_on(direct);
        }
        self.extend_from_slice(line);
        Some(())
    }

    fn hand_on(&mut self, direct: &Buffer) {
        if !self.is_empty() {
            direct.take(self);
            self.clear();
        }
    }
}

/// Writes what is prepared, if there is anything.
pub(super) fn write_to(out: &impl Fn(&[u8])) -> bool {
    flush();
    let written = LINE.try_with(|line| {
        line.try_borrow_mut().is_ok_and(|mut line| match line.taken() {
            b"" => false,
            line => {
                out(line);
                true
            }
        })
    });
    written.unwrap_or(false)
}

impl Line {
    const fn new() -> Self {
        Self { bytes: [0; _], length: 0, second: (0, time::second(0)), looked_up: None }
    }

    #[inline]
    fn prepare(&mut self, at: Option<Instant>, rest: impl FnOnce(&mut Room<'_>) -> Option<()>) -> Option<()> {
        let now = self.time_of_day(at);
        if self.second.0 != now.as_secs() {
            self.second = (now.as_secs(), time::second(now.as_secs()));
        }
        let mut room = Room(&mut self.bytes);
        room.put(&self.second.1)?;
        room.put(&time::micros(now.subsec_micros()))?;
        room.put(level(Level::INFO))?;
        room.put(b" ")?;
        rest(&mut room)?;
        room.put(b"\n")?;
        let left = room.0.len();
        self.length = self.bytes.len() - left;
        Some(())
    }

    /// Since 1970. Looking at two clocks for each line is a large part of what a line costs.
    #[inline]
    fn time_of_day(&mut self, at: Option<Instant>) -> Duration {
        if let (Some(at), Some((looked_up, then))) = (at, self.looked_up)
            && let Some(since) = at.checked_duration_since(looked_up)
            && since < RECKONED
        {
            return then + since;
        }
        let now = time::now();
        self.looked_up = at.map(|at| (at, now));
        now
    }

    /// What is prepared. It is not prepared any more.
    fn taken(&mut self) -> &[u8] {
        self.bytes.get(..std::mem::take(&mut self.length)).unwrap_or_default()
    }
}
