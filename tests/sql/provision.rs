//! Users whom a provider vouches for, made in the tables of MariaDB and PostgreSQL when they come for the first time.
//! The tokens are those of a real provider.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    database::Database,
    support::{Alone, Bearer, Lines, Place, Provider, Tree, provider::Signer, side_by_side, wait_until},
};

const LISTENERS: &str = "[sasl]
mechanisms = [\"PLAIN\", \"XOAUTH2\"]
failure_delay = \"0s\"
[[listener]]
protocol = \"dovecot-client\"
path = \"@DIR@/client\"
";

const QUERY: &str = "SELECT name AS user, quota FROM mailboxes WHERE name = :user";

/// A database without anybody in it, and who vouches for people.
struct Stage<'a> {
    database: Database<'a>,
    provider: &'a Provider<'a>,
    config: String,
}

impl<'a> Stage<'a> {
    fn set(kind: &str, place: &'a Place, provider: &'a Provider<'a>) -> Self {
        let database = Database::start(kind, place);
        database.sql(
            "CREATE TABLE mailboxes (name VARCHAR(255) PRIMARY KEY, real_name VARCHAR(40) NOT NULL, quota BIGINT NOT NULL, slept INT);",
        );
        if kind == "postgres" {
            database.sql("GRANT ALL ON mailboxes TO gatepost");
        }
        // As conf.d has it.
        let quota = if kind == "postgres" { "CAST(:claim_quota AS bigint)" } else { ":claim_quota" };
        let mut source = database.source();
        writeln!(source, "timeout = \"7s\"").unwrap();
        writeln!(
            source,
            "provision_query = \"INSERT INTO mailboxes (name, real_name, quota) VALUES (:user, :claim_name, COALESCE({quota}, 7))\""
        )
        .unwrap();
        let directory = database.directory(&source, QUERY, place);
        let config = format!("{LISTENERS}{directory}{}", provider.table(""));
        Self { database, provider, config }
    }

    /// A daemon that has been told nothing but the same.
    fn daemon(&self) -> Alone {
        Alone::new(&self.config, "").started()
    }

    /// A token of somebody at example.test, with these claims besides.
    fn token(&self, user: &str, claims: Value) -> String {
        let mut all = json!({ "email": address(user) });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.provider.forge(json!({}), all, Signer::Provider)
    }

    /// All who have a row, and what is in it.
    fn rows(&self) -> Vec<String> {
        let said = self.database.sql("SELECT name, real_name, quota FROM mailboxes ORDER BY name;");
        said.lines().map(str::to_owned).collect()
    }

    /// Has each row take two seconds, and the server count whoever waits for one as a sleeper.
    fn slow_down(&self) {
        self.before_each_row("SET NEW.slept = SLEEP(2)", "PERFORM pg_sleep(2); RETURN NEW");
    }

    /// Has the server do this before it inserts a row.
    fn before_each_row(&self, maria: &str, postgres: &str) {
        self.database.sql(&match self.database {
            // As somebody else it would show as theirs what the service user is doing.
            Database::MariaDb(_) => format!(
                "CREATE DEFINER = gatepost@localhost TRIGGER odd BEFORE INSERT ON mailboxes FOR EACH ROW {maria};"
            ),
            Database::Postgres(_) => format!(
                "CREATE OR REPLACE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {postgres}; END $$;
                 CREATE TRIGGER odd BEFORE INSERT ON mailboxes FOR EACH ROW EXECUTE FUNCTION odd();"
            ),
            Database::Sqlite(_) => panic!("a file is no server"),
        });
    }

    fn as_usual(&self) {
        let table = if let Database::Postgres(_) = self.database { " ON mailboxes" } else { "" };
        self.database.sql(&format!("DROP TRIGGER odd{table};"));
    }
}

fn address(user: &str) -> String {
    format!("{user}@example.test")
}

/// An auth-client connection.
struct Auth {
    lines: Lines,
    last: u32,
}

