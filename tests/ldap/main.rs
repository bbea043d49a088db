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

mod logins;

use std::{fmt::Display, path::Path};

use support::{Dovecot, Gatepost, Imap, Listener, Place, Slapd, slapd, wait_until};

/// A directory table.
struct Table(String);

impl Table {
    /// Over servers at `urls`, whose certificates `authority` has signed.
    fn new(urls: &[String], authority: &Path) -> Self {
        let (bind_dn, bind_password) = slapd::SERVICE;
        Self(format!(
            "[[directory]]\nname = \"staff\"\ntype = \"ldap\"\nurls = {urls:?}\nca_file = {authority:?}\n\
            bind_dn = \"{bind_dn}\"\nbind_password = \"{bind_password}\"\n"
        ))
    }

    /// The one of a place, over LDAPS, where people are found by their addresses.
    fn of(place: &Place, slapd: &Slapd<'_>) -> Self {
        Self::new(&[format!("ldaps://{}", slapd.ldaps())], &place.outside("authority.pem"))
            .with("base_dn", format_args!("ou=people,{}", slapd::SUFFIX))
            .with("user_filter", "(&(objectClass=inetOrgPerson)(mail={user}))")
    }

    fn with(self, key: &str, value: impl Display) -> Self {
        Self(format!("{}{key} = \"{value}\"\n", self.0))
    }

    fn with_raw(self, line: &str) -> Self {
        Self(format!("{}{line}\n", self.0))
    }

    /// Finishes it with what Dovecot needs.
    fn fields(self, place: &Place) -> String {
        let home = place.inside("mail/{local}");
        format!("{}[directory.fields]\nhome = \"{home}\"\nuid = \"5000\"\ngid = \"5000\"\n", self.0)
    }
}

/// gatepost over a directory, and Dovecot before it.
struct House<'a> {
    gatepost: Gatepost<'a>,
    dovecot: Dovecot<'a>,
}

impl<'a> House<'a> {
    fn open(place: &'a Place, directories: &str) -> Self {
        let gatepost = Gatepost::start_over(place, &Listener::dovecot(place), directories);
        Self { gatepost, dovecot: Dovecot::start(place) }
    }

    fn imap(&self) -> Imap {
        self.dovecot.imap()
    }

    /// The answer to one login, by AUTHENTICATE, which can carry any bytes.
    fn login(&self, user: &str, password: &str) -> String {
        self.imap().authenticate_at_once(user, password)
    }

    /// Waits until one line of the log has all of these.
    fn says(&self, words: &[&str]) {
        wait_until(&format!("gatepost says {words:?}"), || {
            self.gatepost.log().lines().any(|line| words.iter().all(|word| line.contains(word)))
        });
    }

    #[track_caller]
    fn admits(&self, user: &str, password: &str) {
        let answer = self.login(user, password);
        assert!(answer.starts_with("OK"), "{user} {password:?}: {answer}\n{}", self.gatepost.log());
    }

    #[track_caller]
    fn refuses(&self, user: &str, password: &str) {
        let answer = self.login(user, password);
        assert!(answer.starts_with("NO [AUTHENTICATIONFAILED]"), "{user} {password:?}: {answer}");
    }

    /// Refused with Dovecot's own word for it.
    #[track_caller]
    fn refuses_as(&self, user: &str, password: &str, code: &str) {
        let answer = self.login(user, password);
        assert!(answer.starts_with(&format!("NO [{code}]")), "{user} {password:?}: {answer}");
    }
}
