//! One connection to one server.
//!
//! ldap3 never sees the network. It talks over a pair of sockets within the process to a task of ours, which has the
//! real connection: TCP or a Unix socket, StartTLS or TLS from the first byte, verified for the name or address of the
//! configuration. What the server says is handed on message by message, after [`ber::frame`] has found each of them
//! harmless, and the task knows when the server was last heard: that tells a slow server from a dead connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchOptions, StdStream};
use tokio::{
    net::UnixStream,
    pin, select,
    sync::Mutex,
    time::{sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    bind::{self, Answered, Unasked},
    entry::Entry,
    server::{For, Server, Servers},
    verdict::{self, NoVerdict, Outcome},
};
use crate::directory::Bound;

mod carrier;
mod dial;

/// How long nothing at all may be heard while an answer is awaited, before the server is asked whether it is there.
const QUIET: Duration = Duration::from_millis(900);

/// How long it has to say anything then. Together less than two seconds, for a login that meets a dead connection.
const PROBE: Duration = Duration::from_millis(700);

/// Whatever ldap3 says of a connection that has ended. Its own words name its channels, and tell an operator nothing.
const CLOSED: &str = "the connection was closed";

/// An open connection. It ends when it is dropped.
pub(super) struct Link {
    ldap: Ldap,
    heard: Arc<Heard>,
    /// The number of its server.
    pub(super) server: usize,
    /// When it was made.
    pub(super) born: Instant,
    /// It did not answer: nobody should use it.
    dead: AtomicBool,
    /// Held by whoever asks whether the server is there.
    probing: Mutex<()>,
    /// Ends the task that carries, after a word of farewell.
    stop: CancellationToken,
    /// ldap3's side. If it panics, its connection is closed, and nothing else happens.
    _driver: AbortOnDropHandle<()>,
}

/// Why there is no connection.
pub(super) struct NoLink {
    pub(super) why: String,
    /// The server has refused the service account.
    pub(super) refused: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is of no use any more; whether the server is, another one will tell.
    Lost(&'static str),
    /// The same, found out by asking in vain whether the server is there.
    Silent,
    /// It took too long, and the server is there.
    TooSlow,
    /// The question cannot be asked.
    Unasked(&'static str),
}

/// A search.
pub(super) struct Ask<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a str,
    /// Names of the attributes that are wanted.
    pub(super) attributes: &'a [String],
    /// Most entries that are wanted.
    pub(super) most: usize,
}

/// What it found.
pub(super) struct Hits {
    pub(super) entries: Vec<Entry>,
    pub(super) outcome: Outcome,
}

impl Link {
    /// Connects, within the directory's `connect_timeout` from the name of the server to the bind of the service
    /// account.
    pub(super) async fn open(
        servers: &Servers,
        number: usize,
        server: &Server,
        purpose: For,
    ) -> Result<Self, NoLink> {
        let opening = async {
            let link = Self::raw(servers, number, server).await.map_err(NoLink::unreachable)?;
            if let (For::Searches, Some((dn, password))) = (purpose, &servers.account) {
                link.bind_account(dn, password.expose()).await?;
            }
            Ok(link)
        };
        match timeout(servers.connect_timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(NoLink::unreachable(format!("no connection within {:?}", servers.connect_timeout))),
        }
    }

    async fn raw(servers: &Servers, number: usize, server: &Server) -> Result<Self, String> {
        let far = dial::dial(&server.url, servers.starttls, &servers.tls, servers.connect_timeout).await?;
        let internal = |error: &dyn std::fmt::Display| format!("within gatepost: {error}");
        let (near, ours) = std::os::unix::net::UnixStream::pair().map_err(|error| internal(&error))?;
        ours.set_nonblocking(true).map_err(|error| internal(&error))?;
        let ours = UnixStream::from_std(ours).map_err(|error| internal(&error))?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(near));
        let (driver, ldap) =
            LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|error| internal(&error))?;
        // How it ended, whoever waits for an answer learns.
        let driver = tokio::spawn(async move { drop(driver.drive().await) });
        let (heard, stop) = (Arc::new(Heard::now()), CancellationToken::new());
        tokio::spawn(carrier::carry(far, ours, Arc::clone(&heard), stop.clone()));
        Ok(Self {
            ldap,
            heard,
            server: number,
            born: Instant::now(),
            dead: AtomicBool::new(false),
            probing: Mutex::new(()),
            stop,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    async fn bind_account(&self, dn: &str, password: &[u8]) -> Result<(), NoLink> {
        let answered = match bind::bind(&mut self.ldap.clone(), dn, password).await {
            Ok(answered) => answered,
            Err(Unasked::Lost) => return Err(NoLink::unreachable(CLOSED.to_owned())),
            Err(Unasked::Empty | Unasked::Unsendable) => {
                return Err(NoLink {
                    why: "bind_dn cannot be used with this password".to_owned(),
                    refused: true,
                });
            }
        };
        match verdict::of_bind(&answered.outcome, answered.policy) {
            Ok(Bound::Verified) => Ok(()),
            Ok(Bound::Rejected | Bound::Locked | Bound::Disabled | Bound::Expired) => {
                let why = format!("bind_dn is refused: {}", NoVerdict::of(&answered.outcome));
                Err(NoLink { why, refused: true })
            }
            Err(no) => Err(NoLink::unreachable(format!("bind_dn: {no}"))),
        }
    }

    /// Whether it can be used, as far as is known.
    pub(super) fn is_usable(&self) -> bool {
        !self.dead.load(Ordering::Relaxed) && !self.ldap.clone().is_closed()
    }

    /// Sees to it that nobody uses it any more.
    pub(super) fn retire(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// The handle for what is not a single search or bind.
    pub(super) fn handle(&self) -> Ldap {
        self.ldap.clone()
    }

    /// Finds entries. Asking twice does no harm.
    pub(super) async fn search(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Hits, Failure> {
        let mut since = Instant::now();
        let answer = search(self.ldap.clone(), ask, deadline);
        pin!(answer);
        loop {
            select! {
                answer = &mut answer => return answer,
                () = sleep(QUIET) => {}
            }
            if Instant::now() >= deadline {
                return Err(Failure::TooSlow);
            }
            if !self.heard.after(since) {
                select! {
                    answer = &mut answer => return answer,
                    alive = self.probe(since) => if !alive {
                        return Err(Failure::Silent);
                    }
                }
            }
            since = Instant::now();
        }
    }

    /// Binds a user, which must be the only thing that the connection is used for (RFC 4511 4.2.1). Asks once.
    pub(super) async fn bind(
        &self,
        dn: &str,
        password: &[u8],
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        let mut ldap = self.ldap.clone();
        match timeout_at(deadline.into(), bind::bind(&mut ldap, dn, password)).await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(Unasked::Empty)) => {
                Err(Failure::Unasked("a bind without an entry or a password proves nothing"))
            }
            Ok(Err(Unasked::Unsendable)) => Err(Failure::Unasked("the password cannot be sent")),
            Ok(Err(Unasked::Lost)) => Err(Failure::Lost(CLOSED)),
            Err(_) => {
                self.dead.store(true, Ordering::Relaxed);
                Err(Failure::TooSlow)
            }
        }
    }

    /// Whether the server is there, by a search that every server answers. For a connection that was not heard of for
    /// a moment; a few of them at once make one question.
    pub(super) async fn is_alive(&self) -> bool {
        /// Younger than this nothing needs to be asked.
        const FRESH: Duration = Duration::from_millis(250);
        match Instant::now().checked_sub(FRESH) {
            Some(since) if !self.heard.after(since) => self.probe(since).await,
            Some(_) | None => true,
        }
    }

    async fn probe(&self, since: Instant) -> bool {
        let _turn = self.probing.lock().await;
        if self.heard.after(since) || !self.is_usable() {
            return self.is_usable();
        }
        let asked = Instant::now();
        let root = Ask { base: "", scope: Scope::Base, filter: "(objectClass=*)", attributes: &[], most: 1 };
        let answered = timeout(PROBE, search(self.ldap.clone(), &root, asked + PROBE)).await;
        // Any answer will do, also one to something else that was asked before.
        let alive = matches!(answered, Ok(Ok(_))) || self.heard.after(asked);
        if !alive {
            self.dead.store(true, Ordering::Relaxed);
        }
        alive
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn search(mut ldap: Ldap, ask: &Ask<'_>, deadline: Instant) -> Result<Hits, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    let most = i32::try_from(ask.most).unwrap_or(i32::MAX);
    // For the server, in whole seconds.
    let seconds = i32::try_from(left.as_secs().saturating_add(1)).unwrap_or(i32::MAX);
    let none = ["1.1".to_owned()];
    let attributes = if ask.attributes.is_empty() { none.as_slice() } else { ask.attributes };
    let options = SearchOptions::new().sizelimit(most).timelimit(seconds);
    // ldap3 takes this for every entry anew, and forgets what it was waiting for; the deadline is for all of it.
    ldap.with_search_options(options).with_timeout(left);
    let found = async {
        let mut stream =
            ldap.streaming_search(ask.base, ask.scope, ask.filter, attributes).await.map_err(failure)?;
        let mut entries = Vec::new();
        while let Some(item) = stream.next().await.map_err(failure)? {
            let entry = Entry::read(item.0);
            entries.extend(entry.map_err(|_| Failure::Lost("an entry cannot be understood"))?);
            if entries.len() > ask.most {
                // A server that heeds no limit.
                let outcome = Outcome { code: verdict::SIZE_LIMIT_EXCEEDED, text: String::new() };
                drop(stream.finish().await);
                return Ok(Hits { entries, outcome });
            }
        }
        let result = stream.finish().await;
        Ok(Hits { entries, outcome: Outcome { code: result.rc, text: result.text } })
    };
    timeout_at(deadline.into(), found).await.unwrap_or(Err(Failure::TooSlow))
}

fn failure(error: LdapError) -> Failure {
    if matches!(error, LdapError::Timeout { .. }) {
        Failure::TooSlow
    } else if matches!(error, LdapError::FilterParsing) {
        Failure::Unasked("the filter cannot be read")
    } else {
        Failure::Lost(CLOSED)
    }
}

impl NoLink {
    fn unreachable(why: String) -> Self {
        Self { why, refused: false }
    }
}

/// When a server was last heard.
pub(super) struct Heard {
    begun: Instant,
    /// In microseconds.
    last: AtomicU64,
}

impl Heard {
    fn now() -> Self {
        Self { begun: Instant::now(), last: AtomicU64::new(0) }
    }

    fn touch(&self) {
        self.last.store(self.micros(Instant::now()), Ordering::Relaxed);
    }

    fn after(&self, when: Instant) -> bool {
        when < self.begun || self.last.load(Ordering::Relaxed) > self.micros(when)
    }

    fn micros(&self, when: Instant) -> u64 {
        u64::try_from(when.saturating_duration_since(self.begun).as_micros()).unwrap_or(u64::MAX)
    }
}
