//! A SQLite file that is in the hands of somebody else.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    asking::{Auth, daemon},
    database::{Database, QUERY},
    support::{FORGETFUL, Place, Tree, wait_until},
};

const TEMPORARY: &str = "FAIL\tuser=alice@example.test\tcode=temp_fail\ttemp";
const WELCOME: &str = "OK\tuser=alice@example.test";

#[test]
fn a_file_that_is_away_broken_locked_or_replaced_is_no_wrong_password() {
    let place = Place::new(&Tree::bookworm());
    let database = Database::start("sqlite", &place);
    let source = format!("{}timeout = \"1s\"\n", database.source());
    // It is the file that is to be asked each time.
    let directory = database.directory(&source, QUERY, &place) + FORGETFUL;
    let gatepost = daemon(&directory, "").started();
    let mut auth = Auth::connect(&gatepost);
    let file = place.outside("people.db");
    let heals = |auth: &mut Auth, what: &str| {
        let begun = Instant::now();
        wait_until("the file is read again", || auth.plain("alice@example.test", "wonder") == WELCOME);
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}: {:?}", begun.elapsed());
        assert_eq!(auth.plain("alice@example.test", "wrong"), "FAIL\tuser=alice@example.test", "{what}");
    };
    heals(&mut auth, "at the start");

    let aside = place.outside("aside.db");
    fs::rename(&file, &aside).unwrap();
    assert_eq!(auth.plain("alice@example.test", "wonder"), TEMPORARY, "away");
    assert!(!file.exists(), "a reader makes no file");
    fs::write(&file, "no database at all, and long enough to be told from one").unwrap();
    assert_eq!(auth.plain("alice@example.test", "wrong"), TEMPORARY, "broken");
    fs::rename(&aside, &file).unwrap();
    heals(&mut auth, "put back");

    let lock = rusqlite::Connection::open(&file).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begun = Instant::now();
    assert_eq!(auth.plain("alice@example.test", "wonder"), TEMPORARY, "locked");
    assert!(begun.elapsed() < Duration::from_millis(1700), "{:?}", begun.elapsed());
    lock.execute_batch("COMMIT").unwrap();
    heals(&mut auth, "unlocked");

    // Replaced by another file: what is in that one counts from now on.
    fs::copy(&file, &aside).unwrap();
    let other = rusqlite::Connection::open(&aside).unwrap();
    other.execute("UPDATE people SET password = '{PLAIN}new' WHERE name = 'alice@example.test'", []).unwrap();
    drop(other);
    fs::rename(&aside, &file).unwrap();
    assert_eq!(auth.plain("alice@example.test", "new"), WELCOME);
    assert_eq!(auth.plain("alice@example.test", "wonder"), "FAIL\tuser=alice@example.test");
}

#[test]
fn a_query_that_changes_something_is_not_run() {
    let place = Place::new(&Tree::bookworm());
    let database = Database::start("sqlite", &place);
    let query = "UPDATE people SET active = 0 WHERE name = :user RETURNING name AS user, password";
    let gatepost = daemon(&database.directory(&database.source(), query, &place), "").started();
    assert_eq!(Auth::connect(&gatepost).plain("alice@example.test", "wonder"), TEMPORARY);
    let db = rusqlite::Connection::open(place.outside("people.db")).unwrap();
    let active: i64 =
        db.query_row("SELECT active FROM people WHERE name LIKE 'alice%'", [], |row| row.get(0)).unwrap();
    assert_eq!(active, 1);
}

/// Dovecot's `default_pass_scheme`: rows stay as they are.
#[test]
fn a_password_without_its_scheme_has_that_of_the_configuration() {
    let place = Place::new(&Tree::bookworm());
    let database = Database::start("sqlite", &place);
    let db = rusqlite::Connection::open(place.outside("people.db")).unwrap();
    db.execute("UPDATE people SET password = 'wonder' WHERE name = 'alice@example.test'", []).unwrap();
    for (scheme, said) in [("", TEMPORARY), ("default_scheme = \"plain\"\n", WELCOME)] {
        let source = format!("{}{scheme}", database.source());
        let gatepost = daemon(&database.directory(&source, QUERY, &place), "").started();
        let mut auth = Auth::connect(&gatepost);
        assert_eq!(auth.plain("alice@example.test", "wonder"), said, "{scheme}");
        assert_eq!(auth.plain("bob@example.test", "builder"), "OK\tuser=bob@example.test", "{scheme}");
    }
}
