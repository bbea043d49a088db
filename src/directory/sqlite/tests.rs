mod provision;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::prelude::*;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{AddError, NewUser, QUEUE, Trouble, Users};
use crate::{
    account::State,
    config,
    directory::{
        Directory, Kind, Known, make_embedded,
        tests::{config, inquiry, kind_of, name, names, the_account},
        users,
    },
};

struct Fixture {
    config: config::Directory,
    path: PathBuf,
    _home: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let path = home.path().join("users.db");
        let config = config(&format!(
            "[[directory]]\nname = 'local'\ntype = 'sqlite'\nfile = '{}'\ndomains = ['example.org']\n",
            path.display()
        ));
        Self { config, path, _home: home }
    }

    fn users(&self) -> Users {
        users(&self.config, None, true).unwrap().unwrap()
    }

    fn directory(&self) -> Directory {
        Directory::open(&self.config, None).unwrap()
    }
}

fn with_password(text: &str) -> NewUser {
    NewUser { password: Some(Zeroizing::new(text.to_owned())), ..NewUser::default() }
}

/// What a lookup says: the password's scheme, "none", "unusable", "unknown" or "unavailable".
async fn ask(directory: &Directory, user: &str) -> String {
    match directory.lookup(&inquiry(&name(user))).await {
        Ok(Known::Account(account)) => kind_of(&account.password),
        Ok(Known::Nobody) => "unknown".to_owned(),
        Ok(Known::Several) => "several".to_owned(),
        Err(_) => "unavailable".to_owned(),
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn what_an_administrator_adds_is_what_a_login_finds() {
    let fixture = Fixture::new();
    let fields = pairs(&[
        ("active", "no"),
        ("allow_nets", "192.0.2.0/24"),
        ("pop3", "no"),
        ("quota_rule", "*:bytes=1\t2"),
        ("forward_a", "b"),
    ]);
    let new = NewUser {
        uid: Some("5000".to_owned()),
        gid: Some("daemon".to_owned()),
        home: Some("/m/alice".to_owned()),
        fields,
        ..with_password("{PLAIN}secret")
    };
    fixture.users().add(&name("alice@example.org"), &new).unwrap();
    let account = the_account(fixture.directory().lookup(&inquiry(&name("alice@example.org"))).await);
    assert!(account.password.stored().unwrap().matches(b"secret").unwrap());
    assert_eq!(account.state, State::Disabled);
    assert!(!account.services.allow("pop3") && account.services.allow("imap"));
    assert!(!account.admits("198.51.100.1".parse().ok()));
    assert_eq!(
        account.userdb.as_fields().raw(),
        b"uid=5000\tgid=1\thome=/m/alice\tquota_rule=*:bytes=1\x01t2"
    );
    assert_eq!(account.passdb.as_fields().raw(), b"forward_a=b");
}

#[tokio::test]
async fn another_name_of_somebody_has_their_mailbox_and_its_own_password() {
    let fixture = Fixture::new();
    let mut users = fixture.users();
    let home = |home: &str, fields: &[(&str, &str)]| NewUser {
        home: Some(home.to_owned()),
        fields: pairs(fields),
        ..with_password("{PLAIN}secret")
    };
    let alias = home("/m/sales", &[("user", "Alice@example.org"), ("x", "y")]);
    users.add(&name("sales@example.org"), &alias).unwrap();
    let found = |account: Arc<crate::account::Account>| {
        let userdb = String::from_utf8(account.userdb.as_fields().raw().to_vec()).unwrap();
        format!("{} {userdb} {:?}", account.user, account.state)
    };
    let directory = fixture.directory();
    let sales = || async { found(the_account(directory.lookup(&inquiry(&name("sales@example.org"))).await)) };
    assert_eq!(sales().await, "alice@example.org home=/m/sales\tx=y Active", "as long as there is no other");
    assert_eq!(names(directory.list()).await, [Ok("sales@example.org".to_owned())]);
    users.add(&name("alice@example.org"), &home("/m/alice", &[("active", "no")])).unwrap();
    assert_eq!(names(directory.list()).await, [Ok("alice@example.org".to_owned())], "once, with two names");
    assert_eq!(users.page("", 10).unwrap().len(), 2, "whoever keeps them sees both");
    assert_eq!(sales().await, "alice@example.org home=/m/alice Disabled");
    let elsewhere = users.add(&name("x@example.org"), &home("/x", &[("user", "root@other.test")]));
    assert!(matches!(elsewhere, Err(AddError::Bad(_))), "a domain that is not its own");
}

#[tokio::test]
async fn changes_are_seen_by_readers_that_are_open() {
    let fixture = Fixture::new();
    let (mut users, directory) = (fixture.users(), fixture.directory());
    let alice = name("alice@example.org");
    assert_eq!(ask(&directory, "alice@example.org").await, "unknown");
    users.add(&alice, &with_password("{PLAIN}a")).unwrap();
    assert_eq!(ask(&directory, "alice@example.org").await, "PLAIN");
    assert!(matches!(users.add(&alice, &with_password("{PLAIN}b")), Err(AddError::Exists)));
    assert!(users.set_password(&alice, "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=").unwrap());
    assert_eq!(ask(&directory, "alice@example.org").await, "SHA1");
    assert!(users.delete(&alice).unwrap());
    assert_eq!(ask(&directory, "alice@example.org").await, "unknown");
    assert!(!users.delete(&alice).unwrap() && !users.set_password(&alice, "{PLAIN}a").unwrap());
    users.add(&alice, &NewUser::default()).unwrap();
    assert_eq!(ask(&directory, "alice@example.org").await, "none");
    assert_eq!(users.details(&alice).unwrap().unwrap().fields, [], "nothing of the deleted one is left");
}

#[tokio::test]
async fn a_missing_or_broken_file_is_an_outage_until_it_is_whole() {
    let fixture = Fixture::new();
    let directory = fixture.directory();
    let user = "alice@example.org";
    assert_eq!(ask(&directory, user).await, "unavailable");
    assert!(!fixture.path.exists(), "a lookup makes no file");
    assert_eq!(names(directory.list()).await, [Err("local".to_owned())]);
    fixture.users().add(&name(user), &with_password("{PLAIN}a")).unwrap();
    assert_eq!(ask(&directory, user).await, "PLAIN");
    let aside = fixture.path.with_file_name("aside");
    fs::rename(&fixture.path, &aside).unwrap();
    assert_eq!(ask(&directory, user).await, "unavailable", "although the old file is still open");
    for broken in ["", "not a database"] {
        fs::write(&fixture.path, broken).unwrap();
        assert_eq!(ask(&directory, user).await, "unavailable", "{broken:?}");
    }
    fs::rename(&aside, &fixture.path).unwrap();
    assert_eq!(ask(&directory, user).await, "PLAIN");
}

#[tokio::test]
async fn the_embedded_default_is_made_at_the_start_and_a_configured_file_is_not() {
    let mut fixture = Fixture::new();
    let state_dir = fixture.path.parent().unwrap().to_owned();
    make_embedded(std::slice::from_ref(&fixture.config), &state_dir).unwrap();
    assert!(!fixture.path.exists());
    fixture.config.place = None;
    make_embedded(std::slice::from_ref(&fixture.config), Path::new("/elsewhere")).unwrap();
    assert_eq!(ask(&fixture.directory(), "alice@example.org").await, "unknown");
}

#[tokio::test]
async fn an_account_that_cannot_be_is_refused_when_it_is_added_and_unavailable_when_it_is_there() {
    let fixture = Fixture::new();
    let mut users = fixture.users();
    let user = name("alice@example.org");
    let bad: &[(&str, &str)] = &[
        ("allow_nets", "nonsense"),
        ("imap", "maybe"),
        ("active", "maybe"),
        ("nopassword", "y"),
        ("uid", "7"),
        ("password", "{PLAIN}a"),
        ("a=b", "c"),
        ("master_user", "root"),
    ];
    for (field, value) in bad {
        let new = NewUser { fields: pairs(&[(field, value)]), ..NewUser::default() };
        let AddError::Bad(why) = users.add(&user, &new).unwrap_err() else { panic!("{field}") };
        assert!(!why.contains("nonsense") && !why.contains("{PLAIN}"), "{why}");
    }
    let twice = NewUser { fields: pairs(&[("quota", "1"), ("quota", "2")]), ..NewUser::default() };
    assert!(matches!(users.add(&user, &twice), Err(AddError::Bad(_))));
    assert!(matches!(users.add(&user, &with_password("{NO-SUCH}a")), Err(AddError::Bad(_))));
    for uid in ["0", "root", "no-such-user-here"] {
        let new = NewUser { uid: Some(uid.to_owned()), ..NewUser::default() };
        assert!(matches!(users.add(&user, &new), Err(AddError::Bad(_))), "{uid}");
    }
    assert!(!users.has(&user).unwrap());

    users.add(&user, &with_password("{PLAIN}a")).unwrap();
    assert!(users.set_password(&user, "{NO-SUCH}a").unwrap(), "as another program might");
    let directory = fixture.directory();
    assert_eq!(ask(&directory, "alice@example.org").await, "unusable");
    assert_eq!(ask(&directory, "bob@example.org").await, "unknown", "the others are not touched");
    assert!(users.details(&user).unwrap().unwrap().unavailable.is_some());
}

#[tokio::test]
async fn listings_come_in_pages_and_hold_what_the_directory_serves() {
    let fixture = Fixture::new();
    let users = fixture.users();
    drop(users);
    let db = super::schema::open_to_write(&fixture.path).unwrap();
    let count = 3 * i64::from(super::reader::PAGE) + 7;
    db.execute_batch(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO users (name) SELECT 'user' || i || '@example.org' FROM n;
         INSERT INTO users (name) VALUES ('other@example.net'), ('NotNormal@example.org'), ('a b@example.org')"
    ))
    .unwrap();
    let directory = fixture.directory();
    let listed = names(directory.list()).await;
    assert_eq!(listed.len(), usize::try_from(count).unwrap());
    assert!(listed.iter().all(|name| name.as_ref().unwrap().ends_with("@example.org")));
    let mut dropped = directory.list();
    dropped.recv().await.unwrap().unwrap();
    drop(dropped);
    assert_eq!(ask(&directory, "user1@example.org").await, "none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_users_while_others_are_written() {
    let fixture = Fixture::new();
    let directory = fixture.directory();
    let both = NewUser { fields: pairs(&[("one", "1"), ("two", "2")]), ..with_password("{PLAIN}a") };
    fixture.users().add(&name("alice@example.org"), &both).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (mut users, done) = (fixture.users(), Arc::clone(&done));
        move || {
            let alice = name("alice@example.org");
            for _ in 0..50 {
                assert!(users.delete(&alice).unwrap());
                users.add(&alice, &both).unwrap();
            }
            done.store(true, Ordering::Release);
        }
    });
    let (mut found, mut lookups) = (0, 0);
    while !done.load(Ordering::Acquire) {
        lookups += 1;
        if let Known::Account(account) = directory.lookup(&inquiry(&name("alice@example.org"))).await.unwrap()
        {
            assert_eq!(account.userdb.as_fields().raw(), b"one=1\ttwo=2");
            found += 1;
        }
    }
    writer.join().unwrap();
    assert!(lookups > 0 && ask(&directory, "alice@example.org").await == "PLAIN", "{found} of {lookups}");
}

