//! Tables of Postfix's in each kind of database: the same queries, as they stand in Postfix's own files.

use crate::{
    asking::daemon,
    database::{Database, KINDS},
    support::{Alone, Place, Tree},
};

/// What leads where; `it's` and the others are values and never SQL.
const ALIASES: &str = "
CREATE TABLE alias (address VARCHAR(255) NOT NULL, goto VARCHAR(255), priority INT);
INSERT INTO alias VALUES ('sales@example.test', 'alice@example.test', 1);
INSERT INTO alias VALUES ('sales@example.test', NULL, 2);
INSERT INTO alias VALUES ('sales@example.test', '', 3);
INSERT INTO alias VALUES ('sales@example.test', 'bob@example.test', 4);
INSERT INTO alias VALUES ('it''s@example.test', 'quoted@example.test', 1);
INSERT INTO alias VALUES ('@example.test', 'everybody@example.test', 1);
INSERT INTO alias VALUES ('straße@example.test', 'street@example.test', 1);
";

/// Behind the directory.
const MAPS: &str = r#"[directory.maps]
plain = "SELECT goto FROM alias WHERE address = '%s' ORDER BY priority"
named = "SELECT goto FROM alias WHERE address = :key ORDER BY priority"
virtual_alias_maps = "SELECT goto FROM alias WHERE address = '%s' ORDER BY priority"
both = "SELECT goto, priority FROM alias WHERE address = '%s' AND goto <> '' ORDER BY priority"
parts = "SELECT goto FROM alias WHERE address = '%u@%d' ORDER BY priority"
label = "SELECT goto FROM alias WHERE address = 'sales@%2.%1' ORDER BY priority"
formatted = { query = "SELECT goto FROM alias WHERE address = '%s' ORDER BY priority", result_format = "smtp:[%d]:%U" }
one = { query = "SELECT goto FROM alias WHERE address = '%s' ORDER BY priority", expansion_limit = 1 }
"#;

fn query(gatepost: &Alone, map: &str, key: &str) -> (Option<i32>, String) {
    let output = gatepost.run(&["map", "query", map, key], "");
    (output.status.code(), String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

#[test]
fn the_same_queries_give_the_same_in_each_database() {
    for kind in KINDS {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        database.sql(ALIASES);
        if kind == "postgres" {
            database.sql("GRANT ALL ON alias TO gatepost");
        }
        let users = "SELECT name AS user, password FROM people WHERE name = :user";
        let directory = database.directory(&database.source(), users, &place) + MAPS;
        let gatepost = daemon(&directory, "").started();
        let all = "alice@example.test,bob@example.test";
        for (map, key, expected) in [
            ("plain", "sales@example.test", Some(all)),
            ("plain", "Sales@Example.Test", Some(all)),
            ("plain", "sales+x@example.test", None),
            ("plain", "it's@example.test", Some("quoted@example.test")),
            ("plain", "' OR '1'='1", None),
            ("plain", "\\' OR 1=1 -- ", None),
            ("plain", "%@example.test", None),
            ("plain", "STRASSE@example.test", None),
            ("plain", "straße@example.test", Some("street@example.test")),
            ("named", "sales@example.test", Some(all)),
            ("virtual_alias_maps", "sales+x@example.test", Some("alice+x@example.test,bob+x@example.test")),
            ("virtual_alias_maps", "nobody+x@example.test", Some("everybody@example.test")),
            ("both", "sales@example.test", Some("alice@example.test,1,bob@example.test,4")),
            ("parts", "sales@example.test", Some(all)),
            ("parts", "sales", None),
            ("parts", "@example.test", None),
            ("label", "nobody@mail.example.test", Some(all)),
            ("label", "nobody@test", None),
            ("formatted", "sales@example.test", Some("smtp:[example.test]:sales,smtp:[example.test]:sales")),
            ("one", "it's@example.test", Some("quoted@example.test")),
        ] {
            let expected = match expected {
                Some(value) => (Some(0), format!("found: {value}")),
                None => (Some(1), "not found".to_owned()),
            };
            assert_eq!(query(&gatepost, map, key), expected, "{map} of {key:?}");
        }
        let (code, said) = query(&gatepost, "one", "sales@example.test");
        assert!(code == Some(75) && said.contains("expansion_limit"), "{said}");
    }
}

#[test]
fn a_query_that_cannot_be_is_a_mistake_in_the_configuration() {
    for kind in KINDS {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        let users = "SELECT name AS user, password FROM people WHERE name = :user";
        let directory = database.directory(&database.source(), users, &place);
        let gatepost = daemon(
            &(directory + "[directory.maps]\naliases = \"SELECT goto FRM alias WHERE a = '%s'\"\n"),
            "",
        );
        let output = gatepost.run(&["check"], "");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("gatepost.toml:") && said.contains("maps.aliases: "), "{said}");
    }
}
