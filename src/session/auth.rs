//! One connection of the auth-client protocol: login sockets, `auth-client`, Postfix and Exim.
//!
//! Rules R1 to R13 are those of postfix-protocols section 0; the rest is dovecot-protocols section 2.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use gatepost_protocol::dovecot::{
    Cookie, MechFlags, RequestId, Version,
    auth::{Auth, Command, Cont},
    reply::{self, Reply},
};

use super::{
    Close,
    delay::Delayed,
    shared::{Offer, Shared},
    table::Login,
    words,
};
use crate::{
    decision::{Attempt, Decision, Refusal, TempFail, Verified},
    mechanism::{Breach, Exchange, Mechanism, Step},
};

/// The version that is announced. Not 3 or 4: some clients then wait for a second packet (R2), and what those
/// versions add is told by the client's own version.
pub const VERSION: Version = Version { major: 1, minor: 2 };

/// How many requests one connection may have in flight. A login process that serves a thousand people at once has
/// a thousand; what comes beyond is answered at once as a temporary failure.
///
/// One that was cancelled counts until its question is answered or its failure would have been told, for so long it
/// takes room.
pub const MAX_REQUESTS: usize = 1024;

/// How long a request may wait for the remote's responses, all of them together. Dovecot's own limit.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(150);

/// Who connects to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Dovecot's login processes: an accepted login is kept to be claimed over a master socket.
    Login,
    /// Everybody else: Postfix, Exim, `doveadm auth test`. Nothing is kept.
    Client,
}

/// A request that a directory has to be asked about.
#[derive(Debug)]
pub struct Question {
    /// Which request it belongs to.
    pub handle: Handle,
    /// What is to be judged.
    pub attempt: Attempt,
}

/// Names one request for the life of a connection, although a peer may use an id again once it is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    id: RequestId,
    number: u64,
}

/// The state machine of one connection.
#[derive(Debug)]
pub struct Session {
    role: Role,
    shared: Arc<Shared>,
    offer: Arc<Offer>,
    connection: u32,
    cookie: Cookie,
    phase: Phase,
    requests: HashMap<RequestId, Request>,
    /// The requests that want a response, by number and so by age, and when each of them has waited too long.
    waiting: BTreeMap<u64, (Instant, RequestId)>,
    /// Questions that were not answered yet, those of cancelled requests too.
    undecided: usize,
    delayed: Delayed,
    last_number: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    WantVersion,
    WantCpid { minor: u32 },
    Ready { minor: u32 },
}

#[derive(Debug)]
struct Request {
    number: u64,
    arrived: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    WantResponse { exchange: Exchange, context: Context },
    Deciding,
    Delayed,
}

/// The circumstances of a request, told with `AUTH` and needed once there is a claim.
#[derive(Debug)]
struct Context {
    service: Box<str>,
    remote: Option<std::net::IpAddr>,
    session: Option<Box<str>>,
}

impl Session {
    /// A connection that was just accepted.
    pub fn new(role: Role, shared: Arc<Shared>, offer: Arc<Offer>, cookie: Cookie) -> Self {
        let connection = shared.next_connection();
        let delayed = Delayed::new(shared.started);
        Self {
            role,
            shared,
            offer,
            connection,
            cookie,
            phase: Phase::WantVersion,
            requests: HashMap::new(),
            waiting: BTreeMap::new(),
            undecided: 0,
            delayed,
            last_number: 0,
        }
    }

    /// Says the whole greeting, unasked (R1: Exim waits for it) and with `SPID` after `MECH` (R3: Postfix takes
    /// the other order for a master socket and gives up).
    pub fn greet(&self, out: &mut BytesMut) {
        Reply::Version(VERSION).encode(out);
        for mechanism in self.offer.mechanisms.iter() {
            let flags = MechFlags::of(mechanism.flags());
            Reply::Mech { name: mechanism.name(), flags }.encode(out);
        }
        Reply::Spid(self.shared.spid).encode(out);
        Reply::Cuid(self.connection).encode(out);
        Reply::Cookie(self.cookie).encode(out);
        Reply::Done.encode(out);
    }

    /// Takes one line. Replies are appended to `out`; a question is for the caller to have answered.
    pub fn line(&mut self, line: &[u8], now: Instant, out: &mut BytesMut) -> Result<Option<Question>, Close> {
        let command = Command::parse(line)?;
        match (self.phase, command) {
            (Phase::WantVersion, Command::Version(version)) => {
                if version.major != VERSION.major {
                    return Err(Close::OutOfOrder("VERSION of another major"));
                }
                self.phase = Phase::WantCpid { minor: version.minor };
                Ok(None)
            }
            (Phase::WantCpid { minor }, Command::Cpid(cpid)) => {
                self.phase = Phase::Ready { minor };
                if self.role == Role::Login {
                    self.shared.table.open(self.connection, cpid, self.cookie);
                }
                Ok(None)
            }
            (Phase::Ready { minor }, Command::Auth(auth)) => self.auth(&auth, minor, now, out),
            (Phase::Ready { minor }, Command::Cont(cont)) => Ok(self.cont(&cont, minor, now, out)),
            (Phase::Ready { minor }, Command::Cancel(id)) => {
                self.cancel(id, minor, out);
                Ok(None)
            }
            (_, Command::Version(_)) => Err(Close::OutOfOrder("VERSION")),
            (_, Command::Cpid(_)) => Err(Close::OutOfOrder("CPID")),
            (_, Command::Auth(_) | Command::Cont(_) | Command::Cancel(_)) => {
                Err(Close::OutOfOrder("a request before the end of the handshake"))
            }
        }
    }

