//! Several directories, asked in turn.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, future::join_all};
use tokio::sync::mpsc;

use super::{Directory, Inquiry, Known, LISTED_AHEAD, Misfit, Unavailable};
use crate::{
    account::{Account, Password},
    config,
    password::{Broken, Decoy, Stored, Unusable},
    username::Username,
};

/// All configured directories, in the order of the configuration. A clone is another handle to the same ones.
///
/// Two directories are never taken for one, however alike they are: their names keep them apart.
#[derive(Debug, Clone)]
pub struct Chain {
    directories: Arc<[Directory]>,
    /// For names that no directory serves.
    decoy: Arc<Stranger>,
}

/// What a walk along a [`Chain`] came to.
pub struct Found<'c> {
    /// The account; `None`: nobody has this name, or several have.
    pub account: Option<Arc<Account>>,
    /// Whether the name leads to several accounts of one directory.
    pub several: bool,
    /// The directory that knows the account, or else the last one that was asked.
    asked: Option<&'c Directory>,
    stranger: &'c Decoy,
}

/// How a password is to be checked.
#[derive(Debug)]
pub enum Check<'f> {
    /// It is compared with this one, which may be a decoy that never matches.
    Stored(Stored),
    /// The directory is asked, for the entry of this name.
    Bind(&'f Directory, &'f str),
    /// Not at all: nobody has this name or any password, and there is no work that would hide it.
    Nothing,
}

struct Stranger(Decoy);

impl std::fmt::Debug for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoy(..)")
    }
}

impl Chain {
    /// Opens all directories of a configuration.
    ///
    /// # Errors
    ///
    /// What is wrong with each of them.
    pub fn open(
        directories: &[config::Directory],
        default_domain: Option<&str>,
    ) -> Result<Self, Vec<Misfit>> {
        let mut open = Vec::with_capacity(directories.len());
        let mut misfits = Vec::new();
        for directory in directories {
            match Directory::open(directory, default_domain) {
                Ok(directory) => open.push(directory),
                Err(misfit) => misfits.push(misfit),
            }
        }
        if !misfits.is_empty() {
            return Err(misfits);
        }
        Self::new(open).map_err(|Broken| Vec::new())
    }

    /// A chain of directories that are open already.
    ///
    /// # Errors
    ///
    /// Without random numbers.
    pub fn new(directories: Vec<Directory>) -> Result<Self, Broken> {
        Ok(Self { directories: directories.into(), decoy: Arc::new(Stranger(Decoy::new()?)) })
    }

    /// The directories in their order.
    pub fn directories(&self) -> &[Directory] {
        &self.directories
    }

    /// Asks the directories that serve the name, one after the other. The first that knows it has the say; no account
    /// means that every one of them said that it has none.
    ///
    /// # Errors
    ///
    /// The first that cannot answer ends the walk: the user may well be theirs, and a later one with the same name
    /// would be somebody else.
    pub async fn lookup(&self, inquiry: &Inquiry<'_>) -> Result<Found<'_>, Unavailable> {
        let mut found = Found { account: None, several: false, asked: None, stranger: &self.decoy.0 };
        for directory in self.directories.iter().filter(|directory| directory.serves(inquiry.user)) {
            found.asked = Some(directory);
            match directory.lookup(inquiry).await? {
                Known::Nobody => {}
                Known::Account(account) => {
                    found.account = Some(account);
                    break;
                }
                Known::Several => {
                    found.several = true;
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The names of all directories, one directory after the other. A name that two of them have comes twice. A
    /// directory that is unavailable gives an error among the names of the others, so that the reader can say that the
    /// list is not whole.
    ///
    /// Must be called within a runtime.
    pub fn list(&self) -> mpsc::Receiver<Result<Username, Unavailable>> {
        let (to, names) = mpsc::channel(LISTED_AHEAD);
        let directories = Arc::clone(&self.directories);
        tokio::spawn(async move {
            for directory in &*directories {
                // A list that ends early must not look like one that is whole.
                if AssertUnwindSafe(directory.list_to(&to)).catch_unwind().await.is_err() {
                    let failed = Unavailable::new(directory.name(), "the listing panicked");
                    let _ = to.send(Err(failed)).await;
                }
            }
        });
        names
    }

    /// Looks after what can change, for as long as the daemon runs.
    pub async fn watch(self) {
        join_all(self.directories.iter().cloned().map(Directory::watch)).await;
    }

    /// Reads again what is read ahead.
    pub async fn reload(&self) {
        join_all(self.directories.iter().map(Directory::reload)).await;
    }
}

impl Found<'_> {
    /// What stands in for a password that is not there.
    pub fn decoy(&self) -> &Decoy {
        self.asked.map_or(self.stranger, Directory::decoy)
    }

    /// What to tell of a name that leads to several accounts, where there is no word for that.
    pub fn ambiguous(&self) -> Unavailable {
        Unavailable::new(self.asked.map_or("-", |asked| asked.name()), "the name leads to several accounts")
    }

    /// How to check a password: against the account's own, or, for somebody who does not exist or has none, against
    /// one that never matches and costs as much. Time must not tell who exists. Where the directory checks passwords
    /// itself, nothing here costs what it takes for that; only the fixed time of refusals hides the difference.
    ///
    /// # Errors
    ///
    /// The account's own cannot be verified.
    pub fn check(&self) -> Result<Check<'_>, Unusable> {
        let decoy = self.decoy();
        match (self.account.as_ref().map(|account| &account.password), self.asked) {
            (Some(Password::Stored(stored)), _) => Ok(Check::Stored(decoy.pick(Some(stored)))),
            (Some(Password::Unusable(unusable)), _) => Err(*unusable),
            (Some(Password::Bind(entry)), Some(directory)) => Ok(Check::Bind(directory, entry)),
            (Some(Password::Missing) | None, Some(directory)) if directory.binds() => Ok(Check::Nothing),
            (Some(Password::Bind(_) | Password::Missing) | None, _) => Ok(Check::Stored(decoy.pick(None))),
        }
    }
}
