//! Refusals: how they read, when they are told, and that an outage is none.

use std::{collections::BTreeSet, time::Duration};

use crate::session::{
    Close,
    auth::Role,
    testing::{DELAY, Desk, base64, engine, login, plain, shared},
};

/// Longest time that a slot adds.
const SLOT: Duration = Duration::from_millis(250);

/// Says lines and waits until all of it is told.
fn told(desk: &mut Desk<'_>, lines: &str) -> String {
    desk.say(lines) + &desk.pass(DELAY + SLOT)
}

#[test]
fn who_is_refused_learns_only_what_their_password_entitles_them_to() {
    let (shared, engine) = (shared(), engine());
    let table = [
        ("alice", "wrong", ""),
        ("stranger", "wrong", ""),
        ("stranger", "stranger", ""),
        ("alice", "", ""),
        ("disabled", "wrong", ""),
        ("expired", "wrong", ""),
        ("home", "home", ""),
        ("disabled", "disabled", "\tcode=user_disabled"),
        ("expired", "expired", "\tcode=pass_expired\treason=Password expired"),
    ];
    for (name, password, more) in table {
        for (role, minor) in [(Role::Login, 2), (Role::Client, 0)] {
            let mut desk = Desk::ready(role, minor, &shared, &engine);
            let expected = format!("FAIL\t1\tuser={name}@example.org{more}\n");
            assert_eq!(told(&mut desk, &login(1, name, password)), expected, "{password:?}, {role:?}");
        }
    }
}

#[test]
fn rules_on_the_account_look_at_what_the_peer_said() {
    let (shared, engine) = (shared(), engine());
    for (name, params, good) in [
        ("home", "service=imap\trip=192.0.2.9", true),
        ("home", "service=imap\trip=::ffff:192.0.2.9", true),
        ("home", "service=imap\trip=198.51.100.9", false),
        ("home", "service=imap\trip=", false),
        ("home", "service=imap\trip=192.0.2.9\trip=198.51.100.9", false),
        ("inside", "service=imap", true),
        ("inside", "service=imap\trip=", true),
        ("inside", "service=imap\trip=192.0.2.9", false),
        ("inside", "service=imap\trip=fe80::1%eth0", false),
        ("inside", "service=imap\trip=unknown", false),
        ("reader", "service=imap", true),
        ("reader", "service=smtp", false),
        ("reader", "service=imap\tprotocol=smtp", false),
        ("reader", "service=", false),
    ] {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        let said = told(&mut desk, &format!("AUTH\t1\tPLAIN\t{params}\tresp={}\n", plain(name, name)));
        let expected = if good { "OK\t1\tuser=" } else { "FAIL\t1\tuser=" };
        assert_eq!(said, format!("{expected}{name}@example.org\n"), "{params:?}");
    }
}

/// R7: neither Postfix nor Exim takes escapes off, and a blank would end the name in Postfix's log.
#[test]
fn a_refused_name_is_repeated_without_anything_that_could_end_it() {
    let (shared, engine) = (shared(), engine());
    let long = "x".repeat(4000);
    let table: &[(&[u8], String)] = &[
        (b"a\tcode=x", "a?code=x".to_owned()),
        (b"a\nOK\t1", "a?OK?1".to_owned()),
        (b"a\r\x01\x7f b", "a????b".to_owned()),
        (b"\xff\xfe", "\u{fffd}\u{fffd}".to_owned()),
        ("\u{85}\u{2028}\u{3000}".as_bytes(), "???".to_owned()),
        (b"alice*master", "alice*master".to_owned()),
        (long.as_bytes(), "x".repeat(255)),
    ];
    for (name, shown) in table {
        let mut desk = Desk::ready(Role::Client, 0, &shared, &engine);
        let resp = base64(&[b"\0", *name, b"\0pw"].concat());
        let said = told(&mut desk, &format!("AUTH\t1\tPLAIN\tservice=smtp\tresp={resp}\n"));
        assert_eq!(said, format!("FAIL\t1\tuser={shown}\n"), "{}", name.escape_ascii());
    }
}

#[test]
fn a_response_that_breaks_its_mechanism_is_a_failed_login_and_as_late() {
    let (shared, engine) = (shared(), engine());
    let table: &[&[u8]] = &[
        b"",
        b"alice@example.org\0alice",
        b"\0alice@example.org\0alice\0",
        b"\0alice@example.org\0alice\0junk",
        b"\0\0alice",
        &[b'x'; 9000],
    ];
    for response in table {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        let line = format!("AUTH\t1\tPLAIN\tservice=imap\tresp={}\n", base64(response));
        assert_eq!(desk.say(&line), "", "{}", response.escape_ascii());
        assert_eq!(desk.pass(DELAY + SLOT), "FAIL\t1\n", "{}", response.escape_ascii());
    }
}

#[test]
fn nobody_logs_in_as_somebody_else() {
    let (shared, engine) = (shared(), engine());
    let (ok, wrong) = ("OK\t1\tuser=alice@example.org\n", "FAIL\t1\tuser=alice@example.org\n");
    let no_name = "FAIL\t1\tuser=alice@example.org\tcode=authz_fail\n";
    for (authzid, expected) in [
        ("", ok),
        ("alice@example.org", ok),
        ("ALICE@EXAMPLE.ORG", ok),
        // Her password is none of a master user.
        ("bob@example.org", wrong),
        ("alice@example.org*bob@example.org", no_name),
        (" ", no_name),
    ] {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        let resp = base64(format!("{authzid}\0alice@example.org\0alice").as_bytes());
        let said = told(&mut desk, &format!("AUTH\t1\tPLAIN\tservice=imap\tresp={resp}\n"));
        assert_eq!(said, expected, "{authzid:?}");
    }
}

