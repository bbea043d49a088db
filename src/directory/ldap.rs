//! LDAP: users are entries, and the server may check their passwords itself.
//!
//! A login costs one search, which finds the entry and everything that the operator's `fields` name, and one bind with
//! the entry's DN. With a hash attribute it is the search alone; with a DN template and no service account the bind
//! alone. Nobody is found who is not in `require_group`: to this directory such a user does not exist.
//!
//! - `encode`: the way of a value into a filter or a DN.
//! - `link`: one connection; `ber` guards it, `bind` has the password's way out, `entry` reads what comes.
//! - `server`: which server, as long as some of them do not answer. `pool`: the connections that are kept.
//! - `verdict` and `policy`: what an answer to a bind says.
//! - `maps`: tables that Postfix looks things up in.
//! - `listing`: all names, page by page. `changed`: who has changed; `naming`: what they are called.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gatepost_protocol::secret::Secret;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use self::{
    bound::RecentlyBound,
    entry::Entry,
    link::Ask,
    listing::Listing,
    policy::{Policy, Warning},
    pool::{Binders, Searchers},
    server::{For, Servers},
    verdict::NoVerdict,
};
use super::{
    Bound, Known, Unavailable,
    row::{Audience, Recipe, Row, Value},
    watch::Tell,
};
use crate::{
    account::{Password, State},
    config::{self, Template, ldap::Find},
    password::Decoy,
    tls::{self, NoRoots},
    username::Username,
};

mod ber;
mod bind;
mod bound;
mod changed;
mod encode;
mod entry;
mod link;
mod listing;
mod maps;
mod naming;
mod policy;
mod pool;
mod server;
mod verdict;

/// How often servers that did not answer are tried again. The breaker lets one try a second through.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// The name by which a template gets the entry's DN.
const DN: &str = "dn";

/// One LDAP directory.
pub(super) struct Ldap {
    name: Arc<str>,
    recipe: Recipe,
    /// What an unknown user costs, where passwords are compared here.
    decoy: Arc<Decoy>,
    servers: Arc<Servers>,
    searchers: Searchers,
    binders: Binders,
    base_dn: String,
    scope: ldap3::Scope,
    find: Find,
    /// The attribute with the stored password; `None`: the server checks it.
    password: Option<String>,
    /// What every search asks besides: `(memberOf=...)`, or nothing.
    member: String,
    /// Names in templates, as the operator has spelt them.
    names: Vec<String>,
    /// The attributes that a search asks for: those, each once, and the password's.
    attributes: Vec<String>,
    list_filter: Option<String>,
    timeout: Duration,
    change_poll: Option<Duration>,
    bound: RecentlyBound,
    /// `require_group`; and where other groups are that may be in it.
    group: Option<String>,
    nested: Option<String>,
}

impl Ldap {
    /// Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// No certificate to verify a server with.
    pub(super) fn new(
        config: &config::Ldap,
        change_poll: Option<Duration>,
        recipe: Recipe,
        decoy: Arc<Decoy>,
    ) -> Result<Self, NoRoots> {
        let tls = tls::client(config.ca_file.as_deref())?;
        let account = config
            .account
            .as_ref()
            .map(|(dn, password)| (dn.clone(), Secret::new(password.expose().to_vec())));
        let directory = Arc::clone(&recipe.directory);
        let servers = Arc::new(Servers::new(
            Arc::clone(&directory),
            &config.urls,
            tls,
            config.starttls,
            account,
            config.connect_timeout,
        ));
        Ok(Self {
            name: directory,
            decoy,
            searchers: Searchers::new(Arc::clone(&servers), config.search_connections),
            binders: Binders::new(Arc::clone(&servers), config.bind_connections),
            servers,
            base_dn: config.base_dn.clone(),
            scope: match config.scope {
                config::ldap::Scope::Subtree => ldap3::Scope::Subtree,
                config::ldap::Scope::OneLevel => ldap3::Scope::OneLevel,
                config::ldap::Scope::Base => ldap3::Scope::Base,
            },
            find: config.find.clone(),
            password: config.password.clone(),
            member: member(config.require_group.as_deref(), config.nested_groups),
            names: recipe
                .fields
                .iter()
                .flat_map(|(_, template)| names(template))
                .map(str::to_owned)
                .collect(),
            attributes: attributes(&recipe.fields, config.password.as_deref()),
            list_filter: config.list_filter.clone(),
            timeout: config.timeout,
            change_poll,
            bound: RecentlyBound::default(),
            group: config.require_group.clone(),
            nested: config.nested_groups.then(|| config.base_dn.clone()),
            recipe,
        })
    }

    /// Whether the server checks passwords.
    pub(super) fn binds(&self) -> bool {
        self.password.is_none()
    }

