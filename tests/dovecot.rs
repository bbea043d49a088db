//! Real Dovecot 2.3 and 2.4, whose own auth service cannot start, and gatepost in its place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod support;

use std::{fs, os::unix::net::UnixStream};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use support::{Dovecot, Gatepost, Listener, People, Place, Tree, wait_until};

/// Runs a test in a place with gatepost and Dovecot in it, once with each Dovecot.
fn with_each_dovecot(test: impl Fn(&Place, &People<'_>, &mut Gatepost<'_>, &mut Dovecot<'_>)) {
    for tree in Tree::all() {
        eprintln!("with the Dovecot of {}", tree.name());
        let place = Place::new(&tree);
        let people = People::settle(&place);
        let mut gatepost = Gatepost::start(&place, &Listener::dovecot(&place));
        let mut dovecot = Dovecot::start(&place);
        test(&place, &people, &mut gatepost, &mut dovecot);
    }
}

#[test]
fn a_mail_program_logs_in_over_imap_and_selects_its_inbox() {
    with_each_dovecot(|_, _, _, dovecot| {
        for log_in in [support::Imap::login, support::Imap::authenticate, support::Imap::authenticate_at_once]
        {
            let mut imap = dovecot.imap();
            let answer = log_in(&mut imap, "alice@example.test", "wonder");
            assert!(answer.starts_with("OK"), "{answer}");
            let answer = imap.command("SELECT INBOX");
            assert!(answer.starts_with("OK [READ-WRITE]"), "{answer}");
        }
    });
}

#[test]
fn a_mail_program_logs_in_over_pop3() {
    with_each_dovecot(|_, _, _, dovecot| {
        let mut pop3 = dovecot.pop3();
        pop3.ask("USER alice@example.test", "+OK");
        pop3.ask("PASS wonder", "+OK");
        pop3.ask("STAT", "+OK 0 0");

        let mut pop3 = dovecot.pop3();
        pop3.ask("AUTH PLAIN", "+");
        pop3.ask(&BASE64.encode("\0alice@example.test\0wonder"), "+OK");

        let mut pop3 = dovecot.pop3();
        pop3.ask("USER alice@example.test", "+OK");
        pop3.ask("PASS wrong", "-ERR [AUTH]");
    });
}

#[test]
fn a_mail_program_logs_in_over_managesieve() {
    with_each_dovecot(|_, _, _, dovecot| {
        let plain = |password: &str| BASE64.encode(format!("\0alice@example.test\0{password}"));

        let mut sieve = dovecot.sieve();
        sieve.say(&format!("AUTHENTICATE \"PLAIN\" \"{}\"", plain("wrong")));
        sieve.expect("NO");
        sieve.say(&format!("AUTHENTICATE \"PLAIN\" \"{}\"", plain("wonder")));
        sieve.expect("OK");
        sieve.ask("LISTSCRIPTS", "OK");
    });
}

#[test]
fn mail_is_delivered_to_who_exists_refused_for_who_does_not_and_kept_while_nobody_knows() {
    with_each_dovecot(|place, people, _, dovecot| {
        let mut lmtp = dovecot.lmtp();
        let reply = lmtp.send("sender@example.test", "alice@example.test", "hello alice");
        assert_eq!(reply.code, 250, "{}", reply.text);
        let new = place.outside("mail/alice/Maildir/new");
        let mail = fs::read_dir(new).unwrap().next().expect("a file in the mailbox").unwrap().path();
        assert!(fs::read_to_string(mail).unwrap().contains("hello alice"));

        let reply = lmtp.send("sender@example.test", "nobody@example.test", "hello?");
        assert_eq!(reply.code, 550, "{}", reply.text);

        people.hide();
        let reply = lmtp.send("sender@example.test", "alice@example.test", "hello again");
        assert_eq!(reply.code, 451, "{}", reply.text);
        people.show();
        let reply = lmtp.send("sender@example.test", "alice@example.test", "hello again");
        assert_eq!(reply.code, 250, "{}", reply.text);
    });
}

#[test]
fn an_outage_is_never_a_wrong_password() {
    with_each_dovecot(|_, people, _, dovecot| {
        people.hide();
        let answer = dovecot.imap().login("alice@example.test", "wonder");
        assert!(answer.starts_with("NO [UNAVAILABLE]"), "{answer}");
        let answer = dovecot.imap().login("alice@example.test", "wrong");
        assert!(answer.starts_with("NO [UNAVAILABLE]"), "{answer}");
        let mut pop3 = dovecot.pop3();
        pop3.ask("USER alice@example.test", "+OK");
        pop3.ask("PASS wonder", "-ERR [SYS/TEMP]");

        people.show();
        let answer = dovecot.imap().login("alice@example.test", "wonder");
        assert!(answer.starts_with("OK"), "{answer}");
    });
}

#[test]
fn a_wrong_password_and_an_unknown_user_read_the_same() {
    with_each_dovecot(|_, _, _, dovecot| {
        let wrong = dovecot.imap().login("alice@example.test", "wrong");
        let unknown = dovecot.imap().login("nobody@example.test", "wrong");
        assert!(wrong.starts_with("NO [AUTHENTICATIONFAILED]"), "{wrong}");
        assert_eq!(wrong, unknown);

        // The same session may try again.
        let mut imap = dovecot.imap();
        assert!(imap.login("alice@example.test", "wrong").starts_with("NO"));
        assert!(imap.login("alice@example.test", "wonder").starts_with("OK"));
    });
}

#[test]
fn a_disabled_user_does_not_log_in() {
    with_each_dovecot(|_, _, _, dovecot| {
        let answer = dovecot.imap().login("carol@example.test", "carol");
        assert!(answer.starts_with("NO"), "{answer}");
        let wrong = dovecot.imap().login("carol@example.test", "wrong");
        assert!(wrong.starts_with("NO [AUTHENTICATIONFAILED]"), "{wrong}");
    });
}

#[test]
fn doveadm_auth_test_and_login_tell_yes_no_and_not_now_apart() {
    with_each_dovecot(|place, people, _, dovecot| {
        for (user, password, test, login) in [
            ("alice@example.test", "wonder", 0, 0),
            ("alice@example.test", "wrong", 77, 77),
            ("nobody@example.test", "wonder", 77, 77),
            ("carol@example.test", "carol", 77, 77),
        ] {
            let output = dovecot.doveadm(&["auth", "test", user, password]);
            assert_eq!(output.status.code(), Some(test), "auth test {user} {password}: {output:?}");
            let output = dovecot.doveadm(&["auth", "login", user, password]);
            assert_eq!(output.status.code(), Some(login), "auth login {user} {password}: {output:?}");
        }
        let output = dovecot.doveadm(&["auth", "login", "alice@example.test", "wonder"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("/mail/alice"), "the home is in the reply of the master socket: {said}");

        people.hide();
        let output = dovecot.doveadm(&["auth", "test", "alice@example.test", "wonder"]);
        if place.tree().name() == "bookworm" {
            // 2.3 has one exit code for every refusal and shows the fields.
            assert_eq!(output.status.code(), Some(77), "{output:?}");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("code=temp_fail"), "{said}");
        } else {
            assert_eq!(output.status.code(), Some(75), "{output:?}");
        }
    });
}

#[test]
fn doveadm_finds_people_and_lists_them() {
    with_each_dovecot(|_, people, _, dovecot| {
        let output = dovecot.doveadm(&["user", "alice@example.test"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("5000") && said.contains("/mail/alice"), "{said}");
        assert_eq!(dovecot.doveadm(&["user", "nobody@example.test"]).status.code(), Some(67));

        let output = dovecot.doveadm(&["user", "*"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut listed: Vec<_> = said.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, ["alice@example.test", "bob@example.test", "carol@example.test"]);
        let output = dovecot.doveadm(&["user", "b*"]);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "bob@example.test");

        people.hide();
        assert_eq!(dovecot.doveadm(&["user", "alice@example.test"]).status.code(), Some(75));
        assert_ne!(dovecot.doveadm(&["user", "*"]).status.code(), Some(0), "half a list is no list");
    });
}

#[test]
fn either_side_may_restart_in_either_order_while_a_session_goes_on() {
    with_each_dovecot(|_, _, gatepost, dovecot| {
        let log_in = |dovecot: &Dovecot<'_>| {
            let mut imap = dovecot.imap();
            let answer = imap.login("alice@example.test", "wonder");
            assert!(answer.starts_with("OK"), "{answer}");
            let output = dovecot.doveadm(&["user", "alice@example.test"]);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            imap
        };
        let mut open = log_in(dovecot);
        gatepost.restart();
        log_in(dovecot);
        gatepost.kill();
        gatepost.start_again();
        log_in(dovecot);
        assert!(open.command("SELECT INBOX").starts_with("OK"), "who is logged in does not notice");

        dovecot.restart();
        log_in(dovecot);

        // gatepost down first and up first.
        gatepost.stop();
        dovecot.stop();
        gatepost.start_again();
        dovecot.start_again();
        log_in(dovecot);

        // Dovecot down first and up first.
        dovecot.stop();
        gatepost.stop();
        dovecot.start_again();
        gatepost.start_again();
        log_in(dovecot);
    });
}

#[test]
fn a_reload_of_dovecot_leaves_gatepost_in_its_place() {
    with_each_dovecot(|place, _, _, dovecot| {
        assert!(dovecot.imap().login("alice@example.test", "wonder").starts_with("OK"));
        for _ in 0..2 {
            dovecot.reload();
            let answer = dovecot.imap().login("alice@example.test", "wonder");
            assert!(answer.starts_with("OK"), "{answer}");
        }
        let link = fs::read_link(place.outside("run/login/login")).unwrap();
        assert_eq!(link.to_str(), Some("gatepost/login"));
    });
}

#[test]
fn gatepost_restarts_unseen_when_a_supervisor_holds_its_sockets() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        People::settle(&place);
        let mut gatepost = Gatepost::start_activated(&place, &Listener::dovecot(&place));
        let dovecot = Dovecot::start(&place);

        gatepost.stop();
        let login = place.outside("run/login/gatepost/login");
        UnixStream::connect(login).expect("the socket takes connections while nobody is there");
        // So Dovecot's connection waits in the backlog instead of failing.
        let address = place.port(10143);
        let mut early = support::Lines::connect(address);
        gatepost.start_again();
        early.expect("* OK");
        early.say("1 LOGIN alice@example.test wonder");
        early.hear_until(|line| line.starts_with("1 OK"));

        gatepost.kill();
        gatepost.start_again();
        assert!(dovecot.imap().login("alice@example.test", "wonder").starts_with("OK"));
    }
}

