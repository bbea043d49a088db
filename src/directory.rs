//! The cellar: the places that know users.
//!
//! A [`Directory`] is asked for a name and gives the account ([`Known`]), or says that nobody has this name, or that it
//! cannot answer. The last two are different things up to the wire: see [`Unavailable`]. A [`Chain`] asks several in turn.
//!
//! What a row, a line or an entry means is decided in one place for all of them, `row`. Passwords are not compared
//! here: an account carries its stored one, and each directory a [`Decoy`] for those who have none.
//!
//! - [`sqlite`]: the embedded user store.
//! - `sql`: tables of somebody else in MySQL, MariaDB, PostgreSQL or SQLite.
//! - `ldap`: entries of a directory server.
//! - `passwd_file`: Dovecot's passwd-file, held in memory.
//! - `static_`: one answer for everybody.

use std::{fmt, sync::Arc, time::Duration};

use gatepost_protocol::secret::Secret;
use tokio::sync::mpsc;

use self::{
    domains::Domains,
    ldap::Ldap,
    passwd_file::PasswdFile,
    sql::{Examined, Sql},
    sqlite::Sqlite,
    static_::Static,
};
use crate::{account::Services, config, password::Decoy, username::Username};

mod answer;
pub(crate) mod breaker;
mod chain;
mod claims;
mod domains;
mod found;
mod ids;
mod ldap;
mod maps;
mod misfit;
mod open;
mod passwd_file;
mod record;
mod row;
mod sql;
pub mod sqlite;
mod static_;
mod watch;

pub(crate) use self::row::moment::parse as parse_moment;
pub use self::{
    answer::{Bound, Inquiry, Known, Unavailable},
    chain::Chain,
    claims::{account_of_claims, misfits_of_claims},
    found::{Check, Found, Uncheckable},
    maps::Mapped,
    misfit::Misfit,
    open::{make_embedded, users},
    record::Record,
    watch::{Changed, Tell},
};

/// Names that a listing holds ready before it waits for its reader.
const LISTED_AHEAD: usize = 256;

/// One configured directory. A clone is another handle to it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    domains: Domains,
    /// Set: it knows master users, and is asked about nobody else.
    master: Option<config::Master>,
    decoy: Arc<Decoy>,
    primary: Services,
    kind: Kind,
    /// How often to look who has changed.
    change_poll: Option<Duration>,
    /// Tables that Postfix looks things up in.
    maps: Vec<config::MapTable>,
    /// Where it was configured.
    place: Option<config::Place>,
}

enum Kind {
    Sqlite(Sqlite),
    Sql(Box<Sql>),
    Ldap(Box<Ldap>),
    PasswdFile(Box<PasswdFile>),
    Static(Box<Static>),
}

impl Directory {
    /// Its name in the configuration, and in logs.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Whether it may be asked for `user`: its `domains`.
    pub fn serves(&self, user: &Username) -> bool {
        self.0.domains.serve(user)
    }

    /// Whether this domain is one of its `domains`, and not only one that these do not rule out.
    pub fn names(&self, domain: &str) -> bool {
        self.0.domains.name(domain)
    }

    /// Whether it knows master users. Nobody logs in as one of them, and they are not listed.
    pub fn is_master(&self) -> bool {
        self.0.master.is_some()
    }

    /// Whether its master users may log in as `user`.
    pub fn may_be(&self, user: &Username) -> bool {
        self.0.master.as_ref().is_some_and(|master| master.may_be(user))
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
        // What asks a server is boxed: inside of every login it would be moved about with those that are answered from
        // memory.
        let found = match &self.0.kind {
            Kind::Sqlite(database) => database.lookup(inquiry.user).await.map(Known::from),
            Kind::Sql(sql) => Box::pin(sql.lookup(inquiry)).await,
            Kind::Ldap(ldap) => Box::pin(ldap.lookup(inquiry.user)).await,
            Kind::PasswdFile(file) => file.lookup(inquiry.user).map(Known::from),
            Kind::Static(fixed) => fixed.lookup(inquiry.user).map(Known::from).map_err(|bad| bad.to_string()),
        };
        found.map_err(|why| self.unavailable(why))
    }

