//! The hallway: one connection from its greeting to its end.
//!
//! [`auth`] and [`master`] are state machines without I/O: a line and the time in, bytes and questions out. The
//! daemon, the tests and the fuzz targets drive the same code. [`driver`] is what moves bytes between them and a
//! socket, asks the [`crate::decision::Engine`] and wakes them when time has passed; [`rehearsal`] does the same
//! without a socket and without waiting. What peers expect beyond the grammar is in [`rules`]. [`lookup`], [`policy`],
//! [`saslauthd`] and [`http`] have one question and one answer at a time, and do without all that.

mod answers;
pub mod auth;
mod delay;
pub mod driver;
pub mod http;
mod inbox;
pub mod lookup;
pub mod mask;
pub mod master;
pub mod policy;
pub mod rehearsal;
pub mod rules;
pub mod saslauthd;
mod serial;
pub mod shared;
mod socketmap;
pub mod table;
mod tcp_table;
#[cfg(test)]
mod testing;
pub mod token;
mod wire;
mod words;

use std::fmt;

use gatepost_protocol::error::{Broken, Malformed, TooLong};

/// Why a connection is over. Each costs this connection and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The peer sent a message that does not follow the protocol.
    Malformed(Malformed),
    /// The peer sent one that is longer than the protocol allows.
    TooLong(TooLong),
    /// The peer sent a line that may not come at this point.
    OutOfOrder(&'static str),
    /// The only way to tell a serial client (Postfix, Exim) of a temporary failure is to hang up.
    TempFail,
    /// The daemon is stopping and this connection has nothing left to do.
    Drained,
}

impl From<Malformed> for Close {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<TooLong> for Close {
    fn from(too_long: TooLong) -> Self {
        Self::TooLong(too_long)
    }
}

impl From<Broken> for Close {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Malformed(malformed) => Self::Malformed(malformed),
            Broken::TooLong(too_long) => Self::TooLong(too_long),
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::TooLong(too_long) => too_long.fmt(f),
            Self::OutOfOrder(what) => write!(f, "out of order: {what}"),
            Self::TempFail => f.write_str("temporary failure told by hanging up"),
            Self::Drained => f.write_str("drained"),
        }
    }
}
