//! Cyrus SASL asks gatepost as it asks saslauthd: the tool that is there to try that, and Postfix with the shipped files.

use std::process::Output;

use crate::support::{Gatepost, People, Place, Postfix, Smtp, Smtpd, Tree, wait_until};

/// Runs a test with both Postfixes and each smtpd that is different by Cyrus SASL.
fn with_each_smtpd(test: impl Fn(Smtpd, &Postfix<'_>, &People<'_>, &Gatepost<'_>)) {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let people = People::settle(&place);
        let gatepost = Gatepost::start(&place, &Postfix::listeners(&place));
        let postfix = Postfix::start_with_cyrus(&place);
        for smtpd in [Smtpd::Unix, Smtpd::ChrootedUnix] {
            eprintln!("with {smtpd:?} of {}", tree.name());
            test(smtpd, &postfix, &people, &gatepost);
        }
    }
}

#[test]
fn a_mail_program_logs_in_by_cyrus_sasl_and_may_then_send() {
    with_each_smtpd(|smtpd, postfix, _, gatepost| {
        for log_in in [Smtp::auth_plain, Smtp::auth_plain_asked, Smtp::auth_login] {
            let mut smtp = postfix.connect(smtpd);
            let reply = smtp.send("alice@example.test", "friend@elsewhere.test", "too early");
            assert_eq!(reply.code, 454, "{}", reply.text);
            let reply = log_in(&mut smtp, "alice@example.test", "wonder");
            assert_eq!(reply.code, 235, "{}\n{}", reply.text, postfix.log());
            let reply = smtp.send("alice@example.test", "friend@elsewhere.test", "hello");
            assert_eq!(reply.code, 250, "{}", reply.text);
        }
        assert!(postfix.log().contains("sasl_username=alice@example.test"), "{}", postfix.log());
        let event =
            "outcome=verified user=\"alice@example.test\" directory=people service=\"smtp\" remote=- ";
        // It is written when the answer has been sent.
        wait_until("the event is written", || gatepost.log().contains(event));
        let log = gatepost.log();
        assert!(!log.contains("wonder"), "{log}");
    });
}

#[test]
fn who_is_refused_by_cyrus_sasl_is_refused_for_good_and_an_outage_is_not() {
    with_each_smtpd(|smtpd, postfix, people, _| {
        let mut smtp = postfix.connect(smtpd);
        for (user, password) in [
            ("alice@example.test", "wrong"),
            ("nobody@example.test", "wonder"),
            ("carol@example.test", "carol"),
            ("alice@elsewhere.test", "wonder"),
            ("alice", "wonder"),
            ("alice@example.test@example.test", "wonder"),
        ] {
            let reply = smtp.auth_plain(user, password);
            assert_eq!(reply.code, 535, "{user}: {}", reply.text);
            let reply = smtp.auth_login(user, password);
            assert_eq!(reply.code, 535, "{user}: {}", reply.text);
        }
        people.hide();
        let mut smtp = postfix.connect(smtpd);
        for (user, password) in [("alice@example.test", "wonder"), ("alice@example.test", "wrong")] {
            let reply = smtp.auth_plain(user, password);
            assert_eq!(reply.code, 454, "{}", reply.text);
            let reply = smtp.auth_login(user, password);
            assert_eq!(reply.code, 454, "{}", reply.text);
        }
        people.show();
        let reply = smtp.auth_plain("alice@example.test", "wonder");
        assert_eq!(reply.code, 235, "the same session: {}", reply.text);
    });
}

#[test]
fn a_new_password_is_right_at_once_by_cyrus_sasl_and_the_old_one_is_wrong_from_then_on() {
    with_each_smtpd(|smtpd, postfix, people, gatepost| {
        let code = |password: &str| postfix.connect(smtpd).auth_plain("alice@example.test", password).code;
        let change = |password: &str| {
            let read = || gatepost.log().matches("passwd-file read").count();
            let before = read();
            people.change_password_of_alice(password);
            wait_until("the file is read again", || read() > before);
        };
        assert_eq!((code("wonder"), code("wonder")), (235, 235));
        wait_until("the old one is known", || gatepost.log().contains("cache=\"hit\""));
        change("looking-glass");
        assert_eq!((code("looking-glass"), code("wonder"), code("looking-glass")), (235, 535, 235));
        change("wonder");
        assert_eq!((code("wonder"), code("looking-glass")), (235, 535));
    });
}

#[test]
fn no_attempt_by_cyrus_sasl_fails_when_gatepost_restarts() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        People::settle(&place);
        let mut gatepost = Gatepost::start_activated(&place, &Postfix::listeners(&place));
        let postfix = Postfix::start_with_cyrus(&place);
        let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
        assert_eq!(smtp.auth_plain("alice@example.test", "wrong").code, 535);
        gatepost.restart();
        let reply = smtp.auth_plain("alice@example.test", "wonder");
        assert_eq!(reply.code, 235, "{}", reply.text);
    }
}

/// `testsaslauthd`, which asks once.
fn asks(place: &Place, user: &str, realm: &str, password: &str) -> Output {
    let socket = place.inside("postfix/spool/gatepost/saslauthd");
    let mut tool = place.tree().command("testsaslauthd");
    tool.args(["-f", &socket, "-u", user, "-r", realm, "-p", password, "-s", "smtp"]).output().unwrap()
}

#[test]
fn testsaslauthd_is_told_the_same() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let people = People::settle(&place);
        let gatepost = Gatepost::start(&place, &Postfix::listeners(&place));
        for (user, realm, password, said) in [
            ("alice", "example.test", "wonder", "OK"),
            ("alice@example.test", "", "wonder", "OK"),
            ("Alice", "EXAMPLE.TEST", "wonder", "OK"),
            ("alice", "example.test", "wrong", "NO"),
            ("alice", "elsewhere.test", "wonder", "NO"),
            ("nobody", "example.test", "wonder", "NO"),
            ("carol", "example.test", "carol", "NO"),
        ] {
            let output = asks(&place, user, realm, password);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.starts_with(&format!("0: {said} ")), "{user} {realm} {password}: {output:?}");
            assert_eq!(output.status.success(), said == "OK", "{output:?}");
        }
        people.hide();
        for password in ["wonder", "wrong"] {
            let output = asks(&place, "alice", "example.test", password);
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!output.status.success() && !said.contains("OK") && !said.contains("NO"), "{said}");
        }
        people.show();
        assert!(!gatepost.log().contains("wonder"), "{}", gatepost.log());
    }
}
