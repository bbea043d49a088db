//! Where passwords come from.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use gatepost_protocol::secret::Secret;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Longest password that is read, in bytes.
const LONGEST: usize = 8192;

/// Asks for a password on the terminal without showing it, or takes the first line of standard input.
pub(super) fn read(prompt: &str) -> io::Result<Secret> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line();
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{prompt}: ")?;
    stderr.flush()?;
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &hidden)?;
    let password = line();
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &shown)?;
    writeln!(stderr)?;
    password
}

fn line() -> io::Result<Secret> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
    let mut stdin = io::Read::take(io::stdin().lock(), LONGEST as u64 + 2);
    stdin.read_until(b'\n', &mut line)?;
    let password = line.strip_suffix(b"\n").unwrap_or(&line);
    let password = password.strip_suffix(b"\r").unwrap_or(password);
    if password.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the password is longer than 8192 bytes"));
    }
    Ok(Secret::new(password.to_vec()))
}
