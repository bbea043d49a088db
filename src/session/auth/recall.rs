//! Logins that memory can judge at once: no question is asked, and nothing is kept of them.

use std::{borrow::Cow, mem, str, sync::Arc, time::Instant};

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{Fields, Params, auth::Auth, reply},
    sasl::plain::Plain,
    secret::Secret,
    text::Encoded,
};

use super::{Question, Role, SESSION, Session, remote};
use crate::{
    decision::{Attempt, Engine, Hop, Knock, Known, Recollection, Refusal},
    mechanism::{Claim, Credential, Mechanism},
    observe::{self, Decided},
    session::{Close, table::Login, words},
};

/// A login by PLAIN that says nothing out of the ordinary.
struct Ordinary<'a, 'p> {
    knock: Knock<'a>,
    params: &'p Params<'a>,
    session: Option<&'a str>,
}

impl<'a, 'p> Ordinary<'a, 'p> {
    /// `None`: it is to be read in the usual way.
    fn read(auth: &'p Auth<'a>, response: &'a [u8]) -> Option<Self> {
        let params = &auth.params;
        let plain = Plain::parse(response).ok()?;
        let service = text(params.service()?, words::SERVICE)?;
        let session = match params.session() {
            Some(session) => Some(text(session, SESSION)?),
            None => None,
        };
        if params.forward_fields().is_some() {
            return None;
        }
        let authzid = Some(plain.authzid).filter(|name| !name.is_empty() && *name != plain.authcid);
        let knock = Knock { authcid: plain.authcid, authzid, password: plain.password, service };
        Some(Self { knock, params, session })
    }

    fn tell(&self, known: Result<&Known<'_>, &Refusal>, arrived: Instant) {
        if !observe::tells_decisions() {
            return;
        }
        let typed = match known {
            Ok(_) => Cow::Borrowed(""),
            Err(_) => String::from_utf8_lossy(self.knock.authcid),
        };
        let event = Decided {
            outcome: "verified",
            user: &typed,
            master: None,
            directory: None,
            provider: None,
            reason: None,
            app_password: None,
            service: self.knock.service,
            remote: remote(self.params),
            session: self.session,
            mechanism: Mechanism::Plain,
            trace: None,
            cache: Some(Recollection::Hit { refresh: false }.as_str()),
            took: arrived.elapsed(),
        };
        match known {
            Ok(known) => Decided {
                user: known.user(),
                directory: Some(known.directory()),
                app_password: known.app_password(),
                ..event
            },
            Err(refusal) => Decided { outcome: refusal.outcome(), reason: Some(refusal), ..event },
        }
        .tell();
    }

    /// The same, to be asked about later.
    fn attempt(&self) -> Attempt {
        let Knock { authcid, password, service, .. } = self.knock;
        let credential = Credential::Password(Secret::new(password.to_vec()));
        Attempt {
            claim: Claim { authzid: None, authcid: authcid.to_vec(), credential },
            mechanism: Mechanism::Plain,
            service: service.into(),
            remote: remote(self.params),
            session: None,
            hop: Hop::default(),
        }
    }
}

/// Text of a peer that needs no other form for the log and for comparison than it has.
fn text(bytes: Cow<'_, [u8]>, most: usize) -> Option<&str> {
    match bytes {
        Cow::Borrowed(bytes) => str::from_utf8(bytes).ok().filter(|text| text.len() <= most),
        Cow::Owned(_) => None,
    }
}

impl Session {
    /// Answers a login by PLAIN from memory. `None`, and nothing has happened, where that cannot be done.
    pub(super) fn recall(
        &mut self,
        auth: &Auth<'_>,
        response: &Encoded<'_>,
        engine: &Engine,
        now: Instant,
        out: &mut BytesMut,
    ) -> Option<Result<Option<Question>, Close>> {
        let mut scratch = mem::take(&mut self.scratch);
        let response = response.decode_into(&mut scratch).ok()?;
        let login = Ordinary::read(auth, response.expose());
        let answered = login.and_then(|login| self.recall_login(auth, &login, engine, now, out));
        drop(response);
        self.scratch = scratch;
        answered
    }

    fn recall_login(
        &mut self,
        auth: &Auth<'_>,
        login: &Ordinary<'_, '_>,
        engine: &Engine,
        now: Instant,
        out: &mut BytesMut,
    ) -> Option<Result<Option<Question>, Close>> {
        match engine.recall(&login.knock, || remote(login.params), now)? {
            Ok(known) => {
                if self.role == Role::Login && !self.keep(auth, login, &known, now)? {
                    return Some(Err(super::ID_IN_USE));
                }
                reply::ok(out, auth.id, known.user().as_bytes(), Fields::default());
                login.tell(Ok(&known), now);
                let refresh = known.wants_refresh().then(|| Question::Refresh { attempt: login.attempt() });
                Some(Ok(refresh))
            }
            Err(refusal) => {
                login.tell(Err(&refusal), now);
                let line = words::refusal_of(auth.id, login.knock.authcid, &refusal);
                if self.offer.failure_delay.is_zero() {
                    out.extend_from_slice(&line);
                } else {
                    let handle = self.requests.open(auth.id);
                    self.delay(handle, now, line, now, out);
                }
                Some(Ok(None))
            }
        }
    }

    /// Keeps it to be claimed. Whether it is the only one of its id.
    fn keep(
        &self,
        auth: &Auth<'_>,
        login: &Ordinary<'_, '_>,
        known: &Known<'_>,
        now: Instant,
    ) -> Option<bool> {
        let kept = Login {
            account: Arc::new(known.account()?),
            mechanism: Mechanism::Plain,
            service: login.knock.service.into(),
            session: login.session.map(Into::into),
            master: None,
            original: None,
        };
        Some(self.shared.table.keep(self.connection, auth.id, kept, now))
    }
}
