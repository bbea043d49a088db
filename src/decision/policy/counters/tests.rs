use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use tempfile::TempDir;

use super::{Charge, Cost, Counters, Over, Step};
use crate::config::{Limit, Most, Per};

mod model;

const MINUTE: Duration = Duration::from_secs(60);

/// So many mails a minute.
fn limit(messages: u64) -> Limit {
    let most = Most { messages: Some(messages), ..Most::default() };
    Limit { per: Per::User, window: MINUTE, most, suspend: None, overrides: Vec::new() }
}

/// Counters and the moment at which they began.
fn begun() -> (Counters, Instant) {
    let now = Instant::now();
    (Counters::new(now, UNIX_EPOCH + Duration::from_secs(1_800_000_000)), now)
}

/// What a mail to so many costs.
const fn to(recipients: u64, bytes: u64) -> Cost {
    Cost { messages: 1, recipients, bytes }
}

fn settle(counters: &Counters, limit: &Limit, key: &str, step: Step<'_>, now: Instant) -> Option<Over> {
    let rule: Arc<str> = "rule".into();
    let charge = Charge { rule: &rule, limit, key, cost: to(1, 1), trial: false };
    counters.settle(&[charge], step, now).pop()
}

/// Whether a mail is taken.
fn takes(counters: &Counters, limit: &Limit, key: &str, mail: u32, now: Instant) -> bool {
    settle(counters, limit, key, Step::Count(Some(&mail.to_le_bytes())), now).is_none()
}

#[test]
fn as_many_are_taken_as_may_be_and_again_when_the_window_has_moved_on() {
    let (counters, start) = begun();
    let limit = limit(3);
    let at = |seconds| start + Duration::from_secs(seconds);
    let holds = |now| settle(&counters, &limit, "anna", Step::Hold, now).is_none();
    for mail in 0..3 {
        assert!(holds(at(10)) && takes(&counters, &limit, "anna", mail, at(10)));
    }
    assert!(!holds(at(10)) && !takes(&counters, &limit, "anna", 3, at(10)));
    assert!(takes(&counters, &limit, "bob", 4, at(10)), "others are others");
    assert!(!holds(at(70)), "a minute later it is just within");
    assert!(holds(at(72)) && takes(&counters, &limit, "anna", 5, at(72)), "and no longer");
    // What was refused was not counted.
    assert!(takes(&counters, &limit, "anna", 6, at(72)) && takes(&counters, &limit, "anna", 7, at(72)));
    assert!(!takes(&counters, &limit, "anna", 8, at(72)));
}

#[test]
fn whoever_asks_again_is_told_the_same_and_not_counted_again() {
    let (counters, now) = begun();
    let limit = limit(2);
    for _ in 0..5 {
        assert!(takes(&counters, &limit, "anna", 1, now));
    }
    assert!(takes(&counters, &limit, "anna", 2, now));
    assert!(!takes(&counters, &limit, "anna", 3, now));
    let later = now + MINUTE * 2;
    assert!(!takes(&counters, &limit, "anna", 3, later), "there would be room by now");
    assert!(takes(&counters, &limit, "anna", 1, later) && takes(&counters, &limit, "anna", 4, later));
    assert!(takes(&counters, &limit, "anna", 5, later) && !takes(&counters, &limit, "anna", 6, later));
    // Without a name every mail is another one.
    let limit = limit_of(Most { recipients: Some(2), ..Most::default() });
    let unnamed = || settle(&counters, &limit, "bob", Step::Count(None), now).is_none();
    assert_eq!([unnamed(), unnamed(), unnamed()], [true, true, false]);
}

fn limit_of(most: Most) -> Limit {
    Limit { most, ..limit(0) }
}

