//! Users in a real OpenLDAP, whom gatepost lets in through a real Dovecot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../lessons/asking.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is made for other tests as well")]
mod asking;
mod brownout;
mod changes;
mod cold;
mod examples;
mod injection;
mod listings;
mod logins;
mod outages;
mod passwords;

use std::{net::SocketAddr, path::Path};

use support::{House, Place, Slapd, Table, slapd};

/// A table over servers at `urls`, whose certificates `authority` has signed.
fn searching(urls: &[String], authority: &Path) -> Table {
    let (bind_dn, bind_password) = slapd::SERVICE;
    Table::new(urls, authority).with("bind_dn", bind_dn).with("bind_password", bind_password)
}

/// The one of a place, over LDAPS, where people are found by their addresses.
fn of(place: &Place, slapd: &Slapd<'_>) -> Table {
    at(place, slapd.ldaps())
}

/// The same where it is to be had at another address.
fn at(place: &Place, address: SocketAddr) -> Table {
    searching(&[format!("ldaps://{address}")], &place.outside("authority.pem"))
        .with("base_dn", format_args!("ou=people,{}", slapd::SUFFIX))
        .with("user_filter", "(&(objectClass=inetOrgPerson)(mail={user}))")
}