    /// Takes the answer to a question, each once. What was cancelled in the meantime is not answered.
    pub fn decided(
        &mut self,
        handle: Handle,
        attempt: &Attempt,
        decision: &Decision,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        let Phase::Ready { minor } = self.phase else { return Ok(()) };
        self.undecided = self.undecided.saturating_sub(1);
        let Some(request) = self.requests.get(&handle.id).filter(|request| request.number == handle.number)
        else {
            return Ok(());
        };
        let arrived = request.arrived;
        match decision {
            Decision::Accept(verified) => {
                if self.role == Role::Client && minor < 2 && verified.account().nologin.is_some() {
                    // These clients know no `nologin`: they would let the user in.
                    let line = words::nologin_refusal(handle.id, verified.account());
                    self.delay(handle, arrived, line, now, out);
                    return Ok(());
                }
                self.requests.remove(&handle.id);
                self.accept(handle.id, minor, attempt, verified, now, out)
            }
            Decision::Refuse(refusal) if refusal.is_temporary() => {
                // R5: to these a `FAIL` is final whatever it says, so they are not told one.
                if self.role == Role::Client && minor < 2 && self.requests.len() == 1 {
                    return Err(Close::TempFail);
                }
                self.requests.remove(&handle.id);
                out.extend_from_slice(&words::refusal(handle.id, &attempt.claim, refusal));
                Ok(())
            }
            Decision::Refuse(refusal) => {
                let line = words::refusal(handle.id, &attempt.claim, refusal);
                self.delay(handle, arrived, line, now, out);
                Ok(())
            }
        }
    }

    /// When [`Self::tick`] wants to be called, if nothing happens before.
    pub fn next_tick(&self) -> Option<Instant> {
        let expiry = self.waiting.values().next().map(|(due, _)| *due);
        [self.delayed.next(), expiry].into_iter().flatten().min()
    }

    /// Releases failures that have waited long enough, and forgets requests that have waited too long.
    pub fn tick(&mut self, now: Instant, out: &mut BytesMut) {
        for (handle, line) in self.delayed.due(now) {
            self.release(handle, &line, out);
        }
        while let Some(entry) = self.waiting.first_entry() {
            let (due, id) = *entry.get();
            if due > now {
                break;
            }
            entry.remove();
            self.requests.remove(&id);
        }
    }

