//! What other rooms ask of a directory besides accounts.

use std::path::Path;

use gatepost::{
    config::{Config, Surroundings},
    directory::{Chain, Directory, Inquiry},
    username::Username,
};
use gatepost_protocol::secret::Secret;

use crate::{
    database::{Database, KINDS, QUERY},
    support::{Place, Tree},
};

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn directory(text: &str) -> Directory {
    let config = Config::from_texts(&[(Path::new("a.toml"), text)], &Surroundings::of_this_process(true));
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    Chain::open(&config.directories, None).unwrap().directories()[0].clone()
}

#[tokio::test]
async fn a_password_is_replaced_only_if_it_is_still_the_one_that_was_verified() {
    for kind in KINDS {
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        let keys = "update_password_query = \"UPDATE people SET password = :password WHERE name = :user AND password = :old_password\"\n";
        let directory =
            directory(&database.directory(&format!("{}{keys}", database.source()), QUERY, &place));
        assert!(directory.updates_passwords());
        let alice = Username::normalise(b"alice@example.test", None).unwrap();
        let (old, new) = (secret("{PLAIN}wonder"), secret("{PLAIN}it's new"));
        assert_eq!(directory.update_password(&alice, &old, &new).await, Ok(true), "{kind}");
        assert_eq!(
            directory.update_password(&alice, &old, &secret("{PLAIN}third")).await,
            Ok(false),
            "{kind}"
        );
        let inquiry = Inquiry { user: &alice, service: "" };
        let found = directory.lookup(&inquiry).await.unwrap();
        let gatepost::directory::Known::Account(account) = found else { panic!("{found:?}") };
        assert!(account.password.stored().is_some());
        if kind != "sqlite" {
            let stored = database.sql("SELECT password FROM people ORDER BY name");
            assert!(stored.contains("{PLAIN}it's new") && stored.contains("{PLAIN}builder"), "{stored}");
        }
    }
}

#[tokio::test]
async fn app_passwords_are_rows_with_whatever_columns_the_query_gives() {
    for kind in KINDS {
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        let name = if kind == "mysql" { "CONCAT('app', n)" } else { "'app' || n" };
        database.sql(
            "CREATE TABLE apps (n INT, owner VARCHAR(255), hash VARCHAR(255), last_used TIMESTAMP NULL);
             INSERT INTO apps (n, owner, hash) VALUES (1, 'alice@example.test', '{PLAIN}one');
             INSERT INTO apps (n, owner, hash) VALUES (2, 'alice@example.test', '{PLAIN}two');
             INSERT INTO apps (n, owner, hash) VALUES (3, 'bob@example.test', '{PLAIN}three');",
        );
        if kind == "postgres" {
            database.sql("GRANT ALL ON apps TO gatepost");
        }
        let keys = format!(
            "app_password_query = \"SELECT n AS id, hash AS password, {name} AS Label, last_used FROM apps WHERE owner = :user ORDER BY n\"\n"
        );
        let directory =
            directory(&database.directory(&format!("{}{keys}", database.source()), QUERY, &place));
        assert!(directory.has_app_passwords() && !directory.updates_passwords());
        let alice = Username::normalise(b"alice@example.test", None).unwrap();
        let rows = directory.app_passwords(&Inquiry { user: &alice, service: "imap" }).await.unwrap();
        let values: Vec<Vec<_>> = rows.iter().map(|row| row.columns().collect()).collect();
        let expected = |id: &'static str, hash: &'static str, label: &'static str| {
            vec![
                ("id", Some(id.as_bytes())),
                ("password", Some(hash.as_bytes())),
                ("label", Some(label.as_bytes())),
                ("last_used", None),
            ]
        };
        assert_eq!(
            values,
            [expected("1", "{PLAIN}one", "app1"), expected("2", "{PLAIN}two", "app2")],
            "{kind}"
        );
        let old = secret("{PLAIN}wonder");
        assert!(directory.update_password(&alice, &old, &secret("x")).await.is_err(), "{kind}");
    }
}
