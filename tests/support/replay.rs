use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
};

use super::{
    DEADLINE,
    transcript::{Bindings, Line, Step, Transcript, What, socket},
};

/// Says the client's lines of a transcript to a server and compares what it answers, byte for byte.
#[derive(Debug)]
pub struct Replay<'a> {
    pub transcript: &'a Transcript,
    pub subject: &'a Subject,
    pub writes: Writes,
}

/// Who answers, and where its sockets are.
#[derive(Debug)]
pub struct Subject {
    pub is_dovecot: bool,
    pub sockets: BTreeMap<&'static str, PathBuf>,
}

/// How the client's bytes are cut into writes. What they say is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// As the program did.
    AsRecorded,
    /// All that comes before the next answer at once.
    InFlights,
    /// One byte each.
    ByteByByte,
}

struct Connection {
    stream: UnixStream,
    /// Heard and not looked at.
    heard: Vec<u8>,
    /// Whether the client has said a line, so that the server listens to requests.
    greeted: bool,
}

impl Replay<'_> {
    /// The first difference, with the line of the transcript.
    pub fn run(&self) -> Result<(), String> {
        let mut connections: BTreeMap<&str, Connection> = BTreeMap::new();
        let mut bindings = Bindings::of_this_process();
        let mut steps = self.transcript.steps.as_slice();
        while let Some(step) = steps.first() {
            let at = |why: String| {
                format!(
                    "tests/transcripts/{}:{}: {why} ({:?})",
                    self.transcript.name, step.number, self.writes
                )
            };
            let connection = match connections.entry(&step.connection) {
                std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(self.open(&step.connection).map_err(at)?)
                }
            };
            let taken = match &step.what {
                What::Say { .. } => self.say(connection, steps, &bindings),
                What::Hear { .. } => self.hear(connection, steps, &mut bindings),
                What::HearSometime(_) | What::DovecotSometime(_) => {
                    hear_sometime(connection, steps, &mut bindings, self.subject.is_dovecot)
                }
                What::Dovecot(line) if self.subject.is_dovecot => {
                    // In place of the next line.
                    hear_line(connection, line, &mut bindings).map(|()| 2)
                }
                What::Dovecot(_) | What::Recorded(_) => Ok(1),
                What::Close => connection.close().map(|()| 1),
                What::Closed => connection.closed().map(|()| 1),
            };
            let taken = taken.map_err(at)?;
            if matches!(step.what, What::Close | What::Closed) {
                connections.remove(&*step.connection);
            }
            steps = steps.get(taken..).unwrap_or_default();
        }
        for (name, connection) in connections {
            let ended = connection.finish(socket(name));
            ended.map_err(|why| {
                format!("tests/transcripts/{}: {name}: at the end: {why}", self.transcript.name)
            })?;
        }
        Ok(())
    }

    fn open(&self, connection: &str) -> Result<Connection, String> {
        let path = &self.subject.sockets[socket(connection)];
        let stream = UnixStream::connect(path).map_err(|error| format!("{}: {error}", path.display()))?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Ok(Connection { stream, heard: Vec::new(), greeted: false })
    }

    /// Says a line, and those after it that belong into the same write. Returns how many.
    fn say(&self, to: &mut Connection, steps: &[Step], bindings: &Bindings) -> Result<usize, String> {
        let mut bytes = Vec::new();
        let mut count = 0;
        for step in steps.iter().take_while(|step| step.connection == steps[0].connection) {
            let What::Say { line, joined } = &step.what else { break };
            if count > 0 && !joined && self.writes != Writes::InFlights {
                break;
            }
            bytes.extend(line.filled(bindings)?);
            bytes.push(b'\n');
            count += 1;
        }
        let size = if self.writes == Writes::ByteByByte { 1 } else { bytes.len() };
        for chunk in bytes.chunks(size) {
            to.stream.write_all(chunk).map_err(|error| format!("could not be said: {error}"))?;
        }
        to.greeted = true;
        Ok(count)
    }

    /// Hears a line, and those after it that have to arrive with it. Returns how many.
    fn hear(&self, from: &mut Connection, steps: &[Step], bindings: &mut Bindings) -> Result<usize, String> {
        let same = |step: &&Step| step.connection == steps[0].connection;
        let with_first = |step: &&Step| matches!(step.what, What::Hear { joined: true, .. });
        let count = 1 + steps[1..].iter().take_while(|step| same(step) && with_first(step)).count();
        // How Dovecot cuts its greeting is its own affair.
        if count > 1 && !self.subject.is_dovecot {
            from.read_once()?;
            let lines = from.heard.iter().filter(|&&byte| byte == b'\n').count();
            if lines < count || from.heard.last() != Some(&b'\n') {
                return Err(format!("{count} lines were to arrive at once, not {:?}", show(&from.heard)));
            }
        }
        for step in &steps[..count] {
            let What::Hear { line, .. } = &step.what else { break };
            hear_line(from, line, bindings).map_err(|why| format!("{why}, with line {}", step.number))?;
        }
        Ok(count)
    }
}

