//! Logins that memory can judge at once: no question is asked, and nothing is kept of them.

mod token;

use std::{mem, net::IpAddr, str, sync::Arc, time::Instant};

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{
        Fields,
        auth::{OneStep, Usual},
        reply,
    },
    sasl::plain::Plain,
    secret::Secret,
};

use self::token::Shown;
use super::{MAX_REQUESTS, Question, Role, SESSION, Session, address_or_unspecified};
use crate::{
    decision::{Attempt, Engine, Hop, Knock, Known, Moment, Recollection, Refusal},
    mechanism::{Claim, Credential, Mechanism},
    observe::{self, Decided},
    session::{Close, table::Login, words},
};

/// A login by PLAIN that says nothing out of the ordinary.
struct Ordinary<'a> {
    knock: Knock<'a>,
    line: &'a Usual<'a>,
}

impl<'a> Ordinary<'a> {
    /// `None`: it is to be read in the usual way.
    fn read(line: &'a Usual<'a>, response: &'a [u8], keeps: bool) -> Option<Self> {
        let Plain { authzid, authcid, password } = Plain::parse(response).ok()?;
        let proof = response.get(authzid.len() + 1..)?;
        let service = fitting_service(line)?;
        let authzid = Some(authzid).filter(|name| !name.is_empty() && *name != authcid);
        Some(Self { knock: Knock { authcid, authzid, password, proof, service, keeps }, line })
    }

    fn tell(&self, known: Result<&Known<'_>, &Refusal>, arrived: Instant) {
        if !observe::tells_decisions() {
            return;
        }
        let event = Decided {
            outcome: "verified",
            user: self.knock.authcid,
            master: None,
            directory: None,
            provider: None,
            reason: None,
            app_password: None,
            service: self.line.service,
            remote: remote(self.line),
            session: self.line.session,
            mechanism: Mechanism::Plain,
            trace: None,
            cache: Some(Recollection::Hit { refresh: false }.as_str()),
            took: arrived.elapsed(),
            asked: Some(arrived),
        };
        match known {
            Ok(known) => {
                Decided { directory: Some(known.directory()), app_password: known.app_password(), ..event }
            }
            Err(refusal) => Decided { outcome: refusal.outcome(), reason: Some(refusal), ..event },
        }
        .tell_soon();
    }

    /// The same, to be asked about later.
    fn attempt(&self) -> Attempt {
        let Knock { authcid, password, service, .. } = self.knock;
        let credential = Credential::Password(Secret::new(password.to_vec()));
        Attempt {
            claim: Claim { authzid: None, authcid: authcid.to_vec(), credential },
            mechanism: Mechanism::Plain,
            service: service.into(),
            remote: remote(self.line),
            session: None,
            hop: Hop::default(),
        }
    }
}

fn remote(line: &Usual<'_>) -> Option<IpAddr> {
    address_or_unspecified(line.rip(), line.rip_text)
}

/// The name of the service, if that and the name of the session are to be kept as they are.
fn fitting_service<'a>(line: &Usual<'a>) -> Option<&'a str> {
    line.session.is_none_or(|session| session.len() <= SESSION).then(|| service(line.service))?
}

/// The name of a service, if it needs no other form for the log and for comparison than it has.
fn service(bytes: &[u8]) -> Option<&str> {
    match bytes {
        // Nearly all are, and need not be looked through.
        b"imap" => Some("imap"),
        b"smtp" => Some("smtp"),
        b"pop3" => Some("pop3"),
        _ => str::from_utf8(bytes).ok().filter(|text| text.len() <= words::SERVICE),
    }
}

impl Session {
    /// Answers a login by a password or a token from memory. `None`, and nothing has happened, where that cannot be done.
    pub(super) fn recall(
        &mut self,
        line: &Usual<'_>,
        minor: u32,
        engine: &Engine,
        moment: Moment,
        out: &mut BytesMut,
    ) -> Option<Result<Option<Question>, Close>> {
        // R11: to old clients `resp=` with nothing after it is an absent response.
        let whole = minor >= 2 || !line.response.is_blank();
        // An exchange of Postfix's that it has abandoned is for the usual way to forget.
        let abandoned = minor == 0 && self.requests.want_response();
        let busy = self.requests.has(line.id) || self.requests.in_flight() >= MAX_REQUESTS;
        let mechanism = match line.mechanism {
            OneStep::Plain => Mechanism::Plain,
            OneStep::OAuthBearer => Mechanism::OAuthBearer,
            OneStep::XOAuth2 => Mechanism::XOAuth2,
        };
        if !whole || abandoned || busy || !self.offers(mechanism, minor) {
            return None;
        }
        let mut scratch = mem::take(&mut self.scratch);
        let response = line.response.decode_into(&mut scratch).ok()?;
        let keeps = self.role == Role::Login;
        let answered = match line.mechanism {
            OneStep::Plain => {
                let login = Ordinary::read(line, response.expose(), keeps);
                login.and_then(|login| self.recall_login(&login, engine, moment, out))
            }
            OneStep::OAuthBearer | OneStep::XOAuth2 => {
                let login = Shown::read(line, mechanism, response.expose(), keeps);
                login.and_then(|login| self.recall_token(&login, engine, moment, out))
            }
        };
        drop(response);
        self.scratch = scratch;
        answered
    }

    fn recall_login(
        &mut self,
        login: &Ordinary<'_>,
        engine: &Engine,
        moment: Moment,
        out: &mut BytesMut,
    ) -> Option<Result<Option<Question>, Close>> {
        let (id, user, now) = (login.line.id, login.knock.authcid, moment.instant);
        match engine.recall(&login.knock, || remote(login.line), moment)? {
            Ok(known) => {
                let service = login.knock.service;
                if self.role == Role::Login
                    && !self.keep(login.line, Mechanism::Plain, service, &known, now)?
                {
                    return Some(Err(super::ID_IN_USE));
                }
                reply::ok(out, id, user, Fields::default());
                login.tell(Ok(&known), now);
                let refresh = known.wants_refresh().then(|| Question::Refresh { attempt: login.attempt() });
                Some(Ok(refresh))
            }
            Err(refusal) => {
                login.tell(Err(&refusal), now);
                let line = words::refusal_of(id, user, &refusal);
                if self.offer.failure_delay.is_zero() {
                    out.extend_from_slice(&line);
                } else {
                    let handle = self.requests.open(id);
                    self.delay(handle, now, line, now, out);
                }
                Some(Ok(None))
            }
        }
    }

    /// Keeps it to be claimed. Whether it is the only one of its id.
    fn keep(
        &self,
        line: &Usual<'_>,
        mechanism: Mechanism,
        service: &str,
        known: &Known<'_>,
        now: Instant,
    ) -> Option<bool> {
        let session = line.session.map(str::from_utf8).transpose().ok()?;
        let kept = Login {
            account: Arc::new(known.account()?),
            mechanism,
            service: service.into(),
            session: session.map(Into::into),
            master: None,
            original: None,
        };
        Some(self.shared.table.keep(self.connection, line.id, kept, now))
    }
}
