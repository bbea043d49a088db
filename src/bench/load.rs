//! What is asked: lines that are ready but for their id, and the answer that each must get.

use std::{borrow::Cow, fmt};

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{FieldsBuf, auth, params::Params},
    sasl::{Plain, oauthbearer::OAuthBearer, xoauth2::XOAuth2},
    secret::Secret,
    text::{Encoded, base64_into},
};
use zeroize::Zeroizing;

/// How to log in: one round trip each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// PLAIN
    Plain,
    /// OAUTHBEARER, with tokens in the place of passwords
    OAuthBearer,
    /// XOAUTH2, likewise
    XOAuth2,
}

/// The shape of a load.
#[derive(Debug, Clone)]
pub struct Mix {
    /// How every request logs in.
    pub mechanism: Mechanism,
    /// `service=` of every request.
    pub service: String,
    /// How many of a hundred requests have a wrong password.
    pub bad: u8,
    /// How many of a hundred requests name somebody unknown.
    pub unknown: u8,
    /// Whether no wrong password and no unknown name comes twice. Otherwise each user has one of either.
    pub fresh: bool,
    /// Which user is next.
    pub order: Order,
}

/// Which user is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any, so that no two neighbours in the file are neighbours in the server's caches.
    Random,
    /// The next one of the file, and after the last one the first.
    Sequence,
    /// Any that has not been there yet; after all of them, all of them again.
    Shuffled,
}

/// Requests of all users, in a form that takes no work to send.
#[derive(Debug)]
pub struct Load {
    mechanism: Mechanism,
    service: String,
    good: Tails,
    bad: Tails,
    unknown: Tails,
    /// Of all users, if wrong passwords and unknown names are made as they are needed.
    names: Vec<Box<str>>,
    bad_share: u64,
    unknown_share: u64,
    order: Order,
    /// What [`Order::Shuffled`] goes on by: it has no divisor in common with the number of users.
    stride: u64,
}

/// Many tails one behind the other: a million of them are no million pieces of memory.
#[derive(Default)]
struct Tails {
    bytes: Zeroizing<Vec<u8>>,
    ends: Vec<usize>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `TAB <mechanism> ... LF`: what follows `AUTH TAB <id>`. Holds a password.
    pub tail: Cow<'a, [u8]>,
    /// What is right to answer.
    pub kind: Kind,
}

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A user with the right password.
    Good,
    /// A user with a wrong password.
    Bad,
    /// Somebody whom the server does not know.
    Unknown,
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
        let lines =
            || users.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let count = lines().count();
        // More than they take, so that no copy is left behind where they had been before they grew.
        let tails = |wanted: bool| match wanted {
            true => Tails::with_capacity(count, 2 * users.len() + count * (2 * mix.service.len() + 256)),
            false => Tails::default(),
        };
        let mut load = Self {
            mechanism: mix.mechanism,
            service: mix.service.clone(),
            good: tails(true),
            bad: tails(mix.bad > 0 && !mix.fresh),
            unknown: tails(mix.unknown > 0 && !mix.fresh),
            names: Vec::new(),
            bad_share: u64::from(mix.bad),
            unknown_share: u64::from(mix.unknown),
            order: mix.order,
            stride: stride(count as u64),
        };
        for (index, line) in lines() {
            load.add(line, mix.fresh).ok_or(BadUsers::Line(index + 1))?;
        }
        if load.users() == 0 { Err(BadUsers::Nobody) } else { Ok(load) }
    }

    /// How every request logs in.
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.good.ends.len()
    }

    /// The request of this number: the same one for the same number, in whichever run.
    pub fn request(&self, number: u64) -> Request<'_> {
        let (random, users) = (scatter(number), self.users().max(1) as u64);
        let (share, random) = (random % 100, random / 100);
        let who = match self.order {
            Order::Random => random % users,
            Order::Sequence => number % users,
            Order::Shuffled => {
                u64::try_from(u128::from(number) * u128::from(self.stride) % u128::from(users)).unwrap_or(0)
            }
        };
        let who = usize::try_from(who).unwrap_or(0);
        let (kind, tails) = if share < self.bad_share {
            (Kind::Bad, &self.bad)
        } else if share < self.bad_share + self.unknown_share {
            (Kind::Unknown, &self.unknown)
        } else {
            (Kind::Good, &self.good)
        };
        let tail = match tails.get(who) {
            Some(tail) => Cow::Borrowed(tail),
            None => Cow::Owned(self.made_up(kind, who, number)),
        };
        Request { tail, kind }
    }

    fn add(&mut self, line: &str, fresh: bool) -> Option<()> {
        let (user, password) = line.split_once(':').filter(|(_, password)| !password.is_empty())?;
        let number = self.users();
        let (mechanism, service) = (self.mechanism, &self.service);
        let tail = |user: &str, password: &str| tail(mechanism, user, password, service, number);
        self.good.push(&tail(user, password)?);
        if fresh {
            self.names.push(user.into());
            return Some(());
        }
        if self.bad_share > 0 {
            self.bad.push(&tail(user, &format!("{password}x"))?);
        }
        if self.unknown_share > 0 {
            self.unknown.push(&tail(&format!("nobody.{user}"), password)?);
        }
        Some(())
    }

    /// A request with a password that nobody has, or a name. Of neither is there another one.
    fn made_up(&self, kind: Kind, who: usize, number: u64) -> Vec<u8> {
        let (user, password) = (self.names.get(who).map_or("", |name| &**name), format!("wrong-{number:x}"));
        let tail = match kind {
            Kind::Good | Kind::Bad => self.tail(user, &password, who),
            Kind::Unknown => self.tail(&format!("nobody-{number:x}.{user}"), &password, who),
        };
        tail.map_or_else(Vec::new, |tail| tail.expose().to_vec())
    }

    fn tail(&self, user: &str, password: &str, number: usize) -> Option<Secret> {
        tail(self.mechanism, user, password, &self.service, number)
    }
}

