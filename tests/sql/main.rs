//! Directories that are databases: real MariaDB and PostgreSQL and a foreign SQLite file, with real Dovecot before
//! gatepost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

#[path = "../lessons/asking.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with tests/lessons")]
mod asking;
#[path = "../support/mod.rs"]
mod support;

mod changes;
mod check;
mod cold;
mod database;
mod examples;
mod file;
mod hooks;
mod injection;
mod listing;
mod login;
mod maps;
mod outage;
mod passwords;
mod provision;
mod stale;
mod trips;
mod userdb;
