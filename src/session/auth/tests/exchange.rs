//! Challenges, responses and what `OK` says.

use std::time::Duration;

use gatepost_protocol::dovecot::Cookie;

use crate::session::{
    auth::{RESPONSE_TIMEOUT, Role},
    table::Ticket,
    testing::{COOKIE, DELAY, Desk, base64, engine, id, login, plain, shared},
};

const OK: &str = "OK\t1\tuser=alice@example.org\n";
const TIMED_OUT: &str = "FAIL\t1\treason=Authentication request timed out\n";
const BAD_RESPONSE: &str = "FAIL\t1\tcode=invalid_base64\treason=Invalid base64 data in continued response\n";

#[test]
fn plain_and_login_ask_for_what_was_not_sent_along() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Client, 0, &shared, &engine);
    assert_eq!(desk.say("AUTH\t1\tPLAIN\tservice=smtp\tnologin\n"), "CONT\t1\t\n");
    assert_eq!(desk.say(&format!("CONT\t1\t{}\n", plain("alice", "alice"))), OK);

    let mut desk = Desk::ready(Role::Client, 0, &shared, &engine);
    assert_eq!(desk.say("AUTH\t1\tLOGIN\tservice=smtp\tnologin\n"), "CONT\t1\tVXNlcm5hbWU6\n");
    assert_eq!(desk.say("CONT\t1\tYWxpY2VAZXhhbXBsZS5vcmc=\n"), "CONT\t1\tUGFzc3dvcmQ6\n");
    assert_eq!(desk.say(&format!("CONT\t1\t{}\n", base64(b"alice"))), OK);

    let mut desk = Desk::ready(Role::Client, 0, &shared, &engine);
    let line = "AUTH\t1\tLOGIN\tservice=smtp\tnologin\tresp=YWxpY2VAZXhhbXBsZS5vcmc=\n";
    assert_eq!(desk.say(line), "CONT\t1\tUGFzc3dvcmQ6\n");
    assert_eq!(desk.say(&format!("CONT\t1\t{}\n", base64(b"alice"))), OK);
}

/// R11: Exim always writes `resp=`, and means by it that there is none.
#[test]
fn an_initial_response_of_nothing_is_none_to_old_clients_and_empty_to_others() {
    let (shared, engine) = (shared(), engine());
    let table = [
        (0, "resp=", "CONT\t1\tVXNlcm5hbWU6\n"),
        (1, "resp=", "CONT\t1\tVXNlcm5hbWU6\n"),
        (2, "resp=", "CONT\t1\tUGFzc3dvcmQ6\n"),
        (4, "resp=", "CONT\t1\tUGFzc3dvcmQ6\n"),
        (0, "resp==", "CONT\t1\tUGFzc3dvcmQ6\n"),
        (2, "resp==", "CONT\t1\tUGFzc3dvcmQ6\n"),
        (0, "x=y", "CONT\t1\tVXNlcm5hbWU6\n"),
        (2, "x=y", "CONT\t1\tVXNlcm5hbWU6\n"),
    ];
    for (minor, response, expected) in table {
        let mut desk = Desk::ready(Role::Client, minor, &shared, &engine);
        let line = format!("AUTH\t1\tLOGIN\tservice=smtp\t{response}\n");
        assert_eq!(desk.say(&line), expected, "{response} from minor {minor}");
    }
}

/// CVE-2025-59028: one remote's bad base64 took all logins on the connection with it.
#[test]
fn bad_base64_ends_its_request_at_once_and_no_other() {
    let (shared, engine) = (shared(), engine());
    for bad in ["!!!!", "A", "AGEAYg", "AGEAYg=", "AGEAYg==x", "AG EA", "AGEAYh==", "-_-_", "====", "\u{e9}"]
    {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        let waiting = desk.ask(&login(7, "alice", "alice"));
        assert_eq!(
            desk.say(&format!("AUTH\t1\tPLAIN\tservice=imap\tresp={bad}\n")),
            "FAIL\t1\tcode=invalid_base64\treason=Invalid base64 data in initial response\n",
            "{bad:?}"
        );
        desk.say("AUTH\t1\tPLAIN\tservice=imap\n");
        assert_eq!(desk.say(&format!("CONT\t1\t{bad}\n")), BAD_RESPONSE, "{bad:?}");
        assert_eq!(desk.judge(waiting), "OK\t7\tuser=alice@example.org\n");
    }
}

