//! The rules of the house: files on one side, a checked [`Config`] on the other, and every problem at once.
//!
//! The way of a setting:
//!
//! - `tree` parses each file on its own, keeps the place of every key and value, and merges the files. A file
//!   that is no TOML is a problem, and the other files are still read.
//! - `reader` hands out the values of one table by name and type. It notes every name that it was asked for, so
//!   what is left over at the end is unknown, and gets the nearest known key as its remedy.
//! - one file a table (`server`, `listener`, `sasl`, `directory`, `oidc`, `policy`, ...) says what a value may be.
//! - `problem` words what is wrong: place, key, what it is, what to write, and the line with a caret.
//!
//! serde is not used for this: it stops at the first error, and it forgets the places when files are merged.
//! Nothing is guessed for a value that is wrong: with one problem there is no `Config`.
//!
//! Secrets never appear in a problem, nor in the source line below it: the value of every key that is not
//! known to be harmless is shown as `***`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

mod cache;
mod directory;
mod domain;
mod expansion;
mod hashing;
mod kick;
mod listener;
mod load;
mod log;
mod maps;
mod master;
mod oidc;
mod policy;
mod problem;
mod query;
mod reader;
mod sasl;
mod secret;
mod server;
mod surroundings;
mod template;
mod tree;
mod value;

pub use self::{
    cache::Cache,
    directory::{
        Directory, Kind, MapFind, MapSearch, MapTable, OwnMap,
        ldap::{self, Ldap},
        sql,
    },
    domain::DomainPattern,
    expansion::{Expansion, Of, Piece, Subject},
    hashing::Hashing,
    kick::KickCommand,
    listener::{Endpoint, Listener, Protocol},
    log::{Format, Log},
    maps::{BUILT_IN, MapRules, Maps},
    master::{Master, Target},
    oidc::{AccountOf, ClientAuth, Oidc, PrivateKey, Proxy, Validation},
    policy::{
        AddressPattern, Authorise, Does, HostPattern, Limit, Listed, Most, Override, Per, Policy, Rule, When,
    },
    problem::{Excerpt, Place, Problem, Problems},
    query::{Dialect, Parameter, Query},
    sasl::Sasl,
    server::Server,
    surroundings::{SERVICE, Surroundings},
    template::{Part, Template},
};
pub(crate) use self::{oidc::bare_type, policy::normal};

/// Everything that gatepost was told, checked. Nothing in it needs another look before it is used.
#[derive(Debug)]
pub struct Config {
    /// `[server]`: where gatepost keeps its things.
    pub server: Server,
    /// `[[listener]]`, in the order of the files. Never empty: without any, the default sockets.
    pub listeners: Vec<Listener>,
    /// `[sasl]`: how remotes may prove who they are.
    pub sasl: Sasl,
    /// `[[directory]]`, in the order in which they are asked. Never empty; every name occurs once.
    pub directories: Vec<Directory>,
    /// `[[oidc]]`: who vouches for tokens. Every name and every issuer occurs once.
    pub oidc: Vec<Arc<Oidc>>,
    /// `[cache]`: how long what directories have said is kept.
    pub cache: Cache,
    /// `[maps]`: how the tables that Postfix asks for read addresses.
    pub maps: Maps,
    /// `[policy]`: what Postfix is told of a mail before it takes it.
    pub policy: Policy,
    /// `[hashing]`: what checking passwords may cost this machine.
    pub hashing: Hashing,
    /// `[log]`: what is written to standard error, and in which form.
    pub log: Log,
}

/// A configuration and where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration itself.
    pub config: Config,
    /// The files that it was read from, in the order in which they were read. Empty: the embedded default.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    /// Whether no file was found, so that gatepost runs on what it carries along.
    pub fn is_embedded(&self) -> bool {
        self.files.is_empty()
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// Without `given`: `/etc/gatepost/gatepost.toml`, then `/etc/gatepost/conf.d/*.toml` in name order;
    /// where there is none of them, the embedded default. With a file: that file alone. With a directory: its
    /// `gatepost.toml` and `conf.d/*.toml`, or, where it has neither, its `*.toml` in name order.
    ///
    /// # Errors
    ///
    /// All problems of all files. A `given` that does not exist, or a directory without files, is one.
    pub fn load(given: Option<&Path>) -> Result<Loaded, Problems> {
        load::load(given)
    }

    /// Checks texts instead of files: `(name, text)` in the order in which they count.
    ///
    /// # Errors
    ///
    /// All problems of all texts.
    pub fn from_texts(texts: &[(&Path, &str)], around: &Surroundings) -> Result<Self, Problems> {
        load::from_texts(texts, around)
    }

    /// What gatepost runs on without any file: the accounts in `users.db` under the state directory, and one
    /// socket a protocol under the runtime directory.
    ///
    /// # Errors
    ///
    /// Where no state or runtime directory can be found out, or its path is too long for a socket.
    pub fn embedded(around: &Surroundings) -> Result<Self, Problems> {
        load::embedded(around)
    }
}

#[cfg(test)]
mod tests;
