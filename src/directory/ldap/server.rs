//! The servers of one directory, in the order in which they are preferred.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use gatepost_protocol::secret::Secret;
use rustls::ClientConfig;
use tracing::{info, warn};

use super::{
    link::{Link, NoLink},
    verdict::{self, NoVerdict, Outcome},
};
use crate::{config::ldap::Url, directory::breaker::Breaker};

/// How long nobody tries a server that refuses the service account. Whoever tries a wrong password every second locks
/// the account for everybody who uses it.
const REFUSED_REST: Duration = Duration::from_secs(3);

/// Everything that a connection needs.
pub(super) struct Servers {
    /// The directory's name, for the log.
    pub(super) directory: Arc<str>,
    servers: Vec<Server>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) starttls: bool,
    /// The account that searches; `None`: nobody in particular.
    pub(super) account: Option<(String, Secret)>,
    /// From nothing to a connection that can be used.
    pub(super) connect_timeout: Duration,
}

/// One server.
pub(super) struct Server {
    pub(super) url: Url,
    breaker: Breaker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why there was no connection the last time.
    why: Option<String>,
    /// When a connection was lost. Those that are older are likely of no use either.
    lost: Option<Instant>,
    /// Whether it was lost without a word, and nothing was heard of the server since.
    suspect: bool,
    /// When it may be tried again after it has refused the service account.
    refused_until: Option<Instant>,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Searches, as the service account.
    Searches,
    /// The binds of users.
    Binds,
}

impl Servers {
    pub(super) fn new(
        directory: Arc<str>,
        urls: &[Url],
        tls: Arc<ClientConfig>,
        starttls: bool,
        account: Option<(String, Secret)>,
        connect_timeout: Duration,
    ) -> Self {
        let server =
            |url: &Url| Server { url: url.clone(), breaker: Breaker::new(), state: Mutex::default() };
        let servers = urls.iter().map(server).collect();
        Self { directory, servers, tls, starttls, account, connect_timeout }
    }

    /// Connects to the first server that can be reached: one that answers as far as is known; where there is none, one
    /// that has left a connection dead, which says little about the next one; in the end one that may answer again.
    ///
    /// # Errors
    ///
    /// Why the last one that was tried could not be reached, or all of them the last time.
    pub(super) async fn connect(&self, purpose: For) -> Result<Link, String> {
        let mut why = None;
        let steps: [fn(&Self, &Server) -> bool; 3] = [
            |_, server| server.is_trusted(),
            |_, server| server.breaker.is_closed() && !server.is_trusted(),
            Self::may_try,
        ];
        for fits in steps {
            for (number, server) in self.servers.iter().enumerate() {
                if fits(self, server) {
                    match self.open(number, server, purpose).await {
                        Ok(link) => return Ok(link),
                        Err(failed) => why = Some(failed),
                    }
                }
            }
        }
        Err(why.unwrap_or_else(|| self.why_none()))
    }

    /// Whether there is one that has not failed the last time.
    pub(super) fn any_may_answer(&self) -> bool {
        self.servers.iter().any(|server| server.breaker.is_closed())
    }

    /// Why none could be reached the last time.
    pub(super) fn why_none(&self) -> String {
        let known = |server: &Server| server.lock().why.as_ref().map(|why| format!("{}: {why}", server.url));
        self.servers.iter().find_map(known).unwrap_or_else(|| "no server can be reached".to_owned())
    }

    /// Tries those that did not answer, each on its own, so that logins need not.
    pub(super) async fn try_again(&self) {
        for (number, server) in self.servers.iter().enumerate() {
            if !server.is_trusted() && self.may_try(server) {
                // What it came to, the log has.
                let _ = self.open(number, server, For::Searches).await;
            }
        }
    }

    /// Whether `link` should not be used any more, although it may work: a server that is preferred to its own answers
    /// again, or its server has dropped connections of its age.
    pub(super) fn is_outdated(&self, link: &Link) -> bool {
        let preferred = self.servers.iter().take(link.server).any(Server::is_trusted);
        let lost = self.servers.get(link.server).and_then(|server| server.lock().lost);
        preferred || lost.is_some_and(|when| link.born <= when)
    }

    /// Notes that `link` has ended.
    pub(super) fn lost(&self, link: &Link) {
        link.retire();
        if let Some(server) = self.servers.get(link.server) {
            server.lock().lost = Some(Instant::now());
        }
    }

    /// Notes that `link` was found to be dead.
    pub(super) fn fell_silent(&self, link: &Link) {
        self.lost(link);
        if let Some(server) = self.servers.get(link.server) {
            server.lock().suspect = true;
        }
    }

    /// Whether this is an answer of a server that cannot do its work now. Another one may; until this one has been
    /// found to answer again, it is not asked.
    pub(super) fn declines(&self, link: &Link, outcome: &Outcome) -> bool {
        let declines = matches!(outcome.code, verdict::BUSY | verdict::UNAVAILABLE);
        if let (true, Some(server)) = (declines && self.servers.len() > 1, self.servers.get(link.server)) {
            link.retire();
            self.failed(server, &NoVerdict::of(outcome).to_string());
        }
        declines && self.servers.len() > 1
    }

    fn may_try(&self, server: &Server) -> bool {
        let now = Instant::now();
        let refused = server.lock().refused_until.is_some_and(|until| now < until);
        !refused && server.breaker.admits(now, self.connect_timeout + Duration::from_secs(1))
    }

    async fn open(&self, number: usize, server: &Server, purpose: For) -> Result<Link, String> {
        match Link::open(self, number, server, purpose).await {
            Ok(link) => {
                if server.breaker.answered() {
                    info!(directory = %self.directory, server = %server.url, "the server answers again");
                }
                let mut state = server.lock();
                (state.why, state.refused_until, state.suspect) = (None, None, false);
                drop(state);
                Ok(link)
            }
            Err(NoLink { why, refused }) => {
                if refused {
                    server.lock().refused_until = Some(Instant::now() + REFUSED_REST);
                }
                self.failed(server, &why);
                Err(format!("{}: {why}", server.url))
            }
        }
    }

    fn failed(&self, server: &Server, why: &str) {
        let before = server.lock().why.replace(why.to_owned());
        let news = server.breaker.failed(Instant::now());
        if news || before.as_deref() != Some(why) {
            warn!(directory = %self.directory, server = %server.url, why, "the server cannot be used");
        }
    }
}

impl Server {
    /// Whether it answers, as far as is known.
    fn is_trusted(&self) -> bool {
        self.breaker.is_closed() && !self.lock().suspect
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
