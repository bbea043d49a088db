//! Log lines on their way out, gathered so that many of them are written at once.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for others to be written with it. What a process that is killed has not written yet is no
/// older than this.
const GATHER: Duration = Duration::from_millis(20);

/// So many bytes are written without waiting any further.
const ENOUGH: usize = 64 * 1024;

/// So many bytes may wait. Beyond that, whoever has something to log waits itself: an event that was not written is a
/// login that nobody can account for.
const MOST: usize = 1024 * 1024;

/// Takes lines in memory; a thread of its own writes them, in their order.
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
    waiting: Mutex<Waiting>,
    /// There is something to write, or enough of it, or nothing more will come.
    work: Condvar,
    /// There is room again.
    room: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    last: bool,
}

impl Buffer {
    /// Starts the thread that writes to `out`. Fails if there can be no thread.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Self, Flush)> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let writer = thread::Builder::new().name("log".to_owned()).spawn(move || theirs.write_to(out))?;
        Ok((Self(Arc::clone(&shared)), Flush { shared, writer: Some(writer) }))
    }
}

impl Buffer {
    /// Takes whole lines.
    pub(super) fn take(&self, lines: &[u8]) {
        self.0.take(lines);
    }
}

impl Shared {
    /// Appends whole lines.
    fn take(&self, lines: &[u8]) {
        let mut waiting = self.lock();
        while waiting.lines.len() > MOST {
            waiting = self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let before = waiting.lines.len();
        waiting.lines.extend_from_slice(lines);
        // Waking a thread is a system call: only for the first line, and when waiting any longer is no use.
        if before == 0 || (before < ENOUGH && waiting.lines.len() >= ENOUGH) {
            self.work.notify_one();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        loop {
            let idle = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.last;
            let few = |waiting: &mut Waiting| waiting.lines.len() < ENOUGH && !waiting.last;
            let waiting = self.work.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            let gathered = self.work.wait_timeout_while(waiting, GATHER, few);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut waiting.lines, &mut taken);
            let last = waiting.last;
            drop(waiting);
            self.room.notify_all();
            // There is nowhere to tell that there is nowhere to write to.
            let _ = out.write_all(&taken).and_then(|()| out.flush());
            taken.clear();
            if last {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.0.take(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.shared.lock().last = true;
        self.shared.work.notify_one();
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

    use super::{Buffer, MOST};

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
