//! What follows from what a directory has answered, and in which order.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{TTL, cache, digest, hash, limits, named, right, said, stale, teach, teach_by, wrong};
use crate::{
    account::{Account, State},
    app_password::Scope,
    cache::{Asking, Cache, Elsewhere, Fingerprint, Key, Lesson, Limits, Said, Tick},
    decision::AppPassword,
    username::Username,
};

fn ask(cache: &Cache, at: u32) -> Asking {
    cache.ask(Tick::new(at))
}

/// The answer to a question, whose password is checked by a directory itself.
fn answer(cache: &Cache, asking: Asking, said: Said, at: u32) {
    answer_by(cache, asking, said, at, cache.digester().check(b"bind"));
}

fn answer_by(cache: &Cache, asking: Asking, said: Said, at: u32, checked: Fingerprint) {
    let account = Account::named("alice");
    let lesson = Lesson::Somebody {
        account: &account,
        directory: 0,
        elsewhere: None,
        fingerprint: Some(checked),
        said,
    };
    cache.learn(named("alice"), asking, lesson, Tick::new(at));
}

fn nobody(cache: &Cache, asking: Asking, at: u32) {
    cache.learn(named("alice"), asking, Lesson::Nobody, Tick::new(at));
}

#[test]
fn a_new_password_ends_the_old_one() {
    let cache = cache(limits());
    teach(&cache, "alice", right(&cache, "alice", "old"), 0);
    teach(&cache, "alice", wrong(&cache, "alice", "new"), 2);
    assert_eq!(said(&cache, "alice", "new", 3), "wrong");
    teach(&cache, "alice", right(&cache, "alice", "new"), 4);
    assert_eq!(said(&cache, "alice", "new", 5), "right");
    assert_eq!(said(&cache, "alice", "old", 5), "nothing");
    assert!(!stale(&cache, "alice", "old", 5));
    teach(&cache, "alice", wrong(&cache, "alice", "old"), 6);
    assert_eq!((said(&cache, "alice", "new", 7), said(&cache, "alice", "old", 7)), ("right", "wrong"));
}

#[test]
fn an_old_password_does_not_come_back_with_the_last_of_three_answers() {
    let cache = cache(limits());
    let hashes = [hash(&cache, "old"), hash(&cache, "new")];
    let bind = [cache.digester().check(b"bind"); 2];
    for [then, now] in [hashes, bind] {
        cache.flush(|_| true);
        // All three by the old password before it is changed; two answers are late.
        let (first, second, third) = (ask(&cache, 0), ask(&cache, 0), ask(&cache, 5));
        answer_by(&cache, third, right(&cache, "alice", "new"), 6, now);
        assert_eq!(said(&cache, "alice", "new", 6), "right");
        answer_by(&cache, first, right(&cache, "alice", "old"), 7, then);
        assert_eq!(said(&cache, "alice", "old", 7), "nothing");
        answer_by(&cache, second, right(&cache, "alice", "old"), 8, then);
        assert_eq!(said(&cache, "alice", "old", 8), "nothing");
        assert!(!stale(&cache, "alice", "old", TTL));
        teach_by(&cache, "alice", right(&cache, "alice", "new"), 9, now);
        assert_eq!(said(&cache, "alice", "new", 9), "right");
    }
}

/// After answers that contradict each other, what does not count is still known to have been said.
#[test]
fn an_answer_that_does_not_count_keeps_older_ones_out() {
    for late in ["right", "wrong"] {
        let cache = cache(limits());
        let [first, second, third] = [0; 3].map(|at| ask(&cache, at));
        if late == "right" {
            answer(&cache, first, right(&cache, "alice", "one"), 3);
            answer(&cache, second, right(&cache, "alice", "another"), 4);
        } else {
            answer(&cache, first, Said::Shut, 4);
        }
        let fourth = ask(&cache, 5);
        let (before, then) = match late {
            "right" => (right(&cache, "alice", "new"), right(&cache, "alice", "old")),
            _ => (wrong(&cache, "alice", "old"), right(&cache, "alice", "old")),
        };
        answer(&cache, third, before, 7);
        answer(&cache, fourth, then, 8);
        assert_eq!(said(&cache, "alice", "old", 8), "nothing", "{late}");
        teach(&cache, "alice", right(&cache, "alice", "old"), 9);
        assert_eq!(said(&cache, "alice", "old", 9), "right", "{late}");
    }
}

#[test]
fn that_there_was_nobody_keeps_older_answers_out_even_if_it_is_not_said() {
    let cache = cache(Limits { negative_ttl: Duration::ZERO, ..limits() });
    let early = ask(&cache, 0);
    nobody(&cache, ask(&cache, 10), 12);
    for number in 0..20_000 {
        let user = format!("passer-by-{number}");
        cache.learn(named(&user), ask(&cache, 13), Lesson::Nobody, Tick::new(13));
    }
    answer(&cache, early, right(&cache, "alice", "x"), 14);
    assert_eq!(said(&cache, "alice", "x", 14), "nothing");
}

