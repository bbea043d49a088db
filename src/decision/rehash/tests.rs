//! Over a database as `gatepost user` makes it.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use gatepost_protocol::secret::Secret;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{
    app_password::{self, AppPasswords, New, Records},
    config,
    decision::{Attempt, Engine, Limits},
    directory::{self, Chain, sqlite::NewUser},
    mechanism::{Claim, Credential, Mechanism},
    password::{NewHash, Pool},
    username::Username,
};

const WEAK: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

struct Fixture {
    config: config::Directory,
    _home: TempDir,
}

impl Fixture {
    /// `a@example.org`, whose password is "secret".
    fn new(rehash: Option<NewHash>) -> Self {
        let home = TempDir::new().unwrap();
        let config = config::Directory {
            name: "local".into(),
            domains: Vec::new(),
            fields: Vec::new(),
            primary_password_services: None,
            kind: config::Kind::Sqlite { file: home.path().join("users.db"), provision: None },
            master: None,
            rehash,
            change_poll: None,
            maps: Vec::new(),
            place: None,
        };
        let fixture = Self { config, _home: home };
        let new = NewUser { password: Some(Zeroizing::new(WEAK.to_owned())), ..NewUser::default() };
        fixture.users().add(&user(), &new).unwrap();
        fixture
    }

    fn users(&self) -> directory::sqlite::Users {
        directory::users(&self.config, None, true).unwrap().unwrap()
    }

    fn engine(&self, pool: &Arc<Pool>) -> Engine {
        let chain = Chain::open(std::slice::from_ref(&self.config), None).unwrap();
        Engine::new(chain, Arc::clone(pool), Limits::default(), None)
    }

    fn scheme(&self) -> String {
        self.users().details(&user()).unwrap().unwrap().scheme.unwrap().to_string()
    }

    /// Waits for another scheme than the weak one.
    async fn renewed(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.scheme() == "SHA1" {
            assert!(Instant::now() < deadline, "it stays as it was");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.scheme()
    }
}

fn user() -> Username {
    Username::normalise(b"a@example.org", None).unwrap()
}

fn pool() -> Arc<Pool> {
    Arc::new(Pool::with_queue(2, 1 << 30, 16))
}

async fn log_in(engine: &Engine, password: &str) -> &'static str {
    let credential = Credential::Password(Secret::new(password.as_bytes().to_vec()));
    let attempt = Attempt {
        claim: Claim { authzid: None, authcid: b"a@example.org".to_vec(), credential },
        mechanism: Mechanism::Plain,
        service: "imap".into(),
        remote: None,
        session: None,
        hop: Default::default(),
    };
    engine.decide(&attempt, SystemTime::now()).await.outcome()
}

#[tokio::test]
async fn who_logs_in_gets_a_better_hash_of_the_same_password() {
    for (name, new) in NewHash::NAMES {
        let fixture = Fixture::new(Some(new));
        let engine = fixture.engine(&pool());
        assert_eq!(log_in(&engine, "secret").await, "verified");
        assert_eq!(fixture.renewed().await, name);
        assert_eq!(log_in(&engine, "secret").await, "verified");
        assert_eq!(log_in(&engine, "wrong").await, "rejected");
    }
}

#[tokio::test]
async fn nothing_is_replaced_for_who_does_not_know_the_password_or_where_nobody_wants_it() {
    let (wanted, unwanted) = (Fixture::new(Some(NewHash::Argon2id)), Fixture::new(None));
    let (wary, idle) = (wanted.engine(&pool()), unwanted.engine(&pool()));
    for password in ["wrong", "", "secret\0"] {
        assert_eq!(log_in(&wary, password).await, "rejected");
    }
    assert_eq!(log_in(&idle, "secret").await, "verified");
    assert!(wary.renewal.is_untouched() && idle.renewal.is_untouched(), "nothing was put into the queue");
    assert_eq!((wanted.scheme().as_str(), unwanted.scheme().as_str()), ("SHA1", "SHA1"));
}

/// What is stored is the main password: nothing else may take its place.
#[tokio::test]
async fn an_app_password_takes_the_place_of_no_stored_password() {
    let mut fixture = Fixture::new(Some(NewHash::Argon2id));
    fixture.config.primary_password_services = Some(vec!["smtp".to_owned()]);
    let file = fixture._home.path().join(app_password::FILE);
    let app_password = Records::open(&file, true).unwrap().create(&user(), &New::default()).unwrap();
    let engine = fixture.engine(&pool()).with_app_passwords(AppPasswords::at(fixture._home.path()));
    assert_eq!(log_in(&engine, &app_password.text()).await, "verified");
    assert_eq!(log_in(&engine, "secret").await, "primary_password_denied");
    assert!(engine.renewal.is_untouched(), "nothing was put into the queue");
    assert_eq!(fixture.scheme(), "SHA1");
}

#[tokio::test]
async fn a_password_that_was_changed_in_the_meantime_stays_changed() {
    let fixture = Fixture::new(Some(NewHash::Argon2id));
    let engine = fixture.engine(&pool());
    // The worker has not run yet: on this runtime nothing does while nobody waits.
    assert_eq!(log_in(&engine, "secret").await, "verified");
    fixture.users().set_password(&user(), "{PLAIN}changed").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while engine.renewal.is_busy() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(fixture.scheme(), "PLAIN");
}

/// A full pool is no reason for a login to wait, and no reason to wait for a login.
#[tokio::test]
async fn what_does_not_fit_in_is_left_to_the_next_login() {
    let fixture = Fixture::new(Some(NewHash::Argon2id));
    let pool = Arc::new(Pool::with_queue(1, 1024, 1));
    let engine = fixture.engine(&pool);
    for _ in 0..5 {
        assert_eq!(
            log_in(&engine, "secret").await,
            "verified",
            "cheap to verify, and nothing else is waited for"
        );
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while engine.renewal.is_busy() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(fixture.scheme(), "SHA1");
}
