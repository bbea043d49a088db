//! What a directory that is a server can do wrong: nobody is refused for it, nobody waits longer than configured, and
//! nobody has to restart anything afterwards.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    asking::{Auth, daemon, plain},
    database::Database,
    support::{Alone, FORGETFUL, Place, Proxy, Tree, Wire, wait_until},
};

/// `timeout` of the directories here, and what a busy machine may add.
const TIMEOUT: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_millis(700);

/// How soon after the return of its source a directory answers again.
const HEALED: Duration = Duration::from_secs(5);

const TEMPORARY: &str = "FAIL\tuser=alice@example.test\tcode=temp_fail\ttemp";
const WELCOME: &str = "OK\tuser=alice@example.test";

/// A server behind a wire, and the daemon at the other end.
struct Stage<'a> {
    database: Database<'a>,
    wire: Proxy,
    gatepost: Alone,
}

impl<'a> Stage<'a> {
    /// All traffic is in TLS.
    fn set(kind: &str, place: &'a Place) -> Self {
        let database = Database::start(kind, place);
        let wire = Proxy::start(database.address());
        let (sleep, text) = if kind == "mysql" { ("SLEEP", "") } else { ("pg_sleep", "::text") };
        // Sleepers take a second, and Rip van Winkle does not wake up.
        let query = format!(
            "SELECT name AS user, password, active,
             CASE :service WHEN 'sleepy' THEN {sleep}(1){text} WHEN 'winkle' THEN {sleep}(30){text} END AS slept
             FROM people WHERE name = :user"
        );
        let source = format!(
            "{}ca_file = {:?}\ntimeout = \"2s\"\nconnect_timeout = \"1s\"\nmax_connections = 4\n",
            database.source_at(wire.address()),
            database.ca_file()
        );
        // What memory does for people meanwhile is shown elsewhere (`stale`).
        let gatepost = daemon(&(database.directory(&source, &query, place) + FORGETFUL), "").started();
        let stage = Self { database, wire, gatepost };
        stage.heals("at the start");
        stage
    }

    fn alice(&self, password: &str) -> (String, Duration) {
        self.alice_at("imap", password)
    }

    fn alice_at(&self, service: &str, password: &str) -> (String, Duration) {
        let mut auth = Auth::connect(&self.gatepost);
        let begun = Instant::now();
        let said = auth.with(&format!("service={service}"), &plain("alice@example.test", password));
        (said, begun.elapsed())
    }

