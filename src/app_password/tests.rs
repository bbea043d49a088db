//! The database: what the commands write is what the daemon reads.

use std::fs;

use rusqlite::{Connection, StatementStatus};
use tempfile::TempDir;

use super::{AppPassword, AppPasswords, Details, FILE, Id, Moment, New, Records, Use, table, uses};
use crate::username::Username;

fn name(text: &str) -> Username {
    Username::normalise(text.as_bytes(), None).unwrap()
}

fn new(label: &str) -> New {
    New { label: label.to_owned(), ..New::default() }
}

struct Home {
    dir: TempDir,
    records: Records,
    passwords: AppPasswords,
}

impl Home {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let records = Records::open(&dir.path().join(FILE), true).unwrap();
        let passwords = AppPasswords::at(dir.path());
        Self { dir, records, passwords }
    }

    fn used(&self, id: Id) -> Option<Use> {
        let all = self.records.page(("", ""), 100).unwrap();
        all.into_iter().find(|details| details.id == id.as_str()).unwrap().used
    }
}

fn at(seconds: i64) -> Use {
    Use::new(Moment::of_unix(seconds), "imap", Some("::ffff:192.0.2.7".parse().unwrap()))
}

#[tokio::test]
async fn what_is_made_is_found_at_once_and_what_is_revoked_is_gone_at_once() {
    let mut home = Home::new();
    let alice = name("alice@example.org");
    let all = New {
        label: "Old phone".to_owned(),
        services: Some("imap smtp".to_owned()),
        allow_nets: Some("192.0.2.0/24".to_owned()),
        expires_at: Some(Moment::of_unix(1000)),
    };
    let password = home.records.create(&alice, &all).unwrap();
    let kept = home.passwords.find(password.id()).await.unwrap().unwrap();
    assert_eq!((kept.user.as_str(), kept.label.as_str()), ("alice@example.org", "Old phone"));
    assert_eq!(kept.digest, password.digest());
    let scope = kept.scope.unwrap();
    assert!(scope.active && scope.services.allow("imap") && !scope.services.allow("pop3"));
    assert_eq!(scope.expires_at, Some(Moment::of_unix(1000)));
    assert_eq!(scope.allow_nets.unwrap().len(), 1);

    let other = home.records.create(&alice, &new("")).unwrap();
    assert!(home.passwords.find(other.id()).await.unwrap().unwrap().scope.unwrap().services.allow("any"));
    let gone = home.records.revoke(password.id()).unwrap().unwrap();
    assert_eq!((gone.id.as_str(), gone.label.as_str()), (password.id().as_str(), "Old phone"));
    assert!(home.passwords.find(password.id()).await.unwrap().is_none());
    assert!(home.records.revoke(password.id()).unwrap().is_none());
    assert!(home.passwords.find(other.id()).await.unwrap().is_some());
    assert_eq!(home.records.revoke_all(&alice).unwrap(), 1);
    assert!(home.passwords.find(other.id()).await.unwrap().is_none());
}

#[tokio::test]
async fn no_file_is_an_outage_and_not_the_absence_of_app_passwords() {
    let mut home = Home::new();
    let password = home.records.create(&name("alice"), &new("x")).unwrap();
    let file = home.dir.path().join(FILE);
    let find = || home.passwords.find(password.id());
    assert!(find().await.unwrap().is_some());
    fs::rename(&file, home.dir.path().join("away")).unwrap();
    let unavailable = find().await.unwrap_err();
    assert!(unavailable.why.contains("no such file"), "{unavailable}");
    assert!(!file.exists(), "nothing is made");
    fs::rename(home.dir.path().join("away"), &file).unwrap();
    assert!(find().await.unwrap().is_some());
    let other = TempDir::new().unwrap();
    fs::write(other.path().join(FILE), "").unwrap();
    let empty = AppPasswords::at(other.path()).find(password.id()).await.unwrap_err();
    assert!(empty.why.contains("empty"), "{empty}");
    assert!(AppPasswords::none().find(password.id()).await.unwrap().is_none());
    // To whoever looks whether all is well, an empty file is a fault, and none at all a daemon that is new.
    assert!(AppPasswords::at(other.path()).look().await.is_some());
    fs::remove_file(other.path().join(FILE)).unwrap();
    assert!(AppPasswords::at(other.path()).look().await.is_none());
    assert!(home.passwords.look().await.is_none());
}