    /// Whether its answers differ from service to service.
    pub fn reads_service(&self) -> bool {
        match &self.0.kind {
            Kind::Sql(sql) => sql.reads_service(),
            Kind::Sqlite(_) | Kind::Ldap(_) | Kind::PasswdFile(_) | Kind::Static(_) => false,
        }
    }

    /// Whether it checks passwords itself, so that it has none to compare with and none to imitate for unknown users.
    pub fn binds(&self) -> bool {
        match &self.0.kind {
            Kind::Ldap(ldap) => ldap.binds(),
            Kind::Sqlite(_) | Kind::Sql(_) | Kind::PasswdFile(_) | Kind::Static(_) => false,
        }
    }

    /// Has a password checked by the directory itself, for the entry that an account named. Whoever calls has made
    /// sure that it is not empty and has no NUL: a server may take an empty one for no authentication at all and call
    /// that a success (RFC 4513 5.1.2).
    ///
    /// # Errors
    ///
    /// Whenever it says neither yes nor no.
    pub async fn bind(&self, entry: &str, password: &Secret) -> Result<Bound, Unavailable> {
        match &self.0.kind {
            Kind::Ldap(ldap) => {
                Box::pin(ldap.bind(entry, password)).await.map_err(|why| self.unavailable(why))
            }
            Kind::Sqlite(_) | Kind::Sql(_) | Kind::PasswdFile(_) | Kind::Static(_) => {
                Err(self.unavailable(format!("checks no passwords itself, and was asked to for {entry:?}")))
            }
        }
    }

    /// Whether it can replace a stored password: whether it is gatepost's own, or has an `update_password_query`.
    pub fn updates_passwords(&self) -> bool {
        match &self.0.kind {
            Kind::Sqlite(_) => true,
            Kind::Sql(sql) => sql.updates_passwords(),
            Kind::Ldap(_) | Kind::PasswdFile(_) | Kind::Static(_) => false,
        }
    }

    /// Replaces a stored password, with its `{SCHEME}`, by another one, if it is still there. Whether it was.
    ///
    /// # Errors
    ///
    /// When nobody can say whether it was replaced; always where [`Self::updates_passwords`] is false.
    pub async fn update_password(
        &self,
        user: &Username,
        old: &Secret,
        new: &Secret,
    ) -> Result<bool, Unavailable> {
        match &self.0.kind {
            Kind::Sqlite(database) => {
                database.update_password(user, old, new).await.map_err(|why| self.unavailable(why))
            }
            Kind::Sql(sql) => sql.update_password(user, old, new).await.map_err(|why| self.unavailable(why)),
            Kind::Ldap(_) | Kind::PasswdFile(_) | Kind::Static(_) => {
                Err(self.unavailable("it replaces no passwords".to_owned()))
            }
        }
    }

    /// Makes a user whom a provider vouches for: its `provision` or `provision_query`. `claims`: what is said of each of
    /// [`Self::provision_claims`]. Whether they were made, and not found to be there already, as far as it can tell.
    ///
    /// # Errors
    ///
    /// When nobody can say whether the user was made; they may be there all the same, because somebody else was faster.
    pub async fn provision(&self, user: &Username, claims: &[Option<String>]) -> Result<bool, Unavailable> {
        let made = match &self.0.kind {
            Kind::Sqlite(database) => Box::pin(database.provision(user, claims)).await,
            // Statements that make somebody need not say that they have changed a row.
            Kind::Sql(sql) => Box::pin(sql.provision(user, claims)).await.map(|()| true),
            Kind::Ldap(_) | Kind::PasswdFile(_) | Kind::Static(_) => Err("it makes no users".to_owned()),
        };
        made.map_err(|why| self.unavailable(why))
    }

