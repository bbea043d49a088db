//! The cellar: the places that know users.
//!
//! A [`Directory`] is asked for a name and gives the [`Account`], or says that nobody has this name, or that it cannot
//! answer. The last two are different things up to the wire: see [`Unavailable`]. A [`Chain`] asks several in turn.
//!
//! What a row, a line or an entry means is decided in one place for all of them, `row`. Passwords are not compared
//! here: an account carries its stored one, and each directory a [`Decoy`] for those who have none.
//!
//! - [`sqlite`]: the embedded user store.
//! - `passwd_file`: Dovecot's passwd-file, held in memory.
//! - `static_`: one answer for everybody.

use std::{collections::BTreeSet, fmt, sync::Arc};

use gatepost_protocol::secret::Secret;
use tokio::sync::mpsc;

use self::{
    domains::Domains,
    ids::Ids,
    passwd_file::PasswdFile,
    row::Recipe,
    sqlite::{Sqlite, Trouble, Users},
    static_::Static,
};
use crate::{
    account::{Account, Services},
    config,
    password::{Broken, Decoy, Scheme},
    username::Username,
};

#[allow(dead_code, reason = "the directories that are servers are yet to come")]
mod breaker;
mod chain;
mod domains;
mod ids;
mod misfit;
mod passwd_file;
mod row;
pub mod sqlite;
mod static_;

pub use self::{
    chain::{Chain, Check, Found},
    misfit::Misfit,
};

/// Names that a listing holds ready before it waits for its reader.
const LISTED_AHEAD: usize = 256;

/// What a directory is asked: everything that its answer may depend on, and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Inquiry<'a> {
    /// Whom it is about.
    pub user: &'a Username,
    /// What they want to use, as the peer spells it: `imap`, `smtp`, `lmtp` ... Empty where nobody said.
    pub service: &'a str,
}

/// What a directory answers.
#[derive(Debug, Clone)]
pub enum Known {
    /// It is sure that nobody has this name.
    Nobody,
    /// The name leads to this account.
    Account(Arc<Account>),
    /// The name leads to more than one. Whichever was taken, somebody might be let in as somebody else.
    Several,
}

impl From<Option<Arc<Account>>> for Known {
    fn from(account: Option<Arc<Account>>) -> Self {
        account.map_or(Self::Nobody, Self::Account)
    }
}

/// What a directory that checks passwords itself said of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It is the password of this entry.
    Verified,
    /// It is not, or the directory does not say why it refuses.
    Rejected,
    /// The entry is locked for a time after too many failures. Says nothing about the password.
    Locked,
    /// The password is right, and the entry is switched off.
    Disabled,
    /// The password is right, and it or the entry has run out, or has to be changed first.
    Expired,
}

/// A row of an `app_password_query`: its columns by their names; `None` is NULL.
pub type ListedRow = Vec<(String, Option<Secret>)>;

/// One configured directory. A clone is another handle to it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    domains: Domains,
    decoy: Arc<Decoy>,
    primary: Services,
    kind: Kind,
}

enum Kind {
    Sqlite(Sqlite),
    PasswdFile(PasswdFile),
    Static(Static),
}

/// No answer. Never the same as "nobody has this name": it reaches the remote as a temporary failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// The directory that did not answer.
    pub directory: Arc<str>,
    /// Why, for the log alone. Holds no secret and no value of a row.
    pub why: String,
}

impl Unavailable {
    /// The one that did not answer, and why, for the log.
    pub fn new(directory: &str, why: impl Into<String>) -> Self {
        Self { directory: directory.into(), why: why.into() }
    }
}

