//! Connections to one database, and the rules of asking over them.
//!
//! - There are never more than so many, and who waits for one waits no longer than the whole question may take.
//! - Everything has a time: a connection, a question with all its attempts. What is given up is closed, and the server
//!   is told to stop; nobody ever gets a connection on which something is still going on.
//! - A connection that lay idle may be dead. If it breaks, the question goes over a new one. If it stays silent, a new
//!   one is tried beside it, and whichever answers first counts: the server may just be slow.
//! - A fuse is before it all: see [`Breaker`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tracing::{info, warn};

use super::{
    super::{breaker::Breaker, record::Record},
    server::{Ask, Database, Fault, Pace},
};
use crate::config::Query;

/// How long a connection may lie idle: firewalls forget it, and then nobody says so.
const IDLE: Duration = Duration::from_secs(60);

/// How long one is used at all, so that a server that has moved is found at its new place.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long an old connection may be silent before a new one is tried beside it.
const SUSPICION: Duration = Duration::from_secs(1);

/// Questions that may wait for a connection.
const QUEUE: usize = 1024;

/// Listings at a time. Each has a connection that is not counted among the others.
const LISTINGS: usize = 2;

/// How long a listing waits for the next row.
const NEXT_ROW: Duration = Duration::from_secs(60);

/// The times of a directory.
#[derive(Debug, Clone, Copy)]
pub(in crate::directory) struct Times {
    /// For a question with all its attempts.
    pub(in crate::directory) whole: Duration,
    /// For a new connection.
    pub(in crate::directory) connect: Duration,
}

/// All connections to one database.
pub(in crate::directory) struct Pool<D: Database> {
    database: Arc<D>,
    directory: Arc<str>,
    times: Times,
    places: Arc<Semaphore>,
    listings: Semaphore,
    waiting: AtomicUsize,
    idle: Mutex<Vec<Idle<D::Link>>>,
    breaker: Breaker,
    /// When the server has said something last.
    heard: Mutex<Instant>,
}

struct Idle<L> {
    link: L,
    born: Instant,
    since: Instant,
}

/// A connection in use. Unless it is given back, it is abandoned.
struct Lease<D: Database> {
    database: Arc<D>,
    link: Option<D::Link>,
    born: Instant,
    place: Option<OwnedSemaphorePermit>,
}

impl<D: Database> Pool<D> {
    /// One without any connection so far.
    pub(in crate::directory) fn new(database: D, directory: &Arc<str>, times: Times, most: usize) -> Self {
        Self {
            database: Arc::new(database),
            directory: Arc::clone(directory),
            times,
            places: Arc::new(Semaphore::new(most)),
            listings: Semaphore::new(LISTINGS),
            waiting: AtomicUsize::new(0),
            idle: Mutex::new(Vec::new()),
            breaker: Breaker::new(),
            heard: Mutex::new(Instant::now()),
        }
    }

    /// The first `most` rows.
    pub(in crate::directory) async fn rows(&self, ask: &Ask<'_>, most: usize) -> Result<Vec<Record>, Fault> {
        self.within(self.rows_over_any(ask, most)).await
    }

    /// All rows of a question that nobody waits for: beside the connections that logins have, over one that lies idle, or
    /// over one more. It takes nobody's turn, and that it fails is not held against the server.
    pub(in crate::directory) async fn aside(&self, ask: &Ask<'_>) -> Result<Vec<Record>, Fault> {
        let asking = async {
            if let Some(old) = self.take_idle() {
                match self.ask(old, ask, usize::MAX).await {
                    // One that has lain idle may have ended long ago, and others with it.
                    Err(Fault::Broken(_)) => self.forget_idle(),
                    done => return done,
                }
            }
            self.ask(self.connect(None).await?, ask, usize::MAX).await
        };
        timeout(self.times.whole, asking).await.unwrap_or(Err(Fault::Silent))
    }

    /// Changes rows, and says how many. Whether it was done cannot be known when this fails.
    pub(in crate::directory) async fn change(&self, ask: &Ask<'_>) -> Result<u64, Fault> {
        self.within(async {
            let place = self.place().await?;
            let mut lease = match self.take(place) {
                Ok(lease) => lease,
                Err(place) => self.connect(Some(place)).await?,
            };
            let done = match lease.link.as_mut() {
                Some(link) => self.database.change(link, ask).await,
                None => Err(Fault::Silent),
            };
            self.give_back(lease, &done);
            // A server that takes no changes, such as a replica, answers questions all the same.
            match done {
                Err(Fault::Broken(why)) => Err(Fault::Refused(why)),
                done => done,
            }
        })
        .await
    }

