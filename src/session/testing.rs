//! What the tests of the state machines need: people, and a clock that stands still.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{Cookie, RequestId},
    text::base64_into,
};

use super::{
    Close,
    auth::{self, Role},
    rehearsal::Rehearsal,
    shared::{Offer, Shared},
    token::TokenKey,
};
use crate::{
    config,
    decision::{Decision, Engine, Limits, Refusal, TempFail},
    directory::{Chain, Unavailable},
    mechanism::Mechanism,
    oidc::Challenge,
    password::Pool,
};

/// How long failures are held back here.
pub(super) const DELAY: Duration = Duration::from_secs(2);

/// The cookie of every connection.
pub(super) const COOKIE: &str = "69e1a8ba17881df894b135f8a8d853f9";

/// What is stored for `keys@example.org`, as made by `doveadm pw`.
const KEYS: &str = "{SCRAM-SHA-256}4096,nlTHw+0il1o99qAVxl7kTw==,r7RFzH7RbjAv2izJ0p3zKJCqO93uOTyIxDfySwzTT/o=,0pohWniH1mn3+wmfCOizhyxBI7epIYB0L/EUcvga8eQ=";

/// The password of `keys@example.org`.
pub(super) const KEYS_PASSWORD: &str = "secret";

/// Judges over people of all kinds. The password of each is the name before the `@`.
pub(super) fn engine() -> Engine {
    let (huge, wordy) = ("x".repeat(8200), "w".repeat(3000));
    let people = [
        "alice:5000:5000::/srv/alice::userdb_quota_rule=*:bytes=10M",
        "bob:5001:5001::/srv/bob::",
        "nobody::::::",
        "closed:5002:5002::/srv/closed::nologin reason=Closed",
        "evil:5002:5002::/srv/evil::nologin reason=a\tb\u{1}c",
        &format!("wordy:5002:5002::/srv/wordy::nologin reason={wordy}"),
        "prox:5003:5003::/srv/prox::proxy host=192.0.2.7 port=143",
        "pinned:5003:5003::/srv/pinned::proxy host=192.0.2.7 pass=other",
        "through:5003:5003::/srv/through::proxy host=192.0.2.7 proxy_mech=OAUTHBEARER",
        "maybe:5003:5003::/srv/maybe::proxy_maybe host=192.0.2.7 port=143",
        "ahead:5003:5003::/srv/ahead::forward_mine=own",
        "disabled:5004:5004::/srv/disabled::active=no",
        "expired:5005:5005::/srv/expired::expired=yes",
        "home:5006:5006::/srv/home::allow_nets=192.0.2.0/24",
        "inside:5009:5009::/srv/inside::allow_nets=local",
        "reader:5007:5007::/srv/reader::services=imap",
        &format!("huge:5008:5008::/srv/huge::userdb_x={huge}"),
    ];
    let line = |person: &&str| {
        let (name, rest) = person.split_once(':').unwrap();
        format!("{name}@example.org:{{PLAIN}}{name}:{rest}\n")
    };
    engine_over(&(people.iter().map(line).collect::<String>() + &keys()))
}

/// `keys@example.org`, as a line of a passwd-file.
pub(super) fn keys() -> String {
    format!("keys@example.org:{KEYS}:5010:5010::/srv/keys::\n")
}

/// Judges over the lines of a passwd-file, and a few master users.
pub(super) fn engine_over(lines: &str) -> Engine {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("people");
    fs::write(&file, lines).unwrap();
    let masters = dir.path().join("masters");
    // Another one has the keys of `keys`, and its name with another domain. Most are cheap to check, and so is nobody.
    let plain = "root@example.org:{PLAIN}root::::::\nother@example.org:{PLAIN}other::::::\n";
    let known = format!("{plain}keys@example.net:{KEYS}::::::\n");
    fs::write(&masters, known).unwrap();
    let directory = |name: &str, file, master| config::Directory {
        name: name.into(),
        domains: Vec::new(),
        fields: Vec::new(),
        primary_password_services: None,
        kind: config::Kind::PasswdFile { file, default_scheme: None },
        master,
        rehash: None,
        change_poll: None,
        maps: Vec::new(),
        place: None,
    };
    let directories =
        [directory("people", file, None), directory("masters", masters, Some(config::Master::default()))];
    let chain = Chain::open(&directories, None).unwrap();
    Engine::new(chain, Arc::new(Pool::with_queue(1, 1 << 26, 1)), Limits::default(), None)
}

pub(super) fn shared() -> Arc<Shared> {
    Arc::new(Shared::new(TokenKey::ephemeral().unwrap(), Instant::now()).unwrap())
}

pub(super) fn id(id: u32) -> RequestId {
    RequestId::try_from(id).unwrap()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    let mut out = BytesMut::new();
    base64_into(bytes, &mut out);
    text(&out)
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// PLAIN's response of `name@example.org` with this password, in base64.
pub(super) fn plain(name: &str, password: &str) -> String {
    base64(format!("\0{name}@example.org\0{password}").as_bytes())
}

/// The line that logs in like that.
pub(super) fn login(id: u32, name: &str, password: &str) -> String {
    format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={}\n", plain(name, password))
}

/// No answer of a directory.
pub(super) fn outage() -> Decision {
    Decision::Refuse(Refusal::TempFail(TempFail::Directory(Unavailable::new("people", "away"))))
}

/// Where there are tokens, by the domain of a name.
fn challenge(name: &[u8]) -> Option<Challenge> {
    let domain = text(name).split_once('@')?.1.to_owned();
    let configuration = format!("https://id.{domain}/.well-known/openid-configuration").into();
    Some(Challenge { configuration, scope: "openid email".into() })
}

/// A connection of the auth-client protocol, and the time on it.
pub(super) struct Desk<'e> {
    rehearsal: Rehearsal<'e>,
    /// What was said before anything was asked.
    pub(super) greeting: String,
    pub(super) now: Instant,
}

