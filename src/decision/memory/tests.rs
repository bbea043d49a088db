mod agree;
mod outage;

use std::{
    fs,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use gatepost_protocol::secret::Secret;
use tempfile::TempDir;

use super::{Knock, Now, Recollection};
use crate::{
    app_password::{AppPasswords, FILE, New, Records},
    cache::{Counts, Limits},
    decision::{Attempt, Decision, Engine, Hop, engine, testing::configured},
    directory::{Chain, Changed},
    mechanism::{Claim, Credential, Mechanism},
    password::Pool,
    username::Username,
};

const MINUTE: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits { ttl: MINUTE, negative_ttl: MINUTE, max_stale: MINUTE, max_memory: 16 << 20 };

/// Directories on a disk of their own, and two engines over them: one that remembers, and one that always asks.
struct House {
    dir: TempDir,
    engine: Engine,
    forgetful: Engine,
    pool: Arc<Pool>,
}

impl House {
    /// `text` is the configuration, where `@DIR@` is the directory with the passwd-file `users` and the database `mail.db`.
    fn new(text: &str, users: &str, sql: &str) -> Self {
        let (dir, config) = configured(text, users);
        rusqlite::Connection::open(dir.path().join("mail.db")).unwrap().execute_batch(sql).unwrap();
        drop(Records::open(&dir.path().join(FILE), true).unwrap());
        let pool = Arc::new(Pool::with_queue(2, 1 << 30, 64));
        let engine = || {
            let chain = Chain::open(&config.directories, Some("x.test")).unwrap();
            Engine::new(chain, Arc::clone(&pool), engine::Limits::default(), Some("x.test"))
                .with_separator(Some('*'))
                .with_app_passwords(AppPasswords::at(dir.path()))
        };
        let forgetful = engine();
        let engine = engine().with_memory(LIMITS, Instant::now()).unwrap();
        Self { dir, engine, forgetful, pool }
    }

    fn own(&self, user: &str) -> String {
        let mut records = Records::open(&self.dir.path().join(FILE), false).unwrap();
        let user = Username::normalise(user.as_bytes(), Some("x.test")).unwrap();
        records
            .create(&user, &New { label: "phone".to_owned(), ..New::default() })
            .unwrap()
            .text()
            .to_string()
    }

    fn sql(&self, text: &str) {
        rusqlite::Connection::open(self.dir.path().join("mail.db")).unwrap().execute_batch(text).unwrap();
    }

    async fn users(&self, lines: &str) {
        fs::write(self.dir.path().join("users"), lines).unwrap();
        self.reload().await;
    }

    async fn lose_users(&self) {
        fs::remove_file(self.dir.path().join("users")).unwrap();
        self.reload().await;
    }

    async fn reload(&self) {
        self.engine.chain().reload().await;
        self.forgetful.chain().reload().await;
    }

    /// The outcome in a word, and where it was from.
    async fn judge(&self, name: &str, password: &str) -> (&'static str, &'static str) {
        let (decision, recollection) = self.engine.judge(&attempt(name, password, "imap"), Now::read()).await;
        (decision.outcome(), recollection.map_or("asked", Recollection::as_str))
    }

    /// What memory says at once.
    fn recall(&self, name: &str, password: &[u8]) -> Option<&'static str> {
        let proof = [name.as_bytes(), b"\0", password].concat();
        let authcid = name.as_bytes();
        let knock = Knock { authcid, authzid: None, password, proof: &proof, service: "imap", keeps: false };
        let known = self.engine.recall(&knock, || None, Instant::now())?;
        Some(known.map_or_else(|refusal| refusal.outcome(), |_| "verified"))
    }

    fn counts(&self) -> Counts {
        self.engine.memory_status().unwrap().counts
    }

    /// Everybody is asked about again, as if their time were over.
    fn age(&self) {
        self.engine.changed(&[Changed::Everybody]);
    }
}

fn attempt(name: &str, password: &str, service: &str) -> Attempt {
    let claim = Claim {
        authzid: None,
        authcid: name.as_bytes().to_vec(),
        credential: Credential::Password(Secret::new(password.as_bytes().to_vec())),
    };
    let (mechanism, service) = (Mechanism::Plain, service.into());
    Attempt { claim, mechanism, service, remote: None, session: None, hop: Hop::default() }
}

const FILE_ALONE: &str = "[[directory]]\nname = 'people'\ntype = 'passwd-file'\nfile = '@DIR@/users'\n";

