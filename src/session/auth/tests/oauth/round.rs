//! The round in which a remote hears why its token was not taken: whatever else may happen in it.

use super::*;

#[test]
fn whatever_is_said_to_it_is_no_second_try() {
    let (shared, engine) = (shared(), engine());
    for answer in [bearer("alice@example.org"), base64(b"\x01\x01"), base64(b"no"), base64(b"*")] {
        let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
        refused(&mut desk, 1, "service=imap");
        assert_eq!(desk.say(&format!("CONT\t1\t{answer}\n")), fail(1));
        assert!(desk.session().is_idle());
    }
    let invalid = "FAIL\t1\tcode=invalid_base64\treason=Invalid base64 data in continued response\n";
    for answer in ["!", "AQ", "AQ==\tchannel_binding=AQ==", "AQ==\tx"] {
        let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
        refused(&mut desk, 1, "service=imap");
        assert_eq!(desk.say(&format!("CONT\t1\t{answer}\n")), invalid, "{answer}");
        assert!(desk.session().is_idle());
    }
}

#[test]
fn a_response_that_comes_before_it_was_asked_for_ends_the_request() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
    let question = desk.ask(&auth(1, "service=imap"));
    desk.refuse(question, Refusal::TokenOfAnother);
    assert_eq!(desk.say("CONT\t1\tAQ==\n"), "FAIL\t1\treason=Unexpected continuation\n");
    assert_eq!(wait(&mut desk), "");
    assert!(desk.session().is_idle());
}

#[test]
fn what_is_cancelled_before_or_in_the_round_is_over() {
    let (shared, engine) = (shared(), engine());
    for minor in [2, 4] {
        let params = "service=imap";
        let cancelled = if minor >= 4 { "CANCELLED\t1\n" } else { "" };
        let gone = "FAIL\t1\treason=Authentication request timed out\n";

        let mut desk = Desk::ready_for(&OFFERED, Role::Login, minor, &shared, &engine);
        let question = desk.ask(&auth(1, params));
        desk.refuse(question, Refusal::TokenOfAnother);
        assert_eq!(desk.say("CANCEL\t1\n"), cancelled);
        assert_eq!(wait(&mut desk), "", "nothing is told to who has gone");
        assert!(desk.session().is_idle());

        let mut desk = Desk::ready_for(&OFFERED, Role::Login, minor, &shared, &engine);
        refused(&mut desk, 1, params);
        assert_eq!(desk.say("CANCEL\t1\n"), cancelled);
        assert!(desk.session().is_idle());
        assert_eq!(desk.say("CONT\t1\tAQ==\n"), gone);
        // Its id is free, and of another request now.
        let question = desk.ask(&auth(1, params));
        assert_eq!(desk.refuse(question, Refusal::TokenOfAnother), "");
        assert_eq!(wait(&mut desk), told(1));
    }
}

#[test]
fn an_id_is_in_use_until_the_round_is_over() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
    refused(&mut desk, 1, "service=imap");
    assert_eq!(desk.breaks(&auth(1, "service=imap")), Close::OutOfOrder("AUTH with an id that is in use"));
    let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
    refused(&mut desk, 1, "service=imap");
    desk.say("CONT\t1\tAQ==\n");
    let question: Question = desk.ask(&auth(1, "service=imap"));
    assert_eq!(desk.refuse(question, Refusal::UserUnknown), "");
}

#[test]
fn who_never_hears_it_is_forgotten() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
    refused(&mut desk, 1, "service=imap");
    assert_eq!(desk.session().next_tick(), Some(desk.now + RESPONSE_TIMEOUT));
    assert_eq!(desk.pass(RESPONSE_TIMEOUT), "");
    assert!(desk.session().is_idle());
    assert_eq!(desk.say("CONT\t1\tAQ==\n"), "FAIL\t1\treason=Authentication request timed out\n");
}

/// Postfix says nothing when its remote has gone, and has never two requests at a time.
#[test]
fn a_serial_client_that_goes_on_has_given_the_round_up() {
    let (shared, engine) = (shared(), engine());
    let params = "service=smtp\tnologin\tsecured";
    let mut desk = Desk::ready_for(&OFFERED, Role::Client, 0, &shared, &engine);
    refused(&mut desk, 1, params);
    let question = desk.ask(&auth(2, params));
    // R5: it is alone.
    assert_eq!(desk.fail(question), (String::new(), Err(Close::TempFail)));

    let mut desk = Desk::ready_for(&OFFERED, Role::Client, 0, &shared, &engine);
    refused(&mut desk, 1, params);
    let question = desk.ask(&auth(2, params));
    assert_eq!(desk.say("CONT\t1\tAQ==\n"), "FAIL\t1\treason=Authentication request timed out\n");
    desk.refuse(question, Refusal::TokenOfAnother);
    assert_eq!(wait(&mut desk), told(2));
    assert_eq!(desk.say("CONT\t2\tAQ==\n"), fail(2));
}

#[test]
fn requests_in_the_round_take_room_like_any_other() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
    let last = u32::try_from(MAX_REQUESTS).unwrap();
    for id in 1..=last {
        let question = desk.ask(&auth(id, "service=imap"));
        desk.refuse(question, Refusal::TokenOfAnother);
    }
    assert_eq!(wait(&mut desk).lines().count(), MAX_REQUESTS);
    assert_eq!(desk.session().requests.in_flight(), MAX_REQUESTS);
    let more = auth(last + 1, "service=imap");
    assert_eq!(desk.say(&more), format!("FAIL\t{}\tcode=temp_fail\ttemp\n", last + 1));
    assert_eq!(desk.say("CONT\t7\tAQ==\n"), fail(7));
    desk.ask(&more);
}

#[test]
fn without_a_delay_the_round_begins_at_once() {
    let (shared, engine) = (shared(), engine());
    let offer =
        Offer { mechanisms: OFFERED.as_slice().into(), failure_delay: Duration::ZERO, anonymous_user: None };
    let mut desk = Desk::under(offer, Role::Login, &shared, &engine);
    desk.say("VERSION\t1\t2\nCPID\t7\n");
    let question = desk.ask(&auth(1, "service=imap"));
    assert_eq!(desk.refuse(question, Refusal::TokenOfAnother), told(1));
    assert_eq!(desk.say("CONT\t1\t\n"), fail(1));
    let question = desk.ask(&auth(2, "protocol=imap\tfinal-resp-ok"));
    let resp = base64(JSON.as_bytes());
    let with = format!("FAIL\t2\tuser=alice@example.org\tresp={resp}\n");
    assert_eq!(desk.refuse(question, Refusal::TokenOfAnother), with);
    assert!(desk.session().is_idle());
}

#[test]
fn when_the_daemon_stops_nobody_new_is_waited_for() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
    let question = desk.ask(&auth(1, "service=imap"));
    desk.refuse(question, Refusal::TokenOfAnother);
    let mut out = BytesMut::new();
    desk.session().hurry(&mut out);
    assert_eq!(out, fail(1));
    assert!(desk.session().is_idle());
}