impl Mechanism {
    /// As it is announced.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    fn response(self, user: &[u8], secret: &[u8]) -> Option<Secret> {
        match self {
            Self::Plain => Plain { authzid: b"", authcid: user, password: secret }.encode(),
            Self::OAuthBearer => {
                let user = Some(user.into());
                OAuthBearer { could_bind: false, user, host: None, port: None, token: secret }.encode()
            }
            Self::XOAuth2 => XOAuth2 { user: Some(user), token: secret }.encode(),
        }
        .ok()
    }
}

impl Tails {
    fn with_capacity(count: usize, size: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(size)), ends: Vec::with_capacity(count) }
    }

    fn push(&mut self, tail: &Secret) {
        self.bytes.extend_from_slice(tail.expose());
        self.ends.push(self.bytes.len());
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        let begin = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(begin..*self.ends.get(index)?)
    }
}

impl fmt::Debug for Tails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tails({})", self.ends.len())
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Good, Self::Bad, Self::Unknown];

    /// In figures and the like.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// The line of a login with everything that Dovecot's login processes say of a remote, behind its id.
///
/// Remotes are in 198.18.0.0/15, which is for benchmarks (RFC 2544), a different one for each user up to 131,072.
fn tail(mechanism: Mechanism, user: &str, password: &str, service: &str, number: usize) -> Option<Secret> {
    let response = mechanism.response(user.as_bytes(), password.as_bytes())?;
    let mut base64 = BytesMut::new();
    base64_into(response.expose(), &mut base64);
    let [.., high, middle, low] = number.to_be_bytes();

    let mut fields = FieldsBuf::default();
    fields.push("service", service);
    fields.flag("secured");
    if mechanism != Mechanism::Plain {
        // What is wrong with a token comes with the refusal then, and not in one more round.
        fields.flag("final-resp-ok");
    }
    fields.push("session", format!("b{number:015}"));
    fields.push("lip", "198.18.0.1");
    fields.push("rip", format!("198.{}.{middle}.{low}", 18 + (high & 1)));
    fields.push("lport", "993");
    fields.push("rport", (1024 + number % 60_000).to_string());
    let request = auth::Auth {
        id: 1.try_into().ok()?,
        mechanism: mechanism.name().as_bytes().into(),
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

/// A step that goes through all of `count` before it comes to one again, and hardly ever to a neighbour.
fn stride(count: u64) -> u64 {
    const fn common(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { common(b, a % b) }
    }
    // From the golden ratio on: 1 is a step for any count.
    let first = count.saturating_mul(5) / 8;
    (first.max(1)..=first.max(1) + count).find(|&step| common(step, count) == 1).unwrap_or(1)
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

    use super::{BadUsers, Kind, Load, Mechanism, Mix, OAuthBearer, Order, XOAuth2};

    fn mix(bad: u8, unknown: u8) -> Mix {
        let mechanism = Mechanism::Plain;
        Mix { mechanism, service: "imap".to_owned(), bad, unknown, fresh: false, order: Order::Random }
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
        assert_eq!(request.kind, Kind::Good);
        assert_eq!(read(&request.tail), ("alice".to_owned(), "a:b c".to_owned()));
    }

    #[test]
    fn a_token_is_shown_by_either_mechanism() {
        for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
            let load = Load::read("alice:tok\n", &Mix { mechanism, ..mix(0, 0) }).unwrap();
            let tail = load.request(0).tail;
            let line = [b"AUTH\t77", tail.strip_suffix(b"\n").unwrap()].concat();
            let Command::Auth(auth) = Command::parse(&line).unwrap() else { panic!("not an AUTH") };
            assert_eq!(&*auth.mechanism, mechanism.name().as_bytes());
            assert!(auth.params.final_resp_ok);
            let response = auth.response.unwrap().decode().unwrap();
            let (user, token) = match mechanism {
                Mechanism::XOAuth2 => {
                    let read = XOAuth2::parse(response.expose()).unwrap();
                    (read.user.unwrap().to_vec(), read.token)
                }
                Mechanism::OAuthBearer | Mechanism::Plain => {
                    let read = OAuthBearer::parse(response.expose()).unwrap();
                    (read.user.unwrap().into_owned(), read.token)
                }
            };
            assert_eq!((&*user, token), (&b"alice"[..], &b"tok"[..]));
        }
        // What is no token cannot be sent as one.
        let mix = Mix { mechanism: Mechanism::XOAuth2, ..mix(0, 0) };
        assert_eq!(Load::read("a:b c\n", &mix).unwrap_err(), BadUsers::Line(1));
    }

    #[test]
    fn the_mix_is_as_asked_for_and_only_the_right_passwords_count_as_right() {
        let users: String = (0..50).map(|user| format!("u{user}:secret{user}\n")).collect();
        let load = Load::read(&users, &mix(20, 30)).unwrap();
        let mut seen = std::collections::HashMap::<_, u32>::new();
        for number in 0..10_000 {
            let request = load.request(number);
            let (name, password) = read(&request.tail);
            let user = name.trim_start_matches("nobody.").trim_start_matches('u');
            let kind = (name.starts_with("nobody."), password == format!("secret{user}"));
            let expected = match kind {
                (false, true) => Kind::Good,
                (false, false) => Kind::Bad,
                (true, _) => Kind::Unknown,
            };
            assert_eq!(request.kind, expected, "{name} {password}");
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
        let seen: std::collections::HashSet<_> = (0..20_000).map(|n| read(&load.request(n).tail).0).collect();
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn everybody_comes_up_once_before_anybody_comes_up_again() {
        for (order, count) in [(Order::Sequence, 7), (Order::Shuffled, 1), (Order::Shuffled, 2)]
            .into_iter()
            .chain([6, 97, 1000, 1001, 4096].map(|count| (Order::Shuffled, count)))
        {
            let users: String = (0..count).map(|user| format!("u{user}:x\n")).collect();
            let load = Load::read(&users, &Mix { order, ..mix(0, 0) }).unwrap();
            let seen: Vec<_> = (0..2 * count).map(|n| read(&load.request(n).tail).0).collect();
            let (first, second) = seen.split_at(seen.len() / 2);
            for round in [first, second] {
                let different: std::collections::HashSet<_> = round.iter().collect();
                assert_eq!(different.len() as u64, count, "{order:?} {count}");
            }
            let next = first.windows(2).filter(|pair| {
                let [a, b] =
                    [&pair[0], &pair[1]].map(|name| name.trim_start_matches('u').parse::<i64>().unwrap());
                b - a == 1
            });
            assert!(order == Order::Sequence || count < 6 || next.count() == 0, "{count}");
        }
    }

    #[test]
    fn fresh_garbage_never_comes_twice() {
        let load = Load::read("a@x:right\nb@x:right\n", &Mix { fresh: true, ..mix(50, 49) }).unwrap();
        let mut seen = std::collections::HashSet::new();
        for number in 0..2000 {
            let request = load.request(number);
            let (name, password) = read(&request.tail);
            let known = ["a@x", "b@x"].contains(&&*name);
            let (expected, new) = match request.kind {
                Kind::Good => ((true, true), true),
                Kind::Bad => ((true, false), seen.insert(password.clone())),
                Kind::Unknown => ((false, false), seen.insert(name)),
            };
            assert_eq!((known, password == "right"), expected);
            assert!(new);
        }
        assert!(seen.len() > 1800);
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