#[test]
fn gatepost_needs_no_right_at_all_when_a_supervisor_opens_its_sockets() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        People::settle(&place);
        let _gatepost = Gatepost::start_confined(&place, &Listener::dovecot(&place));
        let dovecot = Dovecot::start(&place);
        let answer = dovecot.imap().login("alice@example.test", "wonder");
        assert!(answer.starts_with("OK"), "{answer}");
        let reply = dovecot.lmtp().send("sender@example.test", "alice@example.test", "hello");
        assert_eq!(reply.code, 250, "{}", reply.text);
    }
}

#[test]
fn the_auth_service_of_dovecot_never_runs() {
    with_each_dovecot(|_, _, gatepost, dovecot| {
        assert!(dovecot.imap().login("alice@example.test", "wonder").starts_with("OK"));
        assert_eq!(dovecot.doveadm(&["auth", "test", "alice@example.test", "wonder"]).status.code(), Some(0));
        // Connections are open in every protocol, so that all who would ask it run.
        let (_imap, _pop3, _sieve, _lmtp) = (dovecot.imap(), dovecot.pop3(), dovecot.sieve(), dovecot.lmtp());
        let processes = dovecot.processes();
        assert!(processes.iter().any(|name| name == "imap-login"), "{processes:?}");
        assert!(!processes.iter().any(|name| name.starts_with("auth")), "{processes:?}");

        // Nor does it come to help once gatepost is away.
        gatepost.stop();
        assert_eq!(dovecot.doveadm(&["user", "alice@example.test"]).status.code(), Some(75));
        assert_ne!(dovecot.doveadm(&["auth", "test", "alice@example.test", "wonder"]).status.code(), Some(0));
        wait_until("only gatepost was asked", || !dovecot.log().is_empty());
        assert!(!dovecot.log().contains("service(auth"), "{}", dovecot.log());
        let processes = dovecot.processes();
        assert!(!processes.iter().any(|name| name.starts_with("auth")), "{processes:?}");
    });
}
