//! App passwords: a password for one program of a person, which lets in that program and no other, from where, for what
//! and as long as was agreed, and which can be taken away alone.
//!
//! There are two kinds of them.
//!
//! - **Made by gatepost** (`gatepost app-password create`): random, so an attacker cannot try them all, and one round of
//!   SHA-256 is enough to keep; each carries the id of its row, so the number that a user has does not matter.
//!   They are in [`FILE`] in the state directory, for the users of all directories, by their canonical names. A password
//!   of this form (see [`recognise`]) is never asked of a directory, whether it is right or wrong: with a wrong one on
//!   an old phone nobody's account gets locked, and none ends up in somebody else's log.
//! - **Listed** by a directory's `app_password_query`: the rows of another program's table, with its hashes. Which of
//!   them is meant is not known before one matches, so they are tried one after the other: see [`Listed`].
//!
//! What is decided with them is in `decision`; here is what they look like, how they are kept, and [`Uses`].

use std::{
    fmt,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::directory::{Unavailable, sqlite};

mod form;
mod listed;
mod moment;
mod records;
mod scope;
mod table;
mod uses;

pub use self::{
    form::{AppPassword, Id, Seen, recognise},
    listed::{BadListed, Listed, MOST_LISTED},
    moment::{InvalidMoment, Moment},
    records::{Records, Trouble},
    scope::{Barred, Scope},
    table::{Details, Kept, New},
    uses::{Use, Uses},
};

/// Name of the database under the state directory.
pub const FILE: &str = "app-passwords.db";

/// How many are looked up at once. One takes some ten microseconds.
const AT_ONCE: usize = 8;

/// How long an answer is waited for: a disk that hangs must not hold requests for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gatepost's own app passwords, as the daemon asks for them. A clone is another handle.
#[derive(Clone)]
pub struct AppPasswords(Option<Arc<Inner>>);

struct Inner {
    path: PathBuf,
    /// Connections that nobody uses now, each with the file that it is open on.
    idle: Mutex<Vec<(Connection, FileId)>>,
    places: Arc<Semaphore>,
    uses: Uses,
}

/// Device and inode.
type FileId = (u64, u64);

impl AppPasswords {
    /// None: nobody has any, and a password of their form is wrong.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Those of a state directory. A file that is not there is an outage and not the absence of app passwords: it may
    /// be on a disk that is not mounted. Nothing is made here.
    pub fn at(state_dir: &Path) -> Self {
        Self(Some(Arc::new(Inner {
            path: state_dir.join(FILE),
            idle: Mutex::new(Vec::new()),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            uses: Uses::default(),
        })))
    }

    /// The row of an id.
    ///
    /// # Errors
    ///
    /// Whenever nobody can be sure that there is one or none.
    pub async fn find(&self, id: Id) -> Result<Option<Kept>, Unavailable> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let answer = async {
            // Never closed.
            let place = Arc::clone(&inner.places).acquire_owned().await.ok();
            let inner = Arc::clone(inner);
            let read = spawn_blocking(move || {
                let _held_while_it_reads = place;
                inner.read(|db| table::find(db, id))
            });
            read.await.unwrap_or_else(|_| Err("a reader failed".to_owned()))
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
        answer.map_err(|why| Unavailable::new(FILE, why))
    }

    /// Why they cannot be found now, if there are any: after somebody has put back a backup, the file may be the wrong
    /// user's.
    pub async fn look(&self) -> Option<Unavailable> {
        let inner = self.0.as_ref()?;
        // Nobody has made one yet.
        if inner.path.try_exists().is_ok_and(|there| !there) {
            return None;
        }
        self.find(Id::parse("000000")?).await.err()
    }

    /// Notes that one was used. It is written later, with others.
    pub fn used(&self, id: Id, used: Use) {
        if let Some(inner) = &self.0 {
            inner.uses.note(id, used);
        }
    }

    /// Writes the last uses now and then, for as long as this runs. What is noted after that, [`Self::flush`] writes.
    pub async fn keep_records(self) {
        loop {
            tokio::time::sleep(uses::EVERY).await;
            self.flush().await;
        }
    }

    /// Writes the last uses that were noted so far. A failure is a warning in the log, and what was to be written is
    /// tried again with the next.
    pub async fn flush(&self) {
        let Some(inner) = &self.0 else { return };
        let inner = Arc::clone(inner);
        // A panic has been logged.
        let _ = spawn_blocking(move || inner.uses.flush(&inner.path)).await;
    }
}

impl Inner {
    /// Reads from the file that has the name now.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, String> {
        let failed = |trouble: sqlite::Trouble| format!("{}: {}", self.path.display(), Trouble(trouble));
        let (db, id) = self.open().map_err(failed)?;
        let answer = read(&db).map_err(|error| failed(error.into()))?;
        // One that has failed is closed instead.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((db, id));
        Ok(answer)
    }

    /// A connection. One to a file that was removed or replaced would go on answering from the old one.
    fn open(&self) -> Result<(Connection, FileId), sqlite::Trouble> {
        let metadata = std::fs::metadata(&self.path)?;
        let id = (metadata.dev(), metadata.ino());
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, of)| *of == id);
        if let Some(open) = idle.pop() {
            return Ok(open);
        }
        drop(idle);
        Ok((table::DESIGN.open_to_read(&self.path)?, id))
    }
}

impl fmt::Debug for AppPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "AppPasswords(..)" } else { "AppPasswords(none)" })
    }
}

#[cfg(test)]
mod tests;