    /// Fifty logins at once: what is said to them, and how long it takes until all know.
    fn many(&self) -> (Vec<String>, Duration) {
        let mut auth = Auth::connect(&self.gatepost);
        let begun = Instant::now();
        let response = plain("alice@example.test", "wonder");
        let many: Vec<String> =
            (1..=50).map(|id| format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={response}")).collect();
        auth.lines.say(&many.join("\n"));
        let said = (1..=50).map(|_| auth.lines.hear()).collect();
        (said, begun.elapsed())
    }

    /// Right and wrong passwords are answered alike, in time, again and again, and by many at once.
    fn is_unavailable(&self, what: &str) {
        for password in ["wonder", "wrong", "wonder"] {
            let (said, took) = self.alice(password);
            assert_eq!(said, TEMPORARY, "{what}, {password}:\n{}", self.gatepost.log());
            assert!(took < TIMEOUT + SLACK, "{what}: {took:?}");
        }
        let (said, took) = self.many();
        for line in said {
            assert!(line.starts_with("FAIL\t") && line.ends_with("\tcode=temp_fail\ttemp"), "{what}: {line}");
        }
        assert!(took < TIMEOUT + SLACK, "{what}: {took:?}");
    }

    /// Soon everybody gets in again, and stays in.
    fn heals(&self, what: &str) {
        let begun = Instant::now();
        wait_until("the directory answers again", || {
            let (said, _) = self.alice("wonder");
            assert!(said == WELCOME || said == TEMPORARY, "{what}: {said}");
            said == WELCOME
        });
        assert!(begun.elapsed() < HEALED, "{what}: {:?}", begun.elapsed());
        for _ in 0..10 {
            assert_eq!(self.alice("wonder").0, WELCOME, "{what}:\n{}", self.gatepost.log());
        }
        assert_eq!(self.alice("wrong").0, "FAIL\tuser=alice@example.test", "{what}");
    }
}

fn with_each_server(test: impl Fn(&mut Stage<'_>)) {
    for kind in ["mysql", "postgres"] {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        test(&mut Stage::set(kind, &place));
    }
}

#[test]
fn no_outage_of_the_wire_is_a_wrong_password() {
    with_each_server(|stage| {
        for line in [Wire::Refused, Wire::Silent, Wire::Garbage] {
            let what = format!("{line:?}");
            stage.wire.set(line);
            if line == Wire::Garbage {
                // Those that were made before would go on.
                stage.wire.cut();
            }
            stage.is_unavailable(&what);
            stage.wire.set(Wire::Open);
            stage.heals(&what);
        }
    });
}

#[test]
fn a_server_that_is_away_or_refuses_the_service_is_no_wrong_password() {
    with_each_server(|stage| {
        stage.database.stop();
        stage.is_unavailable("stopped");
        stage.database.start_again();
        stage.heals("started again");

        stage.database.set_service_password("other");
        stage.database.end_connections();
        stage.is_unavailable("the service user has another password");
        stage.database.set_service_password("service");
        stage.heals("the service user has the password again");
    });
}

/// Connections that the server no longer knows of, and others that were ended: nobody notices.
#[test]
fn old_connections_that_are_dead_cost_no_login() {
    with_each_server(|stage| {
        for round in 0..3 {
            stage.wire.forget();
            let (said, took) = stage.alice("wonder");
            assert_eq!(said, WELCOME, "half-open, {round}:\n{}", stage.gatepost.log());
            assert!(took < Duration::from_secs(2), "half-open, {round}: {took:?}");
            let (said, took) = stage.alice("wonder");
            assert!(said == WELCOME && took < Duration::from_millis(500), "{said} {took:?}");

            // All of them at once, and more logins than there may be connections.
            for dead in [false, true] {
                if dead {
                    stage.wire.forget();
                }
                let (said, took) = stage.many();
                let welcome = said.iter().filter(|line| line.starts_with("OK\t")).count();
                assert_eq!(welcome, 50, "half-open, {round}:\n{}", stage.gatepost.log());
                assert!(took < Duration::from_secs(2), "half-open, {round}: {took:?}");
            }

            assert!(stage.database.end_connections() > 0);
            assert_eq!(stage.alice("wonder").0, WELCOME, "ended by the server, {round}");
            stage.wire.cut();
            assert_eq!(stage.alice("wonder").0, WELCOME, "cut, {round}");
        }
    });
}

#[test]
fn a_question_that_is_killed_is_asked_again_and_one_that_never_ends_is_given_up_and_stopped() {
    with_each_server(|stage| {
        // Over a connection that has been used before.
        for what in ["by the server", "by the wire"] {
            thread::scope(|scope| {
                let asking = scope.spawn(|| stage.alice_at("sleepy", "wonder"));
                wait_until("the question is being answered", || stage.database.sleepers() > 0);
                match what {
                    "by the server" => assert!(stage.database.end_connections() > 0),
                    _ => stage.wire.cut(),
                }
                let (said, took) = asking.join().unwrap();
                assert_eq!(said, WELCOME, "killed {what}:\n{}", stage.gatepost.log());
                assert!(took < TIMEOUT + SLACK, "killed {what}: {took:?}");
            });
        }
        // Slow is not dead.
        for _ in 0..2 {
            let (said, took) = stage.alice_at("sleepy", "wonder");
            assert!(said == WELCOME && took >= Duration::from_secs(1), "{said} {took:?}");
        }
        for password in ["wonder", "wrong"] {
            let (said, took) = stage.alice_at("winkle", password);
            assert_eq!(said, TEMPORARY, "{password}");
            assert!(took < TIMEOUT + SLACK, "{took:?}");
        }
        let begun = Instant::now();
        wait_until("the server has stopped as well", || stage.database.sleepers() == 0);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        stage.heals("after questions without an end");
    });
}

/// PostgreSQL refuses a statement that was prepared for another shape of its table.
#[test]
fn a_table_that_changes_costs_no_login() {
    with_each_server(|stage| {
        let changes = match stage.database.kind() {
            "mysql" => {
                ["ALTER TABLE people MODIFY active BIGINT", "ALTER TABLE people MODIFY active VARCHAR(9)"]
            }
            _ => [
                "ALTER TABLE people ALTER active TYPE BIGINT",
                "ALTER TABLE people ALTER active TYPE VARCHAR(9)",
            ],
        };
        for change in changes {
            stage.database.sql(change);
            assert_eq!(stage.alice("wonder").0, WELCOME, "{change}\n{}", stage.gatepost.log());
        }
    });
}
