use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::{
    support::{Alone, DEADLINE},
    table_address,
};

/// How a peer begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To {
    /// Hears the greeting of an auth-client socket and says nothing yet.
    Bare(&'static str),
    /// Hears it and introduces itself as a client of this minor version.
    Auth(&'static str, u32),
    /// Hears the greeting of an auth-master socket and says nothing yet.
    BareMaster(&'static str),
    /// Hears it and says VERSION.
    Master(&'static str),
    /// Hears nothing before it asks, as Postfix of a socketmap.
    Map(&'static str),
    /// The same of a policy service.
    Policy(&'static str),
    /// The same, to ask once and to be answered once, as Cyrus SASL of saslauthd.
    Once(&'static str),
    /// The same as a map over TCP, of a table that has an address to itself.
    Table,
}

/// A connection that says and hears bytes.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: Socket,
    /// Heard and not asked for yet.
    heard: Vec<u8>,
}

impl Peer {
    pub(crate) fn connect(gatepost: &Alone, to: To) -> Self {
        let (domain, address) = match to {
            To::Bare(name)
            | To::Auth(name, _)
            | To::BareMaster(name)
            | To::Master(name)
            | To::Map(name)
            | To::Policy(name)
            | To::Once(name) => (Domain::UNIX, SockAddr::unix(gatepost.path(name)).unwrap()),
            To::Table => (Domain::IPV4, table_address().into()),
        };
        let stream = Socket::new(domain, Type::STREAM, None).unwrap();
        stream.connect(&address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut peer = Self { stream, heard: Vec::new() };
        match to {
            To::Bare(_) | To::Auth(..) => {
                assert!(peer.line_with("DONE").starts_with("VERSION\t1\t2\nMECH\t"))
            }
            To::BareMaster(_) | To::Master(_) => {
                assert!(peer.line_with("SPID").starts_with("VERSION\t1\t1\n"))
            }
            To::Map(_) | To::Policy(_) | To::Once(_) | To::Table => {}
        }
        match to {
            To::Auth(_, minor) => peer.say(format!("VERSION\t1\t{minor}\nCPID\t{}\n", std::process::id())),
            To::Master(_) => peer.say("VERSION\t1\t1\n"),
            To::Bare(_) | To::BareMaster(_) | To::Map(_) | To::Policy(_) | To::Once(_) | To::Table => {}
        }
        peer
    }

    /// Says bytes, unless the daemon has hung up.
    pub(crate) fn say(&self, bytes: impl AsRef<[u8]>) {
        match (&self.stream).write_all(bytes.as_ref()) {
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            said => said.unwrap(),
        }
    }

    /// Says nothing more.
    pub(crate) fn say_eof(&self) {
        // It may be gone already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Another end of the same connection, for a thread that only speaks.
    pub(crate) fn mouth(&self) -> Self {
        Self { stream: self.stream.try_clone().unwrap(), heard: Vec::new() }
    }

    /// Hears so many lines, with their ends.
    pub(crate) fn lines(&mut self, count: usize) -> String {
        let (mut seen, mut at) = (0, 0);
        loop {
            while seen < count {
                match self.heard[at..].iter().position(|&byte| byte == b'\n') {
                    Some(end) => (seen, at) = (seen + 1, at + end + 1),
                    None => break,
                }
            }
            if seen == count {
                let rest = self.heard.split_off(at);
                return text(std::mem::replace(&mut self.heard, rest));
            }
            assert!(self.read(), "hung up after {seen} of {count} lines: {}", self.heard.escape_ascii());
        }
    }

    /// Hears everything up to the daemon's hanging up.
    pub(crate) fn all(&mut self) -> String {
        while self.read() {}
        text(std::mem::take(&mut self.heard))
    }

    /// Says bytes as fast as the daemon takes them, until it takes no more: for so long nothing of it was read.
    /// Gives how many bytes it took.
    pub(crate) fn say_until_stuck(&self, bytes: &[u8], most: usize) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let (mut said, begun) = (0, Instant::now());
        while said < most && begun.elapsed() < DEADLINE {
            // Whole lines matter less than volume: where one broke off, the next write goes on.
            match (&self.stream).write(&bytes[said % bytes.len()..]) {
                Ok(count) => said += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        self.stream.set_write_timeout(None).unwrap();
        said
    }

    /// Hears lines up to one that starts like this.
    fn line_with(&mut self, start: &str) -> String {
        let mut lines = String::new();
        loop {
            let line = self.lines(1);
            lines.push_str(&line);
            if line.starts_with(start) {
                return lines;
            }
        }
    }

    /// `false`: it has hung up.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 65536];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.heard.extend_from_slice(&bytes[..count]);
                count > 0
            }
            // What is unread at the other end when it hangs up.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error} after {}", self.heard.escape_ascii()),
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