#[tokio::test]
async fn what_was_asked_once_is_known() {
    let house = House::new(FILE_ALONE, "alice:{PLAIN}right\n", "");
    assert_eq!(house.recall("alice@x.test", b"right"), None);
    assert_eq!(house.judge("alice@x.test", "right").await, ("verified", "asked"));
    assert_eq!(house.recall("alice@x.test", b"right"), Some("verified"));
    assert_eq!(house.judge("alice", "right").await, ("verified", "hit"));
    assert_eq!(house.judge("alice", "wrong").await, ("rejected", "asked"));
    assert_eq!(house.judge("alice", "wrong").await, ("rejected", "hit"));
    assert_eq!(house.judge("bob", "x").await, ("no_such_user", "asked"));
    assert_eq!(house.judge("bob", "y").await, ("no_such_user", "hit"));
    // Who types their name otherwise is told the other one, so it goes the long way; what is refused reads the same.
    for name in ["alice", "ALICE@x.test", "Alice"] {
        assert_eq!(house.recall(name, b"right"), None, "{name}");
        assert_eq!(house.recall(name, b"wrong"), Some("rejected"), "{name}");
        assert_eq!(house.judge(name, "right").await, ("verified", "hit"), "{name}");
    }
    for name in ["", "a b", "alice*alice", "alice@x.test*admin"] {
        assert_eq!(house.recall(name, b"right"), None, "{name}");
    }
    assert_eq!(house.counts().misses, 3);
}

#[tokio::test]
async fn an_empty_password_and_one_with_a_nul_are_right_nowhere() {
    let house = House::new(FILE_ALONE, "alice:{PLAIN}right\nempty:{PLAIN}\nnone:\n", "");
    for name in ["alice", "empty", "none"] {
        for password in ["", "right\0", "right\0x", "\0"] {
            for _ in 0..2 {
                assert_eq!(house.judge(name, password).await.0, "rejected", "{name} {password:?}");
                assert_ne!(house.recall(name, password.as_bytes()), Some("verified"), "{name} {password:?}");
            }
        }
    }
    assert_eq!(house.judge("alice", "right").await.0, "verified");
    assert_eq!(house.recall("alice@x.test", b"right"), Some("verified"));
    assert_eq!(house.recall("alice@x.test", b"right\0"), Some("rejected"));
}

#[tokio::test]
async fn a_changed_password_is_accepted_at_once_and_the_old_one_ends_with_it() {
    let house = House::new(FILE_ALONE, "alice:{PLAIN}old\nbob:{PLAIN}bob\n", "");
    assert_eq!(house.judge("alice", "new").await, ("rejected", "asked"));
    assert_eq!(house.judge("alice", "old").await, ("verified", "asked"));
    assert_eq!(house.judge("bob", "bob").await, ("verified", "asked"));
    house.users("alice:{PLAIN}new\nbob:{PLAIN}bob\n").await;
    assert_eq!(house.judge("alice", "old").await, ("verified", "hit"), "nobody has told");
    assert_eq!(house.judge("alice", "new").await, ("rejected", "hit"), "a moment ago it was");
    house.engine.changed(&[Changed::User(Username::normalise(b"alice@x.test", None).unwrap())]);
    assert_eq!(house.judge("alice", "old").await, ("rejected", "asked"));
    assert_eq!(house.judge("alice", "new").await, ("verified", "asked"));
    assert_eq!(house.judge("bob", "bob").await, ("verified", "hit"));
    // Without anybody telling: by a lookup, which finds another hash, and by a login.
    house.users("alice:{PLAIN}newer\nbob:{PLAIN}bobby\n").await;
    assert_eq!(house.judge("bob", "bobby").await, ("verified", "asked"));
    assert_eq!(house.judge("bob", "bob").await, ("rejected", "asked"));
}

#[tokio::test]
async fn logins_at_once_by_the_same_password_cost_one_verification() {
    // Which takes a while.
    let hash = "$2y$10$abcdefghijklmnopqrstuuIgTqEbTLbKxjgPPWZMtiaVCH5NYkSqO";
    let house = House::new(FILE_ALONE, &format!("alice:{{BLF-CRYPT}}{hash}\n"), "");
    let attempts: Vec<_> = (0..50).map(|_| attempt("alice", "wrong", "imap")).collect();
    let judged = join_all(attempts.iter().map(|attempt| house.engine.judge(attempt, Now::read()))).await;
    assert!(judged.iter().all(|(decision, _)| decision.outcome() == "rejected"));
    assert_eq!(house.counts().misses, 1);
    // Another password does not wait for it and is not told its answer.
    let passwords: Vec<String> = (0..8).map(|number| format!("wrong{number}")).collect();
    let attempts: Vec<_> = passwords.iter().map(|password| attempt("alice", password, "imap")).collect();
    join_all(attempts.iter().map(|attempt| house.engine.judge(attempt, Now::read()))).await;
    assert_eq!(house.counts().misses, 9);
}

#[tokio::test]
async fn who_waited_for_somebody_who_went_away_is_answered() {
    let hash = "$2y$10$abcdefghijklmnopqrstuuIgTqEbTLbKxjgPPWZMtiaVCH5NYkSqO";
    let house = House::new(FILE_ALONE, &format!("alice:{{BLF-CRYPT}}{hash}\n"), "");
    let (first, second) = (attempt("alice", "wrong", "imap"), attempt("alice", "wrong", "imap"));
    let mut gone = Box::pin(house.engine.judge(&first, Now::read()));
    assert!(futures_util::poll!(&mut gone).is_pending());
    let mut waits = Box::pin(house.engine.judge(&second, Now::read()));
    assert!(futures_util::poll!(&mut waits).is_pending());
    drop(gone);
    assert_eq!(waits.await.0.outcome(), "rejected");
    assert_eq!(house.counts().misses, 2);
}

