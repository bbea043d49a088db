use std::{
    fmt::Display,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
};

use tokio::{net::TcpSocket, runtime::Builder};

use super::DEADLINE;

/// A blocking client of any protocol of lines: IMAP, POP3, ManageSieve, SMTP, LMTP.
///
/// Waits [`DEADLINE`] for each line and fails the test, showing the dialogue so far, when none comes.
pub struct Lines {
    out: Box<dyn Write + Send>,
    /// Lines without their end; closed when the server has closed.
    heard: Receiver<String>,
    dialogue: Vec<String>,
}

impl Lines {
    pub fn connect(address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        let stream = TcpStream::connect_timeout(&address, DEADLINE)
            .unwrap_or_else(|error| panic!("nobody takes connections at {address}: {error}"));
        let reader = stream.try_clone().unwrap();
        Self::over(reader, Hangup(stream))
    }

    /// The same from another loopback address than the usual one, and as who has it.
    pub fn connect_from(source: Ipv4Addr, address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddrV4::new(source, 0).into())?;
            socket.connect(address).await?.into_std()
        };
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime
            .block_on(connect)
            .unwrap_or_else(|error| panic!("nobody takes connections of {source} at {address}: {error}"));
        stream.set_nonblocking(false).unwrap();
        let reader = stream.try_clone().unwrap();
        Self::over(reader, Hangup(stream))
    }

    /// Over any pair of streams, such as those of a child process.
    pub fn over(reader: impl Read + Send + 'static, writer: impl Write + Send + 'static) -> Self {
        let (tell, heard) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                if tell.send(text).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Self { out: Box::new(writer), heard, dialogue: Vec::new() }
    }

    pub fn say(&mut self, line: &str) {
        self.dialogue.push(format!("C: {line}"));
        if let Err(error) =
            self.out.write_all(format!("{line}\r\n").as_bytes()).and_then(|()| self.out.flush())
        {
            self.fail(format!("could not be sent: {error}"));
        }
    }

    pub fn hear(&mut self) -> String {
        match self.heard.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.dialogue.push(format!("S: {line}"));
                line
            }
            Err(RecvTimeoutError::Timeout) => self.fail("the server said nothing more".to_owned()),
            Err(RecvTimeoutError::Disconnected) => self.fail("the server closed the connection".to_owned()),
        }
    }

    /// Hears a line of very many, which the dialogue does not keep.
    pub fn hear_only(&mut self) -> String {
        let line = self.hear();
        self.dialogue.pop();
        line
    }

    /// Hears nothing more than the end of the connection.
    pub fn closed(&mut self) {
        match self.heard.recv_timeout(DEADLINE) {
            Ok(line) => self.fail(format!("the server was to close, and said {line:?}")),
            Err(RecvTimeoutError::Timeout) => self.fail("the server did not close".to_owned()),
            Err(RecvTimeoutError::Disconnected) => {}
        }
    }

    /// Hears lines until one fulfils `last`, which is returned with those before it.
    pub fn hear_until(&mut self, last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.hear());
            if lines.last().is_some_and(|line| last(line)) {
                return lines;
            }
        }
    }

    /// Hears a line that starts with `start`, or fails the test.
    pub fn expect(&mut self, start: &str) -> String {
        let line = self.hear();
        if !line.starts_with(start) {
            self.fail(format!("expected {start:?}"));
        }
        line
    }

    /// Says a line and expects the start of the answer.
    pub fn ask(&mut self, line: &str, start: &str) -> String {
        self.say(line);
        self.expect(start)
    }

    fn fail(&self, why: impl Display) -> ! {
        panic!("{why}\n{}", self.dialogue.join("\n"));
    }
}

/// Ends the connection when the client goes, though its reader still has a hand on it.
struct Hangup(TcpStream);

impl Write for Hangup {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Hangup {
    fn drop(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}
