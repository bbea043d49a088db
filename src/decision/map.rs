//! Tables that Postfix looks things up in, made of who there is and of what the operator has it ask.
//!
//! Postfix asks a socketmap once and with the whole key. What it does itself with a file or a database, to fold the case and
//! to try again without an extension and with the domain alone, is done here ([`Walk`]).
//!
//! Of the tables of directories each answer is remembered by itself, as it was asked for (`known`); those of people are
//! answered from what is remembered of people. While a directory does not answer, what it has said still serves to find
//! something, and never to say that there is nothing: mail would come back.
//!
//! - `aliases`: where mail of an address goes on to. `senders`: who may send under it.

mod aliases;
mod known;
mod senders;

use std::{borrow::Cow, fmt};

use gatepost_protocol::postfix::{
    address::{Address, extended, with_local},
    walk::{Key, Step, Walk},
};

pub(super) use self::known::Tables;
use super::Engine;
use crate::{
    config::{self, MapRules},
    directory::{Chain, Mapped, Unavailable},
    username::Username,
};

/// Delivers the mail of whoever has an address.
const DELIVERY: &str = "lmtp";

/// All maps, by their names.
#[derive(Debug)]
pub struct Maps {
    delimiters: Box<str>,
    aliases_may_send: bool,
    named: Vec<Named>,
}

/// One map.
#[derive(Debug)]
struct Named {
    rules: MapRules,
    made_of: MadeOf,
    /// Its tables, in the order in which they are asked.
    tables: Vec<Table>,
}

/// A table: that of this number of the directory of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Table {
    directory: u16,
    table: u16,
}

/// Where a map comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MadeOf {
    /// `domains`, by domain: the domain itself, if it is one of the `domains` of a directory, or a table knows it, or it is
    /// another name of such a one. For `virtual_mailbox_domains`.
    Domains,
    /// `mailboxes`, by address: the login name of whoever has it, if they take in mail, or what a table says. For
    /// `virtual_mailbox_maps`.
    Mailboxes,
    /// `aliases`, by address: where its mail goes on to. For `virtual_alias_maps`.
    Aliases,
    /// `senders`, by address: the login names of those who may send under it. For `smtpd_sender_login_maps`.
    Senders,
    /// `recipients`, by address: something, if mail is taken in for it in whichever way. For `relay_recipient_maps`.
    Recipients,
    /// Any other, and `alias_domains`: of tables alone.
    Tables,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A process of the user with this number, as the kernel says.
    Process(u32),
    /// Somebody at a TCP socket.
    Unknown,
    /// Whoever runs gatepost.
    Operator,
}

/// What a map says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What is there. Several values have `,` between.
    Found(Mapped),
    /// It is not there: whoever knows said so.
    NotThere,
    /// There is no such map.
    NoSuchMap,
    /// This one is not for whoever asks: its `readers`.
    NotForYou,
}

/// What tables have to say.
#[derive(Debug, Default)]
struct Said {
    /// What is there.
    found: Option<Mapped>,
    /// That something is not there was said some time ago, and cannot be asked now.
    lately: Option<Unavailable>,
}

impl Maps {
    /// Without any table.
    pub fn none() -> Self {
        Self::new(&config::Maps::default(), &[])
    }

    /// Those of these directories.
    pub fn of(config: &config::Maps, chain: &Chain) -> Self {
        let number = |number: usize| u16::try_from(number).ok();
        let mut tables = Vec::new();
        for (at, directory) in chain.directories().iter().enumerate() {
            for (table, map) in directory.maps().enumerate() {
                if let (Some(directory), Some(table)) = (number(at), number(table)) {
                    tables.push((map, Table { directory, table }));
                }
            }
        }
        Self::new(config, &tables)
    }

    fn new(config: &config::Maps, tables: &[(&str, Table)]) -> Self {
        let mut names: Vec<&str> = config::BUILT_IN.to_vec();
        for (name, _) in tables {
            if !names.contains(name) {
                names.push(name);
            }
        }
        let named = |name: &str| Named {
            rules: config.rules(name),
            made_of: MadeOf::named(name),
            tables: tables.iter().filter(|(map, _)| *map == name).map(|(_, table)| *table).collect(),
        };
        Self {
            delimiters: config.recipient_delimiter.clone(),
            aliases_may_send: config.aliases_may_send,
            named: names.into_iter().map(named).collect(),
        }
    }

    /// The signs at which an extension begins.
    pub(super) fn delimiters(&self) -> &str {
        &self.delimiters
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|named| &*named.rules.name)
    }

    /// Whether any is made of tables.
    pub(super) fn has_tables(&self) -> bool {
        self.named.iter().any(|named| !named.tables.is_empty())
    }

    fn tables(&self) -> impl Iterator<Item = Table> {
        self.named.iter().flat_map(|named| &named.tables).copied()
    }

    fn named(&self, name: impl AsRef<[u8]>) -> Option<&Named> {
        self.named.iter().find(|named| named.rules.name.as_bytes() == name.as_ref())
    }
}

impl MadeOf {
    fn named(name: &str) -> Self {
        match name {
            "domains" => Self::Domains,
            "mailboxes" => Self::Mailboxes,
            "aliases" => Self::Aliases,
            "senders" => Self::Senders,
            "recipients" => Self::Recipients,
            _ => Self::Tables,
        }
    }
}

