//! What is said of queries before anybody logs in.

use crate::{
    asking::{Auth, daemon},
    database::{Database, KINDS},
    support::{Alone, Place, Tree},
};

/// What `gatepost check` says: its exit code and its text.
fn check(gatepost: &Alone) -> (Option<i32>, String) {
    let output = gatepost.run(&["check"], "");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code(), text)
}

#[test]
fn a_query_that_cannot_give_users_is_a_mistake_in_the_configuration() {
    for kind in KINDS {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        database.sql("CREATE TABLE other (name VARCHAR(255), username VARCHAR(255), deny INT);");
        if kind == "postgres" {
            database.sql("GRANT ALL ON other TO gatepost");
        }
        let table = [
            ("SELECT name, password FROM people WHERE name = :user", "gives no column named user"),
            ("SELECT name AS user FRM people WHERE name = :user", "user_query"),
            (
                "SELECT name AS user, deny, name AS note FROM other WHERE name = :user",
                "deny is not supported",
            ),
            ("SELECT name AS user, quota FROM people WHERE name = :user", "fields.gecos needs {note}"),
        ];
        for (query, what) in table {
            let mut directory = database.directory(&database.source(), query, &place);
            directory.push_str("quota_rule = \"*:bytes={quota:-0}\"\ngecos = \"{note}\"\n");
            let gatepost = daemon(&directory, "");
            let (code, said) = check(&gatepost);
            assert_eq!(code, Some(78), "{query}: {said}");
            assert!(said.contains("gatepost.toml:") && said.contains(what), "{query}: {said}");
            let refused = gatepost.refused();
            assert_eq!(refused.code, Some(78), "{query}: {}", refused.said);
            assert!(refused.said.contains(what), "{query}: {}", refused.said);
        }
        // What is wrong with the tables may be mended while the daemon runs.
        let query = "SELECT name AS user, password FROM later WHERE name = :user";
        let gatepost = daemon(&database.directory(&database.source(), query, &place), "");
        let (code, said) = check(&gatepost);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("but for now directory people is unavailable: user_query: "), "{said}");
        let gatepost = gatepost.started();
        let mut auth = Auth::connect(&gatepost);
        let temporary = "FAIL\tuser=alice@example.test\tcode=temp_fail\ttemp";
        assert_eq!(auth.plain("alice@example.test", "wonder"), temporary);
        match kind {
            "postgres" => database.sql("ALTER TABLE people RENAME TO later"),
            _ => database.sql("ALTER TABLE people RENAME TO later;"),
        };
        assert_eq!(auth.plain("alice@example.test", "wonder"), "OK\tuser=alice@example.test");
    }
}

#[test]
fn a_database_that_is_away_is_no_mistake_in_the_configuration() {
    let place = Place::new(&Tree::bookworm());
    let query = "user_query = \"SELECT name FROM people WHERE name = :user\"\n";
    let server = |kind: &str, port: u16| {
        let address = place.port(port);
        format!(
            "[[directory]]\nname = \"{kind}\"\ntype = \"{kind}\"\nurl = \"{kind}://gp@{address}/mail\"\n{query}"
        )
    };
    let file =
        format!("[[directory]]\nname = \"sqlite\"\ntype = \"sqlite\"\nfile = \"@DIR@/none.db\"\n{query}");
    let gatepost = daemon(&(server("mysql", 13306) + &server("postgres", 15432) + &file), "");
    let (code, said) = check(&gatepost);
    assert_eq!(code, Some(0), "{said}");
    for kind in KINDS {
        assert!(said.contains(&format!("directory {kind} is unavailable")), "{said}");
    }
    let gatepost = gatepost.started();
    let said = Auth::connect(&gatepost).plain("alice@example.test", "wonder");
    assert_eq!(said, "FAIL\tuser=alice@example.test\tcode=temp_fail\ttemp");
}

/// Found when the database is asked, where it could not be before.
#[test]
fn rows_without_a_user_let_nobody_in() {
    let place = Place::new(&Tree::bookworm());
    let query = "SELECT name AS nme, password FROM people WHERE name = :user";
    let database = Database::Sqlite(&place);
    let gatepost = daemon(&database.directory(&database.source(), query, &place), "").started();
    let database = Database::start("sqlite", &place);
    let temporary = "FAIL\tuser=alice@example.test\tcode=temp_fail\ttemp";
    let mut auth = Auth::connect(&gatepost);
    crate::support::wait_until("the file is found", || {
        assert_eq!(auth.plain("alice@example.test", "wonder"), temporary);
        gatepost.log().contains("user_query: it gives no column named user")
    });
    drop(database);
}
