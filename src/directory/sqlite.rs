//! Directory type `sqlite`: the embedded user store, which `gatepost user` manages.
//!
//! Lookups go to a few threads, each with a connection of its own: SQLite calls block, and the runtime's threads have
//! others to serve. The queue before them is bounded, and so is the time that a lookup waits; whoever finds it full,
//! or waits too long, gets no answer, which is a temporary failure.
//!
//! The file is opened when the first question comes, and again after anything went wrong, so a file that is missing
//! or broken costs temporary failures for as long as it is, and nothing else. Readers never make a file: where the
//! file system is not mounted, an empty one would bounce everybody's mail.
//!
//! Values are bound, never pasted into SQL. The tables are in `schema`.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use gatepost_protocol::secret::Secret;
use tokio::sync::oneshot;
use tracing::{error, warn};
use zeroize::Zeroizing;

use self::{
    provision::Maker,
    reader::{Job, Reader},
};
use super::row::Recipe;
use crate::{
    account::Account,
    config::{OwnMap, Template},
    password::Decoy,
    username::Username,
};

mod aliases;
mod changed;
mod entry;
mod provision;
mod reader;
mod schema;
mod users;

pub(crate) use self::schema::Design;
pub use self::{
    aliases::{Alias, AliasError},
    schema::Trouble,
    users::{AddError, Details, NewUser, Users},
};

/// Lookups that may wait.
const QUEUE: usize = 1024;

/// How long an answer is waited for: a disk that hangs must not hold requests for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// The asking side.
pub(super) struct Sqlite {
    jobs: SyncSender<Job>,
    path: PathBuf,
    maker: Option<Arc<Maker>>,
}

impl Sqlite {
    /// Starts the readers. `provision`: what users are made of, if they are. `Err` is the operator's to mend.
    pub(super) fn open(
        path: &Path,
        provision: Option<&[(String, Template)]>,
        recipe: Recipe,
        decoy: &Arc<Decoy>,
    ) -> Result<Self, String> {
        recipe.warm();
        let recipe = Arc::new(recipe);
        let maker = provision.map(|fields| Maker::new(fields, &recipe)).transpose()?.map(Arc::new);
        let (jobs, queue) = sync_channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads() {
            let reader = Reader {
                path: path.to_owned(),
                recipe: Arc::clone(&recipe),
                decoy: Arc::clone(decoy),
                db: None,
            };
            start(reader, Arc::clone(&queue));
        }
        Ok(Self { jobs, path: path.to_owned(), maker })
    }

    pub(super) async fn lookup(&self, user: &Username) -> Result<Option<Arc<Account>>, String> {
        self.ask(|reply| Job::Lookup(user.clone(), reply)).await
    }

    /// Replaces a stored password by another one, if it is still there. Whether it was.
    ///
    /// Through a connection of its own, since those of the readers cannot write, and on a thread of its own, since another
    /// writer may have to be waited for.
    pub(super) async fn update_password(
        &self,
        user: &Username,
        old: &Secret,
        new: &Secret,
    ) -> Result<bool, String> {
        let text = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).map(Zeroizing::new);
        // The column holds nothing else.
        let (Ok(old), Ok(new)) = (text(old), text(new)) else { return Ok(false) };
        let (path, user) = (self.path.clone(), user.clone());
        let written = tokio::task::spawn_blocking(move || {
            users::replace_password(&path, &user, &old, &new)
                .map_err(|trouble| format!("{}: {trouble}", path.display()))
        });
        written.await.map_err(|_| "the writer failed".to_owned())?
    }

    /// Makes a user, of whom a token says this for each of [`Self::provision_claims`], unless they are there. Whether they
    /// were made.
    ///
    /// As with passwords, through a connection and on a thread of its own.
    pub(super) async fn provision(&self, user: &Username, claims: &[Option<String>]) -> Result<bool, String> {
        let Some(maker) = self.maker.clone() else { return Err("it makes no users".to_owned()) };
        let (path, user, claims) = (self.path.clone(), user.clone(), claims.to_vec());
        let made = tokio::task::spawn_blocking(move || maker.make(&path, &user, &claims));
        made.await.map_err(|_| "the writer failed".to_owned())?
    }

    /// The claims that users are made of; `None` where none are made.
    pub(super) fn provision_claims(&self) -> Option<&[String]> {
        self.maker.as_deref().map(Maker::claims)
    }

    /// What one of its tables for Postfix has under a key.
    pub(super) async fn find(&self, map: OwnMap, key: &str) -> Result<Vec<Vec<u8>>, String> {
        let found = self.ask(|reply| Job::Find(map, key.to_owned(), reply)).await?;
        Ok(found.into_iter().map(String::into_bytes).collect())
    }

    /// The next names after `after`, which starts as `""`, and where to go on; `None` at the end.
    pub(super) async fn page(&self, after: String) -> Result<(Vec<Username>, Option<String>), String> {
        let names = self.ask(|reply| Job::Page(after, reply)).await?;
        let next = (names.len() == usize::from(reader::PAGE)).then(|| names.last().cloned()).flatten();
        let users = names.iter().filter_map(|name| {
            let user = Username::normalise(name.as_bytes(), None).ok().filter(|user| user.as_str() == name);
            if user.is_none() {
                warn!(?name, "a user that nobody can be: the name is not in normal form");
            }
            user
        });
        Ok((users.collect(), next))
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Job) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(job(reply)).map_err(|_| "too many lookups are waiting".to_owned())?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("a reader failed".to_owned()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        }
    }
}

/// Makes the file with its tables, and the directory around it, if they are not there.
pub(super) fn make(path: &Path) -> Result<(), Trouble> {
    schema::create(path).map(drop)
}

/// As many as can read at once, within reason: with one a long listing would hold up logins.
fn threads() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
}

fn start(reader: Reader, queue: Arc<Mutex<Receiver<Job>>>) {
    let started = thread::Builder::new().name("sqlite".to_owned()).spawn(move || reader.run(&queue));
    if let Err(error) = started {
        // With none at all, the queue has no end, and every lookup fails at once.
        error!(%error, "no thread to read the user database with");
    }
}

#[cfg(test)]
mod tests;
