//! What a directory is asked, and what it answers.

use std::{fmt, sync::Arc};

use crate::{account::Account, username::Username};

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

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {} is unavailable: {}", self.directory, self.why)
    }
}

impl std::error::Error for Unavailable {}
