//! What goes when there is no more room.

use std::{ops::Range, time::Duration};

use super::{cache, hash, limits, named, right, said, teach};
use crate::{
    account::Account,
    cache::{Cache, Lesson, Limits, Said, Tick},
};

/// Learns at once of so many that do not come back.
fn flood(cache: &Cache, at: u32, numbers: Range<u32>) {
    for number in numbers {
        let user = format!("passer-by-{number}");
        cache.learn(named(&user), cache.ask(Tick::new(at)), Lesson::Nobody, Tick::new(at));
    }
}

#[test]
fn those_in_use_stay_and_the_others_go() {
    let cache = cache(Limits { max_memory: 1 << 20, ..limits() });
    let regulars: Vec<String> = (0..500).map(|number| format!("regular{number}")).collect();
    for user in &regulars {
        teach(&cache, user, right(&cache, user, "x"), 0);
    }
    for round in 0..20 {
        for user in &regulars {
            assert_eq!(said(&cache, user, "x", 50), "right", "{user} in round {round}");
        }
        flood(&cache, 50, round * 2000..(round + 1) * 2000);
        let status = cache.status();
        assert!(status.bytes <= 1 << 20, "{status:?}");
    }
    assert!(cache.status().counts.evicted > 30_000, "{:?}", cache.status());
    assert!(cache.status().entries > 4000, "it is full: {:?}", cache.status());
    // Who is asked for no more goes in the end.
    flood(&cache, 50, 50_000..150_000);
    assert!(regulars.iter().all(|user| said(&cache, user, "x", 50) == "nothing"));
}

#[test]
fn what_nobody_can_use_any_more_goes_without_being_pushed() {
    let cache = cache(limits());
    flood(&cache, 0, 0..2000);
    flood(&cache, 1000, 2000..22_000);
    let early =
        (0..2000).filter(|at| cache.account(named(&format!("passer-by-{at}")), Tick::new(0)).is_some());
    assert_eq!(early.count(), 0);
    assert_eq!(cache.status().counts.evicted, 0);
}

#[test]
fn somebody_of_whom_there_is_too_much_pushes_nobody_out() {
    let cache = cache(Limits { max_memory: 1 << 20, ..limits() });
    for number in 0..1000 {
        let user = format!("user{number}");
        teach(&cache, &user, right(&cache, &user, "x"), 0);
    }
    let before = cache.status();
    for number in 0..200 {
        let user = format!("giant{number}");
        let mut account = Account::named(&user);
        account.userdb.push("acl", "x".repeat(20_000));
        let said = right(&cache, &user, "x");
        let lesson =
            Lesson::Somebody { account: &account, directory: 0, elsewhere: None, fingerprint: None, said };
        cache.learn(named(&user), cache.ask(Tick::new(1)), lesson, Tick::new(1));
    }
    assert_eq!(cache.status().entries, before.entries);
    // Nor does it keep a smaller one of them that is not so any more.
    teach(&cache, "giant0", Said::Nothing, 2);
    assert_eq!(cache.status().entries, before.entries + 1);
    let mut account = Account::named("giant0");
    account.passdb.push("x", "y".repeat(70_000));
    let lesson = Lesson::Somebody {
        account: &account,
        directory: 0,
        elsewhere: None,
        fingerprint: None,
        said: Said::Nothing,
    };
    cache.learn(named("giant0"), cache.ask(Tick::new(4)), lesson, Tick::new(4));
    assert_eq!(cache.status().entries, before.entries);
}

/// What had to go may have been newer than an answer that comes later.
#[test]
fn what_was_asked_before_somebody_had_to_go_is_not_taken_for_new() {
    let cache = cache(Limits { max_memory: 1 << 20, ..limits() });
    let early = cache.ask(Tick::new(0));
    teach(&cache, "alice", right(&cache, "alice", "new"), 10);
    flood(&cache, 12, 0..30_000);
    assert!(cache.account(named("alice"), Tick::new(10)).is_none());
    let account = Account::named("alice");
    let said_then = right(&cache, "alice", "old");
    let lesson = Lesson::Somebody {
        account: &account,
        directory: 0,
        elsewhere: None,
        fingerprint: None,
        said: said_then,
    };
    cache.learn(named("alice"), early, lesson, Tick::new(15));
    assert_eq!(said(&cache, "alice", "old", 20), "nothing");
    teach(&cache, "alice", right(&cache, "alice", "new"), 30);
    assert_eq!(said(&cache, "alice", "new", 30), "right");
}

#[test]
fn who_takes_much_room_finds_it_though_all_are_in_use() {
    let limit = 2 << 20;
    let cache = cache(Limits { max_memory: limit, ttl: Duration::from_secs(1 << 20), ..limits() });
    // Nobody is learnt of while somebody else has to go who was known later.
    let (count, checked) = (15_000, hash(&cache, "x"));
    for number in 0..count {
        let user = format!("user{number}");
        teach(&cache, &user, right(&cache, &user, "x"), number);
    }
    for round in 0..20 {
        let now = count + round;
        for number in 0..count {
            said(&cache, &format!("user{number}"), "x", now);
        }
        let (entries, user) = (cache.status().entries, format!("large{round}"));
        let mut account = Account::named(&user);
        account.userdb.push("home", "x".repeat(7000));
        let said_now = right(&cache, &user, "x");
        let fingerprint = Some(checked);
        let lesson = Lesson::Somebody {
            account: &account,
            directory: 0,
            elsewhere: None,
            fingerprint,
            said: said_now,
        };
        cache.learn(named(&user), cache.ask(Tick::new(now)), lesson, Tick::new(now));
        let status = cache.status();
        assert_eq!(said(&cache, &user, "x", now), "right", "in round {round}: {status:?} after {entries}");
        assert!(status.bytes <= limit, "{status:?}");
        // One part of sixty-four has lost some, not all.
        assert!(status.entries > entries - entries / 64, "{status:?} after {entries}");
    }
}

#[test]
fn after_a_flush_the_memory_is_given_back() {
    let cache = cache(limits());
    flood(&cache, 0, 0..20_000);
    let full = cache.status();
    assert_eq!((full.entries, cache.flush(|_| true)), (20_000, 20_000));
    flood(&cache, 0, 20_000..21_000);
    let after = cache.status();
    assert!(after.bytes < full.bytes / 5, "{after:?} after {full:?}");
}
