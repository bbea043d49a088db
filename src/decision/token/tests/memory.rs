use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use serde_json::json;

use super::{DIRECTORIES, House, PEOPLE, attempt, house, of, rejected, start, unavailable};
use crate::{
    decision::{Now, Recollection},
    oidc::{How, NotVouched, TokenFault, Vouched, scripted::vouched},
};

const HIT: (&str, &str) = ("verified", "hit");
const ASKED: (&str, &str) = ("verified", "asked");

#[test]
fn a_token_is_asked_about_once_for_as_long_as_it_is_good() {
    let house = house();
    house.good("t", "alice", 300);
    assert_eq!(house.judge(&attempt("alice", "t"), 0), ASKED);
    for seconds in [0, 1, 100, 290, 299] {
        assert_eq!(house.judge(&attempt("alice", "t"), seconds), HIT, "at {seconds}");
    }
    for seconds in [300, 301, 5000] {
        assert_eq!(house.judge(&attempt("alice", "t"), seconds), ("token_rejected", "hit"), "at {seconds}");
    }
    assert_eq!(house.providers.asked(), 1);
    // Other tokens of the same user are other tokens.
    house.good("u", "alice", 600);
    assert_eq!(house.judge(&attempt("alice", "u"), 1), ASKED);
    assert_eq!(house.judge(&attempt("alice", "v"), 1), ("token_rejected", "asked"));
    assert_eq!(house.judge(&attempt("alice", "u"), 2), HIT);
}

/// Who that is, is told by [`House::decide`]: whoever is let in at once is let in by judgement too.
#[test]
fn who_shows_a_known_token_is_let_in_at_once_and_who_is_out_of_the_ordinary_is_judged() {
    let house = house();
    let users = ["alice", "bob", "shared", "off", "late", "out", "pop", "net", "shut", "left", "lost"];
    for user in users {
        house.good(user, user, 3600);
    }
    house.good("al", "al", 3600);
    house.good("short", "alice", 50);
    let at_once = |name: &str, token: &str, seconds| {
        let before = house.at_once.get();
        house.judge(&attempt(name, token), seconds);
        house.at_once.get() > before
    };
    let full = |name: &str| format!("{name}@x.test");
    for user in users {
        assert!(!at_once(&full(user), user, 1), "{user}: nobody knew that");
        let expected = ["alice", "bob", "shared"].contains(&user);
        assert_eq!(at_once(&full(user), user, 1), expected, "{user}");
    }
    // Another spelling or name, an alias, no name, somebody else; a token that is known for another domain.
    for (name, token) in [
        ("alice", "alice"),
        ("Alice@x.test", "alice"),
        ("", "alice"),
        ("bob@x.test", "alice"),
        ("al@x.test", "alice"),
        ("al@x.test", "al"),
        ("alice@x.test", "al"),
        ("alice@x.test*admin", "alice"),
    ] {
        house.judge(&attempt(name, token), 1);
        assert!(!at_once(name, token, 1), "{name} with the token of {token}");
    }
    assert!(!at_once("alice@x.test", "short", 1) && at_once("alice@x.test", "short", 49));
    assert!(!at_once("alice@x.test", "short", 50), "it has ended");
    assert!(!at_once("alice@x.test", "unheard of", 1) && !at_once("alice@x.test", "unheard of", 1));
    house.engine.revoke(b"alice", house.at(2)).now_or_never().unwrap().unwrap();
    assert!(!at_once("alice@x.test", "alice", 3), "it was revoked");
}

/// Who is asked may depend on it, so that an answer for one domain says nothing about another.
#[test]
fn a_token_that_is_shown_for_another_domain_is_asked_about_again() {
    let house = house();
    house.good("t", "alice", 300);
    for (name, from) in
        [("alice", "asked"), ("al", "hit"), ("", "asked"), ("", "hit"), ("alice@x.test", "hit")]
    {
        assert_eq!(house.judge(&attempt(name, "t"), 1), ("verified", from), "{name:?}");
    }
    assert_eq!(house.judge(&attempt("alice@y.test", "t"), 1), ("token_of_another", "asked"));
    assert_eq!(house.judge(&attempt("bob@y.test", "t"), 1), ("token_of_another", "hit"));
}

#[test]
fn a_dead_token_is_refused_from_memory_and_not_for_long() {
    let house = house();
    assert_eq!(house.judge(&attempt("alice", "t"), 0), ("token_rejected", "asked"));
    for seconds in [0, 30, 59] {
        assert_eq!(house.judge(&attempt("alice", "t"), seconds), ("token_rejected", "hit"));
    }
    house.good("t", "alice", 300);
    assert_eq!(house.judge(&attempt("alice", "t"), 61), ASKED);
    assert_eq!(house.judge(&attempt("alice", "t"), 62), HIT);
    // Its provider says how long that holds.
    let until = Some(start() + Duration::from_secs(105));
    let why = TokenFault::Inactive;
    house.say("early", Err(NotVouched::Rejected { provider: None, why, until }));
    assert_eq!(house.judge(&attempt("alice", "early"), 100).1, "asked");
    assert_eq!(house.judge(&attempt("alice", "early"), 104).1, "hit");
    house.good("early", "alice", 300);
    assert_eq!(house.judge(&attempt("alice", "early"), 105), ASKED);
}