impl Directory {
    /// Makes a directory of its configuration. A file that cannot be read now is no error: the directory starts as
    /// unavailable.
    ///
    /// # Errors
    ///
    /// What the configuration says and no account could be made with.
    pub fn open(config: &config::Directory, default_domain: Option<&str>) -> Result<Self, Misfit> {
        let misfit = |what: String| Misfit::new(config, what);
        let mut recipe = recipe(config, default_domain)?;
        let domains = recipe.domains.clone();
        let decoy = Arc::new(Decoy::new().map_err(|broken: Broken| misfit(broken.to_string()))?);
        let kind = match &config.kind {
            config::Kind::Sqlite { file } => Kind::Sqlite(Sqlite::open(file, recipe, &decoy)),
            config::Kind::PasswdFile { file, default_scheme } => {
                if let Some(scheme) = default_scheme {
                    recipe.default_scheme = Scheme::named(scheme)
                        .ok_or_else(|| misfit(format!("default_scheme: {scheme} is not supported")))?;
                }
                Kind::PasswdFile(PasswdFile::open(file.clone(), recipe, Arc::clone(&decoy)))
            }
            config::Kind::Static { password, users } => {
                let name = |user: &String| Username::normalise(user.as_bytes(), default_domain);
                let users = users.as_ref().map(|users| users.iter().map(name).collect::<Result<_, _>>());
                let users: Option<BTreeSet<Username>> =
                    users.transpose().map_err(|invalid| misfit(format!("users: a name is {invalid}")))?;
                let fixed = Static::new(recipe, password.as_ref(), users, &decoy);
                Kind::Static(fixed.map_err(|unusable| misfit(format!("password: {unusable}")))?)
            }
        };
        let primary = config.primary_password_services.as_deref();
        let primary = primary.map(|services| Services::only(&services.join(" "))).unwrap_or_default();
        Ok(Self(Arc::new(Inner { name: Arc::clone(&config.name), domains, decoy, primary, kind })))
    }

    /// Its name in the configuration, and in logs.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Whether it may be asked for `user`: its `domains`.
    pub fn serves(&self, user: &Username) -> bool {
        self.0.domains.serve(user)
    }

    /// What to verify in place of a password, when it knows none.
    pub fn decoy(&self) -> &Decoy {
        &self.0.decoy
    }

    /// For which services the main password may be used: its `primary_password_services`.
    pub fn primary_password_services(&self) -> &Services {
        &self.0.primary
    }

    /// Asks for one user.
    ///
    /// # Errors
    ///
    /// When it cannot be sure: it did not answer, or its answer makes no account.
    pub async fn lookup(&self, inquiry: &Inquiry<'_>) -> Result<Known, Unavailable> {
        let found = match &self.0.kind {
            Kind::Sqlite(database) => database.lookup(inquiry.user).await.map(Known::from),
            Kind::PasswdFile(file) => file.lookup(inquiry.user).map(Known::from),
            Kind::Static(fixed) => fixed.lookup(inquiry.user).map(Known::from).map_err(|bad| bad.to_string()),
        };
        found.map_err(|why| self.unavailable(why))
    }

    /// The app passwords of an account, as it is known to this directory: its `app_password_query`.
    ///
    /// # Errors
    ///
    /// When it cannot be sure.
    #[expect(clippy::unused_async, reason = "the directories that have such a query are yet to come")]
    pub async fn app_passwords(&self, _inquiry: &Inquiry<'_>) -> Result<Vec<ListedRow>, Unavailable> {
        match &self.0.kind {
            Kind::Sqlite(_) | Kind::PasswdFile(_) | Kind::Static(_) => Ok(Vec::new()),
        }
    }

    /// Whether it checks passwords itself, so that it has none to compare with and none to imitate for unknown users.
    pub fn binds(&self) -> bool {
        match &self.0.kind {
            Kind::Sqlite(_) | Kind::PasswdFile(_) | Kind::Static(_) => false,
        }
    }

    /// Has a password checked by the directory itself, for the entry that an account named. Whoever calls has made
    /// sure that it is not empty and has no NUL: a server may take an empty one for no authentication at all and call
    /// that a success (RFC 4513 5.1.2).
    ///
    /// # Errors
    ///
    /// Whenever it says neither yes nor no.
    pub async fn bind(&self, entry: &str, _password: &Secret) -> Result<Bound, Unavailable> {
        match &self.0.kind {
            Kind::Sqlite(_) | Kind::PasswdFile(_) | Kind::Static(_) => {
                Err(self.unavailable(format!("checks no passwords itself, and was asked to for {entry:?}")))
            }
        }
    }

    /// All names that it knows and serves, in no particular order. They are read as they are taken, so that a listing
    /// needs no memory to speak of; dropping the receiver ends it. After an error there is nothing more.
    ///
    /// Must be called within a runtime. A `static` directory without `users` has no names to tell.
    pub fn list(&self) -> mpsc::Receiver<Result<Username, Unavailable>> {
        let (to, names) = mpsc::channel(LISTED_AHEAD);
        let directory = self.clone();
        tokio::spawn(async move { directory.list_to(&to).await });
        names
    }

