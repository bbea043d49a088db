//! The state machine of the auth-client protocol, without a socket and without waiting.

mod exchange;
mod failure;
mod oauth;
mod sasl;

use std::sync::Arc;

use bytes::BytesMut;
use gatepost_protocol::dovecot::{Cookie, reply::Reply};

use super::{MAX_REQUESTS, Role, Session};
use crate::{
    mechanism::Mechanism,
    session::{
        Close,
        shared::Offer,
        testing::{COOKIE, DELAY, Desk, base64, engine, login, plain, shared},
    },
};

#[test]
fn the_greeting_is_whole_short_and_in_the_order_that_postfix_wants() {
    let (shared, engine) = (shared(), engine());
    let spid = shared.spid;
    for role in [Role::Login, Role::Client] {
        let cuid = shared.next_connection() + 1;
        let desk = Desk::accepted(role, &shared, &engine);
        let expected = format!(
            "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t{spid}\nCUID\t{cuid}\n\
             COOKIE\t{COOKIE}\nDONE\n"
        );
        assert_eq!(desk.greeting, expected);
        // R1: Radicale reads once, 1024 bytes.
        assert!(desk.greeting.len() < 1024);
        for line in desk.greeting.lines() {
            Reply::parse(line.as_bytes()).unwrap();
        }
    }
}

#[test]
fn a_greeting_of_the_largest_numbers_fits_into_one_read() {
    let shared = shared();
    let offer = Offer {
        mechanisms: Mechanism::ALL.as_slice().into(),
        failure_delay: DELAY,
        anonymous_user: Some("anonymous".into()),
    };
    let mut session = Session::new(Role::Login, Arc::clone(&shared), offer.into(), Cookie::new([255; 16]));
    let mut out = BytesMut::new();
    session.greet(&mut out);
    session.line(b"VERSION\t1\t3", shared.started, &engine(), &mut out).unwrap();
    assert!(out.len() + 2 * "4294967295".len() < 1024, "{} bytes", out.len());
}

#[test]
fn the_handshake_takes_one_version_and_one_pid_in_this_order() {
    let (shared, engine) = (shared(), engine());
    let good = login(1, "alice", "alice");
    let table: &[(&str, bool)] = &[
        ("VERSION\t1\t2\nCPID\t7\n", true),
        ("VERSION\t1\t0\nCPID\t4294967295\n", true),
        ("VERSION\t1\t99\r\nCPID\t7\r\n", true),
        ("VERSION\t2\t0\n", false),
        ("VERSION\t0\t2\n", false),
        ("VERSION\t1\n", false),
        ("VERSION\t1\tx\n", false),
        ("VERSION\t1\t4294967296\n", false),
        ("VERSION\t1\t2\nVERSION\t1\t2\n", false),
        ("VERSION\t1\t2\nCPID\t7\nVERSION\t1\t2\n", false),
        ("CPID\t7\n", false),
        ("CPID\t7\nVERSION\t1\t2\n", false),
        ("VERSION\t1\t2\nCPID\t0\n", false),
        ("VERSION\t1\t2\nCPID\t4294967296\n", false),
        ("VERSION\t1\t2\nCPID\t-1\n", false),
        ("VERSION\t1\t2\nCPID\t7\nCPID\t7\n", false),
        ("VERSION\t1\t2\nCPID\t7\nCPID\t8\n", false),
        (&good, false),
        ("VERSION\t1\t2\nCONT\t1\tAAAA\n", false),
        ("VERSION\t1\t2\nCANCEL\t1\n", false),
        ("HELO\n", false),
        ("\n", false),
        ("USER\t1\talice\tservice=imap\n", false),
    ];
    for (lines, good) in table {
        let (said, ended) = Desk::accepted(Role::Login, &shared, &engine).try_say(lines.as_bytes());
        assert_eq!((said.as_str(), ended.is_ok()), ("", *good), "{lines:?}");
    }
    let mut desk = Desk::accepted(Role::Login, &shared, &engine);
    assert_eq!(desk.say("VERSION\t1\t2\n"), "");
    assert!(matches!(desk.breaks(&good), Close::OutOfOrder(_)));
}

#[test]
fn lines_mean_the_same_however_the_bytes_arrive() {
    let (shared, engine) = (shared(), engine());
    let dialogue = format!(
        "VERSION\t1\t2\nCPID\t7\nAUTH\t1\tLOGIN\tservice=imap\nCONT\t1\t{}\r\nCONT\t1\t{}\n{}CANCEL\t9\n",
        base64(b"bob@example.org"),
        base64(b"bob"),
        login(2, "alice", "alice"),
    );
    let expected = "CONT\t1\tVXNlcm5hbWU6\nCONT\t1\tUGFzc3dvcmQ6\nOK\t1\tuser=bob@example.org\nOK\t2\tuser=alice@example.org\n";
    for at in 0..=dialogue.len() {
        let mut desk = Desk::accepted(Role::Login, &shared, &engine);
        let (one, two) = dialogue.split_at(at);
        let said = desk.say(one) + &desk.say(two);
        let lines: std::collections::BTreeSet<_> = said.lines().collect();
        assert_eq!(lines, expected.lines().collect(), "split at byte {at}");
    }
}