#[test]
fn the_table_holds_nothing_that_logs_in() {
    let mut home = Home::new();
    let password = home.records.create(&name("alice"), &new("x")).unwrap();
    let text = password.text().replace('-', "");
    let secret = text.get(10..30).unwrap();
    for entry in fs::read_dir(home.dir.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

/// What SQLite does to find one row, in steps of its machine, is the same among 1 and among 10,000.
#[test]
fn ten_thousand_app_passwords_of_a_user_cost_what_one_costs() {
    let steps = |db: &Connection, id: Id| {
        let mut statement = db.prepare(table::FIND).unwrap();
        assert!(statement.exists([id.as_str()]).unwrap());
        statement.get_status(StatementStatus::VmStep)
    };
    let mut few = Home::new();
    let only = few.records.create(&name("alice"), &new("only")).unwrap();
    let db = Connection::open(few.dir.path().join(FILE)).unwrap();
    let expected = steps(&db, only.id());

    let many = Home::new();
    let mut db = Connection::open(many.dir.path().join(FILE)).unwrap();
    let change = db.transaction().unwrap();
    let mut ids = Vec::new();
    for _ in 0..10_000 {
        let password = AppPassword::random().unwrap();
        if table::insert(&change, &password, "alice", &new("one of many"), Moment::of_unix(0)).unwrap() {
            ids.push(password.id());
        }
    }
    change.commit().unwrap();
    assert!(ids.len() > 9_900, "so few ids are free?");
    for id in [ids[0], ids[5_000], ids[ids.len() - 1]] {
        assert_eq!(steps(&db, id), expected);
    }
    let plan: String =
        db.query_row(&format!("EXPLAIN QUERY PLAN {}", table::FIND), ["x"], |row| row.get(3)).unwrap();
    assert!(plan.starts_with("SEARCH app_passwords USING PRIMARY KEY (id=?)"), "{plan}");
}

#[test]
fn listings_come_in_pages_and_in_order() {
    let mut home = Home::new();
    for user in ["carol", "alice", "bob"] {
        for label in ["a", "b", "c"] {
            home.records.create(&name(user), &new(label)).unwrap();
        }
    }
    let mut seen: Vec<Details> = Vec::new();
    loop {
        let after = seen.last().map_or(("", ""), |last| (last.user.as_str(), last.id.as_str()));
        let page = home.records.page(after, 2).unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| (&a.user, &a.id).cmp(&(&b.user, &b.id)));
    assert_eq!((seen.len(), &seen), (9, &sorted));
    let first = home.records.page_of(&name("bob"), "", 2).unwrap();
    let rest = home.records.page_of(&name("bob"), &first[1].id, 2).unwrap();
    assert_eq!([first, rest].concat(), seen[3..6]);
}

#[tokio::test]
async fn the_last_use_is_written_with_others_and_the_latest_stays() {
    let mut home = Home::new();
    let ids = ["a", "b"].map(|label| home.records.create(&name("alice"), &new(label)).unwrap().id());
    for seconds in [30, 50, 40] {
        home.passwords.used(ids[0], at(seconds));
    }
    assert_eq!(home.used(ids[0]), None, "nothing is written yet");
    home.passwords.flush().await;
    let used = home.used(ids[0]).unwrap();
    assert_eq!(
        used,
        Use { at: Moment::of_unix(50), service: "imap".into(), remote: Some("192.0.2.7".into()) }
    );
    assert_eq!(home.used(ids[1]), None);
    home.passwords.used(ids[0], at(20));
    home.passwords.flush().await;
    assert_eq!(home.used(ids[0]).unwrap().at, Moment::of_unix(50), "another daemon has noted a later one");
}

#[tokio::test]
async fn what_cannot_be_written_is_written_later() {
    let mut home = Home::new();
    let id = home.records.create(&name("alice"), &new("a")).unwrap().id();
    let file = home.dir.path().join(FILE);
    fs::rename(&file, home.dir.path().join("away")).unwrap();
    home.passwords.used(id, at(30));
    home.passwords.flush().await;
    assert!(!file.exists(), "nothing is made");
    fs::rename(home.dir.path().join("away"), &file).unwrap();
    home.passwords.flush().await;
    assert_eq!(home.used(id).unwrap().at, Moment::of_unix(30));
}

#[test]
fn no_more_uses_are_held_than_there_is_room_for() {
    let uses = uses::Uses::default();
    for number in 0..uses::MOST + 10 {
        let text: String = (0..6)
            .map(|digit| char::from(b'a' + u8::try_from((number >> (3 * digit)) & 7).unwrap()))
            .collect();
        uses.note(Id::parse(&text).unwrap(), at(1));
    }
    assert_eq!(uses.held(), uses::MOST);
}
