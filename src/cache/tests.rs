mod evict;
mod learn;
mod model;
mod weight;

use std::time::{Duration, Instant};

use super::{Cache, Digest, Fingerprint, Key, Lesson, Limits, Recall, Said, Tick};
use crate::account::Account;

/// In ticks, as [`limits`] has them.
const TTL: u32 = 800;
const NEGATIVE: u32 = 100;
const STALE: u32 = 5000;

fn limits() -> Limits {
    let of = |ticks: u32| Duration::from_millis(u64::from(ticks) * 100);
    Limits { ttl: of(TTL), negative_ttl: of(NEGATIVE), max_stale: of(STALE), max_memory: 64 << 20 }
}

fn cache(limits: Limits) -> Cache {
    Cache::new(limits, Instant::now()).unwrap().unwrap()
}

fn named(user: &str) -> Key<'_> {
    Key { user, service: "" }
}

fn digest(cache: &Cache, user: &str, password: &str) -> Digest {
    cache.digester().password(user, password.as_bytes())
}

fn hash(cache: &Cache, text: &str) -> Fingerprint {
    cache.digester().stored(|sink| sink(text.as_bytes()))
}

/// Has it learnt at once what a directory says of an account of this name.
fn teach(cache: &Cache, user: &str, said: Said, at: u32) {
    teach_by(cache, user, said, at, cache.digester().check(b"bind"));
}

fn teach_by(cache: &Cache, user: &str, said: Said, at: u32, checked: Fingerprint) {
    let (account, now) = (Account::named(user), Tick::new(at));
    let lesson = Lesson::Somebody {
        account: &account,
        directory: 0,
        elsewhere: None,
        fingerprint: Some(checked),
        said,
    };
    cache.learn(named(user), cache.ask(now), lesson, now);
}

fn right(cache: &Cache, user: &str, password: &str) -> Said {
    Said::Right(digest(cache, user, password))
}

fn wrong(cache: &Cache, user: &str, password: &str) -> Said {
    Said::Wrong(digest(cache, user, password))
}

/// What it says, in a word.
fn said(cache: &Cache, user: &str, password: &str, at: u32) -> &'static str {
    match cache.recall(named(user), &digest(cache, user, password), Tick::new(at), |_| Some(())) {
        Recall::Nothing => "nothing",
        Recall::Nobody => "nobody",
        Recall::Wrong => "wrong",
        Recall::Right { .. } => "right",
    }
}

fn stale(cache: &Cache, user: &str, password: &str, at: u32) -> bool {
    cache.stale(named(user), &digest(cache, user, password), Tick::new(at)).is_some()
}

#[test]
fn what_is_remembered_lasts_as_long_as_it_may() {
    let cache = cache(limits());
    teach(&cache, "alice", right(&cache, "alice", "x"), 10);
    teach(&cache, "alice", wrong(&cache, "alice", "y"), 20);
    cache.learn(named("nobody"), cache.ask(Tick::new(10)), Lesson::Nobody, Tick::new(15));
    let last = 10 + TTL - TTL / 8 - 1;
    for (user, password, at, expected) in [
        ("alice", "x", 20, "right"),
        ("alice", "y", 20, "wrong"),
        ("alice", "z", 20, "nothing"),
        ("alice", "", 20, "nothing"),
        ("bob", "x", 20, "nothing"),
        ("alic", "ex", 20, "nothing"),
        ("alice", "y", 20 + NEGATIVE - 1, "wrong"),
        ("alice", "y", 20 + NEGATIVE, "nothing"),
        ("alice", "x", last, "right"),
        ("alice", "x", 10 + TTL, "nothing"),
        ("nobody", "x", 10 + NEGATIVE - 1, "nobody"),
        ("nobody", "", 10 + NEGATIVE - 1, "nobody"),
        ("nobody", "x", 10 + NEGATIVE, "nothing"),
    ] {
        assert_eq!(said(&cache, user, password, at), expected, "{user} {password:?} at {at}");
    }
    for (user, password, at, expected) in [
        ("alice", "x", 20, true),
        ("alice", "x", 10 + TTL + STALE - 1, true),
        ("alice", "x", 10 + TTL + STALE, false),
        ("alice", "y", 20, false),
        ("alice", "z", 20, false),
        ("nobody", "x", 20, false),
    ] {
        assert_eq!(stale(&cache, user, password, at), expected, "{user} {password:?} at {at}");
    }
    let known = |user, at| cache.account(named(user), Tick::new(at)).map(|entry| !entry.look().is_nobody());
    for (user, at, expected) in [
        ("alice", 20 + TTL - TTL / 8 - 1, Some(true)),
        ("alice", 20 + TTL, None),
        ("nobody", 20, Some(false)),
        ("nobody", 10 + NEGATIVE, None),
        ("bob", 20, None),
    ] {
        assert_eq!(known(user, at), expected, "{user} at {at}");
    }
    let stale = |user, at| cache.stale_account(named(user), Tick::new(at)).is_some();
    assert!(
        stale("alice", 20 + TTL + STALE - 1) && !stale("alice", 20 + TTL + STALE) && !stale("nobody", 20)
    );
}

