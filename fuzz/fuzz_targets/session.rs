//! A whole connection of the auth-client protocol: bytes in, replies out, over fixed directories.
//!
//! The first two bytes say how the rest arrives. What may not be is found out by looking at the bytes alone, and not by
//! asking the code that is under test.
#![no_main]

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use gatepost::{
    config::{Config, Surroundings},
    daemon,
    decision::Engine,
    mechanism::Mechanism,
    session::{
        auth::{Role, Session},
        rehearsal::Rehearsal,
        shared::{Offer, Shared},
        token::TokenKey,
    },
};
use gatepost_protocol::{
    dovecot::{Cookie, reply::Reply},
    text::{base64_into, unescape},
};
use libfuzzer_sys::fuzz_target;

/// Who is there, and the password of each.
const PEOPLE: [(&str, &str); 3] =
    [("alice@example.org", "secret"), ("alice@example.test", "wonder"), ("nologin_y", "x")];

/// Who may act as all of them.
const MASTER: (&str, &str) = ("root@example.org", "master");

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut text = "[server]\nstate_dir = \"/nowhere\"\nruntime_dir = \"/nowhere\"\n".to_owned();
    text += "[sasl]\nmaster_user_separator = \"*\"\n";
    text += "[[directory]]\nname = \"masters\"\ntype = \"static\"\nmaster = true\n";
    text += &format!("users = [\"{}\"]\npassword = \"{{PLAIN}}{}\"\n", MASTER.0, MASTER.1);
    for (number, (name, password)) in PEOPLE.iter().enumerate() {
        text += &format!("[[directory]]\nname = \"{number}\"\ntype = \"static\"\n");
        text += &format!("users = [\"{name}\"]\npassword = \"{{PLAIN}}{password}\"\n");
        text += "[directory.fields]\nuid = \"5000\"\n";
        if *name == "nologin_y" {
            text += "nologin = \"yes\"\nreason = \"Closed\"\n";
        }
    }
    // Never answers: its file is not there.
    text += "[[directory]]\nname = \"away\"\ntype = \"passwd-file\"\nfile = \"/nowhere/users\"\ndomains = [\"away.example\"]\n";
    let config =
        Config::from_texts(&[(Path::new("fuzz"), &text)], &Surroundings::none()).expect("a configuration");
    daemon::engine(&config).expect("directories")
});

/// All that a password is needed for, and those with tokens, of which none is taken. All are announced to everybody.
const OFFERED: [Mechanism; 7] = [
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::CramMd5,
    Mechanism::ScramSha1,
    Mechanism::ScramSha256,
    Mechanism::OAuthBearer,
    Mechanism::XOAuth2,
];

static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| {
    let tokens = TokenKey::ephemeral().expect("random numbers");
    Arc::new(Shared::new(tokens, Instant::now()).expect("random numbers"))
});

fuzz_target!(|data: &[u8]| {
    let [how, chunk, dialogue @ ..] = data else { return };
    let role = if how & 1 == 0 { Role::Login } else { Role::Client };
    let late = how & 2 != 0;
    let failure_delay = if how & 4 == 0 { Duration::ZERO } else { Duration::from_secs(2) };
    let step = Duration::from_millis(u64::from(how >> 3) * 100);

    let offer = Offer { mechanisms: OFFERED.as_slice().into(), failure_delay, anonymous_user: None };
    let session = Session::new(role, Arc::clone(&SHARED), Arc::new(offer), Cookie::new([7; 16]));
    let (mut out, mut now) = (BytesMut::new(), SHARED.started);
    let mut connection = Rehearsal::new(session, &ENGINE, &mut out);
    let greeting = out.split();
    assert!(greeting.len() < 1024);

    let mut questions = Vec::new();
    'connected: {
        for bytes in dialogue.chunks(usize::from(*chunk) * 8 + 1) {
            // Answers come before, or long after, what the peer says next.
            let earlier = std::mem::take(&mut questions);
            let mut over = connection.read(bytes, now, &mut questions, &mut out);
            let due = if late { earlier } else { std::mem::take(&mut questions) };
            for question in due {
                over = over.and(connection.answer(question, now, &mut out));
            }
            if over.is_err() {
                break 'connected;
            }
            now += step;
            connection.session().tick(now, &mut out);
        }
        for question in questions {
            if connection.answer(question, now, &mut out).is_err() {
                break 'connected;
            }
        }
        connection.session().tick(now + Duration::from_secs(3), &mut out);
        connection.session().tick(now + Duration::from_secs(200), &mut out);
        assert!(connection.session().is_idle(), "a request without an end");
    }
    drop(connection);
    assert!(SHARED.table.is_empty(), "a login outlived its connection");
    judge(&Heard::of(dialogue), &out);
});