#[test]
fn a_token_that_lives_longer_is_asked_about_again_ahead_of_time() {
    let house = house();
    house.good("t", "alice", 3600);
    assert_eq!(house.judge(&attempt("alice", "t"), 0), ASKED);
    let refresh = |seconds| match house.decide(&attempt("alice", "t"), seconds).1 {
        Some(Recollection::Hit { refresh }) => refresh,
        other => panic!("{other:?} at {seconds}"),
    };
    assert!(!refresh(190));
    assert!(refresh(262), "in the last quarter of it");
    assert!(!refresh(262), "one is enough");
    house.engine.refresh_token_at(&attempt("alice", "t"), house.at(262));
    assert_eq!(house.providers.asked(), 2);
    assert_eq!(house.judge(&attempt("alice", "t"), 450), HIT);
    // It was revoked at its provider.
    house.say("t", rejected(TokenFault::Inactive));
    house.engine.refresh_token_at(&attempt("alice", "t"), house.at(450));
    assert_eq!(house.judge(&attempt("alice", "t"), 451), ("token_rejected", "hit"));
    // A signed one is checked when it is needed.
    house.say("signed", Ok(Vouched { how: How::Jwt, ..of("alice", 3600) }));
    assert_eq!(house.judge(&attempt("alice", "signed"), 0), ASKED);
    let (_, recollection) = house.decide(&attempt("alice", "signed"), 262);
    assert_eq!(recollection, Some(Recollection::Hit { refresh: false }));
    assert_eq!(house.judge(&attempt("alice", "signed"), 300), ASKED);
}

