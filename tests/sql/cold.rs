//! Everybody at once, and gatepost knows nobody yet: what happens after a restart in the morning. And a database that hangs
//! meanwhile.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::{
    asking::{Auth, daemon, plain},
    database::{Database, QUERY},
    support::{Place, Proxy, Tree, Wire, all_at_once, cold_start, flood_of_strangers, wait_until},
};

/// `secret`, each with a salt of its own in a real table; here it only has to be hashed.
const SSHA: &str = "{SSHA}gfW6CDitAo92JenYKjnio4tl5eWQ7Arv";

fn populate(database: &Database<'_>, many: usize) {
    let mut rows = String::new();
    for number in 0..many {
        let comma = if number == 0 { "" } else { "," };
        write!(rows, "{comma}('p{number}@example.test', '{SSHA}')").unwrap();
    }
    database.sql(&format!("INSERT INTO people (name, password) VALUES {rows};"));
}

fn somebody(number: usize) -> (String, String) {
    (format!("p{number}@example.test"), "secret".to_owned())
}

#[test]
fn a_thousand_logins_at_once_are_all_answered_by_as_many_questions() {
    for kind in ["mysql", "postgres"] {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        populate(&database, 1000);
        database.count_statements();
        let mut gatepost = daemon(&database.directory(&database.source(), QUERY, &place), "");
        let questions = 1000 * cold_start(&mut gatepost, somebody) as u64;
        wait_until("all of them are counted", || database.statements().executed >= questions);
        let took = all_at_once(&gatepost, somebody);
        eprintln!("from memory: the last answer after {took:.2?}");
        assert_eq!(database.statements().executed, questions, "the second time nobody asked");
    }
}

/// One person, many programs: they all log in when the network is back.
#[test]
fn a_hundred_logins_of_one_person_at_once_are_one_question() {
    let place = Place::new(&Tree::bookworm());
    let database = Database::start("mysql", &place);
    // The answer takes a while, so that all of them are there before it.
    let query = QUERY.replace("active, quota", "active, quota, SLEEP(0.5) AS slept");
    let gatepost = daemon(&database.directory(&database.source(), &query, &place), "").started();
    let mut auth = Auth::connect(&gatepost);
    let is_wrong = |id: u32| id.is_multiple_of(2);
    let lines = (1..=200).map(|id| {
        let password = if is_wrong(id) { "wrong" } else { "wonder" };
        format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={}", plain("alice@example.test", password))
    });
    auth.lines.say(&lines.collect::<Vec<_>>().join("\n"));
    for _ in 0..200 {
        let line = auth.lines.hear();
        let id: u32 = line.split('\t').nth(1).unwrap().parse().unwrap();
        let expected = if is_wrong(id) { "FAIL" } else { "OK" };
        assert_eq!(line, format!("{expected}\t{id}\tuser=alice@example.test"));
    }
    assert_eq!(database.statements().executed, 2, "one for each password");
}

/// More questions than may wait, to a database that does not answer.
#[test]
fn more_questions_than_may_be_asked_are_put_off_at_once_and_who_was_known_is_let_in() {
    const TIMEOUT: Duration = Duration::from_secs(4);
    const SHORT: &str = "[cache]\nttl = \"1s\"\n";

    let place = Place::new(&Tree::bookworm());
    let database = Database::start("mysql", &place);
    populate(&database, 100);
    let wire = Proxy::start(database.address());
    let source = format!(
        "{}ca_file = {:?}\ntimeout = \"4s\"\nconnect_timeout = \"4s\"\n",
        database.source_at(wire.address()),
        database.ca_file()
    );
    let directory = database.directory(&source, QUERY, &place);
    let gatepost = daemon(&format!("{SHORT}{directory}"), "").started();
    let mut known = Auth::connect(&gatepost);
    let mut log_in = |number: usize| {
        let (user, password) = somebody(number % 100);
        assert_eq!(known.plain(&user, password), format!("OK\tuser={user}"));
    };
    (0..100).for_each(&mut log_in);
    let known = Instant::now();
    wire.set(Wire::Silent);
    wait_until("what is known has run out", || known.elapsed() > Duration::from_secs(1));
    // 1024 wait for a connection.
    flood_of_strangers(&gatepost, TIMEOUT, 2048, log_in);
    wire.set(Wire::Open);
    let mut auth = Auth::connect(&gatepost);
    wait_until("the database is asked again", || {
        auth.plain("alice@example.test", "wonder") == "OK\tuser=alice@example.test"
    });
}