#[test]
fn a_continuation_that_nobody_asked_for_ends_its_request() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    assert_eq!(desk.say("CONT\t1\tAAAA\n"), TIMED_OUT, "never begun");

    let question = desk.ask(&login(1, "alice", "alice"));
    assert_eq!(desk.say("CONT\t1\tAAAA\n"), "FAIL\t1\treason=Unexpected continuation\n");
    assert_eq!(desk.judge(question), "", "that one is over");

    desk.say(&login(1, "alice", "wrong"));
    assert_eq!(desk.say("CONT\t1\tAAAA\n"), "FAIL\t1\treason=Unexpected continuation\n");
    assert_eq!(desk.pass(DELAY * 2), "", "no second FAIL");

    desk.say(&login(1, "alice", "alice"));
    assert_eq!(desk.say("CONT\t1\tAAAA\n"), TIMED_OUT, "over for good");
}

#[test]
fn a_third_argument_of_cont_is_refused_unless_it_can_be_ignored() {
    let (shared, engine) = (shared(), engine());
    let response = plain("alice", "alice");
    let table = [
        (2, "\tx=y", BAD_RESPONSE),
        (2, "\tchannel_binding=AAAA", BAD_RESPONSE),
        (0, "\tx", BAD_RESPONSE),
        // Nobody was asked for it.
        (3, "\tchannel_binding=AAAA", BAD_RESPONSE),
        (4, "\tchannel_binding", BAD_RESPONSE),
        (3, "\tx=y", OK),
        (4, "", OK),
    ];
    for (minor, more, expected) in table {
        let mut desk = Desk::ready(Role::Login, minor, &shared, &engine);
        desk.say("AUTH\t1\tPLAIN\tservice=imap\n");
        assert_eq!(desk.say(&format!("CONT\t1\t{response}{more}\n")), expected, "{more:?} of minor {minor}");
    }
    // An out-of-band answer to a question that was for the remote.
    let mut desk = Desk::ready(Role::Login, 3, &shared, &engine);
    desk.say("AUTH\t1\tPLAIN\tservice=imap\n");
    assert_eq!(desk.say("CONT\t1\t#\n"), BAD_RESPONSE);
}

/// Postfix says nothing when the remote gives up: the next AUTH does.
#[test]
fn a_client_of_minor_0_abandons_an_exchange_by_beginning_another() {
    let (shared, engine) = (shared(), engine());
    for (minor, expected) in [(0, TIMED_OUT), (1, OK), (2, OK)] {
        let mut desk = Desk::ready(Role::Client, minor, &shared, &engine);
        desk.say("AUTH\t1\tPLAIN\tservice=smtp\n");
        assert_eq!(desk.say("AUTH\t2\tLOGIN\tservice=smtp\n"), "CONT\t2\tVXNlcm5hbWU6\n");
        assert_eq!(desk.say(&format!("CONT\t1\t{}\n", plain("alice", "alice"))), expected, "minor {minor}");
        assert!(desk.session().wants_response(), "the other one goes on");
    }
}

