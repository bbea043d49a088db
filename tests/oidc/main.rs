//! Tokens of a real OpenID provider, by which people log in through real Dovecot and Postfix.

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

mod cleartext;
mod clients;
mod doors;
mod logout;
mod memory;
mod newcomers;
mod outages;
mod passwords;
mod provider;
mod sso;
mod standin;
mod tokens;

use std::{fmt::Display, path::PathBuf};

use doors::{Door, Outcome};
use support::{
    Authority, Bearer, Dovecot, Gatepost, Listener, People, Place, Postfix, Provider, Smtpd, Tree,
};

const SASL: &str = "mechanisms = [\"PLAIN\", \"LOGIN\", \"OAUTHBEARER\", \"XOAUTH2\"]";

/// The address of the person whom most tokens are of.
const ALICE: &str = "alice@example.test";

/// Dovecot and Postfix, and who judges for them.
struct Front<'a> {
    dovecot: Dovecot<'a>,
    postfix: Postfix<'a>,
    /// None where Dovecot judges itself.
    gatepost: Option<Gatepost<'a>>,
}

impl<'a> Front<'a> {
    /// Before gatepost, over the people of the place and with these `[[oidc]]`, or any other tables.
    fn open(place: &'a Place, oidc: &str) -> Self {
        let gatepost = gatepost(place, oidc);
        let dovecot = Dovecot::start(place);
        let postfix = Postfix::start(place, Some(dovecot.lmtp_address()));
        Self { dovecot, postfix, gatepost: Some(gatepost) }
    }

    /// The same for who comes by TLS, after [`certify`].
    fn open_over_tls(place: &'a Place, oidc: &str) -> Self {
        let gatepost = gatepost(place, oidc);
        let dovecot = Dovecot::start_also(place, &Dovecot::over_tls(place));
        let postfix = Postfix::start_over_tls(place, Some(dovecot.lmtp_address()));
        Self { dovecot, postfix, gatepost: Some(gatepost) }
    }

    /// What comes of one login through a door.
    fn enter(&self, door: Door, bearer: Bearer, user: &str, token: &str) -> Outcome {
        match door {
            Door::Imap => doors::imap(bearer.imap(&mut self.dovecot.imap_lines(), user, token, true)),
            Door::ImapAsked => doors::imap(bearer.imap(&mut self.dovecot.imap_lines(), user, token, false)),
            Door::Pop3 => doors::pop3(bearer.pop3(&mut self.dovecot.pop3(), user, token)),
            Door::Sieve => doors::sieve(bearer.sieve(&mut self.dovecot.sieve(), user, token)),
            Door::Smtp => doors::smtp(bearer.smtp(&mut self.postfix.connect_heard(Smtpd::Unix), user, token)),
        }
    }

    /// The login of Alice by IMAP.
    fn imap(&self, token: &str) -> Outcome {
        self.enter(Door::Imap, Bearer::OAuthBearer, ALICE, token)
    }

    /// Starts gatepost anew.
    fn restart(&mut self) {
        self.gatepost.as_mut().expect("gatepost judges").restart();
    }

    fn gatepost(&self) -> &Gatepost<'a> {
        self.gatepost.as_ref().expect("gatepost judges")
    }

    fn log(&self) -> String {
        self.gatepost.as_ref().map_or_else(|| self.dovecot.log(), Gatepost::log)
    }

    /// Fails unless this token has this outcome through each of these doors, by each mechanism.
    #[track_caller]
    fn expect(&self, what: impl Display, doors: &[Door], user: &str, token: &str, outcome: &Outcome) {
        for &door in doors {
            for bearer in Bearer::ALL {
                let seen = self.enter(door, bearer, user, token);
                assert_eq!(&seen, outcome, "{what}, by {bearer:?} through {door:?}:\n{}", self.log());
            }
        }
    }
}

/// gatepost over the people of a place.
fn gatepost<'a>(place: &'a Place, oidc: &str) -> Gatepost<'a> {
    People::settle(place);
    let listeners: Vec<_> = Listener::dovecot(place).into_iter().chain(Postfix::listeners(place)).collect();
    let people = place.outside("people");
    let directory = format!("[[directory]]\nname = \"people\"\ntype = \"passwd-file\"\nfile = {people:?}\n");
    Gatepost::start_offering(place, &listeners, SASL, &format!("{directory}{oidc}"))
}

/// Gives the mail servers of a place a certificate, and returns that of who vouches for it.
fn certify(place: &Place) -> PathBuf {
    let authority = Authority::found(place, "mail-authority");
    authority.certify("mail");
    authority.file()
}

/// Runs a test with the servers of each Debian, side by side: each with a provider of its own.
#[track_caller]
fn with_each_debian(test: impl Fn(&Place, &Provider<'_>) + Sync) {
    let trees = Tree::all().map(|tree| (tree.name(), tree));
    support::side_by_side(trees, |tree| {
        let web = Place::new(&Tree::web());
        let provider = Provider::start(&web);
        let place = Place::new(&tree);
        test(&place, &provider);
    });
}