#[test]
fn a_request_without_its_due_ends_the_connection() {
    let (shared, engine) = (shared(), engine());
    let resp = plain("alice", "alice");
    let table = [
        format!("AUTH\t0\tPLAIN\tservice=imap\tresp={resp}"),
        format!("AUTH\t4294967296\tPLAIN\tservice=imap\tresp={resp}"),
        format!("AUTH\t-1\tPLAIN\tservice=imap\tresp={resp}"),
        format!("AUTH\t1x\tPLAIN\tservice=imap\tresp={resp}"),
        format!("AUTH\t\tPLAIN\tservice=imap\tresp={resp}"),
        format!("AUTH\t1\tPLAIN\tresp={resp}"),
        format!("AUTH\t1\tPLAIN\tservice\tresp={resp}"),
        format!("AUTH\t1\tGSSAPI\tservice=imap\tresp={resp}"),
        format!("AUTH\t1\tEXTERNAL\tservice=imap\tresp={resp}"),
        format!("AUTH\t1\tANONYMOUS\tservice=imap\tresp={resp}"),
        format!("AUTH\t1\t\tservice=imap\tresp={resp}"),
        format!("AUTH\t1\tPLAIN\tservice=imap\tresp={resp}\tsecured"),
        format!("AUTH\t1\tPLAIN\tservice=imap\tresp={resp}\tresp={resp}"),
        format!("AUTH\t1\tPLAIN\tservice=imap\tresp={resp}\t"),
        "AUTH\t1\tPLAIN\tservice=imap\tresp".to_owned(),
        "AUTH\t1".to_owned(),
        "AUTH".to_owned(),
        "auth\t1\tPLAIN\tservice=imap".to_owned(),
        "CONT\t1".to_owned(),
        "CONT\t0\tAAAA".to_owned(),
        "CANCEL".to_owned(),
        "CANCEL\t0".to_owned(),
        "CANCEL\t1\t2".to_owned(),
        "OK\t1\tuser=alice@example.org".to_owned(),
        "REQUEST\t1\t7\t1\t69e1a8ba17881df894b135f8a8d853f9".to_owned(),
    ];
    for line in table {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        desk.breaks(&format!("{line}\n"));
    }
}

#[test]
fn an_id_in_use_ends_the_connection() {
    let (shared, engine) = (shared(), engine());
    let mut waiting = Desk::ready(Role::Login, 2, &shared, &engine);
    assert_eq!(waiting.say("AUTH\t1\tPLAIN\tservice=imap\n"), "CONT\t1\t\n");
    waiting.breaks(&login(1, "alice", "alice"));

    let mut deciding = Desk::ready(Role::Login, 2, &shared, &engine);
    deciding.ask(&login(1, "alice", "alice"));
    deciding.breaks(&login(1, "alice", "alice"));

    let mut delayed = Desk::ready(Role::Login, 2, &shared, &engine);
    assert_eq!(delayed.say(&login(1, "alice", "wrong")), "");
    delayed.breaks(&login(1, "alice", "alice"));
}

/// Otherwise the mail process that was started for the first of them would be given the mail of the second.
#[test]
fn an_id_whose_login_waits_to_be_claimed_is_in_use() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    assert_eq!(desk.say(&login(1, "alice", "alice")), "OK\t1\tuser=alice@example.org\n");
    assert!(matches!(desk.breaks(&login(1, "bob", "bob")), Close::OutOfOrder(_)));

    let mut cancelled = Desk::ready(Role::Login, 2, &shared, &engine);
    cancelled.say(&login(1, "alice", "alice"));
    assert_eq!(cancelled.say("CANCEL\t1\n"), "");
    assert_eq!(cancelled.say(&login(1, "bob", "bob")), "OK\t1\tuser=bob@example.org\n");
}

#[test]
fn a_name_of_a_mechanism_may_be_in_any_case_and_a_service_be_called_protocol() {
    let (shared, engine) = (shared(), engine());
    let resp = plain("alice", "alice");
    for head in ["plain\tservice=imap", "Plain\tprotocol=imap", "PLAIN\tprotocol=imap\tfinal-resp-ok\tnew=1"]
    {
        let mut desk = Desk::ready(Role::Login, 4, &shared, &engine);
        assert_eq!(
            desk.say(&format!("AUTH\t1\t{head}\tresp={resp}\n")),
            "OK\t1\tuser=alice@example.org\n",
            "{head}"
        );
    }
}

