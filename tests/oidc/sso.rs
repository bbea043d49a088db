//! Single sign-on as a person sees it: Chromium, Debian's Roundcube, the provider, Dovecot and Postfix.

use std::fs;

use serde_json::json;

use crate::{
    Front,
    support::{Browser, Place, Provider, Smtpd, Tree, Webmail, wait_until},
};

/// What one session has cost the provider.
#[derive(Debug)]
struct Cost {
    /// Logins at Dovecot until the messages were read and the list refreshed.
    logins: usize,
    introspections: u64,
}

#[test]
fn a_session_in_webmail_costs_the_provider_one_introspection() {
    let cost = session(&Tree::bookworm(), "opaque", "sso-opaque", |place, provider| {
        Front::open(place, &provider.table(""))
    });
    assert!(cost.logins >= 10, "{cost:?}");
    assert_eq!(cost.introspections, 1, "{cost:?}");
}

#[test]
fn a_session_in_webmail_with_a_jwt_costs_the_provider_nothing() {
    let cost = session(&Tree::trixie(), "RS256", "sso-jwt", |place, provider| {
        Front::open(place, &provider.table(""))
    });
    assert!(cost.logins >= 10, "{cost:?}");
    assert_eq!(cost.introspections, 0, "{cost:?}");
}

#[test]
fn a_session_in_webmail_costs_an_introspection_a_login_where_dovecot_asks_itself() {
    let cost = session(&Tree::bookworm(), "opaque", "sso-dovecot", |place, provider| {
        Front::judging(place, provider)
    });
    assert_eq!(cost.introspections, cost.logins as u64, "{cost:?}");
}

/// Alice signs in, reads three messages, refreshes three times and writes one to Bob.
fn session(
    tree: &Tree,
    format: &str,
    pictures: &str,
    open: impl for<'a> Fn(&'a Place, &Provider<'_>) -> Front<'a>,
) -> Cost {
    let (web, place) = (Place::new(&Tree::web()), Place::new(tree));
    let provider = Provider::start(&web);
    let front = open(&place, &provider);
    for number in 1..=3 {
        deliver(&front, &format!("Letter {number}"), &format!("This is what letter {number} says."));
    }
    let webmail = Webmail::start(
        &web,
        &provider,
        front.dovecot.imap_address(),
        front.postfix.address(Smtpd::Unix),
        format,
    );
    let mut browser = Browser::start(&web);
    let mut sees = |what: &str, how| {
        let seen = browser.does(what, how);
        eprintln!("{what}: {seen}");
        seen
    };

    let form = sees("visit", json!({ "url": webmail.url() }));
    assert!(form.as_str().unwrap().starts_with(&provider.issuer()), "{form}");
    let asked = sees("sign_in", json!({ "login": "alice", "password": "wonder" }));
    assert!(asked.as_str().unwrap().contains("webmail wants to act for you"), "{asked}");
    assert_eq!(sees("allow", json!({})), json!(["Letter 3", "Letter 2", "Letter 1"]), "{}", webmail.log());
    for row in 0..3 {
        sees("read", json!({ "row": row, "text": format!("letter {} says", 3 - row) }));
    }
    for _ in 0..3 {
        assert_eq!(sees("refresh", json!({})).as_array().unwrap().len(), 3);
    }
    let cost = Cost { logins: logins(&front), introspections: provider.asked("introspection") };
    eprintln!("{cost:?}");
    browser.picture(pictures);

    let letter = json!({
        "url": webmail.url(), "to": "bob@example.test", "subject": "An answer", "text": "From Alice, by webmail.",
    });
    browser.does("send", letter);
    browser.picture(&format!("{pictures}-sent"));
    wait_until("the letter is in Bob's mailbox", || has(&place, "bob", "From Alice, by webmail."));
    let log = front.postfix.log();
    assert!(log.contains("sasl_method=XOAUTH2, sasl_username=alice@example.test"), "{log}");
    cost
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

fn logins(front: &Front<'_>) -> usize {
    front.dovecot.log().matches("imap-login: Info: Login: user=<alice@example.test>").count()
        + front.dovecot.log().matches("imap-login: Info: Logged in: user=<alice@example.test>").count()
}

fn has(place: &Place, name: &str, text: &str) -> bool {
    let new = fs::read_dir(place.outside(&format!("mail/{name}/Maildir/new")));
    new.into_iter()
        .flatten()
        .flatten()
        .any(|mail| fs::read_to_string(mail.path()).is_ok_and(|mail| mail.contains(text)))
}
