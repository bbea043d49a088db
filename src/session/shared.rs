//! What all connections of one daemon have in common.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gatepost_protocol::dovecot::Cookie;
use zeroize::Zeroizing;

use super::{table::Table, token::TokenKey};
use crate::mechanism::Mechanism;

/// What all connections of one daemon have in common.
#[derive(Debug)]
pub struct Shared {
    /// `SPID`. One for the daemon on every socket: a mail process that serves several logins compares the one of
    /// the login socket with the one of the master socket, and refuses if they differ. It changes with every
    /// start, because the table of accepted logins is gone then.
    pub spid: u32,
    /// Logins that wait to be claimed.
    pub table: Table,
    /// Makes `auth_token=`.
    pub tokens: TokenKey,
    /// When the daemon started; slots of delayed failures are counted from here.
    pub started: Instant,
    connections: AtomicU32,
    cookie_key: CookieKey,
    cookies: AtomicU64,
}

/// Drawn when the daemon starts. Who knows it can claim everybody's login.
struct CookieKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(..)")
    }
}

/// Mail processes read `SPID` as a `pid_t`, which has a sign: half of all u32 are no valid SPID to them.
const LARGEST_SPID: u32 = i32::MAX.unsigned_abs();

/// How SASL is offered. Replaced as a whole on reload.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What is announced and conducted, in this order. Never empty.
    pub mechanisms: Arc<[Mechanism]>,
    /// How long after its arrival a failed attempt is answered.
    pub failure_delay: Duration,
    /// The account that ANONYMOUS leads to.
    pub anonymous_user: Option<Box<str>>,
}

impl Shared {
    /// For a daemon that starts now.
    pub fn new(tokens: TokenKey, started: Instant) -> Result<Self, getrandom::Error> {
        let mut cookie_key = CookieKey(Zeroizing::new([0; 32]));
        getrandom::fill(&mut *cookie_key.0)?;
        Ok(Self {
            cookie_key,
            cookies: AtomicU64::new(0),
            spid: (getrandom::u32()? & LARGEST_SPID).max(1),
            table: Table::default(),
            tokens,
            started,
            connections: AtomicU32::new(0),
        })
    }

    /// The next `CUID`, which is never 0.
    pub fn next_connection(&self) -> u32 {
        self.connections.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1)
    }

    /// A cookie for a new connection: as good as random to whoever does not know the key, and no system call.
    pub fn new_cookie(&self) -> Cookie {
        let number = self.cookies.fetch_add(1, Ordering::Relaxed);
        let hash = blake3::keyed_hash(&self.cookie_key.0, &number.to_le_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(hash.as_bytes().split_at(16).0);
        Cookie::new(bytes)
    }
}