    /// The names of the columns that a query gives.
    pub(in crate::directory) async fn columns(&self, query: &Query) -> Result<Vec<String>, Fault> {
        self.within(async {
            let place = self.place().await?;
            let mut lease = match self.take(place) {
                Ok(lease) => lease,
                Err(place) => self.connect(Some(place)).await?,
            };
            let done = match lease.link.as_mut() {
                Some(link) => self.database.columns(link, query).await,
                None => Err(Fault::Silent),
            };
            self.give_back(lease, &done);
            done
        })
        .await
    }

    /// All rows, as they are taken, over a connection of their own.
    pub(in crate::directory) async fn stream(
        &self,
        ask: &Ask<'_>,
        to: &mpsc::Sender<Record>,
    ) -> Result<(), Fault> {
        let waited = timeout(self.times.whole, self.listings.acquire()).await;
        let _place = waited.map_err(|_| Fault::Busy)?.map_err(|_| Fault::Busy)?;
        let connected = timeout(self.times.connect, self.database.connect(Pace::Long)).await;
        let link = connected.unwrap_or(Err(Fault::Silent))?;
        let database = Arc::clone(&self.database);
        let mut lease = Lease { database, link: Some(link), born: Instant::now(), place: None };
        let Some(link) = lease.link.as_mut() else { return Err(Fault::Silent) };
        // Its own channel, so that a reader that takes its time is not held against the server.
        let (rows, mut taken) = mpsc::channel(1);
        let mut reading = std::pin::pin!(self.database.stream(link, ask, &rows));
        loop {
            let next = async {
                tokio::select! {
                    biased;
                    row = taken.recv() => Ok(row),
                    done = &mut reading => Err(done),
                }
            };
            match timeout(NEXT_ROW, next).await {
                Ok(Ok(Some(row))) => {
                    if to.send(row).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(done)) => {
                    done?;
                    // What was read before the end.
                    while let Ok(row) = taken.try_recv() {
                        if to.send(row).await.is_err() {
                            break;
                        }
                    }
                    return Ok(());
                }
                Err(_) => return Err(Fault::Silent),
            }
        }
    }