    /// Finds one user.
    ///
    /// # Errors
    ///
    /// Why nobody knows, for the log.
    pub(super) async fn lookup(&self, user: &Username) -> Result<Known, String> {
        let (base, scope, filter) = match &self.find {
            Find::Filter(template) => {
                let Some(filter) = encode::filter(template, user) else { return Ok(Known::Nobody) };
                (self.base_dn.clone(), self.scope, self.with_member(&filter))
            }
            Find::Dn(template) => {
                let Some(dn) = encode::dn(template, user) else { return Ok(Known::Nobody) };
                if !self.must_search() {
                    return self.account(user, &dn, None);
                }
                (dn, ldap3::Scope::Base, self.with_member("(objectClass=*)"))
            }
        };
        // One more than there may be, to see that there are several.
        let attributes: Vec<String> =
            self.attributes.iter().cloned().chain(SWITCHES.map(str::to_owned)).collect();
        let ask = Ask { base: &base, scope, filter: &filter, attributes: &attributes, most: 2 };
        let deadline = Instant::now() + self.timeout;
        let hits = self.searchers.search(&ask, deadline).await?;
        match (hits.outcome.code, hits.entries.as_slice()) {
            (verdict::SUCCESS | verdict::SIZE_LIMIT_EXCEEDED, [_, _, ..]) => Ok(Known::Several),
            (verdict::SUCCESS, []) => Ok(Known::Nobody),
            (verdict::SUCCESS, [entry]) => {
                let known = self.account(user, &entry.dn, Some(entry))?;
                self.alone(user, known, &entry.dn, deadline).await
            }
            // The entry itself was looked for. Anywhere else it is `base_dn` that does not exist.
            (verdict::NO_SUCH_OBJECT, []) if matches!(self.find, Find::Dn(_)) => Ok(Known::Nobody),
            _ => Err(format!("the search ended with {}", NoVerdict::of(&hits.outcome))),
        }
    }

    /// Makes sure that nobody else has the name that an account goes on under, where that is not the one that was
    /// asked for. An attribute that is not unique, or that people may write themselves, would make one of them another.
    async fn alone(
        &self,
        asked: &Username,
        known: Known,
        dn: &str,
        deadline: Instant,
    ) -> Result<Known, String> {
        let (Known::Account(account), Find::Filter(template)) = (&known, &self.find) else {
            return Ok(known);
        };
        let Some(filter) =
            Some(&account.user).filter(|user| *user != asked).and_then(|user| encode::filter(template, user))
        else {
            return Ok(known);
        };
        let filter = self.with_member(&filter);
        let ask = Ask { base: &self.base_dn, scope: self.scope, filter: &filter, attributes: &[], most: 2 };
        let hits = self.searchers.search(&ask, deadline).await?;
        match (hits.outcome.code, hits.entries.as_slice()) {
            (verdict::SUCCESS, []) => Ok(known),
            (verdict::SUCCESS, [entry]) if entry.dn == dn => Ok(known),
            (verdict::SUCCESS | verdict::SIZE_LIMIT_EXCEEDED, [_, ..]) => Ok(Known::Several),
            _ => Err(format!("the search ended with {}", NoVerdict::of(&hits.outcome))),
        }
    }

    /// Has the server check a password.
    ///
    /// # Errors
    ///
    /// Whenever it says neither yes nor no.
    pub(super) async fn bind(&self, dn: &str, password: &Secret) -> Result<Bound, String> {
        // No server can have one that is no UTF-8, as it could not be sent (RFC 4513 5.1.3).
        if std::str::from_utf8(password.expose()).is_err() {
            return Ok(Bound::Rejected);
        }
        if self.polled().is_some() {
            self.bound.note(dn);
        }
        let answered = self.binders.bind(dn, password, Instant::now() + self.timeout).await?;
        let bound = verdict::of_bind(&answered.outcome, answered.policy);
        self.warn(dn, answered.policy);
        bound.map_err(|no| format!("the bind ended with {no}"))
    }

    /// Sends all names until there are no more, or nobody wants them.
    ///
    /// # Errors
    ///
    /// Why the list is not whole.
    pub(super) async fn list(
        &self,
        serves: impl Fn(&Username) -> bool,
        to: &mpsc::Sender<Result<Username, Unavailable>>,
    ) -> Result<(), String> {
        let name = self.recipe.fields.iter().find(|(field, _)| field == "user");
        let (Some(filter), Some((_, name))) = (&self.list_filter, name) else {
            return Err("its users cannot be listed without a list_filter".to_owned());
        };
        let attributes: Vec<String> = names(name).filter(|name| *name != DN).map(str::to_owned).collect();
        let listing = Listing {
            servers: &self.servers,
            base: &self.base_dn,
            scope: self.scope,
            filter: &self.with_member(filter),
            attributes: &attributes,
            name,
            default_domain: self.recipe.default_domain.as_deref(),
            timeout: self.timeout,
        };
        listing.run(serves, to).await
    }