#[test]
fn a_request_waits_for_the_remote_for_150_seconds_in_all() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    let begun = desk.now;
    desk.say("AUTH\t1\tLOGIN\tservice=imap\n");
    assert_eq!(desk.session().next_tick(), Some(begun + RESPONSE_TIMEOUT));
    desk.pass(Duration::from_secs(100));
    desk.say("AUTH\t2\tLOGIN\tservice=imap\n");
    desk.say("CONT\t1\tYWxpY2VAZXhhbXBsZS5vcmc=\n");
    assert_eq!(desk.session().next_tick(), Some(begun + RESPONSE_TIMEOUT), "not begun anew");
    assert_eq!(desk.pass(Duration::from_secs(50)), "");
    assert_eq!(desk.say(&format!("CONT\t1\t{}\n", base64(b"alice"))), TIMED_OUT);
    assert_eq!(desk.say("CONT\t2\tYWxpY2VAZXhhbXBsZS5vcmc=\n"), "CONT\t2\tUGFzc3dvcmQ6\n");
    assert!(!desk.session().is_idle());
    assert_eq!(desk.pass(Duration::from_secs(100)), "");
    assert!(desk.session().is_idle());
    assert_eq!(desk.session().next_tick(), None);
}

/// Booleans are bare: a login process of Dovecot 2.3 ignores `nologin=yes` and lets the user in.
#[test]
fn what_ok_says_to_a_login_process() {
    let (shared, engine) = (shared(), engine());
    let table = [
        ("alice", OK.to_owned()),
        ("closed", "OK\t1\tuser=closed@example.org\tnologin\treason=Closed\n".to_owned()),
        ("evil", "OK\t1\tuser=evil@example.org\tnologin\treason=a\u{1}tb\u{1}1c\n".to_owned()),
        ("prox", "OK\t1\tuser=prox@example.org\tproxy\thost=192.0.2.7\tport=143\tpass=prox\n".to_owned()),
        ("pinned", "OK\t1\tuser=pinned@example.org\tproxy\thost=192.0.2.7\tpass=other\n".to_owned()),
    ];
    for (name, expected) in &table {
        for (role, minor) in [(Role::Login, 2), (Role::Login, 4), (Role::Client, 2)] {
            let mut desk = Desk::ready(role, minor, &shared, &engine);
            assert_eq!(desk.say(&login(1, name, name)), *expected, "{role:?} of minor {minor}");
        }
    }
}

#[test]
fn only_a_login_that_somebody_will_claim_is_kept() {
    let (shared, engine) = (shared(), engine());
    let ticket =
        Ticket { client_pid: 7, client_id: id(1), cookie: Cookie::parse(COOKIE.as_bytes()).unwrap() };
    for (name, role, kept) in [
        ("alice", Role::Login, true),
        ("closed", Role::Login, false),
        ("prox", Role::Login, false),
        ("alice", Role::Client, false),
    ] {
        let mut desk = Desk::ready(role, 2, &shared, &engine);
        assert!(desk.say(&login(1, name, name)).starts_with("OK"));
        let claimed = shared.table.claim(&ticket, desk.now).map(|login| login.account.user.to_string());
        assert_eq!(claimed, kept.then(|| format!("{name}@example.org")), "{role:?}");
    }
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    desk.say(&login(1, "alice", "alice"));
    drop(desk);
    assert!(shared.table.is_empty(), "gone with its connection");
}

/// R7, R8: Exim looks at 16 fields, go-dovecot-sasl panics on a bare word, and none of them knows `nologin`.
#[test]
fn ok_to_an_old_client_is_the_name_and_nothing_else() {
    let (shared, engine) = (shared(), engine());
    for minor in [0, 1] {
        for name in ["alice", "prox"] {
            let mut desk = Desk::ready(Role::Client, minor, &shared, &engine);
            assert_eq!(desk.say(&login(1, name, name)), format!("OK\t1\tuser={name}@example.org\n"));
        }
    }
}

/// R9: Postfix shows the reason to the remote as it stands, escapes and all, in one line of SMTP.
#[test]
fn who_may_not_log_in_is_refused_to_a_client_that_knows_no_nologin() {
    let (shared, engine) = (shared(), engine());
    for (name, reason) in
        [("closed", "Closed".to_owned()), ("evil", "a?b?c".to_owned()), ("wordy", "w".repeat(200))]
    {
        for minor in [0, 1] {
            let mut desk = Desk::ready(Role::Client, minor, &shared, &engine);
            assert_eq!(desk.say(&login(1, name, name)), "");
            let expected = format!("FAIL\t1\tuser={name}@example.org\treason={reason}\n");
            assert_eq!(desk.pass(DELAY * 2), expected, "minor {minor}");
        }
    }
}

