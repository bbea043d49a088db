//! Log lines on their way out, gathered so that many of them are written at once.

use std::{
    cell::Cell,
    io::{self, Write},
    mem, slice,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for others to be written with it. What a process that is killed has not written yet is no
/// older than this.
const GATHER: Duration = Duration::from_millis(20);

/// With so many bytes of a thread nothing is waited for any further.
const ENOUGH: usize = 256 * 1024;

/// So many bytes of a thread may wait. Beyond that, whoever has something to log waits itself: an event that was not
/// written is a login that nobody can account for.
const MOST: usize = 1024 * 1024;

/// So many threads have a tray each. Further ones share them.
const TRAYS: usize = 16;

/// Takes lines in memory; a thread of its own writes them. Those of one thread stay in their order; those of several
/// threads that are written together are sorted by what they begin with, the time; what one turn of a connection has come to
/// is taken at once, and stays together.
#[derive(Debug, Clone)]
pub(super) struct Buffer(Arc<Shared>);

/// Writes everything that is left when it is dropped.
#[derive(Debug)]
#[must_use = "what is still in memory is written when this is dropped"]
pub struct Flush {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Threads that log at the same time are not in each other's way.
    trays: [Tray; TRAYS],
    /// Who writes.
    writer: OnceLock<Thread>,
    /// Set while nothing is there to be written: who brings something resets it, and wakes the writer.
    idle: AtomicBool,
    /// Set: nothing more will come.
    last: AtomicBool,
}

/// Processors keep each other informed of 64 bytes at once, and fetch twice as many: no other tray is among them.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Tray {
    waiting: Mutex<Lines>,
    /// There is room again.
    room: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// How long each is. What belongs together may hold more than one line end.
    lengths: Vec<usize>,
}

thread_local! {
    /// The number of this thread among those that have logged something.
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Buffer {
    /// Starts the thread that writes to `out`. Fails if there can be no thread.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Self, Flush)> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let writer = thread::Builder::new().name("log".to_owned()).spawn(move || theirs.write_to(out))?;
        let _ = shared.writer.set(writer.thread().clone());
        Ok((Self(Arc::clone(&shared)), Flush { shared, writer: Some(writer) }))
    }

    /// Takes a line, or several that belong together.
    #[inline]
    pub(super) fn take(&self, line: &[u8]) {
        self.0.take(line);
    }
}

impl Shared {
    fn take(&self, line: &[u8]) {
        let Some(tray) = self.trays.get(number_of_thread() % TRAYS) else { return };
        let mut waiting = tray.lock();
        while waiting.bytes.len() > MOST {
            waiting = tray.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let before = waiting.bytes.len();
        waiting.bytes.extend_from_slice(line);
        waiting.lengths.push(line.len());
        let after = waiting.bytes.len();
        drop(waiting);
        // Waking a thread is a system call: only for the first line, and when waiting any longer is no use.
        let first = || self.idle.load(Ordering::SeqCst) && self.idle.swap(false, Ordering::SeqCst);
        if before < ENOUGH && (after >= ENOUGH || (before == 0 && first())) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        let mut taken: [Lines; TRAYS] = Default::default();
        let mut sorted = Vec::new();
        loop {
            self.wait_for_lines();
            // What came before it was set is among what is taken now.
            let last = self.last.load(Ordering::SeqCst);
            for (tray, taken) in self.trays.iter().zip(&mut taken) {
                mem::swap(&mut *tray.lock(), taken);
                // A system call too, whether somebody waits or not.
                if taken.bytes.len() > MOST {
                    tray.room.notify_all();
                }
            }
            // There is nowhere to tell that there is nowhere to write to.
            let _ = out.write_all(in_order(&taken, &mut sorted)).and_then(|()| out.flush());
            taken.iter_mut().for_each(Lines::clear);
            if last {
                return;
            }
        }
    }

    /// Waits for a first line, and then for others to be written with it.
    fn wait_for_lines(&self) {
        let until = |enough: usize| {
            let has_enough = |tray: &Tray| tray.lock().bytes.len() >= enough;
            self.last.load(Ordering::SeqCst) || self.trays.iter().any(has_enough)
        };
        // In this order, and each time: who brings a line after it was looked for finds this set.
        while {
            self.idle.store(true, Ordering::SeqCst);
            !until(1)
        } {
            thread::park();
        }
        self.idle.store(false, Ordering::SeqCst);
        let begun = Instant::now();
        while let Some(left) = GATHER.checked_sub(begun.elapsed()).filter(|_| !until(ENOUGH)) {
            thread::park_timeout(left);
        }
    }
}

impl Tray {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }
}