#[test]
fn recipients_and_bytes_are_counted_too_and_what_never_fits_is_refused_for_good() {
    let (counters, now) = begun();
    let limit = limit_of(Most { messages: Some(9), recipients: Some(10), bytes: Some(1000) });
    let rule: Arc<str> = "rule".into();
    let send = |cost| {
        let charge = Charge { rule: &rule, limit: &limit, key: "anna", cost, trial: false };
        counters.settle(&[charge], Step::Count(None), now).pop().map(|over| over.for_good)
    };
    for (cost, over) in [
        (to(6, 400), None),
        (to(5, 10), Some(false)),
        (to(4, 601), Some(false)),
        (to(4, 600), None),
        (to(1, 0), Some(false)),
        (to(11, 0), Some(true)),
        (to(1, 1001), Some(true)),
    ] {
        assert_eq!(send(cost), over, "{cost:?}");
    }
}

#[test]
fn a_mail_is_counted_by_all_limits_or_by_none() {
    let (counters, now) = begun();
    let (small, large) = (limit(1), limit(3));
    let [user, domain]: [Arc<str>; 2] = ["user".into(), "domain".into()];
    let send = |login: &str, mail: u8, trial| {
        let charges = [
            Charge { rule: &domain, limit: &large, key: "@x.test", cost: to(1, 1), trial: false },
            Charge { rule: &user, limit: &small, key: login, cost: to(1, 1), trial },
        ];
        let over = counters.settle(&charges, Step::Count(Some(&[mail])), now);
        over.iter().map(|over| over.charge).collect::<Vec<_>>()
    };
    assert_eq!(send("anna", 1, false), [0; 0]);
    for mail in 2..10 {
        assert_eq!(send("anna", mail, false), [1]);
    }
    assert_eq!(send("bob", 10, false), [0; 0], "what anna was refused is not the domain's");
    assert_eq!(send("bob", 11, true), [1], "on trial it is taken and told");
    assert_eq!(send("carol", 12, false), [0]);
    assert_eq!(send("carol", 12, false), [0], "as before");
}

#[test]
fn a_limit_trips_once_in_a_window_and_suspends_for_as_long_as_it_says() {
    let (counters, start) = begun();
    let mut limit = limit(1);
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(takes(&counters, &limit, "anna", 0, at(0)));
    assert_eq!(settle(&counters, &limit, "anna", Step::Ask, at(1)).unwrap().tripped, None, "only asked");
    let tripped =
        |limit: &Limit, now| settle(&counters, limit, "anna", Step::Hold, now).map(|over| over.tripped);
    assert_eq!(tripped(&limit, at(1)).unwrap().unwrap().spent, to(1, 1));
    assert_eq!(tripped(&limit, at(2)), Some(None));
    assert_eq!(tripped(&limit, at(62)), None, "there is room");
    assert!(takes(&counters, &limit, "anna", 1, at(62)));
    limit.suspend = Some(MINUTE * 5);
    assert_eq!(tripped(&limit, at(63)).unwrap().unwrap().suspended, Some(MINUTE * 5));
    for seconds in [64, 200, 362] {
        assert_eq!(tripped(&limit, at(seconds)), Some(None), "{seconds}");
        assert!(!takes(&counters, &limit, "anna", 2 + u32::try_from(seconds).unwrap(), at(seconds)));
    }
    assert_eq!(tripped(&limit, at(363)), None);
    assert!(takes(&counters, &limit, "anna", 1000, at(363)));
}