impl<'e> Desk<'e> {
    /// One that was just accepted, of CUID 1 or more.
    pub(super) fn accepted(role: Role, shared: &Arc<Shared>, engine: &'e Engine) -> Self {
        Self::offered(&Mechanism::DEFAULT, role, shared, engine)
    }

    /// One that was just accepted, where these mechanisms are offered.
    pub(super) fn offered(
        mechanisms: &[Mechanism],
        role: Role,
        shared: &Arc<Shared>,
        engine: &'e Engine,
    ) -> Self {
        let anonymous_user = Some("bob@example.org".into());
        let offer = Offer { mechanisms: mechanisms.into(), failure_delay: DELAY, anonymous_user };
        Self::under(offer, role, shared, engine)
    }

    /// One that was just accepted, where this is offered.
    pub(super) fn under(offer: Offer, role: Role, shared: &Arc<Shared>, engine: &'e Engine) -> Self {
        let cookie = Cookie::parse(COOKIE.as_bytes()).unwrap();
        let session = auth::Session::new(role, Arc::clone(shared), Arc::new(offer), cookie);
        let mut out = BytesMut::new();
        let rehearsal = Rehearsal::new(session, engine, &mut out);
        Self { rehearsal, greeting: text(&out), now: shared.started }
    }

    /// One whose peer has said that it speaks 1.`minor` and is process 7.
    pub(super) fn ready(role: Role, minor: u32, shared: &Arc<Shared>, engine: &'e Engine) -> Self {
        let mut desk = Self::accepted(role, shared, engine);
        assert_eq!(desk.say(&format!("VERSION\t1\t{minor}\nCPID\t7\n")), "");
        desk
    }

    /// The same, where these mechanisms are offered.
    pub(super) fn ready_for(
        mechanisms: &[Mechanism],
        role: Role,
        minor: u32,
        shared: &Arc<Shared>,
        engine: &'e Engine,
    ) -> Self {
        let mut desk = Self::offered(mechanisms, role, shared, engine);
        desk.say(&format!("VERSION\t1\t{minor}\nCPID\t7\n"));
        desk
    }

    /// Says lines and gives all that is said at once.
    pub(super) fn say(&mut self, lines: &str) -> String {
        let (said, ended) = self.try_say(lines.as_bytes());
        assert_eq!(ended, Ok(()), "after {lines:?}");
        said
    }

    /// Says lines and gives why they ended the connection; nothing else may have been said.
    pub(super) fn breaks(&mut self, lines: &str) -> Close {
        let (said, ended) = self.try_say(lines.as_bytes());
        assert_eq!(said, "", "after {lines:?}");
        ended.unwrap_err()
    }

    pub(super) fn try_say(&mut self, lines: &[u8]) -> (String, Result<(), Close>) {
        let mut out = BytesMut::new();
        let ended = self.rehearsal.receive(lines, self.now, &mut out);
        (text(&out), ended)
    }

    /// Says one line, without its LF, that leads to a question, which is left open.
    pub(super) fn ask(&mut self, line: &str) -> auth::Question {
        let (mut out, now) = (BytesMut::new(), self.now);
        let asked = self.rehearsal.line(line.trim_end().as_bytes(), now, &mut out);
        assert_eq!(out, "", "after {line:?}");
        asked.unwrap().expect("a question")
    }

    /// Answers a question as it should be.
    pub(super) fn judge(&mut self, question: auth::Question) -> String {
        let mut out = BytesMut::new();
        self.rehearsal.answer(question, self.now, &mut out).unwrap();
        text(&out)
    }

    /// Answers a question with this refusal. Of tokens that are not taken one is told of [`challenge`].
    pub(super) fn refuse(&mut self, question: auth::Question, refusal: Refusal) -> String {
        let auth::Question::Judge { handle, attempt } = question else { panic!("{question:?}") };
        let (mut out, now) = (BytesMut::new(), self.now);
        let decision = Decision::Refuse(refusal);
        let ended = self.session().decided(handle, attempt, decision, challenge, now, &mut out);
        assert_eq!(ended, Ok(()));
        text(&out)
    }

    /// Answers a question as nobody can.
    pub(super) fn fail(&mut self, question: auth::Question) -> (String, Result<(), Close>) {
        let mut out = BytesMut::new();
        let now = self.now;
        let ended = match question {
            auth::Question::Judge { handle, attempt } => {
                self.session().decided(handle, attempt, outage(), |_| None, now, &mut out)
            }
            auth::Question::Seek { handle, .. } => {
                let away = TempFail::Directory(Unavailable::new("people", "away"));
                self.session().told(handle, Err(away), Duration::ZERO, now, &mut out)
            }
            auth::Question::Refresh { .. } => Ok(()),
        };
        (text(&out), ended)
    }

    /// Lets time pass and gives what is said because of it.
    pub(super) fn pass(&mut self, time: Duration) -> String {
        self.now += time;
        let (mut out, now) = (BytesMut::new(), self.now);
        self.session().tick(now, &mut out);
        text(&out)
    }

    pub(super) fn session(&mut self) -> &mut auth::Session {
        self.rehearsal.session()
    }
}
