//! Standard output, as commands write to it.

use std::{
    fmt,
    io::{self, BufWriter, StdoutLock, Write},
};

use super::Exit;

/// Where a command says its outcome, piece by piece. After an error nothing more is written, and [`Output::end`] says
/// what that means for the exit code.
pub(super) struct Output<W: Write> {
    sink: W,
    failed: Option<io::Error>,
}

impl Output<BufWriter<StdoutLock<'static>>> {
    /// That of this process.
    pub(super) fn of_this_process() -> Self {
        Self::to(BufWriter::new(io::stdout().lock()))
    }
}

impl<W: Write> Output<W> {
    pub(super) fn to(sink: W) -> Self {
        Self { sink, failed: None }
    }

    /// Writes a piece. `false`: nobody will see it, nor anything after it.
    pub(super) fn say(&mut self, piece: impl fmt::Display) -> bool {
        if self.failed.is_none() {
            self.failed = write!(self.sink, "{piece}").err();
        }
        self.failed.is_none()
    }

    /// Writes what is left. A reader that has gone away, as `head` does, does not change how the command ends. An
    /// outcome that could not be written is lost: a full disk is no yes.
    pub(super) fn end(mut self, exit: Exit) -> Exit {
        match self.failed.take().or_else(|| self.sink.flush().err()) {
            None => exit,
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => exit,
            Some(error) => {
                let _ = writeln!(io::stderr(), "standard output: {error}");
                Exit::Temporary
            }
        }
    }
}

/// Text from a database on its way to a terminal: control characters come out escaped.
pub(super) struct Plain<'a>(pub(super) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::{Exit, Output, Plain};

    /// Takes so many bytes, then fails.
    struct Until(usize, io::ErrorKind, usize);

    impl Write for Until {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.2 += 1;
            if self.0 == 0 {
                return Err(self.1.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is() {
        for (kind, exit) in
            [(io::ErrorKind::BrokenPipe, Exit::No), (io::ErrorKind::StorageFull, Exit::Temporary)]
        {
            let mut sink = Until(3, kind, 0);
            let mut output = Output::to(&mut sink);
            assert!(output.say("abc"));
            assert!(!output.say("def"));
            assert!(!output.say("ghi"));
            assert_eq!(output.end(Exit::No), exit);
            assert_eq!(sink.2, 2, "nothing is tried again");
        }
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(Plain("a\tb\u{1b}[2Jé\u{9b}").to_string(), "a\\tb\\u{1b}[2Jé\\u{9b}");
    }
}
