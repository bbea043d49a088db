use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{Content, PasswdFile};
use crate::{
    account::State,
    directory::{
        Directory, Kind,
        tests::{config, inquiry, kind_of, name, names},
    },
    password::Cost,
};

struct Fixture {
    directory: Directory,
    path: PathBuf,
    home: TempDir,
}

impl Fixture {
    fn new(text: Option<&str>) -> Self {
        let home = TempDir::new().unwrap();
        let path = home.path().join("passwd");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let config = config(&format!(
            "[[directory]]\nname = 'file'\ntype = 'passwd-file'\nfile = '{}'\n",
            path.display()
        ));
        Self { directory: Directory::open(&config, Some("example.org")).unwrap(), path, home }
    }

    fn file(&self) -> &PasswdFile {
        match &self.directory.0.kind {
            Kind::PasswdFile(file) => file,
            _ => panic!("not a passwd-file"),
        }
    }

    /// What a lookup says: the password's scheme, "none", "unusable", "unknown" or "unavailable".
    fn ask(&self, user: &str) -> String {
        match self.file().lookup(&name(user)) {
            Ok(Some(account)) => kind_of(&account.password),
            Ok(None) => "unknown".to_owned(),
            Err(_) => "unavailable".to_owned(),
        }
    }

    fn replace(&self, text: &str) {
        let fresh = self.home.path().join("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, &self.path).unwrap();
    }
}

const PLAIN: &str = "a@example.org:{PLAIN}secret\n";
const SHA: &str = "a@example.org:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";

#[test]
fn dovecots_columns_and_extra_fields_become_an_account() {
    let file = Fixture::new(Some(
        "# users\n\nAlice:{PLAIN}secret:1001:1002:Alice A:/home/alice:/bin/sh:userdb_mail=maildir:~/M allow_nets=192.0.2.0/24 \
         nologin reason=x forward_a=b userdb_flag\n\
         b@example.org\n\
         c@example.org:$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1:5000:5000::/h::active=no\r\n\
         d@example.org:5ebe2294ecd0e0f08eab7690d2a6ee69[34]:::::",
    ));
    let alice = file.file().lookup(&name("alice@example.org")).unwrap().unwrap();
    assert!(alice.password.stored().unwrap().matches(b"secret").unwrap());
    assert_eq!(
        alice.userdb.as_fields().raw(),
        b"uid=1001\tgid=1002\thome=/home/alice\tmail=maildir:~/M\tflag"
    );
    assert_eq!(alice.passdb.as_fields().raw(), b"forward_a=b");
    assert_eq!(alice.nologin.as_ref().unwrap().reason.as_deref(), Some("x"));
    assert!(!alice.admits("198.51.100.1".parse().ok()));
    assert_eq!(file.ask("b@example.org"), "none");
    assert_eq!(file.ask("c@example.org"), "CRYPT");
    let disabled = file.file().lookup(&name("c@example.org")).unwrap().unwrap();
    assert_eq!(disabled.state, State::Disabled);
    assert_eq!(file.ask("d@example.org"), "PLAIN-MD5");
    assert_eq!(file.ask("e@example.org"), "unknown");
}

/// What Dovecot does: a login is looked up in the userdb by the name that the passdb gave it.
#[test]
fn another_name_of_somebody_has_their_mailbox_and_its_own_password() {
    let file = Fixture::new(Some(
        "sales@example.org:{PLAIN}sell:1:1::/m/sales::user=alice@example.org userdb_x=y allow_nets=192.0.2.0/24\n\
         info@example.org:{PLAIN}i:::::/bin/sh:user=sales@example.org\n\
         alice@example.org:{PLAIN}secret:5000:5000::/m/alice::userdb_quota=1\n\
         lost@example.org:{PLAIN}l:5001:5001::/m/lost::user=nobody@example.org\n\
         self@example.org:{PLAIN}s:5001:5001::/m/self::user=Self@example.org\n\
         old@example.org:{PLAIN}o:5001:5001::/m/old::user=off@example.org\n\
         off@example.org:{PLAIN}o:5001:5001::/m/off::active=no\n\
         worse@example.org:{PLAIN}o:5001:5001::/m/worse::user=bad@example.org\n\
         bad@example.org:{PLAIN}o:0:0::/m/bad::\n",
    ));
    let account = |user: &str| file.file().lookup(&name(user)).unwrap().unwrap();
    let userdb = |user: &str| String::from_utf8(account(user).userdb.as_fields().raw().to_vec()).unwrap();
    let sales = account("sales@example.org");
    assert_eq!(sales.user.as_str(), "alice@example.org");
    assert_eq!(userdb("sales@example.org"), "uid=5000\tgid=5000\thome=/m/alice\tquota=1");
    assert!(sales.password.stored().unwrap().matches(b"sell").unwrap());
    assert!(!sales.admits("198.51.100.1".parse().ok()), "who may come by this name is its own affair");
    assert_eq!(account("info@example.org").user.as_str(), "sales@example.org", "one step, and no further");
    assert_eq!(userdb("info@example.org"), "uid=1\tgid=1\thome=/m/sales\tx=y");
    assert_eq!(userdb("lost@example.org"), "uid=5001\tgid=5001\thome=/m/lost");
    assert_eq!(userdb("self@example.org"), "uid=5001\tgid=5001\thome=/m/self");
    assert_eq!(account("old@example.org").state, State::Disabled, "no way around what is switched off");
    assert_eq!(file.ask("worse@example.org"), "unavailable");
    let content = file.file().snapshot();
    let mut listed: Vec<&str> = content.names().unwrap().map(|user| user.as_str()).collect();
    listed.sort_unstable();
    let once = ["alice", "bad", "lost", "off", "self", "worse"].map(|user| format!("{user}@example.org"));
    assert_eq!(listed, once, "everybody once");
}

#[tokio::test]
async fn a_bad_line_costs_its_own_user_alone() {
    let file = Fixture::new(Some(
        "good@example.org:{PLAIN}a\n\
         bad uid:{PLAIN}a:x\n\
         root@example.org:{PLAIN}a:0:5000\n\
         nets@example.org:{PLAIN}a::::::allow_nets=nonsense\n\
         hash@example.org:{NO-SUCH}a\n\
         fp@example.org:{PLAIN}a::::::check_client_fp=ab\n\
         twice@example.org:{PLAIN}a\n\
         TWICE@example.org:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n\
         last@example.org:{PLAIN}a\n",
    ));
    for user in ["good", "twice", "last"] {
        assert_eq!(file.ask(&format!("{user}@example.org")), "PLAIN", "{user}");
    }
    assert_eq!(file.ask("hash@example.org"), "unusable", "mail is delivered, nobody logs in");
    for user in ["root", "nets", "fp"] {
        let user = format!("{user}@example.org");
        assert_eq!(file.ask(&user), "unavailable", "{user}");
        let why = file.directory.lookup(&inquiry(&name(&user))).await.unwrap_err().why;
        assert!(why.starts_with(&format!("{}:", file.path.display())), "{why}");
        assert!(!why.contains("nonsense") && !why.contains("{PLAIN}"), "{why}");
    }
    assert_eq!(names(file.directory.list()).await.len(), 7, "whoever has a line exists");
}

#[test]
fn a_change_is_taken_over_when_it_has_come_to_rest() {
    let file = Fixture::new(Some(PLAIN));
    file.file().poll();
    assert_eq!(file.ask("a@example.org"), "PLAIN");
    for write in [true, false] {
        let (text, before, after) = if write { (SHA, "PLAIN", "SHA1") } else { (PLAIN, "SHA1", "PLAIN") };
        if write {
            fs::write(&file.path, text).unwrap()
        } else {
            file.replace(text)
        }
        file.file().poll();
        assert_eq!(file.ask("a@example.org"), before, "it may still be written to");
        file.file().poll();
        assert_eq!(file.ask("a@example.org"), after);
    }
}

#[test]
fn a_file_that_keeps_changing_keeps_the_last_whole_one() {
    let file = Fixture::new(Some(PLAIN));
    let mut text = String::new();
    for number in 0..5 {
        text.push_str(&format!("user{number}@example.org:{{PLAIN}}a\n"));
        fs::write(&file.path, &text).unwrap();
        file.file().poll();
        assert_eq!(
            (file.ask("a@example.org"), file.ask("user0@example.org")),
            ("PLAIN".into(), "unknown".into())
        );
    }
    file.file().poll();
    assert_eq!(
        (file.ask("a@example.org"), file.ask("user4@example.org")),
        ("unknown".into(), "PLAIN".into())
    );
}

#[test]
fn a_vanished_file_is_an_outage_until_it_returns() {
    let file = Fixture::new(Some(PLAIN));
    fs::remove_file(&file.path).unwrap();
    file.file().poll();
    assert_eq!(
        (file.ask("a@example.org"), file.ask("b@example.org")),
        ("unavailable".into(), "unavailable".into())
    );
    fs::write(&file.path, PLAIN).unwrap();
    file.file().poll();
    assert_eq!(file.ask("a@example.org"), "unavailable", "it may still be written to");
    file.file().poll();
    assert_eq!((file.ask("a@example.org"), file.ask("b@example.org")), ("PLAIN".into(), "unknown".into()));
}

#[test]
fn a_directory_may_start_before_its_file() {
    let file = Fixture::new(None);
    assert_eq!(file.ask("a@example.org"), "unavailable");
    fs::write(&file.path, PLAIN).unwrap();
    file.file().reload();
    assert_eq!(file.ask("a@example.org"), "PLAIN");
    fs::remove_file(&file.path).unwrap();
    fs::create_dir(&file.path).unwrap();
    file.file().reload();
    assert_eq!(file.ask("a@example.org"), "unavailable");
}

#[test]
fn an_empty_file_is_an_outage_and_a_comment_is_not() {
    let file = Fixture::new(Some(""));
    assert_eq!(file.ask("a@example.org"), "unavailable", "it may have held users before this daemon began");
    for (text, expected) in [(PLAIN, "PLAIN"), ("", "unavailable"), ("# nobody\n", "unknown"), (SHA, "SHA1")]
    {
        fs::write(&file.path, text).unwrap();
        file.file().poll();
        file.file().poll();
        assert_eq!(file.ask("a@example.org"), expected, "{text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_watch_takes_a_change_over_by_itself() {
    let file = Fixture::new(Some(PLAIN));
    let watch = tokio::spawn(file.directory.clone().watch(std::sync::Arc::new(|_| {})));
    file.replace(SHA);
    // Virtual seconds: the clock stands while the file is looked at.
    let mut waited = 0;
    while file.ask("a@example.org") != "SHA1" {
        waited += 1;
        assert!(waited < 10, "not taken over");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    watch.abort();
}

#[test]
fn the_decoy_is_of_the_most_common_kind() {
    let slow = "$2y$05$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW";
    let file = Fixture::new(Some(&format!(
        "a@x.test:{{PLAIN}}a\nb@x.test:{slow}\nc@x.test:{slow}\nd@x.test:{{PLAIN}}a\ne@x.test:{slow}\nf@x.test\n"
    )));
    assert_eq!(file.directory.decoy().pick(None).scheme(), crate::password::Scheme::Crypt);
    assert!(matches!(file.directory.decoy().pick(None).cost(), Cost::Slow { .. }));
}

#[tokio::test]
async fn a_hundred_thousand_lines_are_read_fast_and_listed_whole() {
    let text: String = (0..100_000)
        .map(|number| format!("user{number}@example.org:{{PLAIN}}secret{number}:5000:5000::/m/{number}::\n"))
        .collect();
    let file = Fixture::new(Some(&text));
    let start = Instant::now();
    file.file().reload();
    let took = start.elapsed();
    // Some 0.2 s with optimisation; the limit is for a busy machine without.
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(file.ask("user99999@example.org"), "PLAIN");
    let Content::Users(users) = &*file.file().snapshot() else { panic!("unavailable") };
    assert_eq!(users.len(), 100_000);
    let mut listing = file.directory.list();
    let mut count = 0;
    while let Some(name) = listing.recv().await {
        name.unwrap();
        count += 1;
        assert!(listing.len() <= crate::directory::LISTED_AHEAD);
    }
    assert_eq!(count, 100_000);
}