impl Auth {
    fn connect(gatepost: &Alone) -> Self {
        let mut lines = gatepost.connect("client");
        lines.say("VERSION\t1\t2\nCPID\t4711");
        lines.hear_until(|line| line == "DONE");
        Self { lines, last: 0 }
    }

    fn ask(&mut self, user: &str, token: &str) {
        self.last += 1;
        let response = Bearer::XOAuth2.response(&address(user), token);
        self.lines.say(&format!("AUTH\t{}\tXOAUTH2\tservice=imap\tresp={response}", self.last));
    }

    /// The next answer, without the id of its question.
    fn answer(&mut self) -> String {
        let line = self.lines.hear();
        let mut words = line.splitn(3, '\t');
        format!("{}\t{}", words.next().unwrap(), words.nth(1).unwrap_or_default())
    }

    fn login(&mut self, user: &str, token: &str) -> String {
        self.ask(user, token);
        self.answer()
    }
}

fn welcome(user: &str) -> String {
    format!("OK\tuser={}", address(user))
}

fn temporary(user: &str) -> String {
    format!("FAIL\tuser={}\tcode=temp_fail\ttemp", address(user))
}

fn with_each_server(test: impl Fn(&Stage<'_>) + Sync) {
    side_by_side(["mysql", "postgres"].map(|kind| (kind, kind)), |kind| {
        let (web, place) = (Place::new(&Tree::web()), Place::new(&Tree::bookworm()));
        let provider = Provider::start(&web);
        test(&Stage::set(kind, &place, &provider));
    });
}

#[test]
fn what_a_token_says_is_bound_whatever_it_says() {
    with_each_server(|stage| {
        let gatepost = stage.daemon();
        let mut auth = Auth::connect(&gatepost);
        let names = [
            "O'Hara",
            "\\",
            "\\'",
            "\"Al\" `ice` \\\\0 \\x27",
            "'); DROP TABLE mailboxes; --",
            "x' OR '1'='1",
            "$$ :user ? $1 %s {user} @@version",
            "'' || pg_sleep(9) || ''",
            "é 漢 🐘",
            "",
        ];
        let mut expected = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let user = format!("user{number}");
            let token = stage.token(&user, json!({ "name": name, "quota": number }));
            assert_eq!(auth.login(&user, &token), welcome(&user), "{name:?}\n{}", gatepost.log());
            expected.push(format!("{}\t{name}\t{number}", address(&user)));
        }
        // A name may hold some of that as well. What a claim is not is NULL.
        let token = stage.token("o'hara", json!({ "name": true, "quota": [1] }));
        assert_eq!(auth.login("o'hara", &token), welcome("o'hara"), "{}", gatepost.log());
        expected.insert(0, format!("{}\ttrue\t7", address("o'hara")));
        assert_eq!(stage.rows(), expected);
        let log = gatepost.log();
        assert!(!log.contains("DROP TABLE"), "what a token says is no business of the log: {log}");
    });
}

#[test]
fn of_two_daemons_that_make_somebody_at_once_one_does_and_both_let_them_in() {
    with_each_server(|stage| {
        let daemons = [stage.daemon(), stage.daemon()];
        let mut auths = daemons.each_ref().map(Auth::connect);
        // Neither has anything else to find out when it counts.
        let known = stage.token("amy", json!({ "name": "Amy" }));
        for auth in &mut auths {
            assert_eq!(auth.login("amy", &known), welcome("amy"));
        }
        stage.slow_down();
        let tokens: Vec<_> =
            (0..5).map(|n| stage.token("zoe", json!({ "name": format!("Zoe {n}") }))).collect();
        for auth in &mut auths {
            for token in &tokens {
                auth.ask("zoe", token);
            }
        }
        // One of all who have come to each: neither has seen a row.
        wait_until("both are making her", || stage.database.sleepers() == 2);
        assert_eq!(stage.rows().len(), 1);
        for (auth, daemon) in auths.iter_mut().zip(&daemons) {
            for _ in &tokens {
                assert_eq!(auth.answer(), welcome("zoe"), "{}", daemon.log());
            }
        }
        // The log is written after the answer.
        let count = |what: &str| {
            let what = format!("{what} user=\"zoe@");
            daemons.each_ref().map(|daemon| daemon.log().matches(&what).count())
        };
        let all = || (count("a user was made"), count("a user was not made"));
        wait_until("both have said what came of it", || {
            let (made, not_made) = all();
            made[0] + not_made[0] > 0 && made[1] + not_made[1] > 0
        });
        let (made, not_made) = all();
        assert_eq!([made[0] + made[1], not_made[0] + not_made[1]], [1, 1], "{}", daemons[0].log());
        let rows = stage.rows();
        assert!(rows.len() == 2 && rows[1].starts_with("zoe@example.test\tZoe "), "{rows:?}");
        for (auth, token) in auths.iter_mut().zip(&tokens) {
            assert_eq!(auth.login("zoe", token), welcome("zoe"));
        }
    });
}

