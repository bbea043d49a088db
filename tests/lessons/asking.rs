//! The daemon of these tests, and the two ways to ask it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::support::{Alone, Lines};

/// Sockets of every kind, and refusals without delay.
const LISTENERS: &str = r#"
[sasl]
failure_delay = "0s"

[[listener]]
protocol = "dovecot-login"
path = "@DIR@/login"

[[listener]]
protocol = "dovecot-client"
path = "@DIR@/client"

[[listener]]
protocol = "dovecot-master"
path = "@DIR@/master"
"#;

/// A directory of the passwd-file that [`daemon`] gets.
pub const PEOPLE: &str = r#"
[[directory]]
name = "people"
type = "passwd-file"
file = "@DIR@/users"
"#;

/// The daemon with these directories and whatever else `config` holds.
pub fn daemon(config: &str, users: &str) -> Alone {
    Alone::new(&format!("{LISTENERS}{config}"), users)
}

/// The same with a separator before the names of master users.
pub fn separated(config: &str, users: &str) -> Alone {
    let separator = "failure_delay = \"0s\"\nmaster_user_separator = \"*\"";
    Alone::new(&format!("{LISTENERS}{config}").replace("failure_delay = \"0s\"", separator), users)
}

/// An auth-client connection.
pub struct Auth {
    pub lines: Lines,
    last: u32,
}

impl Auth {
    pub fn connect(gatepost: &Alone) -> Self {
        Self::over(gatepost.connect("client"))
    }

    pub fn over(mut lines: Lines) -> Self {
        lines.say("VERSION\t1\t2\nCPID\t4711");
        lines.hear_until(|line| line == "DONE");
        Self { lines, last: 0 }
    }

    /// A login by PLAIN; returns the reply without its id.
    pub fn plain(&mut self, user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> String {
        self.response(&plain(user, password))
    }

    /// The same with any response.
    pub fn response(&mut self, response: &str) -> String {
        self.with("service=imap", response)
    }

    /// The same with other parameters.
    pub fn with(&mut self, params: &str, response: &str) -> String {
        self.last += 1;
        let id = self.last;
        self.lines.say(&format!("AUTH\t{id}\tPLAIN\t{params}\tresp={response}"));
        self.reply(id)
    }

    /// A login by LOGIN.
    pub fn login(&mut self, user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> String {
        self.last += 1;
        let id = self.last;
        self.lines.ask(&format!("AUTH\t{id}\tLOGIN\tservice=imap"), "CONT\t");
        self.lines.say(&format!("CONT\t{id}\t{}", BASE64.encode(user)));
        let asked = self.reply(id);
        if !asked.starts_with("CONT") {
            return asked;
        }
        self.lines.say(&format!("CONT\t{id}\t{}", BASE64.encode(password)));
        self.reply(id)
    }

    fn reply(&mut self, id: u32) -> String {
        let line = self.lines.hear();
        let (word, rest) = line.split_once(&format!("\t{id}")).unwrap_or_else(|| panic!("{line}"));
        format!("{word}{rest}")
    }
}

/// A response of PLAIN in base64.
pub fn plain(user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> String {
    BASE64.encode([b"", user.as_ref(), password.as_ref()].join(&0))
}

/// An auth-master connection.
pub struct Master {
    pub lines: Lines,
    last: u32,
}

impl Master {
    pub fn connect(gatepost: &Alone) -> Self {
        let mut lines = gatepost.connect("master");
        lines.say("VERSION\t1\t1");
        lines.hear_until(|line| line.starts_with("SPID"));
        Self { lines, last: 0 }
    }

    /// A lookup in the userdb; returns the reply without its id.
    pub fn user(&mut self, name: &str) -> String {
        self.ask(&format!("{name}\tservice=lmtp"), "USER")
    }

    /// A lookup in the passdb.
    pub fn pass(&mut self, name: &str) -> String {
        self.ask(&format!("{name}\tservice=lmtp"), "PASS")
    }

    fn ask(&mut self, what: &str, word: &str) -> String {
        self.last += 1;
        self.lines.say(&format!("{word}\t{}\t{what}", self.last));
        let line = self.lines.hear();
        line.replacen(&format!("\t{}", self.last), "", 1)
    }
}
