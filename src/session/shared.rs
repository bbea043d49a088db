//! What all connections of one daemon have in common.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use gatepost_protocol::dovecot::Cookie;

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
        Ok(Self {
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

    /// A cookie for a new connection.
    pub fn new_cookie() -> Result<Cookie, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Cookie::new(bytes))
    }
}
