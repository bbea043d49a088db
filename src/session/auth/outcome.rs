//! What came of a request, and how it is told: R5, R12, R14 and D5 to D7 of [`crate::session::rules`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use gatepost_protocol::dovecot::{RequestId, auth::Cont, reply};

use super::{Accepted, Handle, ID_IN_USE, Phase, Question, Role, Session};
use crate::{
    decision::{Attempt, Decision, Refusal, TempFail},
    mechanism::{Breach, farewell},
    observe::{self, Stalled},
    oidc::Challenge,
    password::Terms,
    session::{Close, delay::Failure, table::Login, words},
};

impl Session {
    /// Takes the answer to a question, each once. What was cancelled in the meantime is not answered.
    ///
    /// `challenge` finds what to tell somebody of this name, as typed, whose token was not taken.
    pub fn decided(
        &mut self,
        handle: Handle,
        attempt: Attempt,
        decision: Decision,
        challenge: impl FnOnce(&[u8]) -> Option<Challenge>,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        let Phase::Ready { minor } = self.phase else { return Ok(()) };
        let Some(answered) = self.requests.answered(handle) else { return Ok(()) };
        let arrived = answered.arrived;
        match decision {
            Decision::Accept(verified) => {
                if self.role == Role::Client && minor < 2 && verified.account().nologin.is_some() {
                    // These clients know no `nologin`: they would let the user in.
                    let line = words::nologin_refusal(handle.id, verified.account());
                    self.delay(handle, arrived, line, now, out);
                    return Ok(());
                }
                self.requests.cancel(handle.id);
                let last = verified.answer().map(farewell);
                let accepted = Accepted { attempt, verified };
                if let Some(last) = last.as_deref().filter(|_| !answered.final_response) {
                    // R12: it goes ahead as a challenge, to which there is nothing to say.
                    reply::cont(out, handle.id, last);
                    self.requests.hold(handle, now, accepted);
                    return Ok(());
                }
                self.accept(handle.id, minor, &accepted, last.as_deref(), now, out)
            }
            Decision::Refuse(refusal) if refusal.is_temporary() => {
                self.requests.cancel(handle.id);
                self.unanswered(minor, &words::refusal(handle.id, &attempt.claim, &refusal), out)
            }
            Decision::Refuse(refusal) => {
                let (id, claim, at_once) = (handle.id, &attempt.claim, answered.final_response);
                let failure = match claim.credential.token() {
                    Some(_) => words::token_refusal(id, claim, &refusal, challenge(&claim.authcid), at_once),
                    None => words::refusal(id, claim, &refusal).into(),
                };
                self.delay(handle, arrived, failure, now, out);
                Ok(())
            }
        }
    }

    /// Takes what was looked up for an exchange, which then goes on. What was cancelled in the meantime does not.
    ///
    /// `took` is how long it took, for the log.
    pub fn told(
        &mut self,
        handle: Handle,
        terms: Result<Terms, TempFail>,
        took: Duration,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        let Phase::Ready { minor } = self.phase else { return Ok(()) };
        let Some(sought) = self.requests.sought(handle) else { return Ok(()) };
        let (mechanism, context) = (sought.seeking.mechanism(), sought.context);
        match terms {
            Ok(terms) => {
                let step = sought.seeking.told(terms);
                // A challenge: there is nothing to ask yet.
                self.advance(handle, sought.arrived, step, mechanism, context, now, out);
                Ok(())
            }
            Err(why) => {
                let name = sought.seeking.name();
                let stalled = Stalled {
                    name,
                    mechanism,
                    service: &context.service,
                    remote: context.remote,
                    session: context.session.as_deref(),
                };
                observe::stalled(&stalled, &why, took);
                let line = words::refusal_of(handle.id, name, &Refusal::TempFail(why));
                self.unanswered(minor, &line, out)
            }
        }
    }

    /// Tells of a temporary failure, of a request that is not live any more.
    pub(super) fn unanswered(&mut self, minor: u32, line: &[u8], out: &mut BytesMut) -> Result<(), Close> {
        // R5: to these a `FAIL` is final whatever it says, so they are not told one.
        if self.role == Role::Client && minor < 2 && self.requests.len() == 0 {
            return Err(Close::TempFail);
        }
        out.extend_from_slice(line);
        Ok(())
    }

    /// The remote has heard the last of its mechanism, and is let in.
    pub(super) fn heard(
        &mut self,
        cont: &Cont<'_>,
        handle: Handle,
        accepted: &Accepted,
        minor: u32,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<Option<Question>, Close> {
        match cont.response.decode() {
            Ok(nothing) if nothing.is_empty() && cont.fields.is_empty() => {
                self.accept(handle.id, minor, accepted, None, now, out)?;
            }
            Ok(_) => {
                let refusal = Refusal::MechanismBreach(Breach::Grammar);
                let line = words::refusal(handle.id, &accepted.attempt.claim, &refusal);
                self.delay(handle, now, line, now, out);
            }
            Err(_) => words::invalid_base64(cont.id, "Invalid base64 data in continued response", out),
        }
        Ok(None)
    }

    pub(super) fn accept(
        &mut self,
        id: RequestId,
        minor: u32,
        accepted: &Accepted,
        last: Option<&[u8]>,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        let Accepted { attempt, verified } = accepted;
        let account = verified.account();
        // With these the login process hands nothing over, so nobody would claim it.
        let stays = account.nologin.is_some() || account.passdb.as_fields().has(b"proxy");
        if self.role == Role::Login && !stays {
            let login = Login {
                account: Arc::clone(account),
                mechanism: attempt.mechanism,
                service: attempt.service.clone(),
                session: attempt.session.clone(),
                master: verified.master().cloned(),
                original: verified.original().map(Box::from),
            };
            if !self.shared.table.keep(self.connection, id, login, now) {
                return Err(ID_IN_USE);
            }
        }
        if self.role == Role::Client && minor < 2 {
            reply::ok(out, id, account.user.as_ref(), Default::default());
        } else {
            words::accept(out, id, verified, attempt, last);
        }
        Ok(())
    }

    pub(super) fn delay(
        &mut self,
        handle: Handle,
        arrived: Instant,
        failure: impl Into<Failure>,
        now: Instant,
        out: &mut BytesMut,
    ) {
        if self.offer.failure_delay.is_zero() {
            self.requests.refuse(handle, Some(now), failure.into(), out);
        } else {
            self.requests.delay(handle, arrived + self.offer.failure_delay, now, failure.into());
        }
    }
}

/// The remote has heard why its token was not taken. Whatever it says to that, it is refused, and at once: the challenge
/// was late already.
pub(super) fn dismissed(cont: &Cont<'_>, line: &[u8], out: &mut BytesMut) {
    if cont.response.decode().is_ok() && cont.fields.is_empty() {
        out.extend_from_slice(line);
    } else {
        words::invalid_base64(cont.id, "Invalid base64 data in continued response", out);
    }
}
