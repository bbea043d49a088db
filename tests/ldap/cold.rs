//! Everybody at once, and gatepost knows nobody yet: what happens after a restart in the morning.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::{
    asking::{self, Auth},
    of,
    support::{
        Alone, Place, Slapd, Tree, all_at_once, cold_start, flood_of_strangers, slapd::person, wait_until,
    },
};

#[test]
fn a_thousand_logins_at_once_are_all_answered_by_as_many_binds() {
    let place = Place::new(&Tree::bookworm());
    let mut slapd = Slapd::start(&place);
    let mut people = String::new();
    for number in 0..1000 {
        write!(people, "{}", person(&format!("p{number}"), "people", &format!("secret{number}"))).unwrap();
    }
    slapd.stop();
    slapd.load(people.trim_start());
    slapd.start_again();
    let table = of(&place, &slapd)
        // Once the first poll knows where things stand, those who came before it are asked about once more.
        .with("change_poll", "0s");
    let mut gatepost: Alone = asking::daemon(&table.0, "");
    let who = |number| (format!("p{number}@example.org"), format!("secret{number}"));
    let questions = 1000 * cold_start(&mut gatepost, who);
    // One that succeeds has a second line, without a method.
    let is_bind = |line: &&str| line.contains(" BIND dn=\"uid=p") && line.contains(" method=");
    assert_eq!(slapd.log().lines().filter(is_bind).count(), questions);
    // And once more, by heart.
    let took = all_at_once(&gatepost, who);
    eprintln!("from memory: the last answer after {took:.2?}");
    assert_eq!(slapd.log().lines().filter(is_bind).count(), questions);
}

/// More strangers than may be asked about, while the server says nothing: each search waits for its time to be over.
#[test]
fn more_questions_than_may_be_asked_are_put_off_at_once_and_who_was_known_is_let_in() {
    const TIMEOUT: Duration = Duration::from_secs(4);
    const SHORT: &str = "[cache]\nttl = \"1s\"\n";

    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let times = of(&place, &slapd).with("timeout", "4s").with("connect_timeout", "3s");
    let table = times.with("change_poll", "0s");
    let gatepost: Alone = asking::daemon(&format!("{SHORT}{}", table.0), "").started();
    let mut known = Auth::connect(&gatepost);
    let mut log_in = |_: usize| {
        assert_eq!(known.plain("alice@example.org", "alice-secret"), "OK\tuser=alice@example.org");
    };
    log_in(0);
    let known = Instant::now();
    slapd.freeze();
    wait_until("what is known has run out", || known.elapsed() > Duration::from_secs(1));
    // 8192 different logins may be asked about.
    flood_of_strangers(&gatepost, TIMEOUT, 8192, log_in);
    slapd.thaw();
    wait_until("the log is written", || gatepost.log().contains("too many "));
    let mut auth = Auth::connect(&gatepost);
    wait_until("the server is asked again", || {
        auth.plain("bob@example.org", "builder") == "OK\tuser=bob@example.org"
    });
}
