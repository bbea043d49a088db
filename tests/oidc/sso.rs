//! Single sign-on as a person sees it: Chromium, Debian's Roundcube, the provider, Dovecot and Postfix.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    ALICE, Bearer, Front, Outcome, certify, doors,
    support::{Authority, Browser, Place, Provider, Servers, Smtpd, Tree, Webmail, wait_until},
};

/// Alice before webmail.
struct Session<'a> {
    place: &'a Place,
    front: Front<'a>,
    provider: Provider<'a>,
    webmail: Webmail<'a>,
    browser: Browser<'a>,
}

/// What her session has cost.
#[derive(Debug, Eq, PartialEq)]
struct Cost {
    /// Logins at Dovecot.
    imap: u64,
    sieve: u64,
    introspections: u64,
}

#[test]
fn a_session_in_webmail_costs_the_provider_one_introspection() {
    let (web, place) = (Place::new(&Tree::web()), Place::new(&Tree::bookworm()));
    let mut session = Session::begin(&web, &place, "opaque", |provider| over_gatepost(&place, provider));
    session.reads();
    let cost = session.cost();
    assert!(cost.imap >= 10 && cost.introspections == 1, "{cost:?}");
    session.browser.picture("sso-opaque");
    session.sorts();
    session.browser.picture("sso-opaque-filter");
    session.writes();
    session.browser.picture("sso-opaque-sent");
    let cost = session.cost();
    assert!(cost.sieve >= 3 && cost.introspections == 1, "{cost:?}");
}

#[test]
fn a_session_in_webmail_with_a_jwt_costs_the_provider_nothing() {
    let (web, place) = (Place::new(&Tree::web()), Place::new(&Tree::trixie()));
    let mut session = Session::begin(&web, &place, "RS256", |provider| over_gatepost(&place, provider));
    session.reads();
    session.sorts();
    session.browser.picture("sso-jwt-filter");
    session.writes();
    session.browser.picture("sso-jwt");
    let cost = session.cost();
    assert!(cost.imap >= 10 && cost.sieve >= 3 && cost.introspections == 0, "{cost:?}");

    // Somebody else in the place of the mail servers sees no token.
    session.webmail.trusts(&Authority::found(&place, "stranger").file());
    session.finds_nothing();
    let filters = session.does("filters", json!({ "url": session.webmail.url() }));
    assert!(filters.as_str().unwrap().contains("Unable to connect to server"), "{filters}");
    assert_eq!(session.cost(), cost);
}

