//! The connections that are kept: a few that all searches share, and as many as binds may run at once.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use gatepost_protocol::secret::Secret;
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout_at,
};

use super::{
    bind::Answered,
    link::{Ask, Failure, Hits, Link},
    server::{For, Servers},
};

/// What there is to say when the time is over.
const TOO_SLOW: &str = "no answer in time";

/// Connections as the service account. Any number of searches runs on each of them at once.
pub(super) struct Searchers {
    servers: Arc<Servers>,
    slots: Vec<Mutex<Option<Arc<Link>>>>,
    next: AtomicUsize,
}

impl Searchers {
    pub(super) fn new(servers: Arc<Servers>, connections: usize) -> Self {
        let slots = (0..connections.max(1)).map(|_| Mutex::new(None)).collect();
        Self { servers, slots, next: AtomicUsize::new(0) }
    }

    /// Searches, a second time on another connection where the first was lost.
    ///
    /// # Errors
    ///
    /// Why there is no answer, for the log.
    pub(super) async fn search(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Hits, String> {
        let search = async {
            let mut again = true;
            loop {
                let link = self.take().await?;
                match link.search(ask, deadline).await {
                    Ok(hits) if again && self.servers.declines(&link, &hits.outcome) => again = false,
                    Ok(hits) => return Ok(hits),
                    Err(failure) => {
                        let lost = self.is_lost(&link, &failure);
                        if !(lost && again) {
                            return Err(failure.to_string());
                        }
                        again = false;
                    }
                }
            }
        };
        timeout_at(deadline.into(), search).await.unwrap_or_else(|_| Err(TOO_SLOW.to_owned()))
    }

    /// Sees to it that there is a connection, so that whoever comes first need not wait for it.
    pub(super) async fn warm(&self) {
        drop(self.take().await);
    }

    /// A connection, for those who have several questions to one server.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) async fn take(&self) -> Result<Arc<Link>, String> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = turn.checked_rem(self.slots.len()).and_then(|number| self.slots.get(number));
        let Some(slot) = slot else { return Err("no connections are allowed".to_owned()) };
        let mut slot = slot.lock().await;
        let old = slot.take().filter(|link| link.is_usable());
        if let Some(link) = &old
            && !self.servers.is_outdated(link)
        {
            return Ok(Arc::clone(slot.insert(Arc::clone(link))));
        }
        match self.servers.connect(For::Searches).await {
            Ok(link) => Ok(Arc::clone(slot.insert(Arc::new(link)))),
            // What is not the first choice is better than nothing.
            Err(why) => old.map(|link| Arc::clone(slot.insert(link))).ok_or(why),
        }
    }

    /// Whether another connection may do better; nobody uses this one then.
    pub(super) fn is_lost(&self, link: &Link, failure: &Failure) -> bool {
        match failure {
            Failure::Lost(_) => self.servers.lost(link),
            Failure::Silent => self.servers.fell_silent(link),
            Failure::TooSlow | Failure::Unasked(_) => return false,
        }
        true
    }
}

/// Connections for the binds of users, each for one at a time. They are used again and again without a new handshake.
pub(super) struct Binders {
    servers: Arc<Servers>,
    /// As many permits as connections.
    turns: Semaphore,
    /// Those that nobody uses, the one that was used last at the end.
    idle: std::sync::Mutex<Vec<Link>>,
}

impl Binders {
    pub(super) fn new(servers: Arc<Servers>, connections: usize) -> Self {
        Self { servers, turns: Semaphore::new(connections.max(1)), idle: std::sync::Mutex::default() }
    }

    /// Binds, once. A connection that is closed before it answers is replaced, once: servers close those that they have
    /// not heard of for long.
    ///
    /// # Errors
    ///
    /// Why there is no answer, for the log.
    pub(super) async fn bind(
        &self,
        dn: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<Answered, String> {
        let bind = async {
            let _turn = self.turns.acquire().await.map_err(|_| "it is being closed".to_owned())?;
            let mut again = true;
            loop {
                let link = self.take().await?;
                match link.bind(dn, password.expose(), deadline).await {
                    Ok(answered) if again && self.servers.declines(&link, &answered.outcome) => again = false,
                    Ok(answered) => {
                        self.give(link);
                        return Ok(answered);
                    }
                    Err(Failure::Lost(_)) if again => {
                        self.servers.lost(&link);
                        again = false;
                    }
                    Err(failure @ Failure::Unasked(_)) => {
                        self.give(link);
                        return Err(failure.to_string());
                    }
                    Err(failure @ (Failure::Lost(_) | Failure::Silent | Failure::TooSlow)) => {
                        return Err(failure.to_string());
                    }
                }
            }
        };
        timeout_at(deadline.into(), bind)
            .await
            .unwrap_or_else(|_| Err("no answer in time, or no connection was free".to_owned()))
    }

    async fn take(&self) -> Result<Link, String> {
        loop {
            let Some(link) = self.idle().pop() else { break };
            if !link.is_usable() || self.servers.is_outdated(&link) {
                continue;
            }
            // A bind cannot be asked again when nothing comes back: it may have counted.
            if link.is_alive().await {
                return Ok(link);
            }
            self.servers.fell_silent(&link);
        }
        self.servers.connect(For::Binds).await
    }

    fn give(&self, link: Link) {
        if link.is_usable() {
            self.idle().push(link);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost(why) => f.write_str(why),
            Self::Silent => f.write_str("the connection has fallen silent"),
            Self::TooSlow => f.write_str(TOO_SLOW),
            Self::Unasked(why) => f.write_str(why),
        }
    }
}
