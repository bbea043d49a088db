//! One connection of the auth-master protocol: mail processes that finish a login, LMTP and doveadm.
//!
//! M1 to M8 of [`super::rules`].

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use gatepost_protocol::dovecot::{
    FieldsBuf, RequestId, Version,
    master::{Command, Reply, Request},
    params::Params,
};

use super::{Close, mask::Mask, shared::Shared, table::Ticket, words};
use crate::{
    account::Account, decision::Hop, directory::Unavailable, mechanism::Mechanism, username::Username,
};

/// The version that is announced. What Dovecot 2.3 says here; 2.4 takes it as well.
pub const VERSION: Version = Version { major: 1, minor: 1 };

/// How many lookups one connection may have in flight.
pub const MAX_LOOKUPS: usize = 1024;

/// What `FAIL` says when a directory gave no answer. LMTP makes a 451 of it.
const UNAVAILABLE: &str = "Temporary internal error";

/// Which commands a socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All of them.
    Master,
    /// `USER`, `PASS` and `LIST`.
    Userdb,
}

/// Who is at the other end, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer {
    /// The process, unless it lives in a pid namespace that cannot be seen from here.
    pub pid: Option<u32>,
    /// Its user, likewise.
    pub uid: Option<u32>,
    /// Set if the peer may only see itself: the socket is open to everybody (mode 0666) and the peer is neither
    /// its owner nor of its group.
    pub restricted_to: Option<u32>,
}

/// Something that a directory has to be asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Where does this user's mail live?
    User {
        /// The request.
        id: RequestId,
        /// As the peer spelt it.
        name: Vec<u8>,
        /// The service that asks.
        service: Box<str>,
    },
    /// What would a login of this user be told?
    Pass {
        /// The request.
        id: RequestId,
        /// As the peer spelt it.
        name: Vec<u8>,
        /// The service that asks.
        service: Box<str>,
        /// Where the remote came in.
        hop: Hop,
    },
    /// Who is there? Nothing else is read until this is answered.
    List {
        /// The request.
        id: RequestId,
        /// Only these.
        mask: Mask,
    },
    /// Forget what is remembered of these users, or of all.
    Flush {
        /// The request.
        id: RequestId,
        /// Names or masks; none means everything.
        users: Vec<Vec<u8>>,
    },
}

/// The state machine of one connection.
#[derive(Debug)]
pub struct Session {
    role: Role,
    shared: Arc<Shared>,
    peer: Peer,
    greeted: bool,
}

impl Session {
    /// A connection that was just accepted.
    pub const fn new(role: Role, shared: Arc<Shared>, peer: Peer) -> Self {
        Self { role, shared, peer, greeted: false }
    }

    /// `VERSION`, then `SPID`, and nothing else: a client that sees more takes this for an auth-client socket.
    pub fn greet(&self, out: &mut BytesMut) {
        say(&Reply::Version(VERSION), out);
        say(&Reply::Spid(self.shared.spid), out);
    }

    /// Takes one line. `REQUEST` is answered from memory; other questions are for the caller to have answered.
    pub fn line(&mut self, line: &[u8], now: Instant, out: &mut BytesMut) -> Result<Option<Question>, Close> {
        let command = Command::parse(line)?;
        if let Command::Version(version) = command {
            return if self.greeted || version.major != VERSION.major {
                Err(Close::OutOfOrder("VERSION"))
            } else {
                self.greeted = true;
                Ok(None)
            };
        }
        if !self.greeted {
            return Err(Close::OutOfOrder("a command before VERSION"));
        }
        match (self.role, command) {
            (_, Command::User { id, user, params }) => {
                Ok(Some(Question::User { id, name: user.into_owned(), service: service(&params) }))
            }
            (_, Command::Pass { id, .. }) if self.peer.restricted_to.is_some() => {
                fail(id, Some("Not allowed on this socket"), out);
                Ok(None)
            }
            (_, Command::Pass { id, user, params }) => {
                let (service, hop) = (service(&params), words::hop(&params));
                Ok(Some(Question::Pass { id, name: user.into_owned(), service, hop }))
            }
            (_, Command::List { id, .. }) if self.peer.restricted_to.is_some() => {
                say(&Reply::Done { id, failed: true }, out);
                Ok(None)
            }
            (_, Command::List { id, mask, .. }) => {
                let mask = Mask::new(mask.as_deref().unwrap_or(b"*"));
                Ok(Some(Question::List { id, mask }))
            }
            (Role::Master, Command::Request(request)) => {
                self.request(&request, now, out);
                Ok(None)
            }
            (Role::Master, Command::CacheFlush { id, users }) => {
                let users = users.into_iter().map(std::borrow::Cow::into_owned).collect();
                Ok(Some(Question::Flush { id, users }))
            }
            (Role::Master, Command::CacheStatus { id, .. }) => {
                // What Dovecot answers without a cache.
                say(&Reply::Ok { id, fields: Default::default() }, out);
                Ok(None)
            }
            (Role::Userdb, Command::Request(_)) => Err(Close::OutOfOrder("REQUEST on a userdb socket")),
            (Role::Userdb, Command::CacheFlush { .. } | Command::CacheStatus { .. }) => {
                Err(Close::OutOfOrder("a cache command on a userdb socket"))
            }
            (_, Command::Cpid(_)) => Err(Close::OutOfOrder("CPID, which belongs on an auth-client socket")),
            (_, Command::Version(_)) => Err(Close::OutOfOrder("VERSION")),
        }
    }