    /// Releases all failures at once: the daemon is stopping, and an answer now is better than none.
    pub fn hurry(&mut self, out: &mut BytesMut) {
        for (handle, line) in self.delayed.all() {
            self.release(handle, &line, out);
        }
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// Whether some request waits for the peer to send more.
    pub fn wants_response(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many requests take room.
    fn in_flight(&self) -> usize {
        self.waiting.len() + self.undecided + self.delayed.len()
    }

    /// Forgets a request, wherever it stands.
    fn forget(&mut self, id: RequestId) -> Option<Request> {
        let request = self.requests.remove(&id)?;
        self.waiting.remove(&request.number);
        Some(request)
    }

    fn auth(
        &mut self,
        auth: &Auth<'_>,
        minor: u32,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<Option<Question>, Close> {
        if self.requests.contains_key(&auth.id) {
            return Err(Close::OutOfOrder("AUTH with an id that is in use"));
        }
        let offered = |mechanism: &Mechanism| self.offer.mechanisms.contains(mechanism);
        let Some(mechanism) = Mechanism::named(&auth.mechanism).filter(offered) else {
            return Err(Close::OutOfOrder("AUTH with a mechanism that is not offered"));
        };
        if minor == 0 {
            // Postfix abandons an exchange without a word, and has never two at a time.
            for (_, id) in std::mem::take(&mut self.waiting).into_values() {
                self.requests.remove(&id);
            }
        }
        if self.in_flight() >= MAX_REQUESTS {
            let refusal = Refusal::TempFail(TempFail::TooManyRequests);
            tracing::debug!(connection = self.connection, outcome = %refusal, "auth decided");
            out.extend_from_slice(&words::unclaimed(auth.id, &refusal));
            return Ok(None);
        }
        // R11: `resp=` with nothing after it is an absent response to old clients, an empty one to others.
        let response = auth.response.as_ref().filter(|text| minor >= 2 || !text.is_blank());
        let Ok(response) = response.map(|text| text.decode()).transpose() else {
            words::invalid_base64(auth.id, "Invalid base64 data in initial response", out);
            return Ok(None);
        };
        let params = &auth.params;
        let context = Context {
            service: words::lossy(params.service.as_deref().unwrap_or_default()),
            remote: params.rip,
            session: params.session.as_deref().map(words::lossy),
        };
        self.last_number += 1;
        let handle = Handle { id: auth.id, number: self.last_number };
        Ok(self.advance(handle, now, mechanism.start(response), mechanism, context, now, out))
    }

    fn cont(&mut self, cont: &Cont<'_>, minor: u32, now: Instant, out: &mut BytesMut) -> Option<Question> {
        let Some(request) = self.forget(cont.id) else {
            reply::fail(out, cont.id, None, None, Some(b"Authentication request timed out"), false);
            return None;
        };
        let State::WantResponse { exchange, context } = request.state else {
            reply::fail(out, cont.id, None, None, Some(b"Unexpected continuation"), false);
            return None;
        };
        // Nobody was asked for channel binding data, and before minor 3 there is no such argument.
        let unasked = cont.channel_binding.is_some() || (minor < 3 && !cont.fields.is_empty());
        let response = cont.response.decode().ok().filter(|_| !unasked);
        let Some(response) = response else {
            words::invalid_base64(cont.id, "Invalid base64 data in continued response", out);
            return None;
        };
        let mechanism = exchange.mechanism();
        let handle = Handle { id: cont.id, number: request.number };
        self.advance(handle, request.arrived, exchange.step(response), mechanism, context, now, out)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of one request; a struct would be named once")]
    fn advance(
        &mut self,
        handle: Handle,
        arrived: Instant,
        step: Result<Step, Breach>,
        mechanism: Mechanism,
        context: Context,
        now: Instant,
        out: &mut BytesMut,
    ) -> Option<Question> {
        let number = handle.number;
        match step {
            Ok(Step::Challenge(challenge, exchange)) => {
                reply::cont(out, handle.id, challenge);
                self.waiting.insert(number, (arrived + RESPONSE_TIMEOUT, handle.id));
                let state = State::WantResponse { exchange, context };
                self.requests.insert(handle.id, Request { number, arrived, state });
                None
            }
            Ok(Step::Claim(claim)) => {
                // What a person does in between is their time, not ours.
                self.requests.insert(handle.id, Request { number, arrived: now, state: State::Deciding });
                self.undecided += 1;
                let Context { service, remote, session } = context;
                let attempt = Attempt { claim, mechanism, service, remote, session };
                Some(Question { handle, attempt })
            }
            Err(Breach) => {
                let refusal = Refusal::MechanismBreach;
                tracing::info!(
                    service = &*context.service, remote = ?context.remote, mechanism = mechanism.name(),
                    outcome = Decision::Refuse(refusal.clone()).outcome(), "auth decided",
                );
                self.requests.insert(handle.id, Request { number, arrived: now, state: State::Deciding });
                let line = words::unclaimed(handle.id, &refusal);
                self.delay(handle, now, line, now, out);
                None
            }
        }
    }

    fn accept(
        &mut self,
        id: RequestId,
        minor: u32,
        attempt: &Attempt,
        verified: &Verified,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        let account = verified.account();
        // With these the login process hands nothing over, so nobody would claim it.
        let stays = account.nologin.is_some() || account.passdb.as_fields().has(b"proxy");
        if self.role == Role::Login && !stays {
            let login = Login {
                account: Arc::clone(account),
                mechanism: attempt.mechanism,
                service: attempt.service.clone(),
                session: attempt.session.clone(),
            };
            // Whoever claims the first of two would be given the other one's mail.
            if !self.shared.table.keep(self.connection, id, login, now) {
                return Err(Close::OutOfOrder("AUTH with the id of a login that was not claimed yet"));
            }
        }
        if self.role == Role::Client && minor < 2 {
            reply::ok(out, id, account.user.as_ref(), Default::default());
        } else {
            words::accept(out, id, account, &attempt.claim);
        }
        Ok(())
    }

    fn cancel(&mut self, id: RequestId, minor: u32, out: &mut BytesMut) {
        self.forget(id);
        if self.role == Role::Login {
            self.shared.table.cancel(self.connection, id);
        }
        // An older client takes the word for a breach of protocol and hangs up; a newer one leaks without it.
        if minor >= 4 {
            Reply::Cancelled(id).encode(out);
        }
    }

    fn delay(&mut self, handle: Handle, arrived: Instant, line: BytesMut, now: Instant, out: &mut BytesMut) {
        if self.offer.failure_delay.is_zero() {
            self.requests.remove(&handle.id);
            out.extend_from_slice(&line);
            return;
        }
        if let Some(request) = self.requests.get_mut(&handle.id) {
            request.state = State::Delayed;
            self.delayed.add(arrived + self.offer.failure_delay, now, handle, line);
        }
    }

    fn release(&mut self, handle: Handle, line: &[u8], out: &mut BytesMut) {
        if self.requests.get(&handle.id).is_some_and(|request| request.number == handle.number) {
            self.requests.remove(&handle.id);
            out.extend_from_slice(line);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.role == Role::Login {
            self.shared.table.close(self.connection);
        }
    }
}

#[cfg(test)]
mod tests;