/// What is asked before a flush is for who came before it.
#[tokio::test]
async fn who_comes_after_a_flush_is_not_told_what_was_asked_before_it() {
    let hash = "$2y$10$abcdefghijklmnopqrstuuIgTqEbTLbKxjgPPWZMtiaVCH5NYkSqO";
    let house = House::new(FILE_ALONE, &format!("alice:{{BLF-CRYPT}}{hash}\n"), "");
    let (first, second) = (attempt("alice", "new", "imap"), attempt("alice", "new", "imap"));
    let mut before = Box::pin(house.engine.judge(&first, Now::read()));
    assert!(futures_util::poll!(&mut before).is_pending());
    house.users("alice:{PLAIN}new\n").await;
    house.engine.changed(&[Changed::User(Username::normalise(b"alice@x.test", None).unwrap())]);
    let mut after = Box::pin(house.engine.judge(&second, Now::read()));
    assert!(futures_util::poll!(&mut after).is_pending(), "it waits all the same");
    assert_eq!((before.await.0.outcome(), after.await.0.outcome()), ("rejected", "verified"));
    assert_eq!(house.judge("alice", "new").await, ("verified", "hit"));
}

#[tokio::test]
async fn who_is_asked_about_ahead_of_time_is_known_longer() {
    let house = House::new(FILE_ALONE, "alice:{PLAIN}right\n", "");
    assert_eq!(house.judge("alice", "right").await, ("verified", "asked"));
    let later = Now { wall: SystemTime::now(), instant: Instant::now() + MINUTE * 13 / 16 };
    let attempt = attempt("alice", "right", "imap");
    let (_, recollection) = house.engine.judge(&attempt, later).await;
    assert_eq!(recollection, Some(Recollection::Hit { refresh: true }));
    let (_, recollection) = house.engine.judge(&attempt, later).await;
    assert_eq!(recollection, Some(Recollection::Hit { refresh: false }), "one is enough");
    house.users("alice:{PLAIN}other\n").await;
    house.engine.refresh(&attempt.again().unwrap()).await;
    assert_eq!(house.recall("alice@x.test", b"right"), None, "it was found wrong");
    let counts = house.counts();
    assert_eq!((counts.refreshes, counts.misses), (1, 1));
}

/// Only who was answered at once was asked about again; all others were counted twice instead.
#[tokio::test]
async fn who_is_not_answered_at_once_is_asked_about_ahead_of_time_too() {
    let house = House::new(FILE_ALONE, "alice:{PLAIN}right\n", "");
    assert_eq!(house.judge("alice", "right").await, ("verified", "asked"));
    let later = Now { wall: SystemTime::now(), instant: Instant::now() + MINUTE * 13 / 16 };
    let knock = Knock {
        authcid: b"alice",
        authzid: None,
        password: b"right",
        proof: b"alice\0right",
        service: "imap",
        keeps: false,
    };
    assert!(house.engine.recall(&knock, || None, later.instant).is_none(), "they are told their other name");
    let (_, recollection) = house.engine.judge(&attempt("alice", "right", "imap"), later).await;
    assert_eq!(recollection, Some(Recollection::Hit { refresh: true }));
    let counts = house.counts();
    assert_eq!((counts.hits, counts.refreshes, counts.misses), (1, 1, 1));
}

const SERVICES: &str = "[[directory]]\nname = 'mail'\ntype = 'sqlite'\nfile = '@DIR@/mail.db'\n\
    user_query = 'SELECT user, password FROM people WHERE user = :user AND service = :service'\n";

#[tokio::test]
async fn where_answers_differ_from_service_to_service_each_has_its_own() {
    let house = House::new(
        SERVICES,
        "",
        "CREATE TABLE people (user, service, password);
         INSERT INTO people VALUES ('alice@x.test', 'imap', '{PLAIN}one'), ('alice@x.test', 'pop3', '{PLAIN}two')",
    );
    let judge = async |password, service| {
        let (decision, from) = house.engine.judge(&attempt("alice", password, service), Now::read()).await;
        (decision.outcome(), from.map_or("asked", Recollection::as_str))
    };
    assert_eq!(judge("one", "imap").await, ("verified", "asked"));
    assert_eq!(judge("one", "pop3").await, ("rejected", "asked"));
    assert_eq!(judge("one", "smtp").await, ("no_such_user", "asked"));
    assert_eq!(judge("two", "pop3").await, ("verified", "asked"));
    assert_eq!(judge("one", "imap").await, ("verified", "hit"));
    house.sql("UPDATE people SET password = '{PLAIN}three'");
    house.engine.changed(&[Changed::User(Username::normalise(b"alice@x.test", None).unwrap())]);
    assert_eq!(judge("one", "imap").await, ("rejected", "asked"), "forgotten for all services");
    assert_eq!(judge("two", "pop3").await, ("rejected", "asked"));
}