impl Named {
    fn is_for(&self, asker: Asker) -> bool {
        match (&self.rules.readers, asker) {
            (None, _) | (_, Asker::Operator | Asker::Process(0)) => true,
            (Some(readers), Asker::Process(uid)) => readers.iter().any(|reader| reader.as_raw() == uid),
            (Some(_), Asker::Unknown) => false,
        }
    }
}

impl Engine {
    /// What a map says of a key.
    ///
    /// # Errors
    ///
    /// Nobody could tell.
    pub async fn map(&self, name: &[u8], key: &[u8], asker: Asker) -> Result<Answer, Unavailable> {
        let Some(named) = self.maps.named(name) else {
            return Ok(Answer::NoSuchMap);
        };
        if !named.is_for(asker) {
            return Ok(Answer::NotForYou);
        }
        // As with Postfix's own tables: nothing is called like that.
        let Ok(key) = std::str::from_utf8(key) else { return Ok(Answer::NotThere) };
        let key = Key::of(key);
        let found = match named.made_of {
            MadeOf::Domains => self.domain(&key).await?,
            MadeOf::Mailboxes => self.mailbox(&key).await?,
            MadeOf::Aliases => self.alias_of(&key).await?,
            MadeOf::Senders => self.senders(&key).await?,
            MadeOf::Recipients => self.recipient(&key).await?,
            MadeOf::Tables => self.walk(named, &key).await?,
        };
        Ok(found.map_or(Answer::NotThere, Answer::Found))
    }

    /// All maps.
    pub const fn maps(&self) -> &Maps {
        &self.maps
    }

    /// What the tables of a map say of a key, under one of the keys that it is asked for.
    async fn walk(&self, named: &Named, key: &Key<'_>) -> Result<Option<Mapped>, Unavailable> {
        if named.tables.is_empty() {
            return Ok(None);
        }
        let mut lately = None;
        for step in key.steps(named.rules.walk, &self.maps.delimiters) {
            let said = self.said(named, &step.key).await?;
            lately = lately.or(said.lately);
            if let Some(found) = said.found {
                return Ok(self.maps.onward(named, key, &step, &found));
            }
        }
        lately.map_or(Ok(None), Err)
    }

    /// The same of the map of this name.
    async fn walk_named(&self, name: &str, key: &Key<'_>) -> Result<Option<Mapped>, Unavailable> {
        match self.maps.named(name) {
            Some(named) => self.walk(named, key).await,
            None => Ok(None),
        }
    }

    /// What the tables of a map say of a key as it is. The first that knows it has the say.
    async fn said(&self, named: &Named, key: &str) -> Result<Said, Unavailable> {
        let mut all = Said::default();
        for table in &named.tables {
            let said = self.table_says(*table, key).await?;
            all.lately = all.lately.or(said.lately);
            if said.found.is_some() {
                return Ok(Said { found: said.found, ..all });
            }
        }
        Ok(all)
    }

    async fn domain(&self, key: &Key<'_>) -> Result<Option<Mapped>, Unavailable> {
        let is_there = key.steps(Walk::Exact, "").any(|step| self.chain().names(&step.key))
            || self.walk_named("domains", key).await?.is_some()
            || self.walk_named("alias_domains", key).await?.is_some();
        Ok(is_there.then(|| key.lower().to_owned()).and_then(Mapped::new))
    }

    async fn mailbox(&self, key: &Key<'_>) -> Result<Option<Mapped>, Unavailable> {
        match self.owner_of(key, DELIVERY).await? {
            Some((owner, _)) => Ok(Mapped::new(owner.as_str().to_owned())),
            None => self.walk_named("mailboxes", key).await,
        }
    }

    async fn recipient(&self, key: &Key<'_>) -> Result<Option<Mapped>, Unavailable> {
        match self.walk_named("recipients", key).await? {
            None => match self.mailbox(key).await? {
                None => self.alias_of(key).await,
                mailbox => Ok(mailbox),
            },
            recipient => Ok(recipient),
        }
    }

    /// Who has an address, as it is or without its extension, and in which form they have it.
    async fn owner_of<'k>(
        &'k self,
        address: &'k Key<'_>,
        service: &str,
    ) -> Result<Option<(Username, Cow<'k, str>)>, Unavailable> {
        for step in address.steps(Walk::Address, &self.maps.delimiters).take_while(|step| step.is_whole) {
            if let Some(owner) = self.whose(step.key.as_bytes(), service).await? {
                return Ok(Some((owner, step.key)));
            }
        }
        Ok(None)
    }
}

impl Maps {
    /// What is told of what a step has found. Where Postfix takes that for addresses, and an extension was taken off the key,
    /// this does what Postfix does with its own tables, for Postfix itself knows of no extension then.
    fn onward(&self, named: &Named, key: &Key<'_>, step: &Step<'_>, found: &Mapped) -> Option<Mapped> {
        if !step.is_bare || !named.rules.gives_addresses {
            return Some(found.clone());
        }
        let asked = Address::asked(key.typed());
        let Some((bare, extension)) = asked.without_extension(&self.delimiters) else {
            return Some(found.clone());
        };
        let addresses = with_local(found.as_str(), &bare.local);
        if named.rules.propagate_extension {
            return Mapped::new(extended(&addresses, extension));
        }
        Mapped::new(addresses.into_owned())
    }
}

impl fmt::Display for Answer {
    /// Without any value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Found(_) => "found",
            Self::NotThere => "not there",
            Self::NoSuchMap => "there is no such map",
            Self::NotForYou => "the map is for others",
        })
    }
}

#[cfg(test)]
mod tests;