    /// Looks whether a server answers, and whether there is anything at `base_dn`.
    ///
    /// # Errors
    ///
    /// What keeps people from logging in now.
    pub(super) async fn examine(&self) -> Result<(), String> {
        if !self.must_search() {
            return timeout(self.timeout, self.servers.connect(For::Binds))
                .await
                .map_or(Ok(()), |made| made.map(drop));
        }
        let base = Ask {
            base: &self.base_dn,
            scope: ldap3::Scope::Base,
            filter: "(objectClass=*)",
            attributes: &[],
            most: 1,
        };
        let hits = self.searchers.search(&base, Instant::now() + self.timeout).await?;
        match (hits.outcome.code, self.base_dn.is_empty()) {
            (verdict::SUCCESS, _) | (_, true) => Ok(()),
            _ => Err(format!("base_dn cannot be read: {}", NoVerdict::of(&hits.outcome))),
        }
    }

    /// Looks after the servers, for as long as the daemon runs: finds out beforehand whether they answer, and again
    /// when they did not; and asks who has changed.
    pub(super) async fn watch(&self, tell: &Tell) {
        tokio::join!(self.look_after_servers(), self.poll_changes(tell));
    }

    async fn look_after_servers(&self) {
        if self.must_search() {
            self.searchers.warm().await;
        }
        loop {
            sleep(TRY_AGAIN).await;
            self.servers.try_again().await;
        }
    }

    /// How far below the base entries of users may be.
    fn scope_below(&self) -> ldap3::Scope {
        match self.find {
            Find::Filter(_) => self.scope,
            Find::Dn(_) => ldap3::Scope::Subtree,
        }
    }

    /// A DN template without a service account needs no search unless something is to be read: there is nobody who
    /// could search.
    fn must_search(&self) -> bool {
        let bare = matches!(self.find, Find::Dn(_)) && self.servers.account.is_none();
        !(bare && self.attributes.is_empty() && self.member.is_empty())
    }

    fn account(&self, user: &Username, dn: &str, entry: Option<&Entry>) -> Result<Known, String> {
        let mut row = Row::default();
        let first = |name: &str| entry.and_then(|entry| entry.first(name));
        for name in &self.names {
            let value = if name == DN { Some(dn.as_bytes()) } else { first(name) };
            if let Some(value) = value {
                row.put(Audience::Attribute, name, Value::Text(value));
            }
        }
        if let Some(value) = self.password.as_deref().and_then(first) {
            row.put(Audience::Column, "password", Value::Text(value));
        }
        let mut account = self.recipe.account(user, &row).map_err(|bad| bad.to_string())?;
        if self.binds() {
            account.password = Password::Bind(dn.into());
        }
        if entry.is_some_and(is_switched_off) {
            account.state = State::Disabled;
        }
        if let Some(stored) = account.password.stored() {
            self.decoy.note(stored);
        }
        Ok(Known::Account(Arc::new(account)))
    }

    fn with_member(&self, filter: &str) -> String {
        if self.member.is_empty() { filter.to_owned() } else { format!("(&{filter}{})", self.member) }
    }

    fn warn(&self, dn: &str, policy: Policy) {
        match policy.warning {
            Some(Warning::GraceLeft(left)) => {
                warn!(directory = %self.name, dn = ?dn, left, "a password has run out; this many logins are left");
            }
            Some(Warning::SecondsLeft(left)) => {
                info!(directory = %self.name, dn = ?dn, left, "a password runs out in this many seconds");
            }
            None => {}
        }
    }
}

/// Where servers keep that an account is switched off. A bind tells as well, but not everybody comes with the password
/// that the server knows.
const SWITCHES: [&str; 2] = ["userAccountControl", "nsAccountLock"];

/// Whether Active Directory (`userAccountControl`, bit ACCOUNTDISABLE) or 389 Directory Server (`nsAccountLock`) says so.
fn is_switched_off(entry: &Entry) -> bool {
    const ACCOUNTDISABLE: i64 = 2;
    let [control, lock] =
        SWITCHES.map(|name| entry.first(name).and_then(|value| std::str::from_utf8(value).ok()));
    control.and_then(|flags| flags.parse::<i64>().ok()).is_some_and(|flags| flags & ACCOUNTDISABLE != 0)
        || lock.is_some_and(|lock| lock.eq_ignore_ascii_case("true"))
}

/// The condition that an entry is a member of a group, directly or, as Active Directory knows it, through other groups
/// (LDAP_MATCHING_RULE_IN_CHAIN).
fn member(group: Option<&str>, nested: bool) -> String {
    let Some(group) = group else { return String::new() };
    let mut condition =
        String::from(if nested { "(memberOf:1.2.840.113556.1.4.1941:=" } else { "(memberOf=" });
    encode::filter_value(group.as_bytes(), &mut condition);
    condition.push(')');
    condition
}

/// The attributes that templates need of an entry, and the password, each once whatever its spelling.
fn attributes(fields: &[(String, Template)], password: Option<&str>) -> Vec<String> {
    let mut wanted: Vec<String> = Vec::new();
    for name in fields.iter().flat_map(|(_, template)| names(template)).chain(password) {
        if name != DN && !wanted.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            wanted.push(name.to_owned());
        }
    }
    wanted
}

/// The names in a template that are no part of the login name.
fn names(template: &Template) -> impl Iterator<Item = &str> {
    template.names().filter(|name| !matches!(*name, "user" | "local" | "domain"))
}

#[cfg(test)]
mod tests;
