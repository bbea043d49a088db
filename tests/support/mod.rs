//! Real mail servers for the tests to talk to, and gatepost beside them.
//!
//! [`Tree`] is a small Debian with the servers in it, made by `tests/peers/make-tree`. A test takes a
//! [`Place`] in one: a directory and a loopback address of its own, so that tests run side by side. In it run
//! [`Gatepost`], [`Dovecot`], [`Postfix`] and the others, each a value that ends its server when it is
//! dropped. Nothing here skips: what is missing fails the test with the command that provides it.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "every test uses its own part of the house")]

mod alone;
mod authority;
mod bearer;
mod chasquid;
mod crowd;
mod dovecot;
mod dovecot_auth;
mod example;
mod exim;
mod gatepost;
mod house;
mod https;
mod imap;
mod lines;
mod listener;
mod lossy;
mod mariadb;
mod notice;
mod people;
mod place;
mod postfix;
mod postgres;
pub mod process;
pub mod provider;
mod proxy;
mod rehearsed;
mod replay;
pub mod samba;
pub mod slapd;
mod smtp;
mod tls;
mod transcript;
mod tree;
mod watching;
mod webmail;

use std::{
    thread,
    time::{Duration, Instant},
};

pub use alone::{Alone, connect};
pub use authority::Authority;
pub use bearer::{Bearer, Told};
pub use chasquid::Chasquid;
pub use crowd::{all_at_once, cold_start, flood_of_strangers};
pub use dovecot::Dovecot;
pub use dovecot_auth::DovecotAuth;
pub use example::example;
pub use exim::Exim;
pub use gatepost::Gatepost;
pub use house::{House, Table};
pub use imap::{Imap, plain};
pub use lines::Lines;
pub use listener::Listener;
pub use lossy::Lossy;
pub use mariadb::MariaDb;
pub use notice::{LONG, Notice};
pub use people::People;
pub use place::Place;
pub use postfix::{Postfix, Smtpd, Tables};
pub use postgres::Postgres;
pub use provider::Provider;
pub use proxy::{Proxy, Wire};
pub use rehearsed::Rehearsed;
pub use replay::{Replay, Subject, Writes};
pub use samba::Samba;
pub use slapd::Slapd;
pub use smtp::{Reply, Smtp};
pub use tls::within_tls;
pub use transcript::{Bindings, Line, Step, Transcript, What, socket};
pub use tree::Tree;
pub use watching::Watching;
pub use webmail::{Browser, Servers, Webmail};

/// How long anything may take that should happen at once. Generous, as two cores may run many servers.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Settings under which nothing is answered from memory, for tests of what a directory does.
pub const FORGETFUL: &str = "[cache]\nttl = \"0s\"\n";

/// Runs a test with each of several things, by their names, side by side: most of it is waiting.
#[track_caller]
pub fn side_by_side<T: Send>(each: impl IntoIterator<Item = (&'static str, T)>, test: impl Fn(T) + Sync) {
    let test = &test;
    // A scope panics when one of its threads has, and that one has said its name.
    thread::scope(|scope| {
        for (name, one) in each {
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, move || test(one)).unwrap();
        }
    });
}

/// Waits until `condition` holds and fails the test when it does not within [`DEADLINE`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
