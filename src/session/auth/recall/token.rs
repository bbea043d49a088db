//! The same with a token in the place of a password.

use std::{
    borrow::Cow,
    time::{Instant, SystemTime},
};

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{
        Fields,
        auth::{OneStep, Usual},
        reply,
    },
    sasl::{oauthbearer::OAuthBearer, xoauth2::XOAuth2},
    secret::Secret,
};

use super::{super::ID_IN_USE, fitting_service, remote};
use crate::{
    decision::{Attempt, Bearer, Engine, Hop, Known, Moment, Recollection},
    mechanism::{Claim, Credential, Mechanism},
    observe::{self, Decided},
    session::{
        Close,
        auth::{Question, Role, Session},
    },
};

/// A login with a token that says nothing out of the ordinary.
pub(super) struct Shown<'a> {
    bearer: Bearer<'a>,
    mechanism: Mechanism,
    line: &'a Usual<'a>,
}

impl<'a> Shown<'a> {
    /// `None`: it is to be read in the usual way.
    pub(super) fn read(
        line: &'a Usual<'a>,
        mechanism: Mechanism,
        response: &'a [u8],
        keeps: bool,
    ) -> Option<Self> {
        let service = fitting_service(line)?;
        let (name, token) = match line.mechanism {
            OneStep::OAuthBearer => match OAuthBearer::split(response).ok()? {
                OAuthBearer { user: Some(Cow::Borrowed(user)), token, .. } => (user, token),
                _ => return None,
            },
            OneStep::XOAuth2 => {
                let XOAuth2 { user, token } = XOAuth2::split(response).ok()?;
                (user?, token)
            }
            OneStep::Plain => return None,
        };
        Some(Self { bearer: Bearer { name, token, service, keeps }, mechanism, line })
    }

    fn tell(&self, known: &Known<'_>, arrived: Instant) {
        if !observe::tells_decisions() {
            return;
        }
        Decided {
            outcome: "verified",
            user: self.bearer.name,
            master: None,
            directory: Some(known.directory()),
            provider: known.provider(),
            reason: None,
            app_password: None,
            service: self.line.service,
            remote: remote(self.line),
            session: self.line.session,
            mechanism: self.mechanism,
            trace: None,
            cache: Some(Recollection::Hit { refresh: false }.as_str()),
            took: arrived.elapsed(),
            asked: Some(arrived),
        }
        .tell_soon();
    }

    /// The same, to be asked about later.
    fn attempt(&self) -> Attempt {
        let Bearer { name, token, service, .. } = self.bearer;
        let credential = Credential::Token(Secret::new(token.to_vec()));
        Attempt {
            claim: Claim { authzid: None, authcid: name.to_vec(), credential },
            mechanism: self.mechanism,
            service: service.into(),
            remote: remote(self.line),
            session: None,
            hop: Hop::default(),
        }
    }
}

impl Session {
    /// Lets somebody in whose token memory knows. Whoever is not, is judged in the usual way: they are told why in one
    /// more round.
    pub(super) fn recall_token(
        &mut self,
        login: &Shown<'_>,
        engine: &Engine,
        moment: Moment,
        out: &mut BytesMut,
    ) -> Option<Result<Option<Question>, Close>> {
        let Shown { bearer, mechanism, line } = login;
        let now = moment.instant;
        let known = engine.recall_token(bearer, moment, SystemTime::now())?;
        if self.role == Role::Login && !self.keep(line, *mechanism, bearer.service, &known, now)? {
            return Some(Err(ID_IN_USE));
        }
        reply::ok(out, line.id, bearer.name, Fields::default());
        login.tell(&known, now);
        let refresh = known.wants_refresh().then(|| Question::Refresh { attempt: login.attempt() });
        Some(Ok(refresh))
    }
}
