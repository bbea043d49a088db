//! Directory type `passwd-file`: Dovecot's passwd-file, held in memory and read again when it changes.
//!
//! A lookup is one hash and one pointer copy. [`PasswdFile::poll`] looks at the file, some once a second:
//!
//! - A change is taken over when two polls in a row have seen the same file (device, inode, size, times): half of a
//!   file that is just being written would make every user in the other half unknown, and their mail would bounce.
//!   A file renamed into place takes as long, one to two seconds; nothing tells it from one created and filled.
//! - A file that cannot be read, or has gone, makes the directory unavailable, until it can be read again.
//! - An empty file does as well, from the start on: that is what a full disk and `> file` leave behind. A file of
//!   comments says that there are no users.
//!
//! As in Dovecot, the first of several lines for one name counts, and the others are told to the operator. A line
//! that cannot be understood makes its user unavailable, if its name can be.

use std::{
    collections::{HashMap, hash_map},
    fmt,
    hash::RandomState,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tracing::{error, info, warn};

use self::{
    line::Line,
    lines::Lines,
    stamp::{Stamp, read},
};
use super::{
    Directory, Kind,
    row::{BadRow, Recipe},
    watch::{Changed, Tell, every},
};
use crate::{
    account::Account,
    password::{Decoy, Stored},
    username::{InvalidName, Username},
};

mod line;
mod lines;
mod stamp;

/// Between two looks at the file.
const EVERY: Duration = Duration::from_secs(1);

/// So many changes in as many looks are told to the operator: a user who was taken out is still let in.
const RESTLESS: u32 = 30;

/// How many bad lines of a file are named in the log. Further ones are counted.
const NAMED: usize = 10;

/// A passwd-file and what was last read of it.
pub(super) struct PasswdFile {
    path: PathBuf,
    recipe: Recipe,
    decoy: Arc<Decoy>,
    content: ArcSwap<Content>,
    watch: Mutex<Watch>,
    hasher: RandomState,
}

/// Looks at the file of `directory` once a second, and tells whose lines have changed.
pub(super) async fn watch(directory: Directory, tell: &Tell) {
    let mut ticks = every(EVERY);
    loop {
        ticks.tick().await;
        let directory = directory.clone();
        let polled = tokio::task::spawn_blocking(move || match &directory.0.kind {
            Kind::PasswdFile(file) => {
                file.poll();
                file.changed()
            }
            Kind::Sqlite(_) | Kind::Sql(_) | Kind::Ldap(_) | Kind::Static(_) => Vec::new(),
        });
        match polled.await {
            Ok(changed) if changed.is_empty() => {}
            Ok(changed) => tell(&changed),
            Err(_) => error!("a look at a passwd-file ended in a panic"),
        }
    }
}

/// What lookups see.
pub(super) enum Content {
    Users(HashMap<Username, Entry>),
    /// Why nothing can be said.
    Gone(String),
}

pub(super) enum Entry {
    Known(Arc<Account>),
    /// The line's number, counted from 1, and what is wrong with it.
    Bad(usize, BadRow),
}

/// What the polls remember.
#[derive(Default)]
struct Watch {
    /// The file that `content` was read from.
    loaded: Option<Stamp>,
    /// Another one, seen by the last poll.
    seen: Option<Stamp>,
    /// Polls in a row that saw a change, and so did not read it.
    restless: u32,
    /// The lines that `content` was made of; `None` while it is gone.
    lines: Option<Lines>,
    /// What is to be told since the last poll.
    changed: Vec<Changed>,
}

impl PasswdFile {
    /// Reads the file. Where that fails, the directory starts as unavailable.
    pub(super) fn open(path: PathBuf, recipe: Recipe, decoy: Arc<Decoy>) -> Self {
        recipe.warm();
        let content = ArcSwap::from_pointee(Content::Gone("not read yet".to_owned()));
        let file = Self { path, recipe, decoy, content, watch: Mutex::default(), hasher: RandomState::new() };
        file.reload();
        file
    }

    /// Answers from memory.
    pub(super) fn lookup(&self, user: &Username) -> Result<Option<Arc<Account>>, String> {
        match &**self.content.load() {
            Content::Gone(why) => Err(why.clone()),
            Content::Users(users) => match users.get(user) {
                None => Ok(None),
                Some(Entry::Known(account)) => Ok(Some(Arc::clone(account))),
                Some(Entry::Bad(line, bad)) => Err(format!("{}:{line}: {bad}", self.path.display())),
            },
        }
    }

    /// What is known now; stays as it is while the file changes.
    pub(super) fn snapshot(&self) -> Arc<Content> {
        self.content.load_full()
    }

    /// Looks at the file, and reads it if it has changed and come to rest.
    pub(super) fn poll(&self) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        match std::fs::metadata(&self.path) {
            Err(error) => self.lose(&mut watch, &error),
            Ok(metadata) => {
                let now = Stamp::of(&metadata);
                if watch.loaded == Some(now) {
                    watch.seen = None;
                } else if watch.seen == Some(now) {
                    self.load(&mut watch);
                } else {
                    watch.seen = Some(now);
                    watch.restless += 1;
                    if watch.restless == RESTLESS {
                        warn!(directory = %self.recipe.directory, file = ?self.path, "changes all the time: not read");
                    }
                    return;
                }
                watch.restless = 0;
            }
        }
    }

    /// Reads the file as it is now, whether it seems to have changed or not: an administrator says that it is whole.
    pub(super) fn reload(&self) {
        self.load(&mut self.watch.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn load(&self, watch: &mut Watch) {
        let (stamp, bytes) = match read(&self.path) {
            Ok(Some(read)) => read,
            // Written to while it was read. What is known stays until the next poll.
            Ok(None) => return watch.seen = None,
            Err(error) => return self.lose(watch, &error),
        };
        watch.seen = None;
        watch.loaded = Some(stamp);
        if bytes.is_empty() {
            watch.lines = None;
            return self.go("is empty; if there are to be no users, a comment line says so");
        }
        let (users, lines) = self.users(&bytes);
        // What was there before it was gone, nobody knows.
        let changed = watch.lines.as_ref().map_or_else(|| vec![Changed::Everybody], |old| lines.differ(old));
        watch.changed.extend(changed);
        if watch.changed.len() > lines::MOST {
            // Read again and again, and nobody was there to be told.
            watch.changed = vec![Changed::Everybody];
        }
        watch.lines = Some(lines);
        info!(directory = %self.recipe.directory, file = ?self.path, users = users.len(), "passwd-file read");
        self.content.store(Arc::new(Content::Users(users)));
    }

    /// What is to be told since the last time.
    fn changed(&self) -> Vec<Changed> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = std::mem::take(&mut watch.changed);
        if changed.contains(&Changed::Everybody) { vec![Changed::Everybody] } else { changed }
    }

    fn lose(&self, watch: &mut Watch, error: &io::Error) {
        watch.loaded = None;
        watch.seen = None;
        watch.lines = None;
        self.go(&error.to_string());
    }

    /// Makes the directory unavailable, and says so once.
    fn go(&self, why: &str) {
        let why = format!("{}: {why}", self.path.display());
        if !matches!(&**self.content.load(), Content::Gone(known) if *known == why) {
            error!(directory = %self.recipe.directory, why, "passwd-file unavailable");
            self.content.store(Arc::new(Content::Gone(why)));
        }
    }

    fn users(&self, bytes: &[u8]) -> (HashMap<Username, Entry>, Lines) {
        let mut known = Lines::new(&self.hasher);
        let lines = bytes.split(|&byte| byte == b'\n').enumerate();
        let mut users = HashMap::with_capacity(bytes.len() / 100);
        let mut bad = 0;
        for (index, text) in lines {
            let Some(line) = Line::parse(text) else { continue };
            let number = index + 1;
            if let Err(why) = self.user(&line, number, &mut users, |name| known.note(name, text)) {
                bad += 1;
                if bad <= NAMED {
                    warn!(directory = %self.recipe.directory, file = ?self.path, line = number, %why, "bad line");
                }
            }
        }
        adopt(&mut users);
        if bad > 0 {
            warn!(directory = %self.recipe.directory, file = ?self.path, bad, "passwd-file has bad lines");
        }
        users.shrink_to_fit();
        if let Some(usual) = usual(&users) {
            self.decoy.note(usual);
        }
        (users, known)
    }

    /// Adds the user of one line.
    fn user(
        &self,
        line: &Line<'_>,
        number: usize,
        users: &mut HashMap<Username, Entry>,
        note: impl FnOnce(&Username),
    ) -> Result<(), BadLine> {
        let name = Username::normalise(line.name, self.recipe.default_domain.as_deref())?;
        let hash_map::Entry::Vacant(place) = users.entry(name) else { return Err(BadLine::Twice) };
        note(place.key());
        let row = line.row().map_err(|line::NotText| BadRow::FieldName);
        match row.and_then(|row| self.recipe.account(place.key(), &row)) {
            Ok(account) => {
                place.insert(Entry::Known(Arc::new(account)));
                Ok(())
            }
            Err(bad) => {
                place.insert(Entry::Bad(number, bad.clone()));
                Err(BadLine::Row(bad))
            }
        }
    }
}

/// Gives those whom their line calls by the name of another line what that one says of the mail: the mailbox is that of
/// the name. Dovecot does so too; it looks a login up in the userdb by the name that the passdb gave it. Where there is
/// no such line, the own one stands.
fn adopt(users: &mut HashMap<Username, Entry>) {
    let owned = |(name, entry): (&Username, &Entry)| {
        let Entry::Known(account) = entry else { return None };
        let owner = users.get(&account.user).filter(|_| account.user != *name)?;
        let entry = match owner {
            Entry::Known(owner) => Entry::Known(Arc::new(account.owned_by(owner))),
            Entry::Bad(line, bad) => Entry::Bad(*line, bad.clone()),
        };
        Some((name.clone(), entry))
    };
    // All by what the lines say, so that their order makes no difference.
    let owned: Vec<_> = users.iter().filter_map(owned).collect();
    users.extend(owned);
}

/// A stored password of the most common kind, so that the decoy costs what most users cost.
fn usual(users: &HashMap<Username, Entry>) -> Option<&Stored> {
    let mut tally: Vec<(&Stored, usize)> = Vec::new();
    for entry in users.values() {
        let Entry::Known(account) = entry else { continue };
        let Some(stored) = account.password.stored() else { continue };
        let same = |(known, _): &&mut (&Stored, usize)| {
            known.scheme() == stored.scheme() && known.cost() == stored.cost()
        };
        match tally.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => tally.push((stored, 1)),
        }
    }
    tally.into_iter().max_by_key(|(_, count)| *count).map(|(stored, _)| stored)
}

impl Content {
    /// All names, in no order. Those of bad lines too: the users exist. Other names of somebody who is named anyway are
    /// left out: what is done for everybody is done once for each.
    ///
    /// # Errors
    ///
    /// Why nothing is known.
    pub(super) fn names(&self) -> Result<impl Iterator<Item = &Username>, &str> {
        match self {
            Self::Users(users) => {
                let another = |name: &Username, entry: &Entry| match entry {
                    Entry::Known(account) => account.user != *name && users.contains_key(&account.user),
                    Entry::Bad(..) => false,
                };
                Ok(users.iter().filter(move |(name, entry)| !another(name, entry)).map(|(name, _)| name))
            }
            Self::Gone(why) => Err(why),
        }
    }
}

/// Why a line is left out, or its user unavailable. Never with anything of the line.
#[derive(Debug)]
enum BadLine {
    Name(InvalidName),
    Twice,
    Row(BadRow),
}

impl From<InvalidName> for BadLine {
    fn from(invalid: InvalidName) -> Self {
        Self::Name(invalid)
    }
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(invalid) => write!(f, "the name is not one that a login can have: {invalid}"),
            Self::Twice => f.write_str("the user has an earlier line, which counts"),
            Self::Row(bad) => bad.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
