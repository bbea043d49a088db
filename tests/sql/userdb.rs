//! Mail and mail processes ask about people all the time: what that costs the database.

use std::time::{Duration, Instant};

use crate::{
    asking::{Master, daemon, plain},
    database::{Database, QUERY, gatepost_over},
    support::{Alone, Dovecot, Place, Tree, wait_until},
};

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";
const DORA: &str = "dora@example.test";

#[test]
fn who_is_known_is_looked_up_in_memory_and_who_is_not_there_is_asked_about_again_in_time() {
    let place = Place::new(&Tree::bookworm());
    let database = Database::start("mysql", &place);
    let source = format!("{}list_query = \"SELECT name AS user FROM people\"\n", database.source());
    let cache = "[cache]\nttl = \"10m\"\nnegative_ttl = \"2s\"\n";
    let directory = database.directory(&source, QUERY, &place);
    let _gatepost = gatepost_over(&place, &format!("{cache}{directory}"));
    let dovecot = Dovecot::start(&place);
    let executed = || database.statements().executed;
    let deliver = |user: &str| dovecot.lmtp().send("sender@example.test", user, "hello").code;

    // The first mail asks; neither the next nor `doveadm user` nor the login's mail process does.
    assert_eq!(deliver(ALICE), 250);
    let before = executed();
    for _ in 0..3 {
        assert_eq!(deliver(ALICE), 250);
        assert_eq!(dovecot.doveadm(&["user", ALICE]).status.code(), Some(0));
    }
    assert_eq!(executed(), before);
    let mut imap = dovecot.imap();
    assert!(imap.login(ALICE, "wonder").starts_with("OK"));
    assert!(imap.command("SELECT INBOX").starts_with("OK"));
    assert_eq!(
        executed(),
        before + 1,
        "a password is another matter, and the mail process asks for nothing more"
    );
    assert!(dovecot.imap().login(ALICE, "wonder").starts_with("OK"));
    assert_eq!(executed(), before + 1);
    // What a login has found is there for the mail.
    assert!(dovecot.imap().login(BOB, "builder").starts_with("OK"));
    assert_eq!(deliver(BOB), 250);
    assert_eq!(executed(), before + 2);

    // Mail for somebody who is added a moment later is not bounced for longer than it says.
    assert_eq!(deliver(DORA), 550);
    let (asked, known) = (executed(), Instant::now());
    assert_eq!(deliver(DORA), 550);
    if known.elapsed() < Duration::from_secs(1) {
        assert_eq!(executed(), asked, "known to be nobody");
    }
    database.sql(&format!("INSERT INTO people (name, password) VALUES ('{DORA}', '{{PLAIN}}dora')"));
    let added = Instant::now();
    wait_until("she gets mail", || {
        let begun = added.elapsed();
        let code = deliver(DORA);
        assert!(code == 250 || begun < Duration::from_secs(3), "after {begun:?}: {code}");
        code == 250
    });

    // Nobody is listed from memory.
    let list = || {
        let listed = dovecot.doveadm(&["user", "*"]);
        assert_eq!(listed.status.code(), Some(0), "{listed:?}");
        String::from_utf8(listed.stdout).unwrap()
    };
    assert!(list().contains(DORA));
    database.sql(&format!("DELETE FROM people WHERE name = '{DORA}'"));
    assert!(!list().contains(DORA), "a list says how it is now");
    assert_eq!(dovecot.doveadm(&["user", DORA]).status.code(), Some(0), "she is still remembered");
}

/// The greeting of a login process, and its cookie.
fn greeted(gatepost: &Alone) -> (crate::support::Lines, String) {
    let mut login = gatepost.connect("login");
    login.say("VERSION\t1\t2\nCPID\t4711");
    let greeting = login.hear_until(|line| line == "DONE");
    let cookie = greeting.iter().find_map(|line| line.strip_prefix("COOKIE\t")).unwrap().to_owned();
    (login, cookie)
}

/// Between a login and the mail process that takes it up, anything may be forgotten or happen to the database.
#[test]
fn a_login_is_taken_up_as_it_was_made_whatever_is_forgotten_in_between() {
    let place = Place::new(&Tree::bookworm());
    let mut database = Database::start("mysql", &place);
    let directory = database.directory(&database.source(), QUERY, &place);
    let gatepost = daemon(&directory, "").started();
    let (mut login, cookie) = greeted(&gatepost);
    let mut master = Master::connect(&gatepost);
    let pid = std::process::id();
    let response = plain(ALICE, "wonder");
    let ids = 1..=6;
    for id in ids.clone() {
        // The first is asked about, the others are from memory.
        let reply = login.ask(&format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={response}"), "OK\t");
        assert_eq!(reply, format!("OK\t{id}\tuser={ALICE}"));
    }
    let before = database.statements().executed;
    assert_eq!(before, 1);
    let expected =
        format!("{ALICE}\tuid=5000\tgid=5000\thome={}/{ALICE}\tauth_mech=PLAIN", place.inside("mail"));
    for id in ids {
        match id {
            1 => {}
            2 => assert_eq!(gatepost.run(&["cache", "flush"], "").status.code(), Some(0)),
            3 => drop(database.sql("UPDATE people SET password = '{PLAIN}other', quota = 7")),
            4 => drop(database.sql("DELETE FROM people")),
            _ => {
                database.stop();
                let told =
                    master.lines.ask(&format!("REQUEST\t{id}\t4711\t{id}\t{cookie}\tsession_pid={pid}"), "");
                assert_eq!(told, format!("USER\t{id}\t{expected}"));
                break;
            }
        }
        let told = master.lines.ask(&format!("REQUEST\t{id}\t4711\t{id}\t{cookie}\tsession_pid={pid}"), "");
        assert_eq!(told, format!("USER\t{id}\t{expected}"));
        assert_eq!(database.statements().executed, before, "nobody was asked");
    }
}