#[test]
fn what_a_trusted_proxy_passed_on_goes_to_the_next_hop() {
    let (shared, engine) = (shared(), engine());
    let long = "x".repeat(2100);
    let many = "a\u{1}t".repeat(600);
    let passed_on = "\tforward_a".repeat(205);
    for (name, forward, expected) in [
        ("alice", "foo=b=ar\u{1}tx=y", "\tforward_foo=b=ar\tforward_x=y"),
        ("alice", "flag\u{1}tx=", "\tforward_flag\tforward_x="),
        ("alice", "", ""),
        ("alice", &long, ""),
        ("alice", &many, &passed_on),
        // Twice escaped: a TAB and a line end of a value stay in it.
        ("alice", "x=a\u{1}1tb\u{1}1nc", "\tforward_x=a\u{1}tb\u{1}nc"),
        ("alice", "x\u{1}1ty=z", "\tforward_x\u{1}ty=z"),
        ("prox", "x=y", "\tforward_x=y\tproxy\thost=192.0.2.7\tport=143\tpass=prox"),
        ("closed", "x=y", "\tforward_x=y\tnologin\treason=Closed"),
        ("ahead", "mine=theirs\u{1}tx=y", "\tforward_x=y\tforward_mine=own"),
    ] {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        let response = plain(name, name);
        let said =
            desk.say(&format!("AUTH\t1\tPLAIN\tservice=imap\tforward_fields={forward}\tresp={response}\n"));
        assert_eq!(said, format!("OK\t1\tuser={name}@example.org{expected}\n"), "{forward:?}");
    }
    let mut desk = Desk::ready(Role::Client, 0, &shared, &engine);
    let response = plain("alice", "alice");
    let said = desk.say(&format!("AUTH\t1\tPLAIN\tservice=smtp\tforward_fields=x=y\tresp={response}\n"));
    assert_eq!(said, OK, "R8");
}

#[test]
fn the_name_as_it_was_typed_goes_to_the_log_of_who_can_read_it() {
    let (shared, engine) = (shared(), engine());
    for (role, minor, expected) in [
        (Role::Login, 2, "OK\t1\tuser=alice@example.org\toriginal_user=ALICE@example.org\n"),
        (Role::Client, 2, "OK\t1\tuser=alice@example.org\toriginal_user=ALICE@example.org\n"),
        (Role::Client, 1, OK),
        (Role::Client, 0, OK),
    ] {
        let mut desk = Desk::ready(role, minor, &shared, &engine);
        assert_eq!(desk.say(&login(1, "ALICE", "alice")), expected, "{role:?} {minor}");
    }
}

#[test]
fn where_a_proxy_leads_depends_on_where_the_remote_came_in() {
    let (shared, engine) = (shared(), engine());
    let response = plain("maybe", "maybe");
    let to = "host=192.0.2.7\tport=143";
    for (params, expected) in [
        ("lip=192.0.2.7\tlport=143", String::new()),
        ("lip=192.0.2.8\tlport=143", format!("\tproxy\t{to}\tpass=maybe")),
        ("lip=192.0.2.7\tlport=993", format!("\tproxy\t{to}\tpass=maybe")),
        // The addresses before the proxy that the remote came through are not this machine's.
        ("lip=192.0.2.7\tlport=143\treal_lip=192.0.2.8", format!("\tproxy\t{to}\tpass=maybe")),
        ("lip=198.51.100.1\tlport=143\treal_lip=192.0.2.7", String::new()),
        ("lport=143", format!("\tproxy\t{to}\tpass=maybe")),
    ] {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        let said = desk.say(&format!("AUTH\t1\tPLAIN\tservice=imap\t{params}\tresp={response}\n"));
        assert_eq!(said, format!("OK\t1\tuser=maybe@example.org{expected}\n"), "{params:?}");
        assert_eq!(shared.table.len(), usize::from(expected.is_empty()), "{params:?}");
        drop(desk);
    }
}
