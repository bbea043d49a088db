use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::Lines;

/// An IMAP client of few commands.
pub struct Imap {
    lines: Lines,
    tag: u32,
}

impl Imap {
    /// Connects and takes the greeting.
    pub fn connect(address: impl Into<SocketAddr>) -> Self {
        let mut lines = Lines::connect(address);
        lines.expect("* OK");
        Self { lines, tag: 0 }
    }

    /// Says a command and returns what its tag was answered: `OK ...`, `NO ...` or `BAD ...`.
    pub fn command(&mut self, command: &str) -> String {
        self.tag += 1;
        self.lines.say(&format!("{} {command}", self.tag));
        self.answer()
    }

    pub fn login(&mut self, user: &str, password: &str) -> String {
        self.command(&format!("LOGIN {user} {password}"))
    }

    /// `AUTHENTICATE PLAIN` with the initial response in the same line.
    pub fn authenticate_at_once(&mut self, user: &str, password: &str) -> String {
        self.command(&format!("AUTHENTICATE PLAIN {}", plain(user, password)))
    }

    /// `AUTHENTICATE PLAIN` with the response after the server's empty challenge.
    pub fn authenticate(&mut self, user: &str, password: &str) -> String {
        self.tag += 1;
        self.lines.say(&format!("{} AUTHENTICATE PLAIN", self.tag));
        self.lines.expect("+");
        self.lines.say(&plain(user, password));
        self.answer()
    }

    /// Says a command and returns all lines that answer it.
    pub fn lines_of(&mut self, command: &str) -> Vec<String> {
        self.tag += 1;
        self.lines.say(&format!("{} {command}", self.tag));
        self.lines_to_tag()
    }

    fn answer(&mut self) -> String {
        let tag = format!("{} ", self.tag);
        let lines = self.lines_to_tag();
        lines.last().unwrap().trim_start_matches(&tag).to_owned()
    }

    fn lines_to_tag(&mut self) -> Vec<String> {
        let tag = format!("{} ", self.tag);
        self.lines.hear_until(|line| line.starts_with(&tag))
    }
}

/// The response of SASL PLAIN, in base64.
pub fn plain(user: &str, password: &str) -> String {
    BASE64.encode(format!("\0{user}\0{password}"))
}