#[test]
fn times_are_up_to_an_eighth_shorter_and_not_all_the_same() {
    let cache = cache(limits());
    let ends: Vec<u32> = (0..200)
        .map(|number| {
            let user = format!("user{number}");
            teach(&cache, &user, right(&cache, &user, "x"), 0);
            (0..).find(|&at| said(&cache, &user, "x", at) == "nothing").unwrap()
        })
        .collect();
    assert!(ends.iter().all(|end| (TTL - TTL / 8..=TTL).contains(end)), "{ends:?}");
    let (first, last) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
    assert!(last - first > TTL / 16, "{first} to {last}");
}

#[test]
fn one_at_a_time_asks_ahead_and_late_in_its_time() {
    let cache = cache(limits());
    teach(&cache, "alice", right(&cache, "alice", "x"), 0);
    let wants =
        |at: u32| match cache
            .recall(named("alice"), &digest(&cache, "alice", "x"), Tick::new(at), |_| Some(()))
        {
            Recall::Right { refresh, .. } => refresh,
            Recall::Nothing | Recall::Nobody | Recall::Wrong => panic!("known until {at}"),
        };
    assert!((0..TTL / 2).all(|at| !wants(at)));
    let end = TTL - TTL / 8;
    let asked: Vec<u32> = (TTL / 2..end).filter(|&at| wants(at)).collect();
    assert!(asked.first().is_some_and(|&at| at >= end - end / 4 - 1), "{asked:?}");
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{asked:?}");
    assert_eq!(cache.status().counts.refreshes, u64::try_from(asked.len()).unwrap());
    // Where the answer is there, it is early in its time again.
    teach(&cache, "alice", right(&cache, "alice", "x"), end - 1);
    assert!(!wants(end + TTL / 2));
}

#[test]
fn what_has_happened_is_counted() {
    let cache = cache(limits());
    teach(&cache, "alice", right(&cache, "alice", "x"), 0);
    cache.learn(named("nobody"), cache.ask(Tick::new(0)), Lesson::Nobody, Tick::new(0));
    assert_eq!(said(&cache, "alice", "x", 1), "right");
    assert_eq!(said(&cache, "nobody", "x", 1), "nobody");
    assert_eq!(said(&cache, "carol", "x", 1), "nothing");
    cache.missed(named("carol"));
    assert!(stale(&cache, "alice", "x", TTL + 1));
    assert!(cache.account(named("alice"), Tick::new(1)).is_some());
    assert!(cache.account(named("carol"), Tick::new(1)).is_none());
    let status = cache.status();
    assert_eq!((status.entries, status.max_memory), (2, 64 << 20));
    let counts = status.counts;
    assert_eq!((counts.hits, counts.negative_hits, counts.misses), (1, 1, 2));
    assert_eq!((counts.stale, counts.lookups, counts.evicted), (1, 1, 0));
}

#[test]
fn without_a_time_to_live_nothing_is_kept() {
    assert!(Cache::new(Limits { ttl: Duration::ZERO, ..limits() }, Instant::now()).unwrap().is_none());
    let brief = cache(Limits { ttl: Duration::from_millis(1), negative_ttl: Duration::ZERO, ..limits() });
    teach(&brief, "alice", right(&brief, "alice", "x"), 3);
    teach(&brief, "alice", wrong(&brief, "alice", "y"), 4);
    brief.learn(named("nobody"), brief.ask(Tick::new(3)), Lesson::Nobody, Tick::new(3));
    for (user, password) in [("alice", "x"), ("alice", "y"), ("nobody", "x")] {
        assert_eq!(said(&brief, user, password, 4), "nothing", "{user} {password}");
    }
}

#[test]
fn times_that_are_longer_than_can_be_told_do_not_wrap() {
    let ever = Duration::MAX;
    let cache = cache(Limits { ttl: ever, negative_ttl: ever, max_stale: ever, max_memory: usize::MAX });
    teach(&cache, "alice", right(&cache, "alice", "x"), u32::MAX - 1);
    teach(&cache, "alice", wrong(&cache, "alice", "y"), u32::MAX);
    for at in [u32::MAX - 1, u32::MAX] {
        assert_eq!(said(&cache, "alice", "x", at), "right");
        assert_eq!(said(&cache, "alice", "y", at), "wrong");
    }
    assert!(stale(&cache, "alice", "x", u32::MAX));
    cache.doubt(Tick::new(u32::MAX));
    assert_eq!(said(&cache, "alice", "x", u32::MAX), "nothing");
}
