//! What went wrong before in this kind of software, tried on the real daemon. `tests/README.md` says which failure each
//! of these is about.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod alike;
mod asking;
mod directories;
mod memory;
mod names;
mod neighbours;
mod passwords;
mod readme;
mod secrets;
