//! What is asked: lines that are ready but for their id, and the answer that each must get.

use std::fmt;

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{FieldsBuf, auth, params::Params},
    sasl::Plain,
    secret::Secret,
    text::{Encoded, base64_into},
};

/// The shape of a load.
#[derive(Debug, Clone)]
pub struct Mix {
    /// `service=` of every request.
    pub service: String,
    /// How many of a hundred requests have a wrong password.
    pub bad: u8,
    /// How many of a hundred requests name somebody unknown.
    pub unknown: u8,
}

/// Requests of all users, in a form that takes no work to send.
#[derive(Debug)]
pub struct Load {
    good: Vec<Secret>,
    bad: Vec<Secret>,
    unknown: Vec<Secret>,
    bad_share: u64,
    unknown_share: u64,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `TAB <mechanism> ... LF`: what follows `AUTH TAB <id>`. Holds a password.
    pub tail: &'a [u8],
    /// Whether the password is right.
    pub right: bool,
}

/// A line of the file of users that is none. The operator's fault; its text may be a password and is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadUsers {
    /// The number of the line, counted from 1.
    Line(usize),
    /// No user at all.
    Nobody,
}

impl Load {
    /// Takes the text of a file of users, a line each: `user ":" password`, where the password goes on to the end of
    /// the line and is not empty. Empty lines and those that begin with `#` are left out.
    pub fn read(users: &str, mix: &Mix) -> Result<Self, BadUsers> {
        let (bad_share, unknown_share) = (u64::from(mix.bad), u64::from(mix.unknown));
        let mut load =
            Self { good: Vec::new(), bad: Vec::new(), unknown: Vec::new(), bad_share, unknown_share };
        for (index, line) in users.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            load.add(line, &mix.service).ok_or(BadUsers::Line(index + 1))?;
        }
        if load.good.is_empty() { Err(BadUsers::Nobody) } else { Ok(load) }
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.good.len()
    }

    /// The request of this number: the same one for the same number, in whichever run. The users come up at random,
    /// so that no two neighbours in the file are neighbours in the server's caches.
    pub fn request(&self, number: u64) -> Request<'_> {
        let random = scatter(number);
        let (share, who) = (random % 100, random / 100);
        let (tails, right) = if share < self.bad_share {
            (&self.bad, false)
        } else if share < self.bad_share + self.unknown_share {
            (&self.unknown, false)
        } else {
            (&self.good, true)
        };
        let who = usize::try_from(who % tails.len().max(1) as u64).unwrap_or(0);
        Request { tail: tails.get(who).map_or(b"", Secret::expose), right }
    }

    fn add(&mut self, line: &str, service: &str) -> Option<()> {
        let (user, password) = line.split_once(':').filter(|(_, password)| !password.is_empty())?;
        let number = self.good.len();
        self.good.push(tail(user, password, service, number)?);
        if self.bad_share > 0 {
            self.bad.push(tail(user, &format!("{password}x"), service, number)?);
        }
        if self.unknown_share > 0 {
            self.unknown.push(tail(&format!("nobody.{user}"), password, service, number)?);
        }
        Some(())
    }
}

/// The line of a PLAIN login with everything that Dovecot's login processes say of a remote, behind its id.
///
/// Remotes are in 198.18.0.0/15, which is for benchmarks (RFC 2544), a different one for each user up to 131,072.
fn tail(user: &str, password: &str, service: &str, number: usize) -> Option<Secret> {
    let response =
        Plain { authzid: b"", authcid: user.as_bytes(), password: password.as_bytes() }.encode().ok()?;
    let mut base64 = BytesMut::new();
    base64_into(response.expose(), &mut base64);
    let [.., high, middle, low] = number.to_be_bytes();

    let mut fields = FieldsBuf::default();
    fields.push("service", service);
    fields.flag("secured");
    fields.push("session", format!("b{number:015}"));
    fields.push("lip", "198.18.0.1");
    fields.push("rip", format!("198.{}.{middle}.{low}", 18 + (high & 1)));
    fields.push("lport", "993");
    fields.push("rport", (1024 + number % 60_000).to_string());
    let request = auth::Auth {
        id: 1.try_into().ok()?,
        mechanism: b"PLAIN".into(),
        params: Params::of(fields.as_fields()),
        response: Some(Encoded::new(&base64).ok()?),
    };
    let mut line = BytesMut::new();
    auth::Command::Auth(request).encode(&mut line);
    line.strip_prefix(b"AUTH\t1").map(|tail| Secret::new(tail.to_vec()))
}