    /// Looks after a file that can change, for as long as the daemon runs. Others are done at once.
    pub async fn watch(self) {
        match &self.0.kind {
            Kind::PasswdFile(_) => passwd_file::watch(self.clone()).await,
            Kind::Sqlite(_) | Kind::Static(_) => {}
        }
    }

    /// Reads again what is read ahead. Done when it has been.
    pub async fn reload(&self) {
        let directory = self.clone();
        // Whoever reloads has no use for a panic's message; the log has it.
        let _ = tokio::task::spawn_blocking(move || match &directory.0.kind {
            Kind::PasswdFile(file) => file.reload(),
            Kind::Sqlite(_) | Kind::Static(_) => {}
        })
        .await;
    }

    /// Sends the names until there are no more, or nobody wants them.
    async fn list_to(&self, to: &mpsc::Sender<Result<Username, Unavailable>>) {
        match &self.0.kind {
            Kind::Sqlite(database) => {
                let mut next = Some(String::new());
                while let Some(after) = next.take() {
                    match database.page(after).await {
                        Ok((page, more)) => {
                            next = more;
                            self.send(page.iter(), to).await;
                        }
                        Err(why) => drop(to.send(Err(self.unavailable(why))).await),
                    }
                    if to.is_closed() {
                        return;
                    }
                }
            }
            Kind::PasswdFile(file) => {
                let content = file.snapshot();
                match content.names() {
                    Ok(names) => self.send(names, to).await,
                    Err(why) => drop(to.send(Err(self.unavailable(why.to_owned()))).await),
                }
            }
            Kind::Static(fixed) => self.send(fixed.names(), to).await,
        }
    }

    async fn send<'a>(
        &self,
        names: impl Iterator<Item = &'a Username>,
        to: &mpsc::Sender<Result<Username, Unavailable>>,
    ) {
        for name in names.filter(|name| self.serves(name)) {
            if to.send(Ok(name.clone())).await.is_err() {
                return;
            }
        }
    }

    fn unavailable(&self, why: String) -> Unavailable {
        Unavailable { directory: Arc::clone(&self.0.name), why }
    }
}

/// Makes the user database that nobody configured, if it is not there: what the daemon starts on when it is started
/// for the first time. A configured one is made by `gatepost user add`.
///
/// # Errors
///
/// The daemon can go on: the directory is unavailable.
pub fn make_embedded(configs: &[config::Directory]) -> Result<(), Trouble> {
    for config in configs.iter().filter(|config| config.place.is_none()) {
        if let config::Kind::Sqlite { file } = &config.kind {
            sqlite::make(file)?;
        }
    }
    Ok(())
}

/// Opens the user database of a directory for changes, in `gatepost user`. With `create`, makes it first, if it is not
/// there; the directory that it is in as well.
///
/// # Errors
///
/// A directory of another type, or one that no account could be made with, is the operator's to mend. The rest is
/// trouble with the file.
pub fn users(
    config: &config::Directory,
    default_domain: Option<&str>,
    create: bool,
) -> Result<Result<Users, Trouble>, Misfit> {
    match &config.kind {
        config::Kind::Sqlite { file } => Ok(Users::open(file, create, recipe(config, default_domain)?)),
        config::Kind::PasswdFile { .. } | config::Kind::Static { .. } => {
            Err(Misfit::new(config, "is not of type sqlite: its users are not kept by gatepost".to_owned()))
        }
    }
}

fn recipe(config: &config::Directory, default_domain: Option<&str>) -> Result<Recipe, Misfit> {
    let recipe = Recipe {
        directory: Arc::clone(&config.name),
        domains: Domains::new(config.domains.clone()),
        default_domain: default_domain.map(Arc::from),
        default_scheme: Scheme::Crypt,
        fields: config.fields.clone(),
        ids: Ids::default(),
    };
    match recipe.check() {
        Ok(()) => Ok(recipe),
        Err((field, bad)) => Err(Misfit::new(config, format!("fields.{field}: {bad}"))),
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory({})", self.0.name)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {} is unavailable: {}", self.directory, self.why)
    }
}

impl std::error::Error for Unavailable {}

#[cfg(test)]
mod tests;