/// R5: Postfix, Exim and chasquid make a permanent failure of every `FAIL`.
#[test]
fn an_outage_is_told_to_a_serial_client_by_hanging_up() {
    let (shared, engine) = (shared(), engine());
    let failed = "FAIL\t1\tuser=alice@example.org\tcode=temp_fail\ttemp\n".to_owned();
    for (role, minor, hangs_up) in [
        (Role::Client, 0, true),
        (Role::Client, 1, true),
        (Role::Client, 2, false),
        (Role::Client, 4, false),
        (Role::Login, 0, false),
        (Role::Login, 1, false),
        (Role::Login, 2, false),
        (Role::Login, 4, false),
    ] {
        let mut desk = Desk::ready(role, minor, &shared, &engine);
        let question = desk.ask(&login(1, "alice", "alice"));
        let expected =
            if hangs_up { (String::new(), Err(Close::TempFail)) } else { (failed.clone(), Ok(())) };
        assert_eq!(desk.fail(question), expected, "{role:?} of minor {minor}");
    }
}

/// R5: hanging up on one of several would fail the others with it.
#[test]
fn an_outage_is_told_to_a_client_with_several_requests_in_both_spellings() {
    let (shared, engine) = (shared(), engine());
    for minor in [0, 1, 2] {
        let mut desk = Desk::ready(Role::Client, minor, &shared, &engine);
        let one = desk.ask(&login(1, "alice", "alice"));
        let two = desk.ask(&login(2, "bob", "bob"));
        let failed = "FAIL\t1\tuser=alice@example.org\tcode=temp_fail\ttemp\n".to_owned();
        assert_eq!(desk.fail(one), (failed, Ok(())), "minor {minor}");
        assert_eq!(desk.judge(two), "OK\t2\tuser=bob@example.org\n", "minor {minor}");
    }
}

#[test]
fn an_outage_is_told_without_delay() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    let question = desk.ask(&login(1, "alice", "wrong"));
    assert!(desk.fail(question).0.starts_with("FAIL\t1\t"));
    assert!(desk.session().is_idle());
}

/// However long it took to find out: the time of an answer must not tell what was done for it.
#[test]
fn a_failure_is_told_at_a_fixed_time_after_its_request_arrived() {
    let (shared, engine) = (shared(), engine());
    for took in [0, 1, 40, 700, 1999] {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        desk.now += Duration::from_millis(10_123);
        let arrived = desk.now;
        let question = desk.ask(&login(1, "alice", "wrong"));
        desk.now += Duration::from_millis(took);
        assert_eq!(desk.judge(question), "");
        let due = desk.session().next_tick().unwrap();
        assert_eq!(due, shared.started + Duration::from_millis(12_250), "took {took} ms");
        assert!(due >= arrived + DELAY && due < arrived + DELAY + SLOT);
        let before = due - desk.now - Duration::from_nanos(1);
        assert_eq!(desk.pass(before), "");
        assert_eq!(desk.pass(Duration::from_nanos(1)), "FAIL\t1\tuser=alice@example.org\n");
    }
    // Later than that there is only the next slot.
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    let question = desk.ask(&login(1, "alice", "wrong"));
    desk.now += DELAY * 3 + Duration::from_nanos(1);
    desk.judge(question);
    assert_eq!(desk.session().next_tick(), Some(shared.started + DELAY * 3 + SLOT));
}

/// A person takes their time to type; that is not held against the slot.
#[test]
fn the_delay_counts_from_the_last_response() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    desk.say("AUTH\t1\tPLAIN\tservice=imap\n");
    desk.pass(Duration::from_secs(60));
    desk.say(&format!("CONT\t1\t{}\n", plain("alice", "wrong")));
    assert_eq!(desk.session().next_tick(), Some(desk.now + DELAY));
}

#[test]
fn failures_of_one_slot_are_told_together_and_in_no_order() {
    let (shared, engine) = (shared(), engine());
    let mut orders = BTreeSet::new();
    for _ in 0..50 {
        let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
        let lines: String = (1..=8).map(|id| login(id, "alice", "wrong")).collect();
        assert_eq!(desk.say(&lines), "");
        let said = desk.pass(DELAY + SLOT);
        let ids: Vec<_> = said.lines().map(|line| line.split('\t').nth(1).unwrap().to_owned()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 8, "each once: {said}");
        orders.insert(ids);
    }
    // 50 of 40320 orders: fewer than 40 different ones would be no chance.
    assert!(orders.len() > 40, "{} orders", orders.len());
}

#[test]
fn all_failures_are_told_at_once_when_the_daemon_stops() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(Role::Login, 2, &shared, &engine);
    desk.say(&login(1, "alice", "wrong"));
    desk.say(&login(2, "alice", "wrong"));
    desk.say("CANCEL\t2\n");
    let mut out = bytes::BytesMut::new();
    desk.session().hurry(&mut out);
    assert_eq!(out, "FAIL\t1\tuser=alice@example.org\n");
    assert!(desk.session().is_idle());
}