#[tokio::test]
async fn a_full_queue_and_a_dead_reader_are_outages() {
    let fixture = Fixture::new();
    fixture.users();
    let directory = fixture.directory();
    let Kind::Sqlite(database) = &directory.0.kind else { panic!("not sqlite") };
    let (jobs, queue) = std::sync::mpsc::sync_channel(QUEUE);
    let stuck = super::Sqlite { jobs, path: PathBuf::new(), maker: None };
    let mut waiting = Vec::new();
    for _ in 0..QUEUE {
        let mut lookup = Box::pin(stuck.page(String::new()));
        assert!(futures_util::poll!(&mut lookup).is_pending());
        waiting.push(lookup);
    }
    assert_eq!(stuck.page(String::new()).await.unwrap_err(), "too many lookups are waiting");
    drop(queue);
    for lookup in waiting {
        assert_eq!(lookup.await.unwrap_err(), "a reader failed");
    }
    assert_eq!(database.page(String::new()).await, Ok((Vec::new(), None)), "the real one goes on");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_reader_that_hangs() {
    let (jobs, _queue) = std::sync::mpsc::sync_channel(1);
    let stuck = super::Sqlite { jobs, path: PathBuf::new(), maker: None };
    assert!(stuck.lookup(&name("a@example.org")).await.unwrap_err().starts_with("no answer within"));
}

#[test]
fn names_and_values_are_bound_never_pasted() {
    let fixture = Fixture::new();
    let mut users = fixture.users();
    let injections =
        ["x' OR '1'='1", "x'; DROP TABLE users; --", "x\" OR 1=1", "%", "_", "' UNION SELECT 1--", "x\0y"];
    let all: Vec<String> = (0..=255u8).map(|byte| format!("a{}b", char::from(byte))).collect();
    users.add(&name("victim@example.org"), &with_password("{PLAIN}v")).unwrap();
    for (number, text) in injections.iter().map(|text| (*text).to_owned()).chain(all).enumerate() {
        let user = name(&format!("user{number}@example.org"));
        let new = NewUser {
            home: Some(text.clone()),
            fields: vec![("note".to_owned(), text.clone())],
            ..with_password("{PLAIN}a")
        };
        users.add(&user, &new).unwrap();
        let details = users.details(&user).unwrap().unwrap();
        assert_eq!((details.home.as_deref(), details.fields[0].1.as_str()), (Some(&*text), &*text));
        assert!(users.page(&text, 1000).unwrap().len() <= number + 2);
    }
    let victim = users.details(&name("victim@example.org")).unwrap().unwrap();
    assert_eq!((victim.home, victim.fields), (None, Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_name_finds_itself_and_nobody_else(raw in proptest::collection::vec(any::<u8>(), 1..12)) {
        thread_local! {
            static SHARED: Fixture = {
                let fixture = Fixture::new();
                fixture.users().add(&name("alice@example.org"), &with_password("{PLAIN}a")).unwrap();
                fixture
            };
        }
        // Whatever gets through normalisation, and a little more: the table itself is asked.
        if let Ok(user) = crate::username::Username::normalise(&raw, None) {
            SHARED.with(|fixture| {
                let mut users = fixture.users();
                let was_there = users.has(&user).unwrap();
                prop_assert!(!was_there);
                users.add(&user, &NewUser::default()).unwrap();
                prop_assert!(users.has(&user).unwrap());
                prop_assert_eq!(users.page("", 10).unwrap().len(), 2);
                prop_assert!(users.delete(&user).unwrap());
                Ok(())
            })?;
        }
    }
}

#[test]
fn a_database_of_a_later_version_is_told_apart_from_a_missing_one() {
    let fixture = Fixture::new();
    let open = |create| users(&fixture.config, None, create).unwrap();
    assert!(matches!(open(false), Err(Trouble::Missing)));
    drop(open(true).unwrap());
    set_version(&fixture.path, 99);
    let Err(trouble) = open(true) else { panic!("opened") };
    assert!(trouble.to_string().contains("version 99"), "{trouble}");
}

fn set_version(path: &Path, version: i64) {
    rusqlite::Connection::open(path).unwrap().pragma_update(None, "user_version", version).unwrap();
}

#[tokio::test]
async fn a_stored_password_is_replaced_only_while_it_is_the_old_one() {
    let fixture = Fixture::new();
    fixture.users().add(&name("a@example.org"), &with_password("{PLAIN}secret")).unwrap();
    let directory = fixture.directory();
    let replace = async |user: &str, old: &[u8], new: &[u8]| {
        let secret = |text: &[u8]| gatepost_protocol::secret::Secret::new(text.to_vec());
        directory.update_password(&name(user), &secret(old), &secret(new)).await
    };
    assert!(directory.updates_passwords());
    assert_eq!(replace("a@example.org", b"{PLAIN}other", b"{SHA}x").await, Ok(false));
    assert_eq!(replace("b@example.org", b"{PLAIN}secret", b"{SHA}x").await, Ok(false));
    assert_eq!(replace("a@example.org", b"{PLAIN}secret\xff", b"{SHA}x").await, Ok(false));
    assert_eq!(replace("a@example.org", b"' OR 1=1 --", b"{SHA}x").await, Ok(false));
    assert_eq!(ask(&directory, "a@example.org").await, "PLAIN");
    let sha = b"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
    assert_eq!(replace("a@example.org", b"{PLAIN}secret", sha).await, Ok(true));
    assert_eq!(ask(&directory, "a@example.org").await, "SHA1");
    assert_eq!(replace("a@example.org", b"{PLAIN}secret", sha).await, Ok(false), "it is another one now");

    fs::remove_file(&fixture.path).unwrap();
    assert!(replace("a@example.org", sha, b"{PLAIN}x").await.is_err());
    assert!(!fixture.path.exists(), "a writer makes no file either");
}
