//! The bounded pool that hashes passwords.

#[cfg(test)]
mod tests;

use std::{fmt, num::NonZeroUsize, sync::Arc, thread};

use gatepost_protocol::secret::Secret;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};
use zeroize::Zeroizing;

#[cfg(test)]
pub(super) use self::tests::Probe;

use super::{Broken, Cost, Evidence, NewHash, Stored, Verdict};

/// Slow verifications that may wait, per thread, on top of those that run: a second or two of new hashes, five or so of
/// Dovecot's own. After that a mail client has given up.
const WAITING_PER_THREAD: usize = 64;

/// Verifies passwords without stopping the tasks that ask: on so many threads, in so much memory, and with so many
/// waiting. Who comes after that is told so at once.
///
/// A caller may go away at any time. While it waits, its place is free again at once; once the hash runs, it runs to
/// its end, since a thread cannot be stopped, and what it holds is free after that.
#[derive(Debug)]
pub struct Pool {
    /// Running and waiting.
    places: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    /// One permit a KiB.
    memory: Arc<Semaphore>,
    memory_kib: u32,
}

impl Pool {
    /// `threads` of 0 is one a core; `memory` in bytes.
    pub fn new(threads: usize, memory: u64) -> Self {
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if threads == 0 { cores() } else { threads };
        Self::with_queue(threads, memory, threads.saturating_mul(WAITING_PER_THREAD))
    }

    /// As [`Self::new`], with at most `waiting` verifications waiting for one of at least one thread.
    pub fn with_queue(threads: usize, memory: u64, waiting: usize) -> Self {
        let threads = threads.clamp(1, Semaphore::MAX_PERMITS);
        let places = threads.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        // 4 TiB is as much as can be counted.
        let memory_kib = u32::try_from(memory / 1024).unwrap_or(u32::MAX);
        let permits =
            usize::try_from(memory_kib).map_or(Semaphore::MAX_PERMITS, |n| n.min(Semaphore::MAX_PERMITS));
        Self {
            places: Arc::new(Semaphore::new(places)),
            threads: Arc::new(Semaphore::new(threads)),
            memory: Arc::new(Semaphore::new(permits)),
            memory_kib: u32::try_from(permits).unwrap_or(u32::MAX),
        }
    }

    /// Whether `password` is the stored one. Cheap schemes are verified in place and never refused.
    pub async fn verify(&self, stored: &Stored, password: &Secret) -> Result<bool, Unverified> {
        let memory_kib = match stored.cost() {
            Cost::Cheap => return Ok(stored.matches(password.expose())?),
            Cost::Slow { memory_kib } => memory_kib,
        };
        let permits = self.enter(memory_kib).await?;
        let (stored, password) = (stored.clone(), Secret::new(password.expose().to_vec()));
        run(permits, move || stored.matches(password.expose())).await
    }

    /// What `evidence` proves about the stored password, in place or not like [`Self::verify`].
    pub async fn judge(&self, stored: &Stored, evidence: &Arc<Evidence>) -> Result<Verdict, Unverified> {
        let memory_kib = match stored.cost_of(evidence) {
            Cost::Cheap => return Ok(stored.proven_by(evidence)?),
            Cost::Slow { memory_kib } => memory_kib,
        };
        let permits = self.enter(memory_kib).await?;
        let (stored, evidence) = (stored.clone(), Arc::clone(evidence));
        run(permits, move || stored.proven_by(&evidence)).await
    }

    /// The stored form of a new password, made if there is nothing else to do right now: nobody waits for it, and nobody
    /// is to wait because of it. `None` where the scheme would not keep all of the password.
    pub async fn make(
        &self,
        new: NewHash,
        password: &Secret,
    ) -> Result<Option<Zeroizing<String>>, Unverified> {
        let permits = self.enter_if_idle(new.memory_kib())?;
        let password = Secret::new(password.expose().to_vec());
        run(permits, move || new.make(password.expose())).await
    }

    /// Lets nobody begin to hash until what it gives is dropped.
    #[cfg(test)]
    pub fn hold(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.threads.available_permits()).unwrap();
        Arc::clone(&self.threads).try_acquire_many_owned(all).unwrap()
    }

    /// Waits for memory first and a thread then, so that no thread is kept idle by a hash that waits for memory.
    /// Both queues are first come, first served: small hashes do not starve a large one.
    async fn enter(&self, memory_kib: u32) -> Result<Permits, Unverified> {
        let place = self.place(memory_kib)?;
        // Neither of these semaphores is ever closed.
        let memory = Arc::clone(&self.memory).acquire_many_owned(memory_kib).await.map_err(|_| Broken)?;
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| Broken)?;
        Ok(Permits { _thread: thread, _memory: memory, _place: place })
    }

    /// Does not wait.
    fn enter_if_idle(&self, memory_kib: u32) -> Result<Permits, Unverified> {
        let busy = |_| Unverified::Busy;
        let place = self.place(memory_kib)?;
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(memory_kib).map_err(busy)?;
        let thread = Arc::clone(&self.threads).try_acquire_owned().map_err(busy)?;
        Ok(Permits { _thread: thread, _memory: memory, _place: place })
    }

    /// A place among those that run and wait, for what fits at all.
    fn place(&self, memory_kib: u32) -> Result<OwnedSemaphorePermit, Unverified> {
        if memory_kib > self.memory_kib {
            return Err(Unverified::TooExpensive);
        }
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Unverified::Busy)
    }
}

/// Works on a thread. A defect in a hash function ends that work, not the daemon.
async fn run<T: Send + 'static>(
    permits: Permits,
    work: impl FnOnce() -> Result<T, Broken> + Send + 'static,
) -> Result<T, Unverified> {
    let hash = task::spawn_blocking(move || {
        let _held_while_it_runs = permits;
        work()
    });
    Ok(hash.await.map_err(|_| Broken)??)
}

/// What a running hash holds, given back in this order.
struct Permits {
    _thread: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// No answer: neither the right password nor a wrong one. The caller says so to the peer as a temporary failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// Too many verifications are waiting already.
    Busy,
    /// This one alone takes more memory than the pool may use.
    TooExpensive,
    /// The hash function failed.
    Broken,
}

impl From<Broken> for Unverified {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too many passwords waiting to be verified",
            Self::TooExpensive => "password hash takes more memory than the pool may use",
            Self::Broken => "password hashing failed",
        })
    }
}

impl std::error::Error for Unverified {}
