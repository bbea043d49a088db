//! All users at once, however many there are.

use std::{fmt::Write as _, fs, time::Instant};

use crate::{
    asking::{Auth, Master, daemon},
    database::{Database, KINDS},
    support::{Alone, Place, Tree},
};

/// How much the daemon may grow over a listing, in KiB.
const ROOM: u64 = 8 * 1024;

/// Users of a listing. `GATEPOST_CROWD` has others.
fn crowd() -> usize {
    std::env::var("GATEPOST_CROWD").map_or(200_000, |number| number.parse().unwrap())
}

/// In KiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn populate(database: &Database<'_>, many: usize) {
    database.sql(&match database {
        Database::MariaDb(_) => {
            format!("INSERT INTO people (name) SELECT CONCAT('user', LPAD(seq, 7, '0'), '@crowd.test') FROM seq_1_to_{many};")
        }
        Database::Postgres(_) => format!(
            "INSERT INTO people (name) SELECT 'user' || lpad(n::text, 7, '0') || '@crowd.test' FROM generate_series(1, {many}) n"
        ),
        Database::Sqlite(_) => format!(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {many})
             INSERT INTO people (name) SELECT printf('user%07d@crowd.test', n) FROM c;"
        ),
    });
}

/// Takes a whole listing without holding it. How many there were.
fn list(gatepost: &Alone) -> usize {
    let mut master = Master::connect(gatepost);
    master.lines.say("LIST\t1\tuser=*\tservice=doveadm");
    let mut seen = 0;
    loop {
        let line = master.lines.hear_only();
        if line.starts_with("LIST\t1\t") {
            seen += 1;
        } else {
            assert_eq!(line, "DONE\t1\t", "{}", gatepost.log());
            return seen;
        }
    }
}

#[test]
fn a_listing_of_a_crowd_takes_no_memory_to_speak_of_and_holds_nobody_up() {
    let many = crowd();
    for kind in KINDS {
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        populate(&database, many);
        let query = "SELECT name AS user, password FROM people WHERE name = :user";
        for (how, list_query) in [
            ("streamed", "SELECT name AS user FROM people"),
            ("paged", "SELECT name AS user FROM people WHERE name > :after ORDER BY name LIMIT :limit"),
        ] {
            let source = format!("{}list_query = \"{list_query}\"\nmax_connections = 1\n", database.source());
            let mut gatepost = daemon(&database.directory(&source, query, &place), "").started();
            let mut auth = Auth::connect(&gatepost);
            assert_eq!(auth.plain("alice@example.test", "wonder"), "OK\tuser=alice@example.test");
            let pid = gatepost.process().pid();
            let (before, begun) = (peak(pid), Instant::now());
            let seen = std::thread::scope(|scope| {
                let listing = scope.spawn(|| list(&gatepost));
                // One connection is enough for both.
                assert_eq!(auth.plain("alice@example.test", "wonder"), "OK\tuser=alice@example.test");
                listing.join().unwrap()
            });
            let grown = peak(pid) - before;
            eprintln!(
                "{kind}, {how}: {seen} users in {:?}, {grown} KiB more than {before} KiB",
                begun.elapsed()
            );
            assert_eq!(seen, many + 3, "{kind}, {how}");
            assert!(grown < ROOM, "{kind}, {how}: {grown} KiB more");
        }
    }
}

/// The kinds that are no databases of somebody else. A passwd-file is in memory already.
#[test]
fn a_listing_of_gateposts_own_kinds_takes_no_memory_to_speak_of_either() {
    let many = crowd();
    let mut names = String::new();
    for number in 1..=many {
        writeln!(names, "user{number:07}@crowd.test:{{PLAIN}}x::::::").unwrap();
    }
    let file = "[[directory]]\nname = \"people\"\ntype = \"passwd-file\"\nfile = \"@DIR@/users\"\n";
    let embedded = "[[directory]]\nname = \"people\"\ntype = \"sqlite\"\nfile = \"@DIR@/users.db\"\n";
    for (kind, config) in [("passwd-file", file), ("embedded", embedded)] {
        let mut gatepost = daemon(config, &names);
        let mut expected = many;
        if kind == "embedded" {
            assert!(gatepost.run(&["user", "add", "alice@example.test"], "wonder\n").status.success());
            let db = rusqlite::Connection::open(gatepost.path("users.db")).unwrap();
            let insert = format!(
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {many})
                 INSERT INTO users (name) SELECT printf('user%07d@crowd.test', n) FROM c"
            );
            db.execute_batch(&insert).unwrap();
            expected += 1;
        }
        gatepost.start();
        let pid = gatepost.process().pid();
        let (before, begun) = (peak(pid), Instant::now());
        assert_eq!(list(&gatepost), expected, "{kind}");
        let grown = peak(pid) - before;
        eprintln!("{kind}: {expected} users in {:?}, {grown} KiB more than {before} KiB", begun.elapsed());
        assert!(grown < ROOM, "{kind}: {grown} KiB more");
    }
}

#[test]
fn a_listing_that_fails_or_cannot_be_is_not_told_as_a_whole_one() {
    for kind in KINDS {
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        let query = "SELECT name AS user, password FROM people WHERE name = :user";
        for list_query in ["", "list_query = \"SELECT name AS user FROM gone\"\n"] {
            let source = format!("{}{list_query}", database.source());
            let gatepost = daemon(&database.directory(&source, query, &place), "").started();
            let mut master = Master::connect(&gatepost);
            master.lines.say("LIST\t1\tuser=*\tservice=doveadm");
            assert_eq!(master.lines.hear(), "DONE\t1\tfail", "{kind} {list_query}");
        }
    }
}