/// What was said to the daemon, read as simply as can be.
#[derive(Default)]
struct Heard {
    lines: usize,
    /// How often each id was named, by any command.
    ids: HashMap<u32, usize>,
    begun: HashMap<u32, usize>,
    /// Everything that anybody can have meant as a SASL response.
    responses: HashSet<Vec<u8>>,
    knows_cancelled: bool,
}

impl Heard {
    fn of(dialogue: &[u8]) -> Self {
        let mut heard = Self::default();
        for line in dialogue.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            heard.lines += 1;
            let mut parts = line.split(|&byte| byte == b'\t');
            let word = parts.next().unwrap_or_default();
            let parts: Vec<_> = parts.collect();
            let number =
                |at: usize| parts.get(at).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            if let Some(id) = number(0) {
                *heard.ids.entry(id).or_default() += 1;
                if word == b"AUTH" {
                    *heard.begun.entry(id).or_default() += 1;
                }
            }
            heard.knows_cancelled |= word == b"VERSION" && number(1).is_some_and(|minor| minor >= 4);
            for part in parts {
                let text = part.iter().position(|&byte| byte == b'=').map_or(part, |at| &part[at + 1..]);
                heard.responses.extend([part, text].into_iter().filter_map(decode));
            }
        }
        heard
    }

    /// Whether somebody has sent this name and this password, in whatever spelling of the name.
    fn has_credentials(&self, (name, password): (&str, &str)) -> bool {
        let tail = format!("\0{password}").into_bytes();
        let proven = self
            .responses
            .iter()
            .any(|response| response == password.as_bytes() || response.ends_with(&tail));
        proven && self.names(name)
    }

    fn names(&self, name: &str) -> bool {
        self.responses.iter().any(|response| String::from_utf8_lossy(response).to_lowercase().contains(name))
    }
}

fn judge(heard: &Heard, out: &[u8]) {
    assert!(out.len() <= heard.lines * 4000, "{} bytes for {} lines", out.len(), heard.lines);
    let mut ended: HashMap<u32, usize> = HashMap::new();
    for line in out.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").expect("a LF at the end");
        let reply = Reply::parse(line).expect("a reply");
        let id = match &reply {
            Reply::Ok { id, fields } => {
                assert!(heard.begun.contains_key(&id.get()), "OK of a request that nobody began");
                let user = fields.find(b"user").and_then(|field| field.value).expect("user=");
                let (name, password) = PEOPLE
                    .iter()
                    .find(|(name, _)| name.as_bytes() == &*user)
                    .expect("OK of somebody who does not exist");
                let by_master = heard.has_credentials(MASTER) && heard.names(name);
                assert!(by_master || heard.has_credentials((name, password)), "OK without a password");
                assert!(by_master || !fields.has(b"auth_user"), "a master user without a password");
                assert!(*name != "nologin_y" || fields.has(b"nologin"), "OK without nologin");
                id
            }
            Reply::Fail { id, .. } | Reply::Cont { id, .. } => id,
            Reply::Cancelled(id) => {
                assert!(heard.knows_cancelled, "CANCELLED to who does not know it");
                id
            }
            other => panic!("unasked: {other:?}"),
        };
        *ended.entry(id.get()).or_default() += 1;
    }
    for (id, replies) in ended {
        let said = heard.ids.get(&id).copied().unwrap_or_default();
        assert!(replies <= said, "{replies} replies to {said} lines of request {id}");
    }
}

/// Base64 as it must be, taken off by writing it again.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = unescape(text);
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.iter().map_while(|&byte| value(byte)).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits =
            group.iter().fold(0_u32, |bits, &digit| bits << 6 | u32::from(digit)) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    let mut again = BytesMut::new();
    base64_into(&bytes, &mut again);
    (again == *text).then_some(bytes)
}
