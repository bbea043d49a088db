//! Who vouches for tokens.

use std::fmt;

/// What a remote is told whose token was not taken: where there is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The address of the provider's metadata.
    pub configuration: Box<str>,
    /// What a token has to be good for, with blanks between.
    pub scope: Box<str>,
}

/// What is wrong with a token. For the log alone: to the remote they are all alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// No provider vouches for it.
    Unknown,
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no provider vouches for the token",
        })
    }
}
