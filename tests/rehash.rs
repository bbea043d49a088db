//! Hashes that get better as people log in: tables of somebody else, in the daemon's own engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use gatepost::{
    config::{Config, Surroundings},
    daemon,
    decision::{Attempt, Engine},
    mechanism::{Claim, Credential, Mechanism},
};
use gatepost_protocol::secret::Secret;
use rusqlite::Connection;

const WEAK: &str = "{SSHA}gfW6CDitAo92JenYKjnio4tl5eWQ7Arv";

/// A foreign database with one table, where `a@example.org` has the alias `b@example.org`, and both passwords are
/// "secret".
fn tables(file: &Path) -> Connection {
    let db = Connection::open(file).unwrap();
    db.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE mailbox (username TEXT PRIMARY KEY, alias TEXT, pw TEXT);
         INSERT INTO mailbox VALUES ('a@example.org', 'b@example.org', '{WEAK}'), ('c@example.org', NULL, '{WEAK}');"
    ))
    .unwrap();
    db
}

fn engine(file: &Path, more: &str) -> Engine {
    let text = format!(
        "[server]\nstate_dir = '/nonexistent'\nruntime_dir = '/nonexistent'\n\
         [[directory]]\nname = 'mail'\ntype = 'sqlite'\nfile = {file:?}\n\
         user_query = 'SELECT username AS user, pw AS password FROM mailbox WHERE :user IN (username, alias)'\n{more}"
    );
    let config = Config::from_texts(&[(Path::new("test.toml"), &text)], &Surroundings::none());
    daemon::engine(&config.unwrap_or_else(|problems| panic!("{problems}"))).unwrap()
}

async fn log_in(engine: &Engine, user: &str, password: &str) -> &'static str {
    let credential = Credential::Password(Secret::new(password.as_bytes().to_vec()));
    let attempt = Attempt {
        claim: Claim { authzid: None, authcid: user.as_bytes().to_vec(), credential },
        mechanism: Mechanism::Plain,
        service: "imap".into(),
        remote: None,
        session: None,
        hop: Default::default(),
    };
    engine.decide(&attempt, SystemTime::now()).await.outcome()
}

fn stored(db: &Connection, user: &str) -> String {
    db.query_row("SELECT pw FROM mailbox WHERE username = ?1", [user], |line| line.get(0)).unwrap()
}

#[tokio::test]
async fn an_update_query_puts_the_better_hash_in_the_place_of_the_old_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mail.db");
    let db = tables(&file);
    let update = "update_password_query = 'UPDATE mailbox SET pw = :password WHERE username = :user AND pw = :old_password'\n";
    let engine = engine(&file, &format!("rehash = 'BLF-CRYPT'\n{update}"));
    assert_eq!(log_in(&engine, "a@example.org", "wrong").await, "rejected");
    // By another name of theirs.
    assert_eq!(log_in(&engine, "b@example.org", "secret").await, "verified");
    let deadline = Instant::now() + Duration::from_secs(20);
    while stored(&db, "a@example.org") == WEAK {
        assert!(Instant::now() < deadline, "it stays as it was");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        stored(&db, "a@example.org").starts_with("{BLF-CRYPT}$2y$10$"),
        "{}",
        stored(&db, "a@example.org")
    );
    assert_eq!(log_in(&engine, "a@example.org", "secret").await, "verified");
    assert_eq!(log_in(&engine, "a@example.org", "wrong").await, "rejected");
    assert_eq!(stored(&db, "c@example.org"), WEAK, "nobody else's");
}
