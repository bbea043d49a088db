//! Gatepost's own app passwords before a whole engine.

use std::{fs, sync::Arc, time::SystemTime};

use gatepost_protocol::secret::Secret;
use tempfile::TempDir;

use crate::{
    app_password::{AppPassword, AppPasswords, FILE, New, Records},
    config,
    decision::{Attempt, Decision, Engine, Hop, Limits},
    directory::Chain,
    mechanism::{Claim, Credential, Mechanism},
    password::Pool,
    username::Username,
};

const PEOPLE: &str = "\
alice:{PLAIN}main::::::
off:{PLAIN}main::::::active=no
late:{PLAIN}main::::::expired=yes
pop:{PLAIN}main::::::services=pop3
inside:{PLAIN}main::::::allow_nets=local
alias:{PLAIN}main::::::user=alice
none:::::::
broken:{NO-SUCH}x::::::
";

struct House {
    dir: TempDir,
    records: Records,
    passwords: AppPasswords,
    engine: Engine,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("users");
        fs::write(&file, PEOPLE).unwrap();
        let people = config::Directory {
            name: "people".into(),
            domains: Vec::new(),
            fields: Vec::new(),
            primary_password_services: None,
            kind: config::Kind::PasswdFile { file, default_scheme: None },
            master: None,
            rehash: None,
            change_poll: None,
            maps: Vec::new(),
            place: None,
        };
        let admins = config::Directory {
            name: "admins".into(),
            domains: Vec::new(),
            fields: Vec::new(),
            primary_password_services: None,
            kind: config::Kind::Static {
                password: Some(Secret::new(b"{PLAIN}master".to_vec())),
                users: Some(vec!["admin".to_owned()]),
            },
            master: Some(config::Master { targets: None }),
            rehash: None,
            change_poll: None,
            maps: Vec::new(),
            place: None,
        };
        let records = Records::open(&dir.path().join(FILE), true).unwrap();
        let (pool, passwords) = (Pool::with_queue(1, 1 << 26, 1), AppPasswords::at(dir.path()));
        let chain = Chain::open(&[admins, people], None).unwrap();
        let engine = Engine::new(chain, Arc::new(pool), Limits::default(), None).with_separator(Some('*'));
        let engine = engine.with_app_passwords(passwords.clone());
        Self { dir, records, passwords, engine }
    }

    fn of(&mut self, user: &str) -> AppPassword {
        let user = Username::normalise(user.as_bytes(), None).unwrap();
        self.records.create(&user, &New { label: "phone".to_owned(), ..New::default() }).unwrap()
    }

    async fn decide(&self, name: &str, authzid: Option<&str>, password: &str) -> (Attempt, Decision) {
        let claim = Claim {
            authzid: authzid.map(|name| name.as_bytes().to_vec()),
            authcid: name.as_bytes().to_vec(),
            credential: Credential::Password(Secret::new(password.as_bytes().to_vec())),
        };
        let (mechanism, remote) = (Mechanism::Plain, Some("192.0.2.7".parse().unwrap()));
        let attempt =
            Attempt { claim, mechanism, service: "imap".into(), remote, session: None, hop: Hop::default() };
        let decision = self.engine.decide(&attempt, SystemTime::now()).await;
        (attempt, decision)
    }

    async fn outcome(&self, name: &str, password: &str) -> &'static str {
        self.decide(name, None, password).await.1.outcome()
    }
}

#[tokio::test]
async fn an_app_password_lifts_no_rule_on_the_account() {
    let mut house = House::new();
    for (name, expected) in [
        ("alice", "verified"),
        ("off", "disabled"),
        ("late", "expired"),
        ("pop", "service_denied"),
        ("inside", "network_denied"),
        ("none", "verified"),
        // What is stored of the main password does not matter.
        ("broken", "verified"),
        ("gone", "no_such_user"),
    ] {
        let password = house.of(name);
        assert_eq!(house.outcome(name, &password.text()).await, expected, "{name}");
    }
    assert_eq!(house.outcome("broken", "main").await, "unavailable");
}

#[tokio::test]
async fn it_belongs_to_the_canonical_name_by_whichever_name_its_owner_logs_in() {
    let mut house = House::new();
    let password = house.of("alice");
    for name in ["alice", "ALICE", "alias"] {
        let (_, decision) = house.decide(name, None, &password.text()).await;
        let Decision::Accept(verified) = decision else { panic!("{name}: {decision:?}") };
        assert_eq!(verified.user().as_str(), "alice");
    }
    let of_alias = house.of("alias");
    assert_eq!(house.outcome("alias", &of_alias.text()).await, "rejected", "this is nobody's canonical name");
}

#[tokio::test]
async fn nobody_acts_as_somebody_else_by_it() {
    let mut house = House::new();
    let (alice, admin) = (house.of("alice").text(), house.of("admin").text());
    let (alice, admin) = (alice.as_str(), admin.as_str());
    let outcome = async |name: &str, authzid: Option<&str>, password: &str| {
        house.decide(name, authzid, password).await.1.outcome()
    };
    for (name, authzid, password, expected) in [
        ("alice", Some("ALICE"), alice, "verified"),
        ("alice*alice", None, alice, "verified"),
        // A master user has nothing but their main password.
        ("none*admin", None, "master", "verified"),
        ("admin", Some("none"), "master", "verified"),
        ("none*admin", None, admin, "app_password_denied"),
        ("admin", Some("none"), admin, "app_password_denied"),
        // Nor does that of the target help, or of somebody who is no master user.
        ("alice*admin", None, alice, "rejected"),
        ("none*alice", None, alice, "no_such_user"),
        ("alice", Some("none"), alice, "no_such_user"),
        ("admin", None, admin, "no_such_user"),
    ] {
        assert_eq!(outcome(name, authzid, password).await, expected, "{name} {authzid:?}");
    }
}

#[tokio::test]
async fn only_a_login_is_a_use() {
    let mut house = House::new();
    let password = house.of("alice");
    let used = |house: &House| house.records.page(("", ""), 1).unwrap()[0].used.clone();
    let (attempt, tried) = house.decide("alice", None, &password.text()).await;
    house.passwords.flush().await;
    assert_eq!(used(&house), None, "it was only tried out");
    let (_, refused) = house.decide("alice", None, "wrong").await;
    house.engine.note_use(&attempt, &refused);
    house.passwords.flush().await;
    assert_eq!(used(&house), None);
    house.engine.note_use(&attempt, &tried);
    house.passwords.flush().await;
    let used = used(&house).unwrap();
    assert_eq!((used.service.as_str(), used.remote.as_deref()), ("imap", Some("192.0.2.7")));
    drop(house.dir);
}
