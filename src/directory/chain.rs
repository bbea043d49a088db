//! Several directories, asked in turn.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, future::join_all};
use tokio::sync::mpsc;

use super::{
    Directory, Inquiry, Known, LISTED_AHEAD, Misfit, Tell, Unavailable,
    found::{Found, Verifier},
};
use crate::{
    account::{Account, Elsewhere, Password},
    config::{self, Part},
    password::{Broken, Decoy},
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
        misfits.extend(directories.iter().filter_map(|directory| lost(directory, directories)));
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

    /// The one that makes users of this domain, if any does.
    pub fn provisioner(&self, user: &Username) -> Option<&Directory> {
        let makes = |directory: &&Directory| {
            !directory.is_master() && directory.serves(user) && directory.provision_claims().is_some()
        };
        self.directories.iter().find(makes)
    }

    /// Whether this domain, in lower case, is one of the `domains` of any.
    pub fn names(&self, domain: &str) -> bool {
        self.directories.iter().any(|directory| !directory.is_master() && directory.names(domain))
    }

    /// The place of one of them in their order.
    pub fn number(&self, directory: &Directory) -> u16 {
        let at = self.directories.iter().position(|other| other.name() == directory.name());
        at.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX)
    }

    /// Asks the directories that serve the name, one after the other. The first that knows it has the say; no account
    /// means that every one of them said that it has none. Those of master users are not asked.
    ///
    /// # Errors
    ///
    /// The first that cannot answer ends the walk: the user may well be theirs, and a later one with the same name
    /// would be somebody else.
    pub async fn lookup(&self, inquiry: &Inquiry<'_>) -> Result<Found<'_>, Unavailable> {
        self.walk(inquiry, |directory| !directory.is_master()).await
    }

    /// The same for a login: a directory that the row leaves the password to is asked as well. That it does not answer
    /// is told by [`Found::check`] and [`Found::known_elsewhere`].
    ///
    /// # Errors
    ///
    /// As without a login.
    pub async fn login(&self, inquiry: &Inquiry<'_>) -> Result<Found<'_>, Unavailable> {
        let found = self.lookup(inquiry).await?;
        Ok(self.verified_elsewhere(found, inquiry.service).await)
    }

    /// The same for a login, among the master users.
    ///
    /// # Errors
    ///
    /// As for others.
    pub async fn master(&self, inquiry: &Inquiry<'_>) -> Result<Found<'_>, Unavailable> {
        let found = self.walk(inquiry, Directory::is_master).await?;
        Ok(self.verified_elsewhere(found, inquiry.service).await)
    }

    /// Whether there can be master users.
    pub fn has_masters(&self) -> bool {
        self.directories.iter().any(Directory::is_master)
    }

    async fn walk(
        &self,
        inquiry: &Inquiry<'_>,
        among: impl Fn(&Directory) -> bool,
    ) -> Result<Found<'_>, Unavailable> {
        let stranger = &self.decoy.0;
        let mut found = Found { account: None, several: false, asked: None, verifier: None, stranger };
        let serves = |directory: &&Directory| among(directory) && directory.serves(inquiry.user);
        for directory in self.directories.iter().filter(serves) {
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

    async fn verified_elsewhere<'c>(&'c self, found: Found<'c>, service: &str) -> Found<'c> {
        let verifier = match found.account.as_ref().map(|account| (account, &account.password)) {
            Some((account, Password::Elsewhere(elsewhere))) => {
                Some(self.verifier(account, elsewhere, service).await)
            }
            Some((
                _,
                Password::Missing
                | Password::Locked
                | Password::Stored(_)
                | Password::Bind(_)
                | Password::Unusable(_),
            ))
            | None => None,
        };
        Found { verifier, ..found }
    }

    /// Asks the directory that the row of an account names for the same user. A name that there is no directory of is a
    /// slip of whoever wrote the row, and nothing that a password could be right or wrong about.
    async fn verifier(
        &self,
        account: &Account,
        elsewhere: &Elsewhere,
        service: &str,
    ) -> Result<Verifier<'_>, Unavailable> {
        let unusable = |why: &str| Err(Unavailable::new(&account.directory, why));
        let named =
            |directory: &&Directory| **directory.name() == *elsewhere.directory && !directory.is_master();
        let Some(directory) = self.directories.iter().find(named) else {
            return unusable("password_from names no directory of users");
        };
        let user = elsewhere.user.as_ref().unwrap_or(&account.user);
        if !directory.serves(user) {
            return unusable("password_from names a directory that does not serve the domain of the user");
        }
        let account = match directory.lookup(&Inquiry { user, service }).await? {
            Known::Nobody => None,
            Known::Several => {
                return unusable("the name leads to several accounts where password_from leads to");
            }
            // From there to a third one it would be too far, and to the first one without end.
            Known::Account(other) if matches!(other.password, Password::Elsewhere(_)) => {
                return unusable("password_from leads to an account that has password_from itself");
            }
            // Only a database's idea of what is equal has led there: it is somebody else's password.
            Known::Account(other) if other.user != *user && other.user != account.user => {
                return unusable("password_from leads to the account of another name");
            }
            Known::Account(other) => Some(other),
        };
        Ok(Verifier { account, directory })
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
            for directory in directories.iter().filter(|directory| !directory.is_master()) {
                // A list that ends early must not look like one that is whole.
                if AssertUnwindSafe(directory.list_to(&to)).catch_unwind().await.is_err() {
                    let failed = Unavailable::new(directory.name(), "the listing panicked");
                    let _ = to.send(Err(failed)).await;
                }
            }
        });
        names
    }

    /// Looks whether the directories answer, all at once. Gives those that do not.
    ///
    /// # Errors
    ///
    /// Those that answer, and where what the configuration says does not fit to what is there.
    pub async fn examine(&self) -> Result<Vec<Unavailable>, Vec<Misfit>> {
        let (mut unavailable, mut misfits) = (Vec::new(), Vec::new());
        for examined in join_all(self.directories.iter().map(Directory::examine)).await {
            match examined {
                Ok(silent) => unavailable.extend(silent),
                Err(misfit) => misfits.push(misfit),
            }
        }
        if misfits.is_empty() { Ok(unavailable) } else { Err(misfits) }
    }

    /// Looks after what can change, for as long as the daemon runs, and tells who has changed in any of the directories.
    pub async fn watch(self, tell: Tell) {
        let watched = self.directories.iter().cloned();
        join_all(watched.map(|directory| directory.watch(Arc::clone(&tell)))).await;
    }

    /// Reads again what is read ahead.
    pub async fn reload(&self) {
        join_all(self.directories.iter().map(Directory::reload)).await;
    }
}

/// What is wrong with a `password_from` that is the same for all users.
fn lost(directory: &config::Directory, directories: &[config::Directory]) -> Option<Misfit> {
    let (_, template) = directory.fields.iter().find(|(name, _)| name == "password_from")?;
    let [Part::Literal(named)] = template.parts() else { return None };
    let why = match directories.iter().find(|other| *other.name == **named) {
        None => "is the name of no directory",
        Some(other) if other.name == directory.name => "is the directory itself",
        Some(other) if other.master.is_some() => "is a directory of master users",
        Some(_) => return None,
    };
    Some(Misfit::new(directory, format!("fields.password_from: {named} {why}")))
}