#[test]
fn whom_an_answer_let_in_no_earlier_one_shuts_out() {
    let cache = cache(limits());
    let (first, second, third) = (ask(&cache, 0), ask(&cache, 0), ask(&cache, 5));
    answer(&cache, third, right(&cache, "alice", "x"), 6);
    answer(&cache, first, wrong(&cache, "alice", "x"), 7);
    answer(&cache, second, wrong(&cache, "alice", "x"), 8);
    assert_eq!(said(&cache, "alice", "x", 8), "nothing");
    // Who was made in the meantime.
    cache.flush(|_| true);
    let (first, second, third) = (ask(&cache, 10), ask(&cache, 10), ask(&cache, 15));
    answer(&cache, third, right(&cache, "alice", "x"), 16);
    nobody(&cache, first, 17);
    nobody(&cache, second, 18);
    assert_eq!(said(&cache, "alice", "x", 18), "nothing");
    // An answer about an account that took long may be newer than that there was nobody.
    cache.flush(|_| true);
    let (early, between) = (ask(&cache, 20), ask(&cache, 27));
    teach(&cache, "alice", Said::Nothing, 25);
    answer(&cache, early, right(&cache, "alice", "x"), 29);
    nobody(&cache, between, 30);
    assert_eq!(said(&cache, "alice", "x", 30), "nothing");
}

#[test]
fn who_is_shut_out_is_not_let_in_by_an_earlier_answer() {
    let cache = cache(limits());
    let early = ask(&cache, 0);
    teach(&cache, "alice", Said::Shut, 5);
    answer(&cache, early, right(&cache, "alice", "x"), 6);
    assert_eq!(said(&cache, "alice", "x", 6), "nothing");
    let early = ask(&cache, 10);
    nobody(&cache, ask(&cache, 12), 13);
    teach(&cache, "alice", Said::Nothing, 15);
    answer(&cache, early, right(&cache, "alice", "x"), 16);
    assert_eq!(said(&cache, "alice", "x", 16), "nothing");
}

#[test]
fn the_same_stored_password_has_the_same_right_one() {
    let cache = cache(limits());
    let (old, new) = (hash(&cache, "old"), hash(&cache, "new"));
    let proven = || cache.proven_by(named("alice"), &digest(&cache, "alice", "x"));
    teach_by(&cache, "alice", right(&cache, "alice", "x"), 0, old);
    teach_by(&cache, "alice", wrong(&cache, "alice", "y"), 2, old);
    assert_eq!(proven(), Some(old));
    assert_eq!(cache.proven_by(named("alice"), &digest(&cache, "alice", "y")), None);
    // Whatever it was asked for.
    teach_by(&cache, "alice", Said::Nothing, 500, old);
    assert_eq!(said(&cache, "alice", "x", 500 + TTL / 2), "right");
    // A directory that checks passwords itself says nothing by naming the same entry.
    teach(&cache, "bob", right(&cache, "bob", "x"), 0);
    teach(&cache, "bob", Said::Nothing, 500);
    assert_eq!(said(&cache, "bob", "x", 500 + TTL / 2), "nothing");
    assert_eq!(cache.proven_by(named("bob"), &digest(&cache, "bob", "x")), None);
    // Another one may have any, and what was wrong may be right.
    teach_by(&cache, "alice", wrong(&cache, "alice", "y"), 900, old);
    teach_by(&cache, "alice", Said::Nothing, 910, new);
    assert_eq!((said(&cache, "alice", "x", 911), said(&cache, "alice", "y", 911)), ("nothing", "nothing"));
    assert_eq!(proven(), None);
}

#[test]
fn an_answer_that_took_for_ever_does_not_stay_in_the_way() {
    let cache = cache(limits());
    teach(&cache, "alice", Said::Nothing, 0);
    answer(&cache, ask(&cache, 1), right(&cache, "alice", "x"), 700);
    assert_eq!(said(&cache, "alice", "x", 700), "right");
    for at in [701, 702, 703] {
        teach_by(&cache, "alice", right(&cache, "alice", "y"), at, hash(&cache, "y"));
    }
    assert_eq!(said(&cache, "alice", "y", 704), "right");
    nobody(&cache, ask(&cache, 705), 1100);
    for at in [1101, 1102] {
        teach(&cache, "alice", right(&cache, "alice", "z"), at);
    }
    assert_eq!(said(&cache, "alice", "z", 1103), "right");
}

