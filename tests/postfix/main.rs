//! Real Postfix 3.7 and 3.10 that ask gatepost: about SMTP AUTH over Unix sockets and TCP, from smtpds in their chroot and
//! outside of it, by Cyrus SASL; for the tables of who there is; and what is to become of mail.

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

mod beside;
mod cyrus;
mod mailcow;
mod maps;
mod own;
mod policy;
mod postfixadmin;
mod tables;
mod walks;

use std::fs;

use support::{Dovecot, Gatepost, Listener, People, Place, Postfix, Smtp, Smtpd, Tree, wait_until};

/// Runs a test with gatepost behind every smtpd of each Postfix.
fn with_each_smtpd(test: impl Fn(Smtpd, &Postfix<'_>, &People<'_>)) {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let people = People::settle(&place);
        let _gatepost = Gatepost::start(&place, &Postfix::listeners(&place));
        let postfix = Postfix::start(&place, None);
        for smtpd in Smtpd::ALL {
            eprintln!("with {smtpd:?} of {}", tree.name());
            test(smtpd, &postfix, &people);
        }
    }
}

#[test]
fn a_mail_program_logs_in_by_plain_and_login_and_may_then_send() {
    with_each_smtpd(|smtpd, postfix, _| {
        for log_in in [Smtp::auth_plain, Smtp::auth_plain_asked, Smtp::auth_login] {
            let mut smtp = postfix.connect(smtpd);
            let reply = smtp.send("alice@example.test", "friend@elsewhere.test", "too early");
            assert_eq!(reply.code, 454, "{}", reply.text);
            let reply = log_in(&mut smtp, "alice@example.test", "wonder");
            assert_eq!(reply.code, 235, "{}", reply.text);
            let reply = smtp.send("alice@example.test", "friend@elsewhere.test", "hello");
            assert_eq!(reply.code, 250, "{}", reply.text);
        }
    });
}

#[test]
fn a_wrong_password_an_unknown_and_a_disabled_user_are_refused_for_good() {
    with_each_smtpd(|smtpd, postfix, _| {
        for (user, password) in [
            ("alice@example.test", "wrong"),
            ("nobody@example.test", "wonder"),
            ("carol@example.test", "carol"),
        ] {
            let mut smtp = postfix.connect(smtpd);
            let reply = smtp.auth_plain(user, password);
            assert_eq!(reply.code, 535, "{user}: {}", reply.text);
            let reply = smtp.auth_login(user, password);
            assert_eq!(reply.code, 535, "{user}: {}", reply.text);
            let reply = smtp.auth_plain("alice@example.test", "wonder");
            assert_eq!(reply.code, 235, "the session goes on: {}", reply.text);
        }
    });
}

#[test]
fn an_outage_of_the_directory_is_a_temporary_refusal() {
    with_each_smtpd(|smtpd, postfix, people| {
        people.hide();
        let mut smtp = postfix.connect(smtpd);
        for _ in 0..2 {
            let reply = smtp.auth_plain("alice@example.test", "wonder");
            assert_eq!(reply.code, 454, "{}", reply.text);
        }
        people.show();
        // On TCP, smtpd notices the closed connection by losing one more request.
        wait_until("the same session logs in", || {
            let reply = smtp.auth_plain("alice@example.test", "wonder");
            assert!(reply.code == 235 || !smtpd.is_unix(), "{}", reply.text);
            reply.code == 235
        });
    });
}

#[test]
fn no_attempt_over_a_unix_socket_fails_when_gatepost_restarts_under_open_sessions() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        People::settle(&place);
        let mut gatepost = Gatepost::start_activated(&place, &Postfix::listeners(&place));
        let postfix = Postfix::start(&place, None);

        let unix = [Smtpd::Unix, Smtpd::ChrootedUnix];
        let mut open: Vec<_> =
            unix.iter().flat_map(|&smtpd| [smtpd; 4]).map(|smtpd| postfix.connect(smtpd)).collect();
        // Half of them have used their connection to gatepost already.
        for smtp in open.iter_mut().step_by(2) {
            assert_eq!(smtp.auth_plain("alice@example.test", "wrong").code, 535);
        }
        gatepost.restart();
        for smtp in &mut open {
            let reply = smtp.auth_plain("alice@example.test", "wonder");
            assert_eq!(reply.code, 235, "{}", reply.text);
        }

        let mut open: Vec<_> = unix.iter().map(|&smtpd| postfix.connect(smtpd)).collect();
        gatepost.kill();
        // Sessions that begin while nobody is there wait for their banner instead of dying.
        let early: Vec<_> = unix.iter().map(|&smtpd| postfix.connect_unheard(smtpd)).collect();
        gatepost.start_again();
        let early = early.into_iter().map(Smtp::greeted_over);
        for mut smtp in open.drain(..).chain(early) {
            let reply = smtp.auth_login("alice@example.test", "wonder");
            assert_eq!(reply.code, 235, "{}", reply.text);
        }
        assert!(!postfix.log().contains("no SASL authentication mechanisms"), "{}", postfix.log());
    }
}

#[test]
fn mail_of_who_has_logged_in_arrives_in_the_mailbox_that_gatepost_names() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        People::settle(&place);
        let listeners: Vec<_> =
            Listener::dovecot(&place).into_iter().chain(Postfix::listeners(&place)).collect();
        let _gatepost = Gatepost::start(&place, &listeners);
        let dovecot = Dovecot::start(&place);
        let postfix = Postfix::start(&place, Some(dovecot.lmtp_address()));

        let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
        assert_eq!(smtp.auth_plain("alice@example.test", "wonder").code, 235);
        let reply = smtp.send("alice@example.test", "bob@example.test", "from alice to bob");
        assert_eq!(reply.code, 250, "{}", reply.text);
        let new = place.outside("mail/bob/Maildir/new");
        wait_until("the mail is in the mailbox", || {
            fs::read_dir(&new).is_ok_and(|mut mails| {
                mails.any(|mail| {
                    fs::read_to_string(mail.unwrap().path()).unwrap().contains("from alice to bob")
                })
            })
        });
        assert!(postfix.log().contains("sasl_username=alice@example.test"), "{}", postfix.log());
    }
}