    /// Does `work` in the time that there is, if the server is worth asking, and learns from how it went.
    async fn within<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let begun = Instant::now();
        if !self.breaker.admits(begun, self.times.whole) {
            let what = "it did not answer a moment ago; it is asked again in a second";
            return Err(Fault::Broken(what.to_owned()));
        }
        let done = timeout(self.times.whole, work).await.unwrap_or(Err(Fault::Silent));
        match &done {
            Ok(_) | Err(Fault::Refused(_) | Fault::Wrong(_)) => {
                *lock(&self.heard) = Instant::now();
                if self.breaker.answered() {
                    info!(directory = %self.directory, "the server answers again");
                }
            }
            // Says nothing of the server.
            Err(Fault::Busy) => {}
            // A server that answers others is not down.
            Err(fault @ (Fault::Broken(_) | Fault::Silent)) => {
                let heard = *lock(&self.heard);
                if heard >= begun {
                    self.breaker.answered();
                } else if self.breaker.failed(Instant::now()) {
                    warn!(directory = %self.directory, why = %fault, "the server does not answer");
                }
            }
        }
        done
    }

    async fn rows_over_any(&self, ask: &Ask<'_>, most: usize) -> Result<Vec<Record>, Fault> {
        let place = self.place().await?;
        let mut old = match self.take(place) {
            Ok(old) => old,
            Err(place) => return self.rows_over_new(place, ask, most).await,
        };
        let mut first = Box::pin(async {
            let done = match old.link.as_mut() {
                Some(link) => self.database.rows(link, ask, most).await,
                None => Err(Fault::Silent),
            };
            (done, old)
        });
        let (begun, patience) = (Instant::now(), SUSPICION.min(self.times.whole / 2));
        match timeout(patience, &mut first).await {
            Ok((Err(Fault::Broken(_)), mut old)) => {
                // Whatever ended this one has probably ended its like.
                self.forget_idle();
                let place = old.close();
                self.rows_over_new(self.or_place(place).await?, ask, most).await
            }
            Ok((done, old)) => {
                self.give_back(old, &done);
                done
            }
            Err(_) => {
                let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                    // Others were answered meanwhile: the server is slow and not dead, and no faster for new connections.
                    if *lock(&self.heard) > begun {
                        let (done, old) = first.await;
                        self.give_back(old, &done);
                        return done;
                    }
                    // All are in use, perhaps as dead as this one: it makes room for another.
                    drop(first);
                    self.forget_idle();
                    return self.rows_over_new(self.place().await?, ask, most).await;
                };
                let mut second = Box::pin(self.rows_over_new(place, ask, most));
                tokio::select! {
                    (done, old) = &mut first => match done {
                        Err(Fault::Broken(_)) => second.await,
                        done => {
                            self.give_back(old, &done);
                            done
                        }
                    },
                    done = &mut second => match done {
                        Ok(rows) => {
                            self.forget_idle_before(Instant::now() - patience);
                            Ok(rows)
                        }
                        Err(_) => {
                            let (done, old) = first.await;
                            self.give_back(old, &done);
                            done
                        }
                    },
                }
            }
        }
    }

    async fn rows_over_new(
        &self,
        place: OwnedSemaphorePermit,
        ask: &Ask<'_>,
        most: usize,
    ) -> Result<Vec<Record>, Fault> {
        self.ask(self.connect(Some(place)).await?, ask, most).await
    }

    async fn ask(&self, mut lease: Lease<D>, ask: &Ask<'_>, most: usize) -> Result<Vec<Record>, Fault> {
        let done = match lease.link.as_mut() {
            Some(link) => self.database.rows(link, ask, most).await,
            None => Err(Fault::Silent),
        };
        self.give_back(lease, &done);
        done
    }

    /// Waits until there may be one connection more.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _queued = Queued::enter(&self.waiting).ok_or(Fault::Busy)?;
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| Fault::Busy)
    }

    async fn or_place(&self, place: Option<OwnedSemaphorePermit>) -> Result<OwnedSemaphorePermit, Fault> {
        match place {
            Some(place) => Ok(place),
            None => self.place().await,
        }
    }

    fn take(&self, place: OwnedSemaphorePermit) -> Result<Lease<D>, OwnedSemaphorePermit> {
        match self.take_idle() {
            Some(mut lease) => {
                lease.place = Some(place);
                Ok(lease)
            }
            None => Err(place),
        }
    }

    /// The connection that was used last, if it may still be.
    fn take_idle(&self) -> Option<Lease<D>> {
        let now = Instant::now();
        let mut idle = lock(&self.idle);
        while let Some(last) = idle.pop() {
            let fresh = now.duration_since(last.since) < IDLE && now.duration_since(last.born) < LIFETIME;
            if fresh && self.database.is_open(&last.link) {
                let database = Arc::clone(&self.database);
                return Some(Lease { database, link: Some(last.link), born: last.born, place: None });
            }
            self.database.abandon(last.link);
        }
        None
    }

    async fn connect(&self, place: Option<OwnedSemaphorePermit>) -> Result<Lease<D>, Fault> {
        let connecting = self.database.connect(Pace::Short(self.times.whole));
        let silent = || Err(Fault::Broken("no connection in time".to_owned()));
        let link = timeout(self.times.connect, connecting).await.unwrap_or_else(|_| silent())?;
        let database = Arc::clone(&self.database);
        Ok(Lease { database, link: Some(link), born: Instant::now(), place })
    }

    fn give_back<T>(&self, mut lease: Lease<D>, done: &Result<T, Fault>) {
        let fine = match done {
            Ok(_) | Err(Fault::Refused(_) | Fault::Wrong(_)) => true,
            Err(Fault::Broken(_) | Fault::Silent | Fault::Busy) => false,
        };
        if let Some(link) = lease.link.take_if(|link| fine && self.database.is_open(link)) {
            let now = Instant::now();
            let mut idle = lock(&self.idle);
            // The longest idle stand first.
            while idle.first().is_some_and(|first| now.duration_since(first.since) >= IDLE) {
                self.database.abandon(idle.remove(0).link);
            }
            idle.push(Idle { link, born: lease.born, since: now });
        }
    }

    fn forget_idle(&self) {
        self.forget_idle_before(Instant::now());
    }

    /// Closes what has not been used since then.
    fn forget_idle_before(&self, when: Instant) {
        let mut idle = lock(&self.idle);
        let (old, fresh) = std::mem::take(&mut *idle).into_iter().partition(|one| one.since <= when);
        *idle = fresh;
        drop(idle);
        let old: Vec<Idle<D::Link>> = old;
        for one in old {
            self.database.abandon(one.link);
        }
    }
}

impl<D: Database> Lease<D> {
    /// Closes the connection; its place is free for another.
    fn close(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Some(link) = self.link.take() {
            self.database.abandon(link);
        }
        self.place.take()
    }
}

impl<D: Database> Drop for Lease<D> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<D: Database> Drop for Pool<D> {
    fn drop(&mut self) {
        self.forget_idle();
    }
}

/// Somebody who waits.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Option<Self> {
        // Counted before it is looked at: two cannot both be the last.
        let queued = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < QUEUE).then_some(queued)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
