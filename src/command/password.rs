//! Where passwords come from: a terminal that does not show them, or the first line of standard input.

use std::io::{self, BufRead, IsTerminal as _, Stdin, Write as _};

use gatepost_protocol::secret::Secret;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::app_password;

/// Longest password that is read, in bytes.
const LONGEST: usize = 8192;

/// What ^C types while it is not a signal.
const CTRL_C: u8 = 3;

/// Why there is no new password.
#[derive(Debug)]
pub(super) enum NotRead {
    /// Nobody could log in with it.
    Unfit(&'static str),
    /// There was nothing to read, or no way to.
    Io(io::Error),
}

/// Asks for a password.
pub(super) fn read(prompt: &str) -> io::Result<Secret> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line(&mut stdin.lock());
    }
    Hidden::new(&stdin)?.ask(prompt)
}

/// Asks for a password that is to be stored; on a terminal twice.
pub(super) fn read_new(prompt: &str) -> Result<Secret, NotRead> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return fit(line(&mut stdin.lock())?);
    }
    let mut terminal = Hidden::new(&stdin)?;
    let password = fit(terminal.ask(prompt)?)?;
    let again = terminal.ask("The same again")?;
    if password.expose() == again.expose() {
        Ok(password)
    } else {
        Err(NotRead::Unfit("the two are not the same"))
    }
}

fn fit(password: Secret) -> Result<Secret, NotRead> {
    if password.is_empty() {
        return Err(NotRead::Unfit("an empty password lets nobody in"));
    }
    if password.expose().contains(&0) {
        return Err(NotRead::Unfit("a password with a NUL in it cannot be sent by every client"));
    }
    if app_password::recognise(password.expose()).is_some() {
        return Err(NotRead::Unfit("it looks like an app password, and would be taken for one"));
    }
    Ok(password)
}

/// A terminal that shows nothing of what is typed, until this goes.
struct Hidden<'t> {
    stdin: &'t Stdin,
    shown: Termios,
}

impl<'t> Hidden<'t> {
    fn new(stdin: &'t Stdin) -> io::Result<Self> {
        let shown = tcgetattr(stdin)?;
        let mut hidden = shown.clone();
        // ^C ends the line instead of the process, which would leave the terminal mute.
        hidden.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
        if let Some(end) = hidden.control_chars.get_mut(SpecialCharacterIndices::VEOL as usize) {
            *end = CTRL_C;
        }
        tcsetattr(stdin, SetArg::TCSAFLUSH, &hidden)?;
        Ok(Self { stdin, shown })
    }

    fn ask(&mut self, prompt: &str) -> io::Result<Secret> {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{prompt}: ")?;
        stderr.flush()?;
        let password = line(&mut self.stdin.lock());
        writeln!(stderr)?;
        let password = password?;
        if password.expose().contains(&CTRL_C) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(password)
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // If the terminal is gone, so is what it would show.
        let _ = tcsetattr(self.stdin, SetArg::TCSAFLUSH, &self.shown);
    }
}

/// Takes one line, or what ^C ends, without its end.
fn line(input: &mut impl BufRead) -> io::Result<Secret> {
    // As long as it can get: a growing vector leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
    loop {
        let ready = match input.fill_buf() {
            Ok(ready) => ready,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = ready.iter().position(|byte| matches!(*byte, b'\n' | CTRL_C));
        let taken = end.map_or(ready.len(), |end| end + 1);
        if line.len() + taken > LONGEST + 2 {
            return Err(too_long());
        }
        line.extend(ready.iter().take(taken));
        input.consume(taken);
        if end.is_some() || taken == 0 {
            break;
        }
    }
    let password = line.strip_suffix(b"\n").unwrap_or(&line);
    let password = password.strip_suffix(b"\r").unwrap_or(password);
    if password.len() > LONGEST { Err(too_long()) } else { Ok(Secret::new(password.to_vec())) }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the password is longer than 8192 bytes")
}

impl From<io::Error> for NotRead {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read as _};

    use super::{LONGEST, NotRead, fit, line};

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        let longest = vec![b'a'; LONGEST];
        let table: &[(&[u8], &[u8])] = &[
            (b"", b""),
            (b"\n", b""),
            (b"secret", b"secret"),
            (b"secret\nmore\n", b"secret"),
            (b"secret\r\n", b"secret"),
            (b" with blanks \n", b" with blanks "),
            (b"\xff\xfe\n", b"\xff\xfe"),
            (&longest, &longest),
        ];
        for (input, expected) in table {
            for capacity in [1, 3, 8192] {
                let mut input = BufReader::with_capacity(capacity, *input);
                assert_eq!(line(&mut input).unwrap().expose(), *expected);
            }
        }
        let endless = std::io::repeat(b'a').take(1 << 40);
        line(&mut BufReader::new(endless)).unwrap_err();
    }

    #[test]
    fn a_password_that_lets_nobody_in_is_not_stored() {
        for unfit in [b"".as_slice(), b"a\0b", b"gpap-0000-0000-0000-0000-0000-0000-0000"] {
            let secret = gatepost_protocol::secret::Secret::new(unfit.to_vec());
            assert!(matches!(fit(secret), Err(NotRead::Unfit(_))));
        }
    }
}