#[test]
fn an_outage_of_the_provider_is_no_verdict() {
    let house = house();
    house.good("t", "alice", 3600);
    house.say("signed", Ok(Vouched { how: How::Jwt, ..of("alice", 3600) }));
    house.good("short", "alice", 320);
    for token in ["t", "signed", "short"] {
        assert_eq!(house.judge(&attempt("alice", token), 0), ASKED);
    }
    for token in ["t", "signed", "short", "new"] {
        house.say(token, unavailable());
    }
    for (token, seconds, expected) in [
        ("t", 200, HIT),
        ("t", 310, ("verified", "stale")),
        ("t", 359, ("verified", "stale")),
        ("t", 362, ("unavailable", "asked")),
        ("signed", 310, ("unavailable", "asked")),
        ("short", 319, ("verified", "stale")),
        // It has ended, outage or not.
        ("short", 320, ("token_rejected", "hit")),
        ("new", 1, ("unavailable", "asked")),
        ("new", 1, ("unavailable", "asked")),
    ] {
        assert_eq!(house.judge(&attempt("alice", token), seconds), expected, "{token} at {seconds}");
    }
    house.good("t", "alice", 3600);
    assert_eq!(house.judge(&attempt("alice", "t"), 363), ASKED, "not remembered");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_answer_in_time_is_not_waited_for() {
    let house = House::slow(DIRECTORIES, PEOPLE, Duration::from_secs(3600));
    house.good("t", "alice", 3600);
    let (decision, _) = house.engine.judge(&attempt("alice", "t"), house.at(0)).await;
    assert_eq!(decision.outcome(), "unavailable");
}

#[tokio::test]
async fn a_hundred_who_show_one_token_cost_one_question() {
    let house = House::slow(DIRECTORIES, PEOPLE, Duration::from_millis(50));
    house.good("t", "alice", 300);
    house.good("u", "bob", 300);
    let attempts: Vec<_> = (0..100).map(|_| attempt("alice", "t")).collect();
    let judged = join_all(attempts.iter().map(|attempt| house.engine.judge(attempt, house.at(0)))).await;
    assert!(judged.iter().all(|(decision, _)| decision.outcome() == "verified"));
    assert_eq!(house.providers.asked(), 1);
    // Nobody is told what another token came to.
    let tokens = ["u", "v", "w", "u", "v"];
    let attempts: Vec<_> = tokens.iter().map(|token| attempt("bob", token)).collect();
    let judged = join_all(attempts.iter().map(|attempt| house.engine.judge(attempt, house.at(0)))).await;
    let outcomes: Vec<_> = judged.iter().map(|(decision, _)| decision.outcome()).collect();
    let (good, dead) = ("verified", "token_rejected");
    assert_eq!(outcomes, [good, dead, dead, good, dead]);
    assert_eq!(house.providers.asked(), 4);
}

#[tokio::test]
async fn who_waited_for_somebody_who_went_away_is_answered() {
    let house = House::slow(DIRECTORIES, PEOPLE, Duration::from_millis(20));
    house.good("t", "alice", 300);
    let (first, second) = (attempt("alice", "t"), attempt("alice", "t"));
    let mut gone = Box::pin(house.engine.judge(&first, house.at(0)));
    assert!(futures_util::poll!(&mut gone).is_pending());
    let mut waits = Box::pin(house.engine.judge(&second, house.at(0)));
    assert!(futures_util::poll!(&mut waits).is_pending());
    drop(gone);
    assert_eq!(waits.await.0.outcome(), "verified");
    assert_eq!(house.providers.asked(), 2);
}

/// What is asked before a flush is for who came before it.
#[tokio::test]
async fn who_comes_after_a_flush_is_not_told_what_was_asked_before_it() {
    let house = House::slow(DIRECTORIES, PEOPLE, Duration::from_millis(20));
    let (first, second) = (attempt("alice", "t"), attempt("alice", "t"));
    let mut before = Box::pin(house.engine.judge(&first, house.at(0)));
    assert!(futures_util::poll!(&mut before).is_pending());
    house.good("t", "alice", 300);
    house.engine.flush(|_| true);
    let mut after = Box::pin(house.engine.judge(&second, house.at(0)));
    assert!(futures_util::poll!(&mut after).is_pending(), "it waits all the same");
    assert_eq!(before.await.0.outcome(), "token_rejected");
    assert_eq!(after.await.0.outcome(), "verified");
    assert_eq!(house.engine.judge(&second, house.at(1)).await.1, Some(Recollection::Hit { refresh: false }));
}

#[test]
fn a_flush_forgets_the_tokens_of_whom_it_is_about() {
    let house = house();
    for (token, user) in [("a", "alice"), ("al", "al"), ("b", "bob")] {
        house.good(token, user, 300);
        assert_eq!(house.judge(&attempt("", token), 0), ASKED);
    }
    assert_eq!(house.judge(&attempt("", "dead"), 0), ("token_rejected", "asked"));
    let whom = house.engine.whom(b"alice");
    // Two tokens, one of them by the name that their user has besides; the rest is what is known of names.
    assert_eq!(house.engine.flush_tokens(|name| whom.includes(name)), 2);
    for (token, from) in [("a", "asked"), ("al", "asked"), ("b", "hit")] {
        assert_eq!(house.judge(&attempt("", token), 1), ("verified", from), "{token}");
    }
    assert_eq!(house.judge(&attempt("", "dead"), 1).1, "asked", "something may have been mended");
    house.engine.flush_all_of(&[]);
    assert_eq!(house.judge(&attempt("", "b"), 2), ASKED);
}

/// Whatever the clock on the wall is set to.
#[test]
fn a_clock_that_is_set_back_gives_no_token_more_time() {
    let house = house();
    house.good("t", "alice", 200);
    assert_eq!(house.judge(&attempt("alice", "t"), 0), ASKED);
    let back = Now { wall: start(), instant: house.at(201).instant };
    let attempt = attempt("alice", "t");
    let (decision, _) = house.engine.judge(&attempt, back).now_or_never().unwrap();
    assert_eq!(decision.outcome(), "token_rejected");
}

#[test]
fn what_is_known_of_tokens_is_counted_and_bounded() {
    let house = house();
    house.good("t", "alice", 300);
    house.judge(&attempt("alice", "t"), 0);
    house.judge(&attempt("alice", "t"), 1);
    house.judge(&attempt("alice", "dead"), 1);
    house.judge(&attempt("alice", "dead"), 1);
    let tokens = house.engine.memory_status().unwrap().tokens;
    let counts = tokens.counts;
    assert_eq!((tokens.entries, counts.hits, counts.negative_hits, counts.misses), (2, 1, 1, 2));
    let long = "x".repeat(500);
    for number in 0..20_000 {
        let claims = json!({});
        house.say(&format!("{number}"), Ok(vouched(&long, start() + Duration::from_secs(300), claims)));
        house.judge(&attempt("alice", &format!("{number}")), 1);
        house.judge(&attempt("alice", "t"), 1);
    }
    let tokens = house.engine.memory_status().unwrap().tokens;
    assert!(tokens.bytes <= super::LIMITS.max_memory / 8 && tokens.counts.evicted > 0, "{tokens:?}");
    assert_eq!(house.judge(&attempt("alice", "t"), 2), HIT, "it is in use");
}

/// What a secret is made of is not kept: neither in what is remembered, nor in what is said of it.
#[test]
fn a_token_is_nowhere_in_what_is_kept_of_it() {
    let house = house();
    house.good("sesame-open", "alice", 300);
    let attempt = attempt("alice", "sesame-open");
    let (decision, _) = house.decide(&attempt, 0);
    for text in [format!("{decision:?}"), format!("{:?}", house.engine), format!("{attempt:?}")] {
        assert!(!text.contains("sesame"), "{text}");
    }
    let _ = Arc::clone(&house.providers);
}
