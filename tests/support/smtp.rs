use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{Lines, imap::plain};

/// A client of SMTP and LMTP.
pub struct Smtp {
    lines: Lines,
}

/// What the server answered: its code, and its text with one line a line.
#[derive(Debug)]
pub struct Reply {
    pub code: u16,
    pub text: String,
}

impl Smtp {
    /// Connects, takes the banner and says EHLO.
    pub fn connect(address: impl Into<SocketAddr>) -> Self {
        Self::greeted_over(Lines::connect(address))
    }

    /// The same for LMTP.
    pub fn connect_lmtp(address: impl Into<SocketAddr>) -> Self {
        Self::greet(Lines::connect(address), "LHLO")
    }

    /// Over a connection that is in TLS already and has had its banner.
    pub fn over(lines: Lines) -> Self {
        let mut smtp = Self { lines };
        assert_eq!(smtp.command("EHLO client.example.test").code, 250);
        smtp
    }

    /// Takes the banner of a connection and says EHLO.
    pub fn greeted_over(lines: Lines) -> Self {
        Self::greet(lines, "EHLO")
    }

    fn greet(lines: Lines, hello: &str) -> Self {
        let mut smtp = Self { lines };
        assert_eq!(smtp.answer().code, 220);
        assert_eq!(smtp.command(&format!("{hello} client.example.test")).code, 250);
        smtp
    }

    pub fn command(&mut self, line: &str) -> Reply {
        self.lines.say(line);
        self.answer()
    }

    /// `AUTH PLAIN` with the initial response in the same line.
    pub fn auth_plain(&mut self, user: &str, password: &str) -> Reply {
        self.command(&format!("AUTH PLAIN {}", plain(user, password)))
    }

    /// `AUTH PLAIN` with the response after the server's empty challenge.
    pub fn auth_plain_asked(&mut self, user: &str, password: &str) -> Reply {
        assert_eq!(self.command("AUTH PLAIN").code, 334);
        self.command(&plain(user, password))
    }

    pub fn auth_login(&mut self, user: &str, password: &str) -> Reply {
        assert_eq!(self.command("AUTH LOGIN").code, 334);
        assert_eq!(self.command(&BASE64.encode(user)).code, 334);
        self.command(&BASE64.encode(password))
    }

    /// Sends a message of one line to one recipient and returns the first refusal, or what the server said
    /// after the message.
    pub fn send(&mut self, from: &str, to: &str, text: &str) -> Reply {
        for command in [format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"), "DATA".to_owned()] {
            let reply = self.command(&command);
            if reply.code >= 400 {
                self.command("RSET");
                return reply;
            }
        }
        self.command(&format!("Subject: test\r\n\r\n{text}\r\n."))
    }

    fn answer(&mut self) -> Reply {
        let lines = self.lines.hear_until(|line| line.as_bytes().get(3) != Some(&b'-'));
        let code = lines[0].get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
        Reply { code, text: lines.join("\n") }
    }
}