#[test]
fn a_database_that_makes_nobody_has_refused_nobody() {
    with_each_server(|stage| {
        let gatepost = stage.daemon();
        let mut auth = Auth::connect(&gatepost);
        let secret = "what nobody is to read";
        let good = stage.token("zoe", json!({ "name": secret }));
        let known = stage.token("amy", json!({ "name": "Amy" }));
        assert_eq!(auth.login("amy", &known), welcome("amy"), "{}", gatepost.log());

        for (what, claims) in [
            ("a column that must not be NULL", json!({ "quota": 1 })),
            ("a NUL, which is no text", json!({ "name": "Z\0e" })),
            ("more than the column holds", json!({ "name": "long ".repeat(20) })),
            ("no number", json!({ "name": "Zoe", "quota": "much" })),
        ] {
            let token = stage.token("zoe", claims);
            assert_eq!(auth.login("zoe", &token), temporary("zoe"), "{what}\n{}", gatepost.log());
            assert_eq!(stage.rows().len(), 1, "{what}");
        }
        let rename = |from: &str, to: &str| {
            stage.database.sql(&format!("ALTER TABLE mailboxes RENAME COLUMN {from} TO {to};"));
        };
        rename("real_name", "other");
        assert_eq!(auth.login("zoe", &good), temporary("zoe"), "no such column\n{}", gatepost.log());
        rename("other", "real_name");
        stage.before_each_row(
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = NEW.real_name",
            "RAISE EXCEPTION '%', NEW.real_name",
        );
        assert_eq!(auth.login("zoe", &good), temporary("zoe"), "the server says no\n{}", gatepost.log());
        assert_eq!(auth.login("amy", &known), welcome("amy"), "who is there is not asked for");
        stage.as_usual();
        let failed = "a user was not made user=\"zoe@example.test\" directory=\"people\" provider=\"house\" \
                      reason=directory people is unavailable: provision_query: ";
        // The log is written after the answer.
        wait_until("the log has each failure", || gatepost.log().matches(failed).count() == 6);
        let log = gatepost.log();
        assert!(!log.contains(secret) && !log.contains("long long"), "{log}");

        assert_eq!(auth.login("zoe", &good), welcome("zoe"), "{}", gatepost.log());
        assert_eq!(stage.rows().len(), 2);
    });
}

#[test]
fn a_statement_that_is_killed_half_way_has_refused_nobody() {
    with_each_server(|stage| {
        let gatepost = stage.daemon();
        let mut auth = Auth::connect(&gatepost);
        let token = stage.token("zoe", json!({ "name": "Zoe" }));
        stage.slow_down();
        auth.ask("zoe", &token);
        wait_until("she is being made", || stage.database.sleepers() == 1);
        stage.database.end_connections();
        assert_eq!(auth.answer(), temporary("zoe"), "{}", gatepost.log());
        stage.as_usual();
        assert_eq!(stage.rows(), [""; 0]);
        assert_eq!(auth.login("zoe", &token), welcome("zoe"), "{}", gatepost.log());
        assert_eq!(stage.rows().len(), 1);
    });
}