fn number_of_thread() -> usize {
    NUMBER.get().unwrap_or_else(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        NUMBER.set(Some(number));
        number
    })
}

/// All lines, those of each thread in their order. Sorted by the time, what followed from something stands behind it
/// also where another thread went on with it.
fn in_order<'a>(taken: &'a [Lines], sorted: &'a mut Vec<u8>) -> &'a [u8] {
    sorted.clear();
    let mut threads: Vec<_> = taken.iter().filter_map(Rest::of).collect();
    if let [_] = *threads {
        return taken.iter().map(|lines| &*lines.bytes).find(|bytes| !bytes.is_empty()).unwrap_or_default();
    }
    while let Some((index, thread)) = threads.iter_mut().enumerate().min_by_key(|(_, rest)| rest.line) {
        sorted.extend_from_slice(thread.line);
        if thread.next().is_none() {
            threads.remove(index);
        }
    }
    sorted
}

/// The first line of a thread that is not written yet, and those behind it.
struct Rest<'a> {
    line: &'a [u8],
    behind: &'a [u8],
    lengths: slice::Iter<'a, usize>,
}

impl<'a> Rest<'a> {
    fn of(lines: &'a Lines) -> Option<Self> {
        let mut rest = Self { line: &[], behind: &lines.bytes, lengths: lines.lengths.iter() };
        rest.next().map(|()| rest)
    }