    /// The claims that it makes users of; `None` where it makes none.
    pub fn provision_claims(&self) -> Option<&[String]> {
        match &self.0.kind {
            Kind::Sqlite(database) => database.provision_claims(),
            Kind::Sql(sql) => sql.provision_claims(),
            Kind::Ldap(_) | Kind::PasswdFile(_) | Kind::Static(_) => None,
        }
    }

    /// Whether it has app passwords of its own: an `app_password_query`.
    pub fn has_app_passwords(&self) -> bool {
        match &self.0.kind {
            Kind::Sql(sql) => sql.has_app_passwords(),
            Kind::Sqlite(_) | Kind::Ldap(_) | Kind::PasswdFile(_) | Kind::Static(_) => false,
        }
    }

    /// The rows of its `app_password_query` for a user, 200 at most; none where it has no such query.
    ///
    /// # Errors
    ///
    /// When it did not answer.
    pub async fn app_passwords(&self, inquiry: &Inquiry<'_>) -> Result<Vec<Record>, Unavailable> {
        match &self.0.kind {
            Kind::Sql(sql) => Box::pin(sql.app_passwords(inquiry)).await.map_err(|why| self.unavailable(why)),
            Kind::Sqlite(_) | Kind::Ldap(_) | Kind::PasswdFile(_) | Kind::Static(_) => Ok(Vec::new()),
        }
    }

    /// Looks whether it answers, and whether what its configuration says fits to what is there.
    ///
    /// # Errors
    ///
    /// A [`Misfit`] is the operator's to mend. That it does not answer now is `Ok` with the reason.
    pub async fn examine(&self) -> Result<Option<Unavailable>, Misfit> {
        match &self.0.kind {
            Kind::Sql(sql) => match sql.examine(&self.0.maps).await {
                Ok(()) => Ok(None),
                Err(Examined::Unavailable(why)) => Ok(Some(self.unavailable(why))),
                Err(Examined::Misfit(what)) => Err(Misfit::at(&self.0.name, self.0.place.clone(), what)),
            },
            Kind::Ldap(ldap) => Ok(ldap.examine().await.err().map(|why| self.unavailable(why))),
            Kind::Sqlite(_) | Kind::PasswdFile(_) | Kind::Static(_) => {
                Ok(self.list().recv().await.and_then(Result::err))
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

    /// Looks after what can change and after servers that may not answer, for as long as the daemon runs, and tells who
    /// has changed. Where there is nothing to look after it is done at once.
    pub async fn watch(self, tell: Tell) {
        match &self.0.kind {
            Kind::PasswdFile(_) => passwd_file::watch(self.clone(), &tell).await,
            Kind::Ldap(ldap) => ldap.watch(&tell).await,
            Kind::Sql(sql) => sql.watch(&tell).await,
            Kind::Sqlite(database) => {
                if let Some(period) = self.0.change_poll {
                    database.watch(period, &tell).await;
                }
            }
            Kind::Static(_) => {}
        }
    }

    /// Reads again what is read ahead. Done when it has been.
    pub async fn reload(&self) {
        let directory = self.clone();
        // Whoever reloads has no use for a panic's message; the log has it.
        let _ = tokio::task::spawn_blocking(move || match &directory.0.kind {
            Kind::PasswdFile(file) => file.reload(),
            Kind::Sqlite(_) | Kind::Sql(_) | Kind::Ldap(_) | Kind::Static(_) => {}
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
            Kind::Sql(sql) => {
                if let Err(why) = sql.list(to).await {
                    let _ = to.send(Err(self.unavailable(why))).await;
                }
            }
            Kind::Ldap(ldap) => {
                if let Err(why) = ldap.list(|name| self.serves(name), to).await {
                    let _ = to.send(Err(self.unavailable(why))).await;
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

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory({})", self.0.name)
    }
}

#[cfg(test)]
mod tests;