/// Webmail shows it again with whatever it does next.
#[test]
fn a_token_that_webmail_repeats_when_it_is_dead_costs_one_introspection_and_nobody_else_waits() {
    let (web, place) = (Place::new(&Tree::web()), Place::new(&Tree::bookworm()));
    let mut session = Session::begin(&web, &place, "opaque", |provider| over_gatepost(&place, provider));
    session.provider.revoke_all("alice");
    session.front.gatepost().forget();
    let before = session.cost();
    session.finds_nothing();
    assert_eq!(session.cost(), Cost { introspections: before.introspections + 1, ..before });

    let token = session.provider.opaque();
    let begun = Instant::now();
    let (mut imap, _tls) = session.front.dovecot.imaps_lines();
    let told = Bearer::OAuthBearer.imap(&mut imap, ALICE, &token, true);
    assert_eq!(doors::imap(told), Outcome::Enters, "{}", session.front.log());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_session_in_webmail_costs_an_introspection_a_login_where_dovecot_asks_itself() {
    let (web, place) = (Place::new(&Tree::web()), Place::new(&Tree::bookworm()));
    let mut session =
        Session::begin(&web, &place, "opaque", |provider| Front::judging_over_tls(&place, provider));
    session.reads();
    let cost = session.cost();
    assert_eq!(cost.introspections, cost.imap, "{cost:?}");
    session.browser.picture("sso-dovecot");
    session.sorts();
    let cost = session.cost();
    assert_eq!(cost.introspections, cost.imap + cost.sieve, "{cost:?}");
    session.writes();
    session.browser.picture("sso-dovecot-sent");
    // Postfix asks Dovecot, which asks again.
    let cost = session.cost();
    assert_eq!(cost.introspections, cost.imap + cost.sieve + 1, "{cost:?}");

    session.provider.revoke_all("alice");
    let before = session.cost();
    session.finds_nothing();
    let after = session.cost();
    assert!(after.introspections >= before.introspections + 6, "{before:?} {after:?}");
    assert_eq!((after.imap, after.sieve), (before.imap, before.sieve));
}

fn over_gatepost<'a>(place: &'a Place, provider: &Provider<'_>) -> Front<'a> {
    Front::open_over_tls(place, &provider.table(""))
}

impl<'a> Session<'a> {
    /// She signs in, and three letters are there. `format` is what webmail's tokens are to be.
    fn begin(
        web: &'a Place,
        place: &'a Place,
        format: &str,
        open: impl FnOnce(&Provider<'_>) -> Front<'a>,
    ) -> Self {
        let provider = Provider::start(web);
        let authority = certify(place);
        let front = open(&provider);
        for number in 1..=3 {
            deliver(&front, &format!("Letter {number}"), &format!("This is what letter {number} says."));
        }
        let servers = Servers {
            imaps: front.dovecot.imaps_address(),
            sieve: front.dovecot.sieve_address(),
            submission: front.postfix.address(Smtpd::Submission),
            authority,
        };
        let webmail = Webmail::start(web, &provider, &servers, format);
        let browser = Browser::start(web);
        let mut session = Self { place, front, provider, webmail, browser };

        let form = session.does("visit", json!({ "url": session.webmail.url() }));
        assert!(form.as_str().unwrap().starts_with(&session.provider.issuer()), "{form}");
        let asked = session.does("sign_in", json!({ "login": "alice", "password": "wonder" }));
        assert!(asked.as_str().unwrap().contains("webmail wants to act for you"), "{asked}");
        let inbox = session.does("allow", json!({}));
        assert_eq!(inbox, json!(["Letter 3", "Letter 2", "Letter 1"]), "{}", session.webmail.log());
        session
    }

    /// She reads three messages and refreshes the list three times.
    fn reads(&mut self) {
        for row in 0..3 {
            self.does("read", json!({ "row": row, "text": format!("letter {} says", 3 - row) }));
        }
        for _ in 0..3 {
            assert_eq!(self.does("refresh", json!({})).as_array().unwrap().len(), 3);
        }
    }

    /// She sends a letter to Bob, which goes through Postfix.
    fn writes(&mut self) {
        let text = "From Alice, by webmail.";
        let letter = json!({
            "url": self.webmail.url(), "to": "bob@example.test", "subject": "An answer", "text": text,
        });
        self.does("send", letter);
        let mut mail = None;
        wait_until("the letter is in Bob's mailbox", || {
            mail = find(self.place, "bob", text);
            mail.is_some()
        });
        let log = self.front.postfix.log();
        assert!(log.contains("sasl_method=XOAUTH2, sasl_username=alice@example.test"), "{log}");
        // RFC 3848: within TLS and logged in.
        assert!(mail.as_ref().unwrap().contains("with ESMTPSA id"), "{mail:?}");
    }

    /// She has webmail sort her letters, by ManageSieve.
    fn sorts(&mut self) {
        self.does("filters", json!({ "url": self.webmail.url() }));
        let filter = json!({ "name": "Bills", "word": "invoice", "folder": "Trash" });
        assert_eq!(self.does("filter", filter), json!(["Bills"]), "{}", self.webmail.log());
        // The link to the script that counts.
        let script = self.place.read("mail/alice/.dovecot.sieve");
        assert!(script.contains("invoice") && script.contains("fileinto \"Trash\""), "{script}");
    }

    /// She asks for everything anew, twice, and webmail is kept out of her mailbox.
    fn finds_nothing(&mut self) {
        for _ in 0..2 {
            let seen = self.does("reload", json!({}));
            assert!(!seen.as_str().unwrap().contains("Letter 1"), "{seen}");
        }
    }

    fn does(&mut self, what: &str, how: Value) -> Value {
        let seen = self.browser.does(what, how);
        eprintln!("{what}: {seen}");
        seen
    }

    fn cost(&self) -> Cost {
        let log = self.front.dovecot.log();
        let logins = |service: &str| {
            // As 2.3 and 2.4 put it.
            let words =
                ["Login", "Logged in"].map(|word| format!(" {service}-login: Info: {word}: user=<alice@"));
            let logins = log.lines().filter(|line| words.iter().any(|words| line.contains(words)));
            let logins: Vec<_> = logins.collect();
            assert!(logins.iter().all(|line| line.contains(", TLS")), "{logins:#?}");
            logins.len() as u64
        };
        let introspections = self.provider.asked("introspection");
        let cost = Cost { imap: logins("imap"), sieve: logins("managesieve"), introspections };
        eprintln!("{cost:?}");
        cost
    }
}

fn deliver(front: &Front<'_>, subject: &str, text: &str) {
    let mut lmtp = front.dovecot.lmtp();
    for command in ["MAIL FROM:<friend@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA"] {
        let reply = lmtp.command(command);
        assert!(reply.code < 400, "{}", reply.text);
    }
    let from = "From: A Friend <friend@elsewhere.test>\r\nTo: alice@example.test";
    let reply = lmtp.command(&format!("{from}\r\nSubject: {subject}\r\n\r\n{text}\r\n."));
    assert_eq!(reply.code, 250, "{}", reply.text);
}

/// The new message with this text in somebody's mailbox, when it is there.
fn find(place: &Place, name: &str, text: &str) -> Option<String> {
    let new = fs::read_dir(place.outside(&format!("mail/{name}/Maildir/new")));
    let mails = new.into_iter().flatten().flatten();
    mails.filter_map(|mail| fs::read_to_string(mail.path()).ok()).find(|mail| mail.contains(text))
}
