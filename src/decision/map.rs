//! Tables that Postfix looks things up in, made of who there is.
//!
//! Postfix asks a socketmap once and with the whole key: what it does itself with a file or a database, to fold the case and
//! to try again without an extension, is done here. What is looked up is remembered like any other lookup.

use std::{fmt, sync::Arc};

use super::Engine;
use crate::{account::Account, directory::Unavailable};

/// One of the tables that are made of the directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// `domains`, by domain: the domain itself, if it is one of the `domains` of a directory. For
    /// `virtual_mailbox_domains`.
    Domains,
    /// `mailboxes`, by address: the login name of whoever has it, if they take in mail. For `virtual_mailbox_maps` and
    /// `relay_recipient_maps`.
    Mailboxes,
    /// `senders`, by address: the login name of whoever has it, and who therefore may send under it. For
    /// `smtpd_sender_login_maps`.
    Senders,
}

/// Delivers the mail of whoever has an address.
const DELIVERY: &str = "lmtp";

impl Map {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Domains, Self::Mailboxes, Self::Senders];

    /// What it is called in a peer's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Domains => "domains",
            Self::Mailboxes => "mailboxes",
            Self::Senders => "senders",
        }
    }

    /// The one that is called like that.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|map| map.name().as_bytes() == name)
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Engine {
    /// What a table says of a key. `None`: whoever knows said that it is not there.
    ///
    /// # Errors
    ///
    /// Nobody could tell.
    pub async fn map(&self, map: Map, key: &[u8]) -> Result<Option<Box<str>>, Unavailable> {
        match map {
            Map::Domains => Ok(self.domain(key)),
            Map::Mailboxes => Ok(self.owner_of(key, DELIVERY).await?.map(named)),
            Map::Senders => {
                let owner = self.owner_of(key, "").await?.map(named);
                // Postfix would take it for two names.
                Ok(owner.filter(|name| !name.contains(',')))
            }
        }
    }

    fn domain(&self, key: &[u8]) -> Option<Box<str>> {
        let domain = std::str::from_utf8(key).ok()?.to_lowercase();
        self.chain().names(&domain).then(|| domain.into())
    }

    /// Who has an address, as it is or without its extension.
    async fn owner_of(&self, address: &[u8], service: &str) -> Result<Option<Arc<Account>>, Unavailable> {
        match self.lookup(address, service).await? {
            None => match without_extension(address, &self.delimiters) {
                Some(short) => self.lookup(&short, service).await,
                None => Ok(None),
            },
            owner => Ok(owner),
        }
    }
}

fn named(account: Arc<Account>) -> Box<str> {
    account.user.as_str().into()
}

/// An address without what stands between the first delimiter of its local part and its `@`. `None`: it has no extension,
/// which never begins at the first character.
fn without_extension(address: &[u8], delimiters: &str) -> Option<Vec<u8>> {
    let at = address.iter().rposition(|&byte| byte == b'@').unwrap_or(address.len());
    let (local, domain) = address.split_at(at);
    let delimits = |byte: &u8| delimiters.as_bytes().contains(byte);
    let end = local.iter().position(delimits).filter(|&end| end > 0)?;
    Some([local.get(..end)?, domain].concat())
}

#[cfg(test)]
mod tests;