    fn next(&mut self) -> Option<()> {
        (self.line, self.behind) = self.behind.split_at_checked(*self.lengths.next()?)?;
        Some(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Buffer {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.take(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.shared.last.store(true, Ordering::SeqCst);
        self.shared.wake();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Condvar, Mutex, mpsc},
        thread,
        time::{Duration, Instant},
    };

    use super::{Buffer, Lines, MOST, in_order};

    const DEADLINE: Duration = Duration::from_secs(20);

    /// Somewhere to write to that can be closed for a while.
    #[derive(Clone, Default)]
    struct Sink(Arc<(Mutex<Written>, Condvar)>);

    #[derive(Default)]
    struct Written {
        text: String,
        calls: usize,
        shut: bool,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (written, changed) = &*self.0;
            let mut written = changed.wait_while(written.lock().unwrap(), |written| written.shut).unwrap();
            written.text.push_str(std::str::from_utf8(bytes).unwrap());
            written.calls += 1;
            changed.notify_all();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn shut(&self, shut: bool) {
            self.0.0.lock().unwrap().shut = shut;
            self.0.1.notify_all();
        }

        fn wait_for(&self, text: &str) {
            let (written, changed) = &*self.0;
            let missing = |written: &mut Written| !written.text.contains(text);
            let waited = changed.wait_timeout_while(written.lock().unwrap(), DEADLINE, missing).unwrap();
            assert!(!waited.1.timed_out(), "{text} was not written");
        }

        fn text(&self) -> String {
            self.0.0.lock().unwrap().text.clone()
        }
    }

    fn lines(of: usize) -> Vec<String> {
        (0..2000).map(|number| format!("{of} {number}\n")).collect()
    }

    #[test]
    fn nothing_is_lost_and_every_thread_s_lines_stay_in_order() {
        let sink = Sink::default();
        let (buffer, flush) = Buffer::start(sink.clone()).unwrap();
        thread::scope(|scope| {
            for of in 0..4 {
                let mut buffer = &buffer;
                scope.spawn(move || {
                    lines(of).iter().for_each(|line| buffer.write_all(line.as_bytes()).unwrap())
                });
            }
        });
        drop(flush);
        let text = sink.text();
        for of in 0..4 {
            let mark = format!("{of} ");
            let theirs: Vec<_> = text.split_inclusive('\n').filter(|line| line.starts_with(&mark)).collect();
            assert_eq!(theirs, lines(of));
        }
        assert!(sink.0.0.lock().unwrap().calls < 800, "lines are gathered");
    }

    #[test]
    fn a_line_is_written_without_another_one_behind_it() {
        let sink = Sink::default();
        let (buffer, _flush) = Buffer::start(sink.clone()).unwrap();
        for line in ["one\n", "two\n"] {
            (&buffer).write_all(line.as_bytes()).unwrap();
            sink.wait_for(line);
        }
        assert_eq!(sink.text(), "one\ntwo\n");
    }

    #[test]
    fn every_line_is_written_soon_whoever_else_logs() {
        let sink = Sink::default();
        let (buffer, flush) = Buffer::start(sink.clone()).unwrap();
        thread::scope(|scope| {
            for of in 0..4 {
                let (buffer, sink) = (&buffer, &sink);
                scope.spawn(move || {
                    for line in lines(of).iter().take(50) {
                        buffer.take(line.as_bytes());
                        sink.wait_for(line);
                    }
                });
            }
        });
        drop(flush);
        assert_eq!(sink.text().lines().count(), 200);
    }

    fn taken(lines: &[&str]) -> Lines {
        Lines { bytes: lines.concat().into_bytes(), lengths: lines.iter().map(|line| line.len()).collect() }
    }

    #[test]
    fn lines_of_several_threads_are_in_the_order_of_their_times() {
        let mut sorted = b"what was sorted before".to_vec();
        let mut text = |taken: &[Lines]| String::from_utf8(in_order(taken, &mut sorted).to_vec()).unwrap();
        let one =
            || taken(&["00:01 one\n", "00:03 three\n  and more of it\n", "00:08 eight\n", "00:08 again\n"]);
        let two =
            || taken(&["00:02 two\n", "00:07 seven\n", "00:04 four, the clock was set\n", "00:09 nine\n"]);
        assert_eq!(text(&[]), "");
        assert_eq!(text(&[taken(&[]), taken(&[])]), "");
        assert_eq!(text(&[taken(&[]), two(), taken(&[])]).as_bytes(), two().bytes);
        assert_eq!(
            text(&[one(), taken(&[]), two(), taken(&["00:05 five\n"])]),
            "00:01 one\n00:02 two\n00:03 three\n  and more of it\n00:05 five\n00:07 seven\n\
             00:04 four, the clock was set\n00:08 eight\n00:08 again\n00:09 nine\n"
        );
    }

    #[test]
    fn who_logs_faster_than_can_be_written_waits_and_loses_nothing() {
        let sink = Sink::default();
        sink.shut(true);
        let (buffer, flush) = Buffer::start(sink.clone()).unwrap();
        let line = format!("{}\n", "x".repeat(1023));
        let count = 4 * MOST / line.len();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn({
            let line = line.clone();
            move || {
                for number in 0..count {
                    (&buffer).write_all(line.as_bytes()).unwrap();
                    tell.send(number).unwrap();
                }
            }
        });
        let begun = Instant::now();
        let mut taken = 0;
        while let Ok(number) = told.recv_timeout(Duration::from_millis(500)) {
            taken = number;
            assert!(begun.elapsed() < DEADLINE);
        }
        // What the thread has in hand, and what waits behind it.
        assert!(taken * line.len() <= 2 * (MOST + line.len()), "{taken} lines were taken");
        sink.shut(false);
        thread.join().unwrap();
        drop(flush);
        assert_eq!(sink.text().len(), count * line.len());
    }
}
