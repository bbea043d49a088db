//! What can be wrong with a peer's bytes. Small, `Copy`, and never holding the bytes themselves: they may be secret.

use std::fmt;

/// A complete line that does not follow its grammar. The peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The command or field that was being read, as spelt on the wire.
    pub what: &'static str,
    /// The form that was expected there.
    pub expected: &'static str,
}

impl Malformed {
    /// `what` was not of the form `expected`.
    pub const fn new(what: &'static str, expected: &'static str) -> Self {
        Self { what, expected }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}: expected {}", self.what, self.expected)
    }
}

impl std::error::Error for Malformed {}

/// A line, netstring or block longer than its protocol allows. The peer's fault; the connection cannot be read any
/// further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The limit that was passed, in bytes, without what ends it.
    pub limit: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message longer than {} bytes", self.limit)
    }
}

impl std::error::Error for TooLong {}

/// A stream that cannot be cut into messages any further, where they say themselves how long they are. The peer's fault;
/// the only thing left to do is to disconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// What stands around a message does not follow its grammar.
    Malformed(Malformed),
    /// A message is announced that is longer than allowed.
    TooLong(TooLong),
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<TooLong> for Broken {
    fn from(too_long: TooLong) -> Self {
        Self::TooLong(too_long)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::TooLong(too_long) => too_long.fmt(f),
        }
    }
}

impl std::error::Error for Broken {}