fn hear_line(from: &mut Connection, line: &Line, bindings: &mut Bindings) -> Result<(), String> {
    let heard = from.line().map_err(|why| format!("expected {line}, but {why}"))?;
    if line.fits(&heard, bindings) { Ok(()) } else { Err(format!("expected {line}, heard {}", show(&heard))) }
}

/// Hears lines in any order. Returns how many.
fn hear_sometime(
    from: &mut Connection,
    steps: &[Step],
    bindings: &mut Bindings,
    from_dovecot: bool,
) -> Result<usize, String> {
    let same = steps.iter().take_while(|step| step.connection == steps[0].connection);
    let lines: Vec<(&Line, bool)> = same
        .map_while(|step| match &step.what {
            What::HearSometime(line) => Some((line, true)),
            What::DovecotSometime(line) => Some((line, from_dovecot)),
            What::Say { .. }
            | What::Hear { .. }
            | What::Dovecot(_)
            | What::Recorded(_)
            | What::Close
            | What::Closed => None,
        })
        .collect();
    let count = lines.len();
    let mut missing: Vec<&Line> = lines.into_iter().filter(|(_, said)| *said).map(|(line, _)| line).collect();
    while !missing.is_empty() {
        let heard = from.line().map_err(|why| format!("{} lines are missing: {why}", missing.len()))?;
        let place = missing.iter().position(|line| line.fits(&heard, bindings));
        missing.remove(place.ok_or_else(|| format!("{} is none of the lines expected", show(&heard)))?);
    }
    Ok(count)
}

impl Connection {
    fn line(&mut self) -> Result<Vec<u8>, String> {
        loop {
            if let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.heard.drain(..=end).collect();
                line.pop();
                return Ok(line);
            }
            self.read_once()?;
        }
    }

    /// One system call, with the buffer that Radicale has for the whole greeting.
    fn read_once(&mut self) -> Result<(), String> {
        let mut buffer = [0; 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(format!("the server closed after {:?}", show(&self.heard))),
            Ok(count) => {
                self.heard.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) => Err(format!("the server said nothing more: {error}")),
        }
    }

    /// The client closes; until then nothing more may have come.
    fn close(&mut self) -> Result<(), String> {
        // A server that was told to go may be gone.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.closed()
    }

    fn closed(&mut self) -> Result<(), String> {
        match self.stream.read_to_end(&mut self.heard) {
            Ok(_) => {}
            // A server that closes with something of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => return Err(format!("the server did not close: {error}")),
        }
        if self.heard.is_empty() { Ok(()) } else { Err(format!("more came: {}", show(&self.heard))) }
    }

    /// A request whose only answer is known: what comes before that was too much.
    fn finish(mut self, socket: &str) -> Result<(), String> {
        let (request, reply): (&[u8], &[u8]) = match socket {
            "login" | "client" => {
                (b"CONT\t4294967295\t\n", b"FAIL\t4294967295\treason=Authentication request timed out")
            }
            _ => (b"USER\t4294967295\tnobody@nowhere.test\tservice=end\n", b"NOTFOUND\t4294967295"),
        };
        if self.greeted {
            self.stream.write_all(request).map_err(|error| error.to_string())?;
            let heard = self.line()?;
            if heard != reply {
                return Err(format!("more came: {}", show(&heard)));
            }
        }
        self.close()
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
