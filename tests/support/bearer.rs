use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;

use super::Lines;

/// The two ways of a mail program to log in by a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bearer {
    /// RFC 7628.
    OAuthBearer,
    /// Google's, from before it.
    XOAuth2,
}

/// What became of a login.
#[derive(Debug, Eq, PartialEq)]
pub struct Told {
    /// The last line of the server, without a tag.
    pub answer: String,
    /// What it said before about what is wrong with the token.
    pub challenge: Option<Value>,
}

impl Bearer {
    pub const ALL: [Self; 2] = [Self::OAuthBearer, Self::XOAuth2];

    pub fn name(self) -> &'static str {
        match self {
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    /// The initial response, in base64.
    pub fn response(self, user: &str, token: &str) -> String {
        BASE64.encode(match self {
            Self::OAuthBearer => format!("n,a={user},\x01auth=Bearer {token}\x01\x01"),
            Self::XOAuth2 => format!("user={user}\x01auth=Bearer {token}\x01\x01"),
        })
    }

    /// What ends a refused exchange, in base64: %x01 by RFC 7628 3.2.3, and nothing.
    pub fn farewell(self) -> &'static str {
        match self {
            Self::OAuthBearer => "AQ==",
            Self::XOAuth2 => "",
        }
    }

    /// Over IMAP, with the response in the same line or in one of its own.
    pub fn imap(self, imap: &mut Lines, user: &str, token: &str, at_once: bool) -> Told {
        let (name, response) = (self.name(), self.response(user, token));
        if at_once {
            imap.say(&format!("a AUTHENTICATE {name} {response}"));
        } else {
            imap.ask(&format!("a AUTHENTICATE {name}"), "+");
            imap.say(&response);
        }
        self.rest(imap, |line| line.strip_prefix("+ "), |line| line.strip_prefix("a ").map(str::to_owned))
    }

    pub fn pop3(self, pop3: &mut Lines, user: &str, token: &str) -> Told {
        pop3.ask(&format!("AUTH {}", self.name()), "+");
        pop3.say(&self.response(user, token));
        let last =
            |line: &str| (line.starts_with("+OK") || line.starts_with("-ERR")).then(|| line.to_owned());
        self.rest(pop3, |line| line.strip_prefix("+ "), last)
    }

    /// Over ManageSieve, where what SASL says stands between quotes.
    pub fn sieve(self, sieve: &mut Lines, user: &str, token: &str) -> Told {
        let (name, response) = (self.name(), self.response(user, token));
        // A literal, as a quoted string is 1024 bytes at most (RFC 5804 4).
        sieve.say(&format!("AUTHENTICATE \"{name}\" {{{}+}}\r\n{response}", response.len()));
        let last = |line: &str| (line.starts_with("OK") || line.starts_with("NO")).then(|| line.to_owned());
        let challenge = |line: &str| line.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
        let mut told = None;
        loop {
            let line = sieve.hear();
            if let Some(answer) = last(&line) {
                return Told { answer, challenge: told };
            }
            // A literal comes after its length.
            if line.starts_with('{') {
                continue;
            }
            let base64 = challenge(&line).unwrap_or(line);
            told = Some(decode(&base64));
            sieve.say(&format!("\"{}\"", self.farewell()));
        }
    }

    pub fn smtp(self, smtp: &mut Lines, user: &str, token: &str) -> Told {
        smtp.ask(&format!("AUTH {}", self.name()), "334");
        smtp.say(&self.response(user, token));
        let last = |line: &str| (!line.starts_with("334")).then(|| line.to_owned());
        self.rest(smtp, |line| line.strip_prefix("334 "), last)
    }

    fn rest(
        self,
        lines: &mut Lines,
        challenge: impl Fn(&str) -> Option<&str>,
        last: impl Fn(&str) -> Option<String>,
    ) -> Told {
        let mut told = None;
        loop {
            let line = lines.hear();
            if let Some(answer) = last(&line) {
                return Told { answer, challenge: told };
            }
            if let Some(base64) = challenge(&line) {
                told = Some(decode(base64));
                lines.say(self.farewell());
            }
        }
    }
}

fn decode(base64: &str) -> Value {
    let bytes = BASE64.decode(base64).unwrap_or_else(|error| panic!("{error}: {base64:?}"));
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}