#[test]
fn no_more_than_may_be_are_taken_however_many_ask_at_once() {
    let (counters, now) = begun();
    let (limit, taken) = (limit(100), AtomicUsize::new(0));
    thread::scope(|scope| {
        for thread in 0..32_u32 {
            let (counters, limit, taken) = (&counters, &limit, &taken);
            scope.spawn(move || {
                for number in 0..20 {
                    let mail = thread * 1000 + number;
                    let answers = [0; 3].map(|_| takes(counters, limit, "anna", mail, now));
                    assert!(answers == [true; 3] || answers == [false; 3]);
                    taken.fetch_add(usize::from(answers[0]), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 100);
}

#[test]
fn memory_is_bounded_by_keys_and_within_one() {
    let (counters, start) = begun();
    counters.set_max_keys(100);
    let limit = limit(1_000_000);
    for number in 0..10_000_u32 {
        takes(&counters, &limit, "anna", number, start + Duration::from_millis(u64::from(number) * 100));
    }
    assert_eq!(counters.held(), (1, 61));
    let now = start + Duration::from_secs(1000);
    for number in 0..1000_u32 {
        let at = now + Duration::from_millis(u64::from(number));
        takes(&counters, &limit, &format!("user{number}"), number, at);
        assert!(counters.held().0 <= 100);
    }
    // Those who were here last are still counted.
    let one = Limit { most: Most { messages: Some(1), ..Most::default() }, ..limit };
    assert!(!takes(&counters, &one, "user999", 5000, now + Duration::from_secs(1)));
    counters.sweep(now + MINUTE * 3);
    assert_eq!(counters.held().0, 0);
}

#[test]
fn what_was_sent_is_known_after_a_restart() {
    let home = TempDir::new().unwrap();
    let (start, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let limit = Limit { suspend: Some(MINUTE * 10), ..limit(2) };
    let counters = Counters::at(home.path(), start, wall);
    assert_eq!(counters.recall(start).unwrap(), 0);
    counters.write(start);
    assert_eq!(home.path().read_dir().unwrap().count(), 0, "nothing is made for nothing");
    assert!(takes(&counters, &limit, "anna", 1, start));
    counters.write(start);
    assert!(takes(&counters, &limit, "anna", 2, start + Duration::from_secs(5)));
    assert!(takes(&counters, &limit, "bob", 3, start));
    assert!(!takes(&counters, &limit, "anna", 4, start + Duration::from_secs(5)));
    counters.write(start + Duration::from_secs(5));
    let again = |after: u64| {
        let (now, wall) = (Instant::now(), wall + Duration::from_secs(after));
        let counters = Counters::at(home.path(), now, wall);
        (counters.recall(now).unwrap(), counters, now)
    };
    let (count, counters, now) = again(10);
    assert_eq!(count, 3);
    assert!(!takes(&counters, &limit, "anna", 5, now), "suspended");
    assert!(takes(&counters, &limit, "bob", 6, now) && !takes(&counters, &limit, "bob", 7, now));
    // The window is over, and the suspension is not.
    let (count, counters, now) = again(120);
    assert_eq!(count, 0);
    assert!(takes(&counters, &limit, "bob", 8, now));
    let (count, counters, now) = again(700);
    assert_eq!(count, 0);
    assert!(takes(&counters, &limit, "anna", 9, now));
    // Who is forgiven is so for good.
    let (_, counters, now) = again(10);
    assert_eq!((counters.forget("anna"), counters.forget("anna"), counters.forget("carol")), (1, 0, 0));
    assert!(takes(&counters, &limit, "anna", 10, now));
    counters.write(now);
    let (count, counters, now) = again(11);
    assert_eq!(count, 2, "one of each");
    assert!(takes(&counters, &limit, "anna", 11, now) && !takes(&counters, &limit, "anna", 12, now));
    counters.write(now);
    // A clock that was set back.
    let (_, counters, now) = again(0);
    assert!(!takes(&counters, &limit, "anna", 13, now));
}

#[test]
fn what_cannot_be_written_is_tried_again_and_what_cannot_be_read_begins_anew() {
    let home = TempDir::new().unwrap();
    let state = home.path().join("state");
    let (start, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let counters = Counters::at(&state, start, wall);
    assert!(takes(&counters, &limit(1), "anna", 1, start));
    std::fs::write(&state, "in the way").unwrap();
    counters.write(start);
    std::fs::remove_file(&state).unwrap();
    counters.write(start);
    let again = Counters::at(&state, start, wall);
    assert_eq!(again.recall(start).unwrap(), 1);
    assert!(!takes(&again, &limit(1), "anna", 2, start));
    drop(counters);
    std::fs::write(state.join("limits.db"), b"no database at all, but as long as one may be".repeat(40))
        .unwrap();
    let anew = Counters::at(&state, start, wall);
    let trouble = anew.recall(start).unwrap_err().to_string();
    assert!(!trouble.contains("user add"), "{trouble}");
    assert!(takes(&anew, &limit(1), "anna", 3, start));
}
