//! The same in the embedded directory.

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{
    config,
    decision::testing::configured,
    directory::{
        self,
        sqlite::{NewUser, Users},
    },
    username::Username,
};

/// A database that several daemons have in common.
struct Store {
    dir: TempDir,
    table: String,
    config: config::Directory,
}

impl Store {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let table = format!(
            "[[directory]]\nname = 'local'\ntype = 'sqlite'\nfile = '{}'\ndomains = ['x.test']\nprovision = true\n\
             [directory.provision_fields]\nhome = '/m/{{local}}'\nuid = '{{number:-5000}}'\nnote = '{{name}}'\n{PROVIDER}",
            dir.path().join("users.db").display()
        );
        let (_, config) = configured(&table, "");
        let store = Self { dir, table, config: config.directories.into_iter().next().unwrap() };
        drop(store.users());
        store
    }

    /// One of the daemons, whose providers take their time.
    fn house(&self) -> House {
        House::slow(&self.table, "", Duration::from_millis(1))
    }

    /// As another process has them.
    fn users(&self) -> Users {
        directory::users(&self.config, None, true).unwrap().unwrap()
    }

    /// Everybody with their uid and their notes.
    fn people(&self) -> Vec<String> {
        let users = self.users();
        let names = users.page("", 100).unwrap();
        let shown = names.iter().map(|name| {
            let user = Username::normalise(name.as_bytes(), None).unwrap();
            let details = users.details(&user).unwrap().unwrap();
            assert_eq!(details.scheme, None);
            let fields: Vec<_> =
                details.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{name} {} {}", details.uid.unwrap_or_default(), fields.join(" "))
        });
        shown.collect()
    }
}

#[tokio::test]
async fn who_comes_to_several_daemons_at_once_is_made_once() {
    let store = Store::new();
    let houses = [store.house(), store.house()];
    for house in &houses {
        house.say("t", Ok(token("alice", json!({ "name": "O'Hara \\ {local}" }))));
        house.say("u", Ok(token("alice", json!({ "name": "other", "number": 6000 }))));
    }
    let attempts: Vec<_> =
        (0..20).map(|number| attempt("", if number % 2 == 0 { "t" } else { "u" })).collect();
    let all = houses.iter().flat_map(|house| attempts.iter().map(move |attempt| (house, attempt)));
    let judged = all.map(|(house, attempt)| house.engine.judge(attempt, house.at(1)));
    let judged = join_all(judged).await;
    assert!(judged.iter().all(|(decision, _)| decision.outcome() == "verified"), "{judged:?}");
    let made = store.people();
    let one = ["alice@x.test 5000 note=O'Hara \\ {local}", "alice@x.test 6000 note=other"];
    assert!(made.len() == 1 && one.contains(&&*made[0]), "{made:?}");
}

#[tokio::test]
async fn who_is_added_by_another_process_in_between_comes_in_as_they_were_added() {
    let store = Store::new();
    let house = store.house();
    house.say("t", Ok(token("alice", json!({ "name": "a" }))));
    // It has added them, and nobody can see that so far, nor write.
    let other = Connection::open(store.dir.path().join("users.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; INSERT INTO users (name, uid) VALUES ('alice@x.test', 7)").unwrap();
    let attempt = attempt("", "t");
    let judging = house.engine.judge(&attempt, house.at(1));
    let memory = house.engine.memory.as_ref().unwrap();
    let interfering = async {
        while memory.cache.status().entries == 0 {
            tokio::task::yield_now().await;
        }
        let key = memory.key("alice@x.test", "imap");
        assert!(memory.cache.account(key, memory.tick()).unwrap().look().is_nobody());
        other.execute_batch("COMMIT").unwrap();
    };
    let ((decision, _), ()) = tokio::join!(judging, interfering);
    assert_eq!(decision.outcome(), "verified");
    assert_eq!(store.people(), ["alice@x.test 7 "]);
}

#[tokio::test]
async fn who_lacks_a_claim_or_has_one_that_cannot_be_is_not_made_and_nobody_has_refused_them() {
    let store = Store::new();
    let house = store.house();
    house.say("nameless", Ok(token("bob", json!({}))));
    house.say("list", Ok(token("bob", json!({ "name": ["b"] }))));
    house.say("nul", Ok(token("bob", json!({ "name": "b\0" }))));
    house.say("text", Ok(token("bob", json!({ "name": "b", "number": "twelve" }))));
    house.say("root", Ok(token("bob", json!({ "name": "b", "number": 0 }))));
    house.say("other", Ok(token("dave@y.test", json!({ "name": "d" }))));
    let judge = async |token: &str, seconds| {
        house.engine.judge(&attempt("", token), house.at(seconds)).await.0.outcome()
    };
    for token in ["nameless", "list", "nul", "text", "root"] {
        assert_eq!(judge(token, 1).await, "unavailable", "{token}");
    }
    assert_eq!(judge("other", 1).await, "no_such_user", "of a domain that nobody makes users of");
    assert_eq!(store.people(), [""; 0]);
    // By hand, a moment later.
    let bob = Username::normalise(b"bob@x.test", None).unwrap();
    store.users().add(&bob, &NewUser { uid: Some("8".to_owned()), ..NewUser::default() }).unwrap();
    assert_eq!(judge("nameless", 2).await, "verified");
    assert_eq!(store.people(), ["bob@x.test 8 "]);
}

#[tokio::test]
async fn where_the_database_cannot_be_read_nobody_is_made() {
    let store = Store::new();
    let house = store.house();
    house.say("t", Ok(token("alice", json!({ "name": "a" }))));
    std::fs::remove_file(store.dir.path().join("users.db")).unwrap();
    let judge = async |seconds| house.engine.judge(&attempt("", "t"), house.at(seconds)).await.0.outcome();
    assert_eq!(judge(1).await, "unavailable");
    assert!(!store.dir.path().join("users.db").exists());
    drop(store.users());
    assert_eq!(judge(2).await, "verified");
    assert_eq!(store.people(), ["alice@x.test 5000 note=a"]);
}
