//! What a server of the auth-client protocol costs that decides nothing: the yardstick of `tests/bench`.
//!
//!     bare SOCKET USERS      serves on this Unix socket the users of this file, a line user:password each
//!
//! It does what cannot be left out: waits with epoll, reads, cuts lines, splits them at TABs, decodes the base64 of
//! PLAIN, finds the user in a hash map, compares a keyed digest of the password in constant time, and writes all replies
//! to what one read has brought with one write. One thread, no clock, no log, no limits, no normal form of names,
//! no rules, no other request than `AUTH`, and a peer that says anything else is hung up on.

use std::{
    collections::HashMap,
    fs, io,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::ExitCode,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memchr;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

const GREETING: &[u8] = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n\
    COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n";

/// What the listening socket is called among the connections.
const LISTENER: u64 = u64::MAX;

/// Longest name and password together, in bytes.
const LONGEST: usize = 1024;

/// Who there is, with the digests of their passwords.
struct Users {
    key: [u8; 32],
    digests: HashMap<Box<[u8]>, blake3::Hash>,
}

struct Connection {
    stream: UnixStream,
    /// The beginning of a line whose end has not arrived.
    rest: Vec<u8>,
    /// What could not be written yet.
    out: Vec<u8>,
}

/// What becomes of a connection.
#[derive(PartialEq, Eq)]
enum Then {
    Stay,
    Close,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(socket), Some(users), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return failed("write: bare SOCKET USERS");
    };
    let served = Users::read(&users).and_then(|users| serve(&socket, &users));
    served.map_or_else(|error| failed(&error.to_string()), |()| ExitCode::SUCCESS)
}

fn failed(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "bare: {why}");
    ExitCode::FAILURE
}

fn serve(socket: &PathBuf, users: &Users) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut connections = HashMap::new();
    let mut next = 0;
    let mut events = [EpollEvent::empty(); 256];
    let mut buffer = vec![0; 65_536];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            count => count?,
        };
        for event in events.iter().take(count) {
            if event.data() == LISTENER {
                while let Some(connection) = accept(&listener)? {
                    let wanted = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
                    epoll.add(&connection.stream, EpollEvent::new(wanted, next))?;
                    connections.insert(next, connection);
                    next += 1;
                }
            } else if let Some(connection) = connections.get_mut(&event.data())
                && connection.go_on(users, &mut buffer).unwrap_or(Then::Close) == Then::Close
            {
                // Closing it takes it from epoll as well.
                connections.remove(&event.data());
            }
        }
    }
}

/// The next connection, greeted; none: nobody waits.
fn accept(listener: &UnixListener) -> io::Result<Option<Connection>> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        // Who has gone already needs no greeting.
        if stream.write_all(GREETING).is_ok() {
            return Ok(Some(Connection { stream, rest: Vec::new(), out: Vec::new() }));
        }
    }
}

impl Connection {
    /// Writes what is left, then reads and answers until nothing more has arrived. A peer that does not read its
    /// replies is not read from.
    fn go_on(&mut self, users: &Users, buffer: &mut [u8]) -> io::Result<Then> {
        let mut all_read = false;
        loop {
            if !self.written()? || all_read {
                return Ok(Then::Stay);
            }
            let count = match self.stream.read(buffer) {
                Ok(0) => return Ok(Then::Close),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Then::Stay),
                Err(error) => return Err(error),
            };
            // With less than there is room for, that was all, and epoll says when there is more.
            all_read = count < buffer.len();
            if self.take(buffer.get(..count).unwrap_or_default(), users).is_none() {
                return Ok(Then::Close);
            }
        }
    }

    /// Whether nothing is left to write.
    fn written(&mut self) -> io::Result<bool> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Answers all lines that are complete.
    fn take(&mut self, arrived: &[u8], users: &Users) -> Option<()> {
        let whole;
        let mut lines = if self.rest.is_empty() {
            arrived
        } else {
            self.rest.extend_from_slice(arrived);
            whole = std::mem::take(&mut self.rest);
            &whole
        };
        while let Some((line, rest)) = cut(lines, b'\n') {
            users.answer(line, &mut self.out)?;
            lines = rest;
        }
        self.rest.extend_from_slice(lines);
        Some(())
    }
}

impl Users {
    fn read(file: &PathBuf) -> io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let text = fs::read(file)?;
        let users = text.split(|&byte| byte == b'\n').filter_map(|line| cut(line, b':'));
        let digests = users.map(|(user, password)| (user.into(), blake3::keyed_hash(&key, password)));
        Ok(Self { key, digests: digests.collect() })
    }

    /// Answers one line; nothing: it is none of ours.
    fn answer(&self, line: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (word, rest) = cut(line, b'\t')?;
        match word {
            b"VERSION" | b"CPID" => return Some(()),
            b"AUTH" => {}
            _ => return None,
        }
        let (id, rest) = cut(rest, b'\t')?;
        let mut params = rest.strip_prefix(b"PLAIN\t")?;
        // The response is the last of them.
        while let Some((_, rest)) = cut(params, b'\t') {
            params = rest;
        }
        let response = params.strip_prefix(b"resp=")?;
        let mut plain = [0; LONGEST];
        let size = STANDARD.decode_slice(response, &mut plain).ok()?;
        let (_, rest) = cut(plain.get(..size)?, 0)?;
        let (user, password) = cut(rest, 0)?;
        // This comparison takes the same time wherever the digests differ.
        let right =
            self.digests.get(user).is_some_and(|known| *known == blake3::keyed_hash(&self.key, password));
        out.extend_from_slice(if right { b"OK\t" } else { b"FAIL\t" });
        out.extend_from_slice(id);
        out.extend_from_slice(b"\tuser=");
        out.extend_from_slice(user);
        out.push(b'\n');
        Some(())
    }
}

/// What stands before the first `at`, and what behind it.
fn cut(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(memchr(at, bytes)?)?;
    Some((before, rest.get(1..)?))
}