#[test]
fn only_so_many_wrong_passwords_are_kept_and_the_last_of_them() {
    let cache = cache(limits());
    teach(&cache, "alice", right(&cache, "alice", "x"), 0);
    for at in 1..=5 {
        teach(&cache, "alice", wrong(&cache, "alice", &format!("wrong{at}")), at);
    }
    let kept = |at: u32| said(&cache, "alice", &format!("wrong{at}"), 6);
    assert_eq!((1..=5).map(kept).collect::<Vec<_>>(), ["nothing", "wrong", "wrong", "wrong", "wrong"]);
    assert_eq!(said(&cache, "alice", "x", 6), "right");
}

#[test]
fn app_passwords_are_beside_the_main_one() {
    let cache = cache(limits());
    let by = |id: &str, password: &str| {
        let which = AppPassword { id: id.into(), label: "".into(), own: None, scope: Scope::everything() };
        Said::RightBy(digest(&cache, "alice", password), Arc::new(which))
    };
    teach(&cache, "alice", right(&cache, "alice", "main"), 0);
    teach(&cache, "alice", by("1", "phone"), 1);
    teach(&cache, "alice", by("2", "tablet"), 2);
    for password in ["main", "phone", "tablet"] {
        assert_eq!(said(&cache, "alice", password, 3), "right", "{password}");
    }
    // Another one in its place.
    teach(&cache, "alice", by("1", "newer"), 4);
    assert_eq!((said(&cache, "alice", "phone", 5), said(&cache, "alice", "newer", 5)), ("nothing", "right"));
    teach(&cache, "alice", wrong(&cache, "alice", "tablet"), 6);
    assert_eq!(said(&cache, "alice", "tablet", 7), "wrong");
    assert_eq!(said(&cache, "alice", "main", 7), "right");
    let early = ask(&cache, 8);
    teach(&cache, "alice", wrong(&cache, "alice", "late"), 10);
    answer(&cache, early, by("3", "late"), 11);
    assert_eq!(said(&cache, "alice", "late", 11), "nothing", "it may have been taken away since");
    for number in 0..20 {
        teach(&cache, "alice", by(&format!("n{number}"), &format!("n{number}")), 20 + number);
    }
    assert_eq!((said(&cache, "alice", "n3", 50), said(&cache, "alice", "n4", 50)), ("nothing", "right"));
}

#[test]
fn a_flush_voids_what_was_asked_before_it() {
    let cache = cache(limits());
    let early = ask(&cache, 0);
    teach(&cache, "alice", right(&cache, "alice", "x"), 1);
    assert_eq!(cache.flush(|name| name == "alice"), 1);
    answer(&cache, early, right(&cache, "alice", "x"), 2);
    assert_eq!(said(&cache, "alice", "x", 2), "nothing");
    assert!(!early.covers(&ask(&cache, 2)) && ask(&cache, 2).covers(&early));
    teach(&cache, "alice", right(&cache, "alice", "x"), 2);
    assert_eq!(said(&cache, "alice", "x", 2), "right");
    cache.forget(&HashSet::from(["bob", "alice"]));
    assert!(!stale(&cache, "alice", "x", 2));
}

#[test]
fn to_forget_somebody_says_nothing_of_anybody_else() {
    let cache = cache(limits());
    let early = ask(&cache, 0);
    teach(&cache, "carol", right(&cache, "carol", "x"), 0);
    cache.forget(&HashSet::from(["bob"]));
    answer(&cache, early, wrong(&cache, "alice", "x"), 1);
    // Unless their hashes share a place.
    if !std::ptr::eq(cache.place("alice"), cache.place("bob")) {
        assert_eq!(said(&cache, "alice", "x", 1), "wrong");
    }
    assert_eq!(said(&cache, "carol", "x", 1), "right");
}

#[test]
fn somebody_is_forgotten_by_each_of_their_names_and_for_each_service() {
    let cache = cache(limits());
    let names = ["al", "alice", "a.liddell"];
    let elsewhere =
        Elsewhere { directory: 1, user: Username::of_normal_form("a.liddell"), state: State::Active };
    let learn = |asking, at| {
        let account = Account::named("alice");
        let lesson = Lesson::Somebody {
            account: &account,
            directory: 0,
            elsewhere: Some(elsewhere.clone()),
            fingerprint: None,
            said: right(&cache, "al", "x"),
        };
        cache.learn(Key { user: "al", service: "imap" }, asking, lesson, Tick::new(at));
    };
    let known = |at| cache.account(Key { user: "al", service: "imap" }, Tick::new(at)).is_some();
    for (at, name) in (1..).map(|time| time * 10).zip(names) {
        learn(ask(&cache, at), at);
        assert!(known(at));
        cache.forget(&HashSet::from([name, "bob"]));
        assert!(!known(at), "{name}");
        // What is in flight as well.
        let early = ask(&cache, at + 1);
        cache.forget(&HashSet::from([name]));
        learn(early, at + 2);
        assert!(!known(at + 2), "{name}");
        learn(ask(&cache, at + 3), at + 3);
        assert_eq!(cache.flush(|other| other == name), 1, "{name}");
    }
}

