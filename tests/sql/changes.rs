//! Who has changed, told by `changed_query` while nobody logs in.

use std::fmt::Write as _;

use crate::{
    database::{Database, KINDS, QUERY},
    support::{Place, Proxy, Tree, Watching, Wire, side_by_side},
};

/// People who come with the time of their last change.
struct Stamped<'a>(Database<'a>);

impl<'a> Stamped<'a> {
    fn start(kind: &str, place: &'a Place) -> Self {
        let stamped = Self(Database::start(kind, place));
        let column = match kind {
            // As in mailcow: nothing until something changes, and no better than a second.
            "mysql" => "DATETIME NULL ON UPDATE CURRENT_TIMESTAMP",
            "postgres" => "TIMESTAMPTZ",
            _ => "TEXT",
        };
        stamped.0.sql(&format!("ALTER TABLE people ADD COLUMN modified {column}"));
        stamped
    }

    fn now(&self) -> &'static str {
        match self.0.kind() {
            "mysql" => "NOW()",
            "postgres" => "now()",
            _ => "datetime('now')",
        }
    }

    fn set(&self, change: &str, user: &str) {
        let now = self.now();
        self.0
            .sql(&format!("UPDATE people SET {change}, modified = {now} WHERE name = '{user}@example.test'"));
    }

    fn add(&self, user: &str) {
        let now = self.now();
        self.0.sql(&format!("INSERT INTO people (name, password, modified) VALUES ('{user}@example.test', '{{PLAIN}}x', {now})"));
    }

    fn directory(&self, source: &str, place: &Place) -> String {
        let cast = if self.0.kind() == "postgres" { "::timestamptz" } else { "" };
        let query =
            format!("SELECT name AS user, modified AS changed FROM people WHERE modified >= :since{cast}");
        self.directory_by(source, place, &query)
    }

    fn directory_by(&self, source: &str, place: &Place, changed_query: &str) -> String {
        let mut source = source.to_owned();
        writeln!(source, "changed_query = {changed_query:?}\nchange_poll = \"100ms\"\ntimeout = \"2s\"")
            .unwrap();
        self.0.directory(&source, QUERY, place)
    }
}

#[test]
fn who_is_changed_is_told_and_nobody_else() {
    side_by_side(KINDS.map(|kind| (kind, kind)), |kind| {
        let place = Place::new(&Tree::bookworm());
        let people = Stamped::start(kind, &place);
        let watching = Watching::started(&people.directory(&people.0.source(), &place));
        assert_eq!(watching.examine(), Ok(()));
        people.set("password = '{PLAIN}other'", "alice");
        watching.tells_and_settles(&["alice@example.test"]);
        // Within one second: whatever of it was seen the first time, all of it is in the end, and soon.
        people.set("active = 0", "bob");
        watching.tells(&["bob@example.test"], 1);
        people.set("active = 1", "bob");
        watching.tells_and_settles(&["bob@example.test"]);
        people.add("dora");
        watching.tells_at_least(&["dora@example.test"]);
        watching.settles();
        people.set("name = 'eve@example.test'", "alice");
        // She was among the latest under the name that she had.
        watching.tells(&["alice@example.test", "eve@example.test"], 1);
        watching.settles();
        // The last to have changed are missed when they are gone.
        people.0.sql("DELETE FROM people WHERE name = 'eve@example.test'");
        watching.tells(&["eve@example.test"], 1);
    });
}

#[test]
fn what_happened_while_the_server_was_away_is_told_when_it_is_back() {
    side_by_side(["mysql", "postgres"].map(|kind| (kind, kind)), |kind| {
        let place = Place::new(&Tree::bookworm());
        let mut people = Stamped::start(kind, &place);
        let wire = Proxy::start(people.0.address());
        let source = format!("{}ca_file = {:?}\n", people.0.source_at(wire.address()), people.0.ca_file());
        let watching = Watching::started(&people.directory(&source, &place));
        people.set("quota = 1", "alice");
        watching.tells_and_settles(&["alice@example.test"]);
        wire.set(Wire::Refused);
        wire.cut();
        people.set("quota = 2", "bob");
        people.0.stop();
        assert_eq!(watching.told(), [""; 0]);
        people.0.start_again();
        people.set("quota = 2", "carol");
        wire.set(Wire::Open);
        watching.tells(&["bob@example.test", "carol@example.test"], 1);
    });
}

#[test]
fn what_cannot_be_named_is_everybody() {
    side_by_side(KINDS.map(|kind| (kind, kind)), |kind| {
        let place = Place::new(&Tree::bookworm());
        let people = Stamped::start(kind, &place);
        people.set("quota = 1", "alice");
        let watching = Watching::started(&people.directory(&people.0.source(), &place));
        watching.tells_and_settles(&["alice@example.test"]);
        // A backup is played back: the rows are older than what was seen.
        let old = if kind == "sqlite" { "'2001-01-01 00:00:00'" } else { "TIMESTAMP '2001-01-01 00:00:00'" };
        people.0.sql(&format!("UPDATE people SET modified = {old}"));
        watching.tells_everybody(1);
        people.set("quota = 2", "bob");
        watching.tells_at_least(&["bob@example.test"]);
        // More than can be told one by one, all at the same time; the time of those who come later is seen all the same.
        let now = people.now();
        let numbers = match kind {
            "mysql" => "SELECT seq AS n FROM seq_1_to_10100",
            "postgres" => "SELECT n FROM generate_series(1, 10100) AS n",
            _ => {
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 10100) SELECT n FROM s"
            }
        };
        let name = if kind == "mysql" {
            "CONCAT('user', n, '@example.test')"
        } else {
            "'user' || n || '@example.test'"
        };
        people.0.sql(&format!(
            "INSERT INTO people (name, modified) SELECT {name}, {now} FROM ({numbers}) AS numbers"
        ));
        watching.tells_at_least(&["*"]);
        people.set("quota = 3", "carol");
        watching.tells_at_least(&["carol@example.test"]);
        watching.settles();
        people.set("quota = 4", "alice");
        watching.tells_and_settles(&["alice@example.test"]);
    });
}

#[test]
fn a_changed_query_that_cannot_be_is_a_mistake() {
    side_by_side(KINDS.map(|kind| (kind, kind)), |kind| {
        let place = Place::new(&Tree::bookworm());
        let people = Stamped::start(kind, &place);
        let cast = if kind == "postgres" { "::timestamptz" } else { "" };
        for (columns, said) in [
            ("name, modified AS changed", "gives no column named user"),
            ("name AS user, modified AS when_it_was, 1 AS changed_by", "gives no column named changed"),
        ] {
            let query = format!("SELECT {columns} FROM people WHERE modified >= :since{cast}");
            let watching = Watching::start(&people.directory_by(&people.0.source(), &place, &query));
            let told = match watching.examine() {
                Err(misfit) => misfit,
                Ok(()) => panic!("{kind}: {query}"),
            };
            assert!(told.contains("changed_query: ") && told.contains(said), "{kind} {query}: {told}");
        }
    });
}
