//! Lines that are ready before their events come.
//!
//! An event names each of its fields and shows each of its values through two layers of pointers to functions, which
//! costs more than to write its line at once. Whoever has many events of one shape therefore prepares the line where the
//! values are at hand and have their types, and then has the event as ever: it goes the way of all events, past the
//! filter, and what writes lines finds that of this one ready. Whatever else wants an event takes its fields.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::{Level, level_filters::LevelFilter};

use super::{
    line::level,
    room::Room,
    time::{self, Second},
};

/// Whether there is something that writes lines.
static WANTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line::new()) };
}

struct Line {
    bytes: [u8; 512],
    /// How many of them; none while nothing is prepared.
    length: usize,
    /// What the lines of one second begin with, and so many after 1970 began it was.
    second: (u64, Second),
}

/// Lines may be prepared from here on.
pub(super) fn wanted() {
    WANTED.store(true, Ordering::Relaxed);
}

/// Has the line of an `info` event prepared, from its message on, and then the event. If there is not room enough, or
/// something in it needs escapes, the line is left to be made from the fields.
#[inline]
pub(super) fn info(prepare: impl FnOnce(&mut Room<'_>) -> Option<()>, event: impl FnOnce()) {
    if WANTED.load(Ordering::Relaxed) && Level::INFO <= LevelFilter::current() {
        let _ = LINE.try_with(|line| line.try_borrow_mut().ok()?.prepare(prepare));
        event();
        // It may not have got there.
        let _ = LINE.try_with(|line| line.try_borrow_mut().map(|mut line| line.length = 0));
    } else {
        event();
    }
}

/// Writes what is prepared, if there is anything.
pub(super) fn write_to(out: &impl Fn(&[u8])) -> bool {
    let written = LINE.try_with(|line| line.try_borrow_mut().is_ok_and(|mut line| line.write_to(out)));
    written.unwrap_or(false)
}

impl Line {
    const fn new() -> Self {
        Self { bytes: [0; _], length: 0, second: (0, time::second(0)) }
    }

    #[inline]
    fn prepare(&mut self, rest: impl FnOnce(&mut Room<'_>) -> Option<()>) -> Option<()> {
        let now = time::now();
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

    fn write_to(&mut self, out: &impl Fn(&[u8])) -> bool {
        let line = self.bytes.get(..self.length).unwrap_or_default();
        if line.is_empty() {
            return false;
        }
        out(line);
        self.length = 0;
        true
    }
}