#[test]
fn after_a_doubt_everybody_is_asked_about_again_and_an_outage_is_none() {
    let cache = cache(limits());
    let early = ask(&cache, 4);
    teach(&cache, "alice", right(&cache, "alice", "x"), 5);
    teach(&cache, "alice", wrong(&cache, "alice", "y"), 5);
    cache.learn(named("nobody"), ask(&cache, 5), Lesson::Nobody, Tick::new(5));
    cache.doubt(Tick::new(5));
    for (user, password) in [("alice", "x"), ("alice", "y"), ("nobody", "x")] {
        assert_eq!(said(&cache, user, password, 6), "nothing", "{user} {password}");
    }
    assert!(cache.account(named("alice"), Tick::new(6)).is_none());
    assert!(stale(&cache, "alice", "x", 6) && cache.stale_account(named("alice"), Tick::new(6)).is_some());
    answer(&cache, early, right(&cache, "alice", "z"), 7);
    assert_eq!(said(&cache, "alice", "z", 7), "nothing");
    teach(&cache, "alice", right(&cache, "alice", "x"), 6);
    assert_eq!(said(&cache, "alice", "x", 7), "right");
}

/// What the directory says that an account leaves its password to does not outlive that.
#[test]
fn where_a_password_is_kept_may_change() {
    let cache = cache(limits());
    let learn = |elsewhere: Option<State>, checked: Option<&str>, said: Said, at: u32| {
        let account = Account::named("alice");
        let elsewhere = elsewhere.map(|state| Elsewhere { directory: 1, user: account.user.clone(), state });
        let fingerprint = checked.map(|text| hash(&cache, text));
        let lesson = Lesson::Somebody { account: &account, directory: 0, elsewhere, fingerprint, said };
        cache.learn(named("alice"), ask(&cache, at), lesson, Tick::new(at));
        cache.account(named("alice"), Tick::new(at)).unwrap()
    };
    let right = || right(&cache, "alice", "x");
    let (active, off) = (Some(State::Active), Some(State::Disabled));
    // A lookup does not ask there, and leaves what is known of it.
    assert!(!learn(None, None, Said::Nothing, 0).look().is_whole());
    assert!(!learn(off, Some("there"), right(), 2).look().admits("imap", None, std::time::UNIX_EPOCH));
    let known = learn(None, None, Said::Nothing, 4);
    let entry = known.look();
    assert!(!entry.is_whole() && !entry.admits("imap", None, std::time::UNIX_EPOCH));
    assert!(learn(active, Some("there"), right(), 6).look().admits("imap", None, std::time::UNIX_EPOCH));
    assert_eq!(said(&cache, "alice", "x", 7), "right");
    // It is here again, by a lookup and by a login.
    let known = learn(None, Some("here"), Said::Nothing, 8);
    let entry = known.look();
    assert!(entry.is_whole() && entry.elsewhere().is_none());
    assert_eq!(said(&cache, "alice", "x", 8), "nothing");
    learn(off, Some("there"), Said::Nothing, 10);
    assert!(learn(None, Some("here"), right(), 12).look().is_whole());
    assert_eq!(said(&cache, "alice", "x", 13), "right");
    // And there: so that nobody takes it for one that is here.
    assert!(!learn(None, None, Said::Nothing, 14).look().is_whole());
    assert_eq!(said(&cache, "alice", "x", 15), "nothing");
}

/// Who loses one takes the time first, and may come to it late.
#[test]
fn what_was_lost_last_stays_so_when_something_is_lost_late() {
    let cache = cache(limits());
    let part = |name: &str| cache.hash(name.as_bytes(), b"").to_le_bytes()[5] % 64;
    let names: Vec<String> =
        (0..).map(|number| format!("user{number}")).filter(|name| part(name) == 7).take(2).collect();
    let [late, other] = &*names else { panic!("two") };
    for name in &names {
        teach(&cache, name, right(&cache, name, "old"), 10);
    }
    for (name, now) in [(other, 101), (late, 100)] {
        let mut large = Account::named(name);
        large.userdb = Default::default();
        large.passdb.push("x", "y".repeat(70_000));
        let lesson = Lesson::Somebody {
            account: &large,
            directory: 0,
            elsewhere: None,
            fingerprint: None,
            said: Said::Nothing,
        };
        cache.learn(named(name), cache.ask(Tick::new(now)), lesson, Tick::new(now));
    }
    teach(&cache, other, right(&cache, other, "older"), 101);
    assert_eq!(said(&cache, other, "older", 102), "nothing", "it may be older than what was lost");
    teach(&cache, other, right(&cache, other, "new"), 102);
    assert_eq!(said(&cache, other, "new", 102), "right");
}
