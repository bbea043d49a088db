//! What changes in the table while gatepost remembers how it was: new passwords and people are there at once, old ones
//! are gone in time. Through real Dovecot, over MariaDB.

use crate::{
    database::{Database, QUERY, gatepost_over},
    support::{Dovecot, Gatepost, LONG, Notice, Place, Tree, side_by_side},
};

const NOTICES: [Notice; 2] = Notice::both("", ASKING);

const ASKING: &str = "change_poll = \"1s\"
changed_query = \"SELECT name AS user, changed FROM people WHERE changed >= :since \
               UNION ALL SELECT name, changed FROM gone WHERE changed >= :since\"
";

/// When somebody has changed, and who is gone: to the second, as most tables have it, so that two changes may look like one.
const CHANGES: &str = "
ALTER TABLE people ADD COLUMN changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP;
CREATE TABLE gone (name VARCHAR(255), changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TRIGGER gone AFTER DELETE ON people FOR EACH ROW INSERT INTO gone (name) VALUES (OLD.name);
";

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";

/// MariaDB, gatepost and Dovecot.
struct Stage<'a> {
    database: Database<'a>,
    gatepost: Gatepost<'a>,
    dovecot: Dovecot<'a>,
}

impl<'a> Stage<'a> {
    fn set(place: &'a Place, cache: &str, keys: &str) -> Self {
        let database = Database::start("mysql", place);
        database.sql(CHANGES);
        let source = format!("{}{keys}", database.source());
        let directory = database.directory(&source, QUERY, place);
        let gatepost = gatepost_over(place, &format!("{cache}{directory}"));
        Self { database, gatepost, dovecot: Dovecot::start(place) }
    }

    /// Whether somebody gets in. It is a yes or a no: the database answers all the time.
    #[track_caller]
    fn admits(&self, user: &str, password: &str) -> bool {
        let answer = self.dovecot.imap().login(user, password);
        let refused = answer.starts_with("NO [AUTHENTICATIONFAILED]");
        assert!(answer.starts_with("OK") || refused, "{user} {password}: {answer}\n{}", self.gatepost.log());
        !refused
    }

    #[track_caller]
    fn change(&self, user: &str, what: &str) {
        self.database.sql(&format!("UPDATE people SET {what} WHERE name = '{user}'"));
    }

    #[track_caller]
    fn soon(&self, notice: &Notice, what: &str, counts: impl FnMut() -> bool) {
        notice.soon(what, || self.gatepost.log(), counts);
    }

    fn executed(&self) -> u64 {
        self.database.statements().executed
    }
}

#[test]
fn a_new_password_is_right_at_once_and_the_old_one_is_wrong_from_then_on() {
    let place = Place::new(&Tree::bookworm());
    let stage = Stage::set(&place, LONG, "");
    assert!(stage.admits(ALICE, "wonder"));
    let before = stage.executed();
    assert!(stage.admits(ALICE, "wonder"));
    assert_eq!(stage.executed(), before, "the second time it is from memory");

    stage.change(ALICE, "password = '{PLAIN}other'");
    assert!(stage.admits(ALICE, "other"), "it counts at once");
    assert!(!stage.admits(ALICE, "wonder"), "and from then on the old one does not");
    assert!(stage.admits(ALICE, "other"));

    // Nobody has logged in with the new one: a wrong password is what tells.
    assert!(stage.admits(BOB, "builder"));
    stage.change(BOB, "password = '{PLAIN}other'");
    assert!(!stage.admits(BOB, "wrong"));
    assert!(!stage.admits(BOB, "builder"), "it was found right by another stored password");
    assert!(stage.admits(BOB, "other"));
}

#[test]
fn what_has_changed_counts_in_time() {
    side_by_side(NOTICES.iter().map(|notice| (notice.name, notice)), |notice| {
        let place = Place::new(&Tree::bookworm());
        let stage = Stage::set(&place, notice.cache, notice.keys);

        assert!(stage.admits(ALICE, "wonder") && stage.admits(ALICE, "wonder"));
        stage.change(ALICE, "password = '{PLAIN}other'");
        stage.soon(notice, "the old password", || !stage.admits(ALICE, "wonder"));
        assert!(stage.admits(ALICE, "other"));

        // What was wrong may become right.
        assert!(!stage.admits(ALICE, "third"));
        stage.change(ALICE, "password = '{PLAIN}third'");
        stage.soon(notice, "a password that was wrong", || stage.admits(ALICE, "third"));

        assert!(stage.admits(BOB, "builder"));
        stage.change(BOB, "active = 0");
        stage.soon(notice, "somebody who was switched off", || !stage.admits(BOB, "builder"));
        stage.change(BOB, "active = 1");
        // Who is switched off is asked about each time.
        assert!(stage.admits(BOB, "builder"), "switched on again, at once");

        stage.database.sql(&format!("DELETE FROM people WHERE name = '{BOB}'"));
        stage.soon(notice, "somebody who is gone", || !stage.admits(BOB, "builder"));

        let dora = "dora@example.test";
        assert!(!stage.admits(dora, "dora"));
        stage
            .database
            .sql(&format!("INSERT INTO people (name, password) VALUES ('{dora}', '{{PLAIN}}dora')"));
        stage.soon(notice, "somebody new", || stage.admits(dora, "dora"));
        assert!(!stage.gatepost.log().contains("stale"), "{}", stage.gatepost.log());
    });
}

#[test]
fn a_wrong_password_is_asked_about_once_and_stands_in_nobodys_way() {
    let place = Place::new(&Tree::bookworm());
    let stage = Stage::set(&place, LONG, "");
    // Before anything is known, and afterwards.
    for first in [true, false] {
        let before = stage.executed();
        for _ in 0..3 {
            assert!(!stage.admits(ALICE, "wrong"));
            assert!(!stage.admits("nobody@example.test", "wrong"));
        }
        let asked = stage.executed() - before;
        // About the password, which ten others have pushed out the second time, and about the name.
        assert_eq!(asked, if first { 2 } else { 1 }, "the rest is known");
        assert!(stage.admits(ALICE, "wonder"));
        // More of them than are remembered push out each other, and not the right one.
        for number in 0..10 {
            assert!(!stage.admits(ALICE, &format!("wrong{number}")));
        }
        let before = stage.executed();
        assert!(stage.admits(ALICE, "wonder"));
        assert_eq!(stage.executed(), before, "the right one is still known");
    }
}