    /// Answers `USER`.
    pub fn user(&self, id: RequestId, found: &Result<Option<Arc<Account>>, Unavailable>, out: &mut BytesMut) {
        match found {
            Ok(Some(account)) if self.may_see(account) => {
                let reply = Reply::User {
                    id,
                    user: account.user.as_str().as_bytes().into(),
                    fields: account.userdb.as_fields(),
                };
                say_or_fail(id, &reply, out);
            }
            Ok(Some(_)) => fail(id, Some("Not allowed on this socket"), out),
            Ok(None) => say(&Reply::NotFound(id), out),
            Err(_) => fail(id, Some(UNAVAILABLE), out),
        }
    }

    /// Answers `PASS` with what was found by [`crate::decision::Engine::preview`].
    pub fn pass(&self, id: RequestId, found: &Result<Option<Arc<Account>>, Unavailable>, out: &mut BytesMut) {
        match found {
            Ok(Some(account)) => {
                let mut fields = FieldsBuf::default();
                if let Some(nologin) = &account.nologin {
                    fields.flag("nologin");
                    if let Some(reason) = &nologin.reason {
                        fields.push("reason", reason);
                    }
                }
                fields.extend(account.passdb.as_fields());
                let user = account.user.as_str().as_bytes().into();
                say_or_fail(id, &Reply::Pass { id, user, fields: fields.as_fields() }, out);
            }
            Ok(None) => say(&Reply::NotFound(id), out),
            Err(_) => fail(id, Some(UNAVAILABLE), out),
        }
    }

    /// One name of a listing.
    pub fn listed(&self, id: RequestId, user: &Username, out: &mut BytesMut) {
        say(&Reply::List { id, user: user.as_str().as_bytes().into() }, out);
    }

    /// The end of a listing.
    pub fn list_done(&self, id: RequestId, failed: bool, out: &mut BytesMut) {
        say(&Reply::Done { id, failed }, out);
    }

    /// Answers `CACHE-FLUSH` with the number of entries that were forgotten.
    pub fn flushed(&self, id: RequestId, count: u64, out: &mut BytesMut) {
        let mut fields = FieldsBuf::default();
        fields.flag(&count.to_string());
        say(&Reply::Ok { id, fields: fields.as_fields() }, out);
    }

    /// Refuses a lookup because too many are in flight.
    pub fn busy(&self, id: RequestId, out: &mut BytesMut) {
        fail(id, Some(UNAVAILABLE), out);
    }

    fn may_see(&self, account: &Account) -> bool {
        let Some(peer) = self.peer.restricted_to else { return true };
        let uid = account.userdb.as_fields().find(b"uid").and_then(|field| field.value);
        uid.is_some_and(|uid| *uid == *peer.to_string().as_bytes())
    }

    fn request(&self, request: &Request<'_>, now: Instant, out: &mut BytesMut) {
        // The mail process must be the one that the login was handed to. Without a visible pid there is only the
        // cookie to go by, which is the stronger half.
        // It may be told on behalf of another, where nobody but Dovecot itself can connect.
        let trusted = request.session_pid_trusted && self.peer.restricted_to.is_none();
        let stranger = match (self.peer.pid, request.session_pid) {
            (Some(peer), Some(session)) => peer != session && !trusted,
            // Whoever is not known to be Dovecot's must say it, or leaving it out would be a way around it.
            (Some(_), None) => self.peer.restricted_to.is_some(),
            (None, _) => false,
        };
        let ticket =
            Ticket { client_pid: request.client_pid, client_id: request.client_id, cookie: request.cookie };
        // A stranger's try uses nothing up.
        let login = if stranger { None } else { self.shared.table.claim(&ticket, now) };
        let Some(login) = login else {
            tracing::warn!(pid = self.peer.pid, stranger, "a login that nobody made was claimed");
            return fail(request.id, None, out);
        };
        let user = &login.account.user;
        let mut fields = FieldsBuf::default();
        fields.extend(login.account.userdb.as_fields());
        if let Some(master) = &login.master {
            fields.push("master_user", master);
        }
        fields.push("auth_mech", login.mechanism.name());
        if login.mechanism == Mechanism::Anonymous {
            fields.flag("anonymous");
        }
        if request.request_auth_token
            && let Some(pid) = request.session_pid
            && let Some(token) =
                self.shared.tokens.token(user.as_str(), pid, login.session.as_deref(), &login.service)
        {
            fields.push("auth_token", token);
        }
        match (&login.master, &login.original) {
            (Some(master), _) => fields.push("auth_user", master),
            (None, Some(original)) => fields.push("auth_user", original),
            (None, None) => {}
        }
        let user = user.as_str().as_bytes().into();
        say_or_fail(request.id, &Reply::User { id: request.id, user, fields: fields.as_fields() }, out);
    }
}

fn service(params: &Params<'_>) -> Box<str> {
    words::lossy(params.service().as_deref().unwrap_or_default(), words::SERVICE)
}

/// Says something that is short by construction.
fn say(reply: &Reply<'_>, out: &mut BytesMut) {
    // A name is at most 255 bytes, so this cannot be too long; were it, silence would be the safe answer.
    let _ = reply.encode(out);
}

/// Says something that a directory had a part in; it may be longer than peers read.
fn say_or_fail(id: RequestId, reply: &Reply<'_>, out: &mut BytesMut) {
    if reply.encode(out).is_err() {
        tracing::error!(%id, "a userdb answer is longer than the 8192 bytes that mail processes read");
        fail(id, Some(UNAVAILABLE), out);
    }
}

fn fail(id: RequestId, reason: Option<&'static str>, out: &mut BytesMut) {
    let reason = reason.map(|text| text.as_bytes().into());
    say(&Reply::Fail { id, reason, fields: Default::default() }, out);
}

#[cfg(test)]
mod tests;