#[test]
fn one_connection_has_1024_requests_in_flight_and_no_more() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    let last = u32::try_from(MAX_REQUESTS).unwrap();
    for number in 1..=last {
        let line = format!("AUTH\t{number}\tLOGIN\tservice=imap\n");
        assert_eq!(desk.say(&line), format!("CONT\t{number}\tVXNlcm5hbWU6\n"));
    }
    let refused = format!("FAIL\t{}\tcode=temp_fail\ttemp\n", last + 1);
    assert_eq!(desk.say(&login(last + 1, "alice", "alice")), refused);
    assert_eq!(desk.say("CANCEL\t17\n"), "");
    let accepted = format!("OK\t{}\tuser=alice@example.org\n", last + 1);
    assert_eq!(desk.say(&login(last + 1, "alice", "alice")), accepted);
}

/// What a peer cancels is still being looked up, or lies in its slot; neither may pile up.
#[test]
fn what_was_cancelled_counts_for_as_long_as_it_takes_room() {
    let (shared, engine) = (shared(), engine());
    let refused = "FAIL\t7\tcode=temp_fail\ttemp\n";

    let mut deciding = Desk::ready(Role::Login, 2, &shared, &engine);
    let mut questions = Vec::new();
    for _ in 0..MAX_REQUESTS {
        questions.push(deciding.ask(&login(7, "alice", "alice")));
        assert_eq!(deciding.say("CANCEL\t7\n"), "");
    }
    assert_eq!(deciding.say(&login(7, "alice", "alice")), refused);
    assert_eq!(deciding.judge(questions.pop().unwrap()), "");
    assert_eq!(deciding.say(&login(7, "alice", "alice")), "OK\t7\tuser=alice@example.org\n");

    let mut delayed = Desk::ready(Role::Login, 2, &shared, &engine);
    for _ in 0..MAX_REQUESTS {
        assert_eq!(delayed.say(&login(7, "alice", "wrong")), "");
        assert_eq!(delayed.say("CANCEL\t7\n"), "");
    }
    assert_eq!(delayed.say(&login(7, "alice", "alice")), refused);
    assert_eq!(delayed.pass(DELAY * 2), "");
    assert_eq!(delayed.say(&login(7, "alice", "alice")), "OK\t7\tuser=alice@example.org\n");
}

#[test]
fn beginning_and_cancelling_for_ever_takes_no_memory() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    // An old request that waits must not keep what came after it.
    desk.say("AUTH\t1\tLOGIN\tservice=imap\n");
    for _ in 0..100_000 {
        desk.say("AUTH\t2\tLOGIN\tservice=imap\nCANCEL\t2\n");
    }
    assert_eq!(desk.session().requests.len(), 1);
    assert_eq!(desk.session().requests.in_flight(), 1);
}

#[test]
fn cancelled_is_said_to_those_who_know_the_word() {
    let (shared, engine) = (shared(), engine());
    for minor in 0..=5 {
        let mut desk = Desk::ready(Role::Login, minor, &shared, &engine);
        let expected = |id| if minor >= 4 { format!("CANCELLED\t{id}\n") } else { String::new() };
        assert_eq!(desk.say("CANCEL\t5\n"), expected(5), "unknown id, minor {minor}");
        desk.say("AUTH\t6\tLOGIN\tservice=imap\n");
        assert_eq!(desk.say("CANCEL\t6\n"), expected(6), "minor {minor}");
        assert_eq!(
            desk.say("CONT\t6\tAAAA\n"),
            "FAIL\t6\treason=Authentication request timed out\n",
            "minor {minor}"
        );
    }
}

#[test]
fn an_answer_to_a_cancelled_request_is_not_one_to_the_next_of_the_same_id() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    let alice = desk.ask(&login(1, "alice", "alice"));
    desk.say("CANCEL\t1\n");
    let wrong = desk.ask(&login(1, "bob", "wrong"));
    assert_eq!(desk.judge(alice), "", "nobody asks for this any more");
    assert_eq!(desk.judge(wrong), "");
    assert!(shared.table.is_empty());

    // Nor may an old failure end the next request.
    desk.say("CANCEL\t1\n");
    desk.now += DELAY / 2;
    let bob = desk.ask(&login(1, "bob", "bob"));
    assert_eq!(desk.pass(DELAY), "");
    assert_eq!(desk.judge(bob), "OK\t1\tuser=bob@example.org\n");
}
