//! A thread that reads, and its connection.

use std::{
    os::unix::fs::MetadataExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
};

use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::error;

use super::{
    aliases::find,
    entry::{Entry, owners},
    schema::{Trouble, open_to_read},
};
use crate::{
    account::Account,
    config::OwnMap,
    directory::row::{BadRow, Recipe},
    password::Decoy,
    username::Username,
};

/// Something to read, and where the answer goes. A string says why there is none.
pub(super) enum Job {
    Lookup(Username, oneshot::Sender<Result<Option<Arc<Account>>, String>>),
    /// What a table has under a key.
    Find(OwnMap, String, oneshot::Sender<Result<Vec<String>, String>>),
    /// The names after this one, as the table spells them.
    Page(String, oneshot::Sender<Result<Vec<String>, String>>),
}

/// Names that one [`Job::Page`] gives.
pub(super) const PAGE: u16 = 500;

/// What a thread works with.
pub(super) struct Reader {
    pub(super) path: PathBuf,
    pub(super) recipe: Arc<Recipe>,
    pub(super) decoy: Arc<Decoy>,
    /// Opened when it is first needed, and again after every failure; with the file that it is open on.
    pub(super) db: Option<(Connection, FileId)>,
}

/// Device and inode.
type FileId = (u64, u64);

impl Reader {
    /// Does what comes, until nobody can ask any more.
    pub(super) fn run(mut self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            // One thread waits for the next job, the others for their turn. A panic cannot happen in here.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            if catch_unwind(AssertUnwindSafe(|| self.answer(job))).is_err() {
                error!(directory = %self.recipe.directory, "a panic while reading the database");
                self.db = None;
            }
        }
    }

    fn answer(&mut self, job: Job) {
        match job {
            // Nobody waits for it any more: the queue is behind.
            Job::Lookup(_, reply) if reply.is_closed() => {}
            Job::Lookup(user, reply) => drop(reply.send(self.lookup(&user))),
            Job::Find(_, _, reply) if reply.is_closed() => {}
            Job::Find(map, key, reply) => drop(reply.send(self.read(|db| find(db, map, &key)))),
            Job::Page(after, reply) => drop(reply.send(self.read(|db| owners(db, &after, PAGE)))),
        }
    }

    fn lookup(&mut self, user: &Username) -> Result<Option<Arc<Account>>, String> {
        let Some(entry) = self.read(|db| Entry::read(db, user))? else { return Ok(None) };
        let bad = |user: &Username, bad: BadRow| format!("{user:?}: {bad}");
        let mut account = entry.account(&self.recipe, user).map_err(|why| bad(user, why))?;
        // Called by the name of somebody else: the mailbox is theirs.
        if account.user != *user
            && let Some(owner) = self.read(|db| Entry::read(db, &account.user))?
        {
            let owner = owner.account(&self.recipe, &account.user).map_err(|why| bad(&account.user, why))?;
            account = account.owned_by(&owner);
        }
        if let Some(password) = account.password.stored() {
            self.decoy.note(password);
        }
        Ok(Some(Arc::new(account)))
    }

    /// Reads from the file that has the name now.
    fn read<T>(&mut self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, String> {
        let done = self.db().and_then(|db| read(db).map_err(Trouble::from));
        done.map_err(|trouble| {
            self.db = None;
            format!("{}: {trouble}", self.path.display())
        })
    }

    /// The connection. One to a file that was removed or replaced would go on answering from the old one.
    fn db(&mut self) -> Result<&Connection, Trouble> {
        let metadata = std::fs::metadata(&self.path)?;
        let id = (metadata.dev(), metadata.ino());
        let open = match self.db.take() {
            Some(open) if open.1 == id => open,
            Some(_) | None => (open_to_read(&self.path)?, id),
        };
        Ok(&self.db.insert(open).0)
    }
}
