//! The database is away: who was known goes on as if nothing was, and nobody else is let in or refused.

use std::time::{Duration, Instant};

use crate::{
    database::{Database, QUERY, gatepost_over},
    support::{Dovecot, Place, Tree, wait_until},
};

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";
const NOBODY: &str = "nobody@example.test";

/// The directory's `timeout`, and a busy machine.
const TIMEOUT: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_millis(1500);

#[test]
fn while_the_database_is_away_who_was_known_logs_in_and_gets_mail() {
    let place = Place::new(&Tree::bookworm());
    let mut database = Database::start("mysql", &place);
    let times = "timeout = \"2s\"\nconnect_timeout = \"1s\"\n";
    let list = "list_query = \"SELECT name AS user FROM people\"\n";
    let source = format!("{}{times}{list}", database.source());
    let cache = "[cache]\nttl = \"1s\"\nnegative_ttl = \"1s\"\n";
    let directory = database.directory(&source, QUERY, &place);
    let gatepost = gatepost_over(&place, &format!("{cache}{directory}"));
    let dovecot = Dovecot::start(&place);
    let login = |user: &str, password: &str| {
        let begun = Instant::now();
        let answer = dovecot.imap().login(user, password);
        assert!(begun.elapsed() < TIMEOUT + SLACK, "{user}: {:?}", begun.elapsed());
        answer
    };
    let deliver = |user: &str| dovecot.lmtp().send("sender@example.test", user, "hello").code;
    // Alice logs in, mail comes for Bob, and nobody knows Dora yet.
    assert!(login(ALICE, "wonder").starts_with("OK"));
    assert_eq!((deliver(BOB), deliver(NOBODY)), (250, 550));
    assert!(login(ALICE, "wrong").starts_with("NO [AUTHENTICATIONFAILED]"));

    let known = Instant::now();
    database.stop();
    wait_until("all of it has run out", || known.elapsed() > Duration::from_secs(1));
    for _ in 0..2 {
        assert!(login(ALICE, "wonder").starts_with("OK"), "{}", gatepost.log());
        let mut imap = dovecot.imap();
        assert!(imap.login(ALICE, "wonder").starts_with("OK"));
        assert!(imap.command("SELECT INBOX").starts_with("OK [READ-WRITE]"), "with all that Dovecot needs");
        for (user, password) in [(ALICE, "wrong"), (ALICE, "another"), (BOB, "builder"), (NOBODY, "wrong")] {
            let answer = login(user, password);
            assert!(answer.starts_with("NO [UNAVAILABLE]"), "{user} {password}: {answer}");
        }
        assert_eq!((deliver(ALICE), deliver(BOB), deliver(NOBODY)), (250, 250, 451));
        assert_eq!(dovecot.doveadm(&["user", BOB]).status.code(), Some(0));
        assert_eq!(dovecot.doveadm(&["user", NOBODY]).status.code(), Some(75));
        assert_ne!(dovecot.doveadm(&["user", "*"]).status.code(), Some(0), "a list is never from memory");
    }
    let stale = |log: &str| log.lines().filter(|line| line.contains(" cache=\"stale\"")).count();
    wait_until("it is in the log", || stale(&gatepost.log()) == 4);
    let status = gatepost.command(&["cache", "status", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert!(status["cache"]["counts"]["stale"].as_u64().unwrap() >= 4, "{status}");

    database.start_again();
    let back = Instant::now();
    wait_until("the database is asked again", || login(BOB, "builder").starts_with("OK"));
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert!(login(ALICE, "wrong").starts_with("NO [AUTHENTICATIONFAILED]"));
    assert_eq!(deliver(NOBODY), 550);
    assert!(login(ALICE, "wonder").starts_with("OK"));
    assert_eq!(stale(&gatepost.log()), 4, "and no more");
}

#[test]
fn after_max_stale_nobody_is_known_any_more() {
    let place = Place::new(&Tree::bookworm());
    let mut database = Database::start("mysql", &place);
    let source = format!("{}timeout = \"2s\"\nconnect_timeout = \"1s\"\n", database.source());
    let cache = "[cache]\nttl = \"1s\"\nmax_stale = \"3s\"\n";
    let directory = database.directory(&source, QUERY, &place);
    let gatepost = gatepost_over(&place, &format!("{cache}{directory}"));
    let dovecot = Dovecot::start(&place);
    let begun = Instant::now();
    assert!(dovecot.imap().login(ALICE, "wonder").starts_with("OK"));
    let known = Instant::now();
    database.stop();
    let mut last_ok = begun;
    wait_until("she is not let in any more", || {
        let asked = Instant::now();
        let answer = dovecot.imap().login(ALICE, "wonder");
        if answer.starts_with("OK") {
            last_ok = asked;
            return false;
        }
        assert!(answer.starts_with("NO [UNAVAILABLE]"), "never a refusal: {answer}");
        // The clock of the cache goes by tenths of a second.
        assert!(begun.elapsed() > Duration::from_millis(3800), "too soon\n{}", gatepost.log());
        true
    });
    // Besides, there is the time that a login takes to arrive.
    assert!(last_ok - known < Duration::from_millis(4500), "{:?}", last_ok - known);
}
