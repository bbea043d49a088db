//! Better hashes for those who log in. Only then is the password there to make one of.
//!
//! Nobody waits for it and nothing depends on it: it is done by one task, a few a second, when there is nothing else to
//! hash, and what does not fit in is left to the next login. The old text goes along, so that a password that was changed
//! in the meantime stays as it was changed.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gatepost_protocol::secret::Secret;
use tokio::{runtime::Handle, sync::mpsc};
use tracing::{debug, info, warn};

use crate::{
    directory::Directory,
    password::{Outdated, Pool},
    username::Username,
};

/// How many may wait. Each holds a password.
const WAITING: usize = 64;

/// Time between two: at most ten a second.
const PACE: Duration = Duration::from_millis(100);

/// How long none is tried after a directory could not be written to.
const RESPITE: Duration = Duration::from_secs(30);

/// Takes note of stored passwords that are to be replaced, and has it done.
#[derive(Debug)]
pub(super) struct Renewal {
    queue: mpsc::Sender<Job>,
    /// Until the first comes.
    worker: Mutex<Option<mpsc::Receiver<Job>>>,
    waiting: Arc<Waiting>,
}

/// Whose turn is still to come: mail programs log in several times at once.
type Waiting = Mutex<HashSet<(Arc<str>, Username)>>;

/// One stored password.
pub(super) struct Job {
    pub(super) directory: Directory,
    pub(super) user: Username,
    pub(super) outdated: Arc<Outdated>,
    pub(super) password: Secret,
}

impl Default for Renewal {
    fn default() -> Self {
        let (queue, jobs) = mpsc::channel(WAITING);
        Self { queue, worker: Mutex::new(Some(jobs)), waiting: Arc::default() }
    }
}

impl Renewal {
    /// Takes one, if there is room and it is not there yet. Returns at once.
    pub(super) fn offer(&self, pool: &Arc<Pool>, job: Job) {
        // Outside of the daemon there is nobody to do it later.
        let Ok(runtime) = Handle::try_current() else { return };
        let Ok(place) = self.queue.try_reserve() else {
            return debug!(user = job.user.as_str(), "a stored password stays weak: too many are waiting");
        };
        let key = (Arc::clone(job.directory.name()), job.user.clone());
        if !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            return;
        }
        place.send(job);
        if let Some(jobs) = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.spawn(work(jobs, Arc::clone(pool), Arc::clone(&self.waiting)));
        }
    }
}

#[cfg(test)]
impl Renewal {
    /// Whether nothing was ever put into it.
    fn is_untouched(&self) -> bool {
        self.worker.lock().unwrap().is_some()
    }

    /// Whether something is still to be done.
    fn is_busy(&self) -> bool {
        !self.waiting.lock().unwrap().is_empty()
    }
}

/// Does what comes, until the engine is gone and the queue is empty.
async fn work(mut jobs: mpsc::Receiver<Job>, pool: Arc<Pool>, waiting: Arc<Waiting>) {
    while let Some(job) = jobs.recv().await {
        let pause = renew(&pool, &job).await;
        let key = (Arc::clone(job.directory.name()), job.user.clone());
        // Not kept any longer than it is needed.
        drop(job);
        waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        tokio::time::sleep(pause).await;
    }
}

/// Replaces one, and says how long to wait before the next.
async fn renew(pool: &Pool, job: &Job) -> Duration {
    let (user, directory) = (job.user.as_str(), &**job.directory.name());
    let new = match pool.make(job.outdated.by, &job.password).await {
        Ok(Some(text)) => Secret::new(text.as_bytes().to_vec()),
        Ok(None) => {
            debug!(user, directory, "a stored password stays weak: it is too long for the scheme");
            return PACE;
        }
        Err(why) => {
            debug!(user, directory, reason = %why, "a stored password stays weak for now");
            return PACE;
        }
    };
    match job.directory.update_password(&job.user, &job.outdated.text, &new).await {
        Ok(true) => info!(user, directory, scheme = ?job.outdated.by, "a stored password was replaced"),
        Ok(false) => debug!(user, directory, "a stored password was changed in the meantime"),
        Err(unavailable) => {
            warn!(user, directory, reason = %unavailable, "stored passwords cannot be replaced");
            return RESPITE;
        }
    }
    PACE
}

#[cfg(test)]
mod tests;
