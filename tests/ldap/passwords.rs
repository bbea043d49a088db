//! What changes at the server while gatepost remembers how it was, and what a password costs there.

use std::time::{Duration, Instant};

use crate::{
    House, of,
    support::{
        LONG, Notice, Place, Slapd, Tree, side_by_side,
        slapd::{SUFFIX, person},
    },
};

const NOTICES: [Notice; 2] = Notice::both(NEVER, "change_poll = \"1s\"");

/// The server is not asked who has changed.
const NEVER: &str = "change_poll = \"0s\"";

struct Stage<'a> {
    slapd: &'a Slapd<'a>,
    house: House<'a>,
}

impl<'a> Stage<'a> {
    fn set(place: &'a Place, slapd: &'a Slapd<'a>, cache: &str, keys: &str) -> Self {
        let table = of(place, slapd).with_raw(keys);
        Self { slapd, house: House::open(place, &format!("{cache}{}", table.fields(place))) }
    }

    fn binds(&self, uid: &str) -> usize {
        // One that succeeds has a second line, without a method.
        self.slapd.asked(&format!("BIND dn=\"uid={uid},ou=people,{SUFFIX}\" method="))
    }

    /// How many binds this takes.
    fn cost(&self, uid: &str, log_in: impl FnOnce()) -> usize {
        let before = self.binds(uid);
        log_in();
        self.binds(uid) - before
    }

    fn replace(&self, uid: &str, attribute: &str, value: &str) {
        let entry = format!("dn: uid={uid},ou=people,{SUFFIX}\nchangetype: modify\n");
        self.slapd.modify(&format!("{entry}replace: {attribute}\n{attribute}: {value}\n"), false);
    }

    /// A yes or a no: the server answers all the time.
    #[track_caller]
    fn admits(&self, uid: &str, password: &str) -> bool {
        let answer = self.house.login(&format!("{uid}@example.org"), password);
        let refused = answer.starts_with("NO") && !answer.contains("UNAVAILABLE");
        assert!(answer.starts_with("OK") || refused, "{uid}: {answer}\n{}", self.house.gatepost.log());
        !refused
    }

    #[track_caller]
    fn soon(&self, notice: &Notice, what: &str, counts: impl FnMut() -> bool) {
        notice.soon(what, || self.house.gatepost.log(), counts);
    }
}

#[test]
fn a_phone_with_an_old_password_costs_one_bind_and_locks_nobody_out() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let stage = Stage::set(&place, &slapd, LONG, NEVER);
    // The server locks this account after three wrong passwords.
    let cost = stage.cost("locked", || {
        for _ in 0..20 {
            assert!(!stage.admits("locked", "old"));
        }
    });
    assert_eq!(cost, 1, "{}", slapd.log());
    let cost = stage.cost("locked", || {
        for _ in 0..5 {
            assert!(stage.admits("locked", "locked-secret"), "another password is another question");
        }
    });
    assert_eq!(cost, 1, "{}", slapd.log());
    let cost = stage.cost("locked", || {
        for _ in 0..5 {
            assert!(!stage.admits("locked", "old") && stage.admits("locked", "locked-secret"));
        }
    });
    assert_eq!(cost, 0, "both are known: {}", slapd.log());
    // An address in another spelling is no other account.
    assert_eq!(stage.cost("locked", || assert!(!stage.admits("LOCKED", "old"))), 0);
}

#[test]
fn a_new_password_is_right_at_once_and_the_old_one_is_wrong_from_then_on() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let stage = Stage::set(&place, &slapd, LONG, NEVER);
    assert!(stage.admits("alice", "alice-secret"));
    assert_eq!(stage.cost("alice", || assert!(stage.admits("alice", "alice-secret"))), 0);
    stage.replace("alice", "userPassword", "other");
    assert!(stage.admits("alice", "other"), "it counts at once");
    assert!(!stage.admits("alice", "alice-secret"), "and from then on the old one does not");
    // Within the same tenth of a second nobody can say which of two answers is the newer one: neither is kept.
    assert!(stage.admits("alice", "other"));
    assert_eq!(stage.cost("alice", || assert!(stage.admits("alice", "other"))), 0);
}

/// Servers write down failures in the entry itself. Were that taken for a change of the person, each poll would have the same
/// wrong password tried once more, until the account is locked.
#[test]
fn what_a_server_writes_down_about_a_wrong_password_does_not_have_it_tried_again() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let stage = Stage::set(&place, &slapd, LONG, "change_poll = \"300ms\"");
    for (what, and_right) in [("a wrong password alone", false), ("a wrong and the right one", true)] {
        let (begun, mut logins) = (Instant::now(), 0);
        let cost = stage.cost("locked", || {
            // Ten polls, and more.
            while begun.elapsed() < Duration::from_secs(5) {
                assert!(!stage.admits("locked", "old"));
                assert!(!and_right || stage.admits("locked", "locked-secret"), "{}", slapd.log());
                logins += 1;
            }
        });
        eprintln!("{what}: {logins} logins, {cost} binds");
        assert!(cost <= 4, "{cost} binds for {what}\n{}", slapd.log());
        assert!(stage.admits("locked", "locked-secret"), "locked by {what}\n{}", slapd.log());
    }
}

#[test]
fn what_has_changed_at_the_server_counts_in_time() {
    side_by_side(NOTICES.iter().map(|notice| (notice.name, notice)), |notice| {
        let place = Place::new(&Tree::bookworm());
        let slapd = Slapd::start_with(&place, true);
        let stage = Stage::set(&place, &slapd, notice.cache, notice.keys);
        assert!(stage.admits("alice", "alice-secret") && stage.admits("alice", "alice-secret"));
        stage.replace("alice", "userPassword", "other");
        stage.soon(notice, "the old password", || !stage.admits("alice", "alice-secret"));
        assert!(stage.admits("alice", "other"));

        assert!(!stage.admits("alice", "third"));
        stage.replace("alice", "userPassword", "third");
        stage.soon(notice, "a password that was wrong", || stage.admits("alice", "third"));

        assert!(stage.admits("locked", "locked-secret"));
        // For ever, as an administrator would have it (draft-behera-ldap-password-policy, 5.3.3).
        stage.replace("locked", "pwdAccountLockedTime", "000001010000Z");
        stage.soon(notice, "somebody who is locked", || !stage.admits("locked", "locked-secret"));

        assert!(stage.admits("bob", "builder"));
        slapd.modify(&format!("dn: uid=bob,ou=people,{SUFFIX}\nchangetype: delete\n"), false);
        stage.soon(notice, "somebody who is gone", || !stage.admits("bob", "builder"));

        assert!(!stage.admits("dora", "dora-secret"));
        slapd.add(person("dora", "people", "dora-secret").trim_start());
        stage.soon(notice, "somebody new", || stage.admits("dora", "dora-secret"));
    });
}
