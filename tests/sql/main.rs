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

#[path = "../support/mod.rs"]
mod support;

mod database;
mod login;
