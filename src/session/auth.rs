//! One connection of the auth-client protocol: login sockets, `auth-client`, Postfix and Exim.
//!
//! R1 to R13 and D1 to D7 are rules of [`super::rules`].

mod greeting;
mod outcome;
mod recall;
mod requests;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{
        Cookie, RequestId, Version,
        auth::{Auth, Command, Cont, Usual},
        params::{Params, Secured},
        reply::{self, Reply},
    },
    secret::Scratch,
};

pub use self::requests::Handle;
use self::{
    outcome::dismissed,
    requests::{Accepted, Context, NotWaiting, Requests, Response},
};
use super::{
    Close,
    shared::{Offer, Shared},
    words,
};
use crate::{
    decision::{Attempt, Engine, Moment, Refusal, TempFail},
    mechanism::{Breach, Circumstances, Mechanism, Sought, Step},
    observe,
    password::Unverified,
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

/// Longest name of a session that is kept, in bytes. Dovecot's own are of 16, and it lets others choose 64.
const SESSION: usize = 255;

/// Whoever claims the first of two logins of one id would be given the other one's mail.
const ID_IN_USE: Close = Close::OutOfOrder("AUTH with the id of a login that was not claimed yet");

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
pub enum Question {
    /// Whether it is so. The answer goes to [`Session::decided`].
    Judge {
        /// Which request it belongs to.
        handle: Handle,
        /// What is to be judged.
        attempt: Attempt,
    },
    /// What somebody has to stretch their password with. The answer goes to [`Session::told`].
    Seek {
        /// Which request it belongs to.
        handle: Handle,
        /// Whose, and for which mechanism.
        sought: Sought,
        /// What is to be used, as the peer spells it.
        service: Box<str>,
    },
    /// A login was answered from memory, which will not know about it much longer. Nobody waits for an answer: see
    /// [`Engine::refresh`].
    Refresh {
        /// What is to be asked about.
        attempt: Attempt,
    },
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
    requests: Requests,
    scratch: Scratch,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    WantVersion,
    WantCpid { minor: u32 },
    Ready { minor: u32 },
}

impl Session {
    /// A connection that was just accepted.
    pub fn new(role: Role, shared: Arc<Shared>, offer: Arc<Offer>, cookie: Cookie) -> Self {
        let connection = shared.next_connection();
        let requests = Requests::new(shared.started);
        Self {
            role,
            shared,
            offer,
            connection,
            cookie,
            phase: Phase::WantVersion,
            requests,
            scratch: Scratch::new(),
        }
    }

    /// Takes one line. Replies are appended to `out`; a question is for the caller to have answered.
    ///
    /// What `engine` can judge from memory, it judges on the spot.
    pub fn line(
        &mut self,
        line: &[u8],
        now: impl Into<Moment>,
        engine: &Engine,
        out: &mut BytesMut,
    ) -> Result<Option<Question>, Close> {
        let moment = now.into();
        if let Phase::Ready { minor } = self.phase
            && let Some(usual) = Usual::read(line)
            && let Some(answered) = self.recall(&usual, minor, engine, moment, out)
        {
            return answered;
        }
        let now = moment.instant;
        let command = Command::parse(line)?;
        match (self.phase, command) {
            (Phase::WantVersion, Command::Version(version)) => {
                if version.major != VERSION.major {
                    return Err(Close::OutOfOrder("VERSION of another major"));
                }
                self.phase = Phase::WantCpid { minor: version.minor };
                if self.waits_to_announce() {
                    self.announce(version.minor, out);
                }
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
            (Phase::Ready { minor }, Command::Cont(cont)) => self.cont(&cont, minor, now, out),
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

    /// When [`Self::tick`] wants to be called, if nothing happens before.
    pub fn next_tick(&self) -> Option<Instant> {
        self.requests.next_tick()
    }

    /// Releases failures that have waited long enough, and forgets requests that have waited too long.
    pub fn tick(&mut self, now: Instant, out: &mut BytesMut) {
        self.requests.tell(Some(now), out);
        self.requests.expire(now);
    }

    /// Releases all failures at once: the daemon is stopping, and an answer now is better than none.
    pub fn hurry(&mut self, out: &mut BytesMut) {
        self.requests.tell(None, out);
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.requests.len() == 0
    }

    /// Whether some request waits for the peer to send more.
    pub fn wants_response(&self) -> bool {
        self.requests.want_response()
    }

    fn auth(
        &mut self,
        auth: &Auth<'_>,
        minor: u32,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<Option<Question>, Close> {
        if self.requests.has(auth.id) {
            return Err(Close::OutOfOrder("AUTH with an id that is in use"));
        }
        let offered = |mechanism: &Mechanism| self.offers(*mechanism, minor);
        let Some(mechanism) = Mechanism::named(&auth.mechanism).filter(offered) else {
            return Err(Close::OutOfOrder("AUTH with a mechanism that is not offered"));
        };
        if minor == 0 {
            // Postfix abandons an exchange without a word, and has never two at a time.
            self.requests.abandon_waiting();
        }
        if self.requests.in_flight() >= MAX_REQUESTS {
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
            service: words::lossy(params.service().as_deref().unwrap_or_default(), words::SERVICE),
            remote: remote(params),
            session: params.session().as_deref().map(|text| words::lossy(text, SESSION)),
            hop: words::hop(params),
            final_response: params.final_resp_ok,
        };
        let bound = mechanism.bound().is_some_and(|bound| self.offers(bound, minor));
        let certificate = params.cert_username();
        let around = Circumstances {
            certificate: certificate.as_deref().filter(|_| params.valid_client_cert),
            // Without TLS the login process hides it, and behind a TLS proxy it sees none.
            binding_offered: bound && params.secured == Secured::Tls,
            anonymous: self.offer.anonymous_user.as_deref(),
        };
        let handle = self.requests.open(auth.id);
        let step = mechanism.start(response, around);
        Ok(self.advance(handle, now, step, mechanism, context, now, out))
    }

    fn cont(
        &mut self,
        cont: &Cont<'_>,
        minor: u32,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<Option<Question>, Close> {
        let resumed = match self.requests.resume(cont.id) {
            Ok(Response::Next(resumed)) => resumed,
            Ok(Response::Last(handle, accepted)) => {
                return self.heard(cont, handle, &accepted, minor, now, out);
            }
            Ok(Response::Dummy(line)) => {
                dismissed(cont, &line, out);
                return Ok(None);
            }
            Err(why) => {
                let reason: &[u8] = match why {
                    NotWaiting::Unknown => b"Authentication request timed out",
                    NotWaiting::Unexpected => b"Unexpected continuation",
                };
                reply::fail(out, cont.id, None, None, Some(reason), false, None);
                return Ok(None);
            }
        };
        // Whoever was not asked for channel binding data has none to send, and before minor 3 there is no such argument.
        let asked = resumed.exchange.binding().is_some();
        let unasked = (cont.channel_binding.is_some() && !asked) || (minor < 3 && !cont.fields.is_empty());
        let response = cont.response.decode().ok().filter(|_| !unasked);
        let channel = cont.channel_binding.map(|text| text.decode()).transpose();
        let (Some(response), Ok(channel)) = (response, channel) else {
            words::invalid_base64(cont.id, "Invalid base64 data in continued response", out);
            return Ok(None);
        };
        let mechanism = resumed.exchange.mechanism();
        let step = resumed.exchange.step(response, channel);
        Ok(self.advance(resumed.handle, resumed.arrived, step, mechanism, resumed.context, now, out))
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
        match step {
            Ok(Step::Challenge(challenge, exchange)) => {
                let binding = exchange.binding().map(|kind| kind.as_bytes().into());
                Reply::Cont { id: handle.id, challenge, channel_binding: binding }.encode(out);
                self.requests.wait(handle, arrived, exchange, context);
                None
            }
            Ok(Step::Ask(sought, seeking)) => {
                let service = context.service.clone();
                self.requests.seek(handle, arrived, seeking, context);
                Some(Question::Seek { handle, sought, service })
            }
            Ok(Step::Claim(claim)) => {
                let Context { service, remote, session, hop, final_response } = context;
                // What a person does in between is their time, not ours.
                self.requests.ask(handle, now, final_response);
                let attempt = Attempt { claim, mechanism, service, remote, session, hop };
                Some(Question::Judge { handle, attempt })
            }
            Err(Breach::NoRandomNumbers) => {
                tracing::error!(reason = %Breach::NoRandomNumbers, "auth decided");
                let refusal = Refusal::TempFail(TempFail::Hashing(Unverified::Broken));
                out.extend_from_slice(&words::unclaimed(handle.id, &refusal));
                None
            }
            Err(breach) => {
                let refusal = Refusal::MechanismBreach(breach);
                let Context { service, remote, session, .. } = &context;
                observe::breached(&refusal, mechanism, service, *remote, session.as_deref());
                let line = words::unclaimed(handle.id, &refusal);
                self.delay(handle, now, line, now, out);
                None
            }
        }
    }

    fn cancel(&mut self, id: RequestId, minor: u32, out: &mut BytesMut) {
        self.requests.cancel(id);
        if self.role == Role::Login {
            self.shared.table.cancel(self.connection, id);
        }
        // An older client takes the word for a breach of protocol and hangs up; a newer one leaks without it.
        if minor >= 4 {
            Reply::Cancelled(id).encode(out);
        }
    }
}

/// The address of the mail user; `None` where the peer says that it knows none.
///
/// One that is no address (`fe80::1%eth0`) is not the same as none: see [`Attempt::UNKNOWN_REMOTE`].
fn remote(params: &Params<'_>) -> Option<IpAddr> {
    address_or_unspecified(params.rip(), params.rip_text().as_deref())
}

fn address_or_unspecified(address: Option<IpAddr>, text: Option<&[u8]>) -> Option<IpAddr> {
    address.or_else(|| text.filter(|text| !text.is_empty()).map(|_| Attempt::UNKNOWN_REMOTE))
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