/// Bits that look random, the same for the same number (the mixing step of SplitMix64).
const fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl fmt::Display for BadUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}: write user:password"),
            Self::Nobody => f.write_str("no user: write a line user:password for each"),
        }
    }
}

impl std::error::Error for BadUsers {}

#[cfg(test)]
mod tests {
    use gatepost_protocol::{dovecot::auth::Command, sasl::Plain};

    use super::{BadUsers, Load, Mix};

    fn mix(bad: u8, unknown: u8) -> Mix {
        Mix { service: "imap".to_owned(), bad, unknown }
    }

    /// Name and password of a request, as a server reads them.
    fn read(tail: &[u8]) -> (String, String) {
        let line = [b"AUTH\t77", tail.strip_suffix(b"\n").unwrap()].concat();
        let Command::Auth(auth) = Command::parse(&line).unwrap() else { panic!("not an AUTH") };
        assert_eq!(auth.params.service().as_deref(), Some(&b"imap"[..]));
        assert!(auth.params.rip().is_some() && auth.params.lport() == Some(993));
        let response = auth.response.unwrap().decode().unwrap();
        let plain = Plain::parse(response.expose()).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(plain.authcid), text(plain.password))
    }

    #[test]
    fn requests_are_what_a_server_reads() {
        let load = Load::read("# who\n\nalice:a:b c\n", &mix(0, 0)).unwrap();
        let request = load.request(9);
        assert!(request.right);
        assert_eq!(read(request.tail), ("alice".to_owned(), "a:b c".to_owned()));
    }

    #[test]
    fn the_mix_is_as_asked_for_and_only_the_right_passwords_count_as_right() {
        let users: String = (0..50).map(|user| format!("u{user}:secret{user}\n")).collect();
        let load = Load::read(&users, &mix(20, 30)).unwrap();
        let mut seen = std::collections::HashMap::<_, u32>::new();
        for number in 0..10_000 {
            let request = load.request(number);
            let (name, password) = read(request.tail);
            let user = name.trim_start_matches("nobody.").trim_start_matches('u');
            let kind = (name.starts_with("nobody."), password == format!("secret{user}"));
            assert_eq!(request.right, kind == (false, true), "{name} {password}");
            *seen.entry(kind).or_insert(0) += 1;
        }
        for (kind, expected) in [((false, true), 5000_u32), ((false, false), 2000), ((true, true), 3000)] {
            assert!(seen[&kind].abs_diff(expected) < 300, "{kind:?}: {} of {expected}", seen[&kind]);
        }
    }

    #[test]
    fn every_user_comes_up() {
        let users: String = (0..1000).map(|user| format!("u{user}:x\n")).collect();
        let load = Load::read(&users, &mix(0, 0)).unwrap();
        let seen: std::collections::HashSet<_> = (0..20_000).map(|n| read(load.request(n).tail).0).collect();
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn a_line_that_is_no_user_is_named_by_its_number() {
        for (users, expected) in [
            ("", BadUsers::Nobody),
            ("# none\n", BadUsers::Nobody),
            ("a:b\nsecret\n", BadUsers::Line(2)),
            ("a:\n", BadUsers::Line(1)),
            (":x\n", BadUsers::Line(1)),
        ] {
            assert_eq!(Load::read(users, &mix(0, 0)).unwrap_err(), expected, "{users:?}");
        }
    }
}
