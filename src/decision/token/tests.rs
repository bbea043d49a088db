mod granted;
mod memory;
mod model;
mod provision;
mod revoke;

use std::{
    cell::Cell,
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::FutureExt as _;
use gatepost_protocol::secret::Secret;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    cache::Limits,
    config::Template,
    decision::{
        Attempt, Bearer, By, Decision, Engine, Hop, Moment, Now, Recollection, engine, testing::configured,
    },
    directory::Chain,
    mechanism::{Claim, Credential, Mechanism},
    oidc::{
        FromClaims, Join, NotVouched, Outage, Providers, TokenFault, Unavailable, Vouched, scripted::vouched,
    },
    password::Pool,
};

const MINUTE: Duration = Duration::from_secs(60);
const LIMITS: Limits =
    Limits { ttl: Duration::from_secs(300), negative_ttl: MINUTE, max_stale: MINUTE, max_memory: 16 << 20 };

/// When the tests begin.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

type Said = Result<Vouched, NotVouched>;

/// An engine that remembers over directories and providers of its own, and its clock.
struct House {
    _dir: TempDir,
    engine: Engine,
    providers: Arc<Providers>,
    says: Arc<Mutex<HashMap<Vec<u8>, Said>>>,
    begun: Instant,
    /// How many were let in at once.
    at_once: Cell<u32>,
}

impl House {
    /// `text` is the configuration of directories, where `@DIR@` has a file `users` of these lines. Of what nobody has said
    /// anything of, providers say that it is not active.
    fn new(text: &str, users: &str) -> Self {
        Self::slow(text, users, Duration::ZERO)
    }

    fn slow(text: &str, users: &str, takes: Duration) -> Self {
        let (dir, config) = configured(text, users);
        let says = Arc::new(Mutex::new(HashMap::<Vec<u8>, Said>::new()));
        let table = Arc::clone(&says);
        let providers = Providers::scripted(takes, move |token, _domain, _now| {
            let said = table.lock().unwrap().get(token).cloned();
            said.unwrap_or_else(|| rejected(TokenFault::Inactive))
        });
        let chain = Chain::open(&config.directories, Some("x.test")).unwrap();
        let pool = Arc::new(Pool::with_queue(1, 1 << 30, 16));
        let begun = Instant::now();
        let engine = Engine::new(chain, pool, engine::Limits::default(), Some("x.test"))
            .with_separator(Some('*'))
            .with_providers(Arc::clone(&providers))
            .with_memory(LIMITS, begun)
            .unwrap();
        Self { _dir: dir, engine, providers, says, begun, at_once: Cell::new(0) }
    }

    /// The same with providers that take passwords of x.test.
    fn granting(text: &str, users: &str) -> Self {
        let house = Self::new(text, users);
        let says = Arc::clone(&house.says);
        let said = move |both: &[u8], _domain: Option<&str>, _now: SystemTime| {
            let said = says.lock().unwrap().get(both).cloned();
            said.unwrap_or_else(|| rejected(TokenFault::WrongPassword))
        };
        let providers = Providers::scripted(Duration::ZERO, said).granting("x.test");
        let engine = house.engine.with_providers(Arc::clone(&providers));
        Self { engine, providers, ..house }
    }

    fn say(&self, token: &str, said: Said) {
        self.says.lock().unwrap().insert(token.as_bytes().to_vec(), said);
    }

    /// From now on a token is good: of this user, for so many seconds from the start on.
    fn good(&self, token: &str, user: &str, seconds: u64) {
        self.say(token, Ok(of(user, seconds)));
    }

    fn at(&self, seconds: u64) -> Now {
        at(self.begun, seconds)
    }

    /// The outcome in a word, and where it was from.
    fn judge(&self, attempt: &Attempt, seconds: u64) -> (&'static str, &'static str) {
        let (decision, recollection) = self.decide(attempt, seconds);
        (decision.outcome(), recollection.map_or("asked", Recollection::as_str))
    }

    /// Whoever is let in at once is let in by judgement too, as the same one.
    fn decide(&self, attempt: &Attempt, seconds: u64) -> (Decision, Option<Recollection>) {
        let now = self.at(seconds);
        let known = self.recalled(attempt, now);
        let (decision, recollection) =
            self.engine.judge(attempt, now).now_or_never().expect("nobody is waited for");
        let Some((known, refresh)) = known else { return (decision, recollection) };
        self.at_once.set(self.at_once.get() + 1);
        let (Decision::Accept(verified), Some(Recollection::Hit { refresh: again })) =
            (&decision, recollection)
        else {
            panic!("{attempt:?}: {known} at once, {decision:?} judged, {recollection:?}")
        };
        let account = verified.account();
        let By::Token(provider) = verified.by() else { panic!("{:?}", verified.by()) };
        let judged = format!("{} of {} by {provider} {:?}", account.user, account.directory, account.userdb);
        assert_eq!(known, judged, "{attempt:?}");
        // Nothing but the name is told of them, as it was typed.
        assert!(account.passdb.is_empty() && account.nologin.is_none(), "{attempt:?}");
        assert_eq!((verified.original(), verified.master()), (None, None), "{attempt:?}");
        assert_eq!(account.user.as_str().as_bytes(), attempt.claim.authcid, "{attempt:?}");
        assert!(!(refresh && again), "asked ahead of time twice");
        (decision, Some(Recollection::Hit { refresh: refresh || again }))
    }

    /// What is said at once, and whether its provider is to be asked ahead of time.
    fn recalled(&self, attempt: &Attempt, now: Now) -> Option<(String, bool)> {
        // No mechanism that takes tokens says two names.
        let claim = attempt.claim.authzid.is_none().then_some(&attempt.claim)?;
        let token = claim.credential.token()?.expose();
        let (name, service) = (&*claim.authcid, &*attempt.service);
        // Accounts are remembered by the real clock here, as they are when it is judged.
        let moment = Moment { instant: now.instant, ..self.engine.moment(Instant::now()) };
        let bearer = Bearer { name, token, service, keeps: true };
        let known = self.engine.recall_token(&bearer, moment, now.wall)?;
        let (account, provider) = (known.account().unwrap(), known.provider().unwrap());
        let said = format!("{} of {} by {provider} {:?}", account.user, account.directory, account.userdb);
        Some((said, known.wants_refresh()))
    }
}

impl Engine {
    /// Asks about a token ahead of time, at that time.
    fn refresh_token_at(&self, attempt: &Attempt, now: Now) {
        let token = attempt.claim.credential.token().unwrap();
        self.refresh_token(token, &attempt.claim, now).now_or_never().expect("nobody is waited for");
    }
}

fn at(begun: Instant, seconds: u64) -> Now {
    let later = Duration::from_secs(seconds);
    Now { wall: start() + later, instant: begun + later }
}

fn of(user: &str, seconds: u64) -> Vouched {
    vouched(user, start() + Duration::from_secs(seconds), json!({ "iat": 1_800_000_000 }))
}

fn rejected(why: TokenFault) -> Said {
    Err(NotVouched::Rejected { provider: Some("idp".into()), why, until: None })
}

fn unavailable() -> Said {
    Err(NotVouched::Unavailable(Unavailable { provider: "idp".into(), why: Outage::Unreachable }))
}

fn attempt(name: &str, token: &str) -> Attempt {
    let claim = Claim {
        authzid: None,
        authcid: name.as_bytes().to_vec(),
        credential: Credential::Token(Secret::new(token.as_bytes().to_vec())),
    };
    let (mechanism, service) = (Mechanism::Plain, "imap".into());
    Attempt { claim, mechanism, service, remote: None, session: None, hop: Hop::default() }
}

const DIRECTORIES: &str = "
[[directory]]
name = 'admins'
type = 'static'
master = true
users = ['admin']
password = '{PLAIN}master'
[[directory]]
name = 'people'
type = 'passwd-file'
file = '@DIR@/users'
primary_password_services = ['sieve']
[[directory]]
name = 'staff'
type = 'static'
users = ['left']
password = '{PLAIN}staff'
[directory.fields]
active = 'no'
";

const PEOPLE: &str = "
alice:{PLAIN}alice::::::
al:{PLAIN}x::::::user=alice@x.test
bob:{PLAIN}bob::::::
shared:::::::
locked:!::::::
late:::::::expires_at=1800000100
off:{PLAIN}off::::::active=no
out:::::::expired
pop:::::::services=pop3
net:::::::allow_nets=192.0.2.0/24
shut:::::::nologin
left:::::::password_from=staff
lost:::::::password_from=staff
bad:{PLAIN}bad:0:0::::
";

fn house() -> House {
    House::new(DIRECTORIES, PEOPLE)
}

#[test]
fn each_verdict_on_a_token_has_its_outcome() {
    let house = house();
    house.good("good", "alice", 3600);
    house.good("ended", "alice", 0);
    house.good("nobody", "carol", 3600);
    house.good("noname", "a b", 3600);
    house.say("foul", rejected(TokenFault::Malformed));
    house.say("away", unavailable());
    for (token, outcome, code) in [
        ("good", "verified", None),
        ("ended", "token_rejected", None),
        ("nobody", "no_such_user", None),
        ("noname", "invalid_name", None),
        ("foul", "token_rejected", None),
        ("unheard of", "token_rejected", None),
        ("away", "unavailable", Some(gatepost_protocol::dovecot::FailCode::TempFail)),
    ] {
        let (decision, recollection) = house.decide(&attempt("", token), 1);
        assert_eq!((decision.outcome(), recollection), (outcome, None), "{token}");
        if let Decision::Refuse(refusal) = &decision {
            assert_eq!((refusal.fail_code(), refusal.is_temporary()), (code, code.is_some()), "{token}");
        }
    }
    let (decision, _) = house.decide(&attempt("", "good"), 2);
    let Decision::Accept(verified) = decision else { panic!("{decision:?}") };
    assert_eq!((verified.user().as_str(), verified.by().provider()), ("alice@x.test", Some("idp")));
    assert_eq!(verified.original(), None, "no name was said");
}

#[test]
fn a_token_without_a_provider_is_a_temporary_failure() {
    let (_dir, config) = configured(DIRECTORIES, PEOPLE);
    let chain = Chain::open(&config.directories, Some("x.test")).unwrap();
    let pool = Arc::new(Pool::with_queue(1, 1 << 30, 16));
    let engine = Engine::new(chain, pool, engine::Limits::default(), Some("x.test"));
    let decision = engine.decide(&attempt("alice", "good"), start()).now_or_never().unwrap();
    let Decision::Refuse(refusal) = decision else { panic!("{decision:?}") };
    assert!(refusal.is_temporary(), "{refusal}");
}

#[test]
fn a_token_opens_the_mailbox_of_its_user_and_no_other() {
    let house = house();
    house.good("t", "Alice@X.test", 3600);
    house.good("of an alias", "al", 3600);
    let delegate =
        Vouched { delegates: vec!["Shared".into(), "off".into(), "a b".into()], ..of("alice", 3600) };
    house.say("delegate", Ok(delegate));
    for (name, token, outcome, user) in [
        ("", "t", "verified", "alice@x.test"),
        ("alice", "t", "verified", "alice@x.test"),
        ("ALICE@x.test", "t", "verified", "alice@x.test"),
        ("al", "t", "verified", "alice@x.test"),
        ("al", "of an alias", "verified", "alice@x.test"),
        ("alice", "of an alias", "verified", "alice@x.test"),
        ("", "of an alias", "verified", "alice@x.test"),
        ("bob", "t", "token_of_another", ""),
        ("bob", "of an alias", "token_of_another", ""),
        ("nobody", "t", "token_of_another", ""),
        ("alice@y.test", "t", "token_of_another", ""),
        ("shared", "t", "token_of_another", ""),
        ("bad", "t", "unavailable", ""),
        ("shared", "delegate", "verified", "shared@x.test"),
        ("alice", "delegate", "verified", "alice@x.test"),
        ("off", "delegate", "disabled", ""),
        ("bob", "delegate", "token_of_another", ""),
        // No master users here, and no names that nobody has.
        ("bob*admin", "t", "invalid_name", ""),
        ("alice*alice", "t", "invalid_name", ""),
        ("a b", "delegate", "invalid_name", ""),
        ("admin", "t", "token_of_another", ""),
    ] {
        for _ in 0..2 {
            let (decision, _) = house.decide(&attempt(name, token), 1);
            assert_eq!(decision.outcome(), outcome, "{name:?} {token}");
            if let Decision::Accept(verified) = &decision {
                assert_eq!(verified.user().as_str(), user, "{name:?} {token}");
                let typed =
                    Some(name.as_bytes()).filter(|typed| !typed.is_empty() && *typed != user.as_bytes());
                assert_eq!(verified.original(), typed, "{name:?} {token}");
            }
        }
    }
    for (authzid, outcome) in [("alice", "verified"), ("bob", "authz_denied"), ("", "authz_denied")] {
        let mut both = attempt("alice@x.test", "t");
        both.claim.authzid = Some(authzid.as_bytes().to_vec());
        assert_eq!(house.judge(&both, 1).0, outcome, "{authzid:?}");
    }
}

#[test]
fn the_rules_on_an_account_hold_for_tokens_too() {
    let house = house();
    for name in ["alice", "late", "off", "out", "pop", "net", "shut", "left", "lost", "bad", "admin"] {
        house.good(name, name, 3600);
    }
    for (name, seconds, outcome) in [
        // The main password may be used for Sieve alone: that is not about tokens.
        ("alice", 1, "verified"),
        ("late", 99, "verified"),
        ("late", 100, "expired"),
        ("off", 1, "disabled"),
        ("out", 1, "expired"),
        ("pop", 1, "service_denied"),
        ("net", 1, "network_denied"),
        ("shut", 1, "verified"),
        // Who is switched off, or gone, where their password is checked.
        ("left", 1, "disabled"),
        ("lost", 1, "disabled"),
        ("bad", 1, "unavailable"),
        // Master users are none that mail is kept for.
        ("admin", 1, "no_such_user"),
    ] {
        for _ in 0..2 {
            assert_eq!(house.judge(&attempt(name, name), seconds).0, outcome, "{name} at {seconds}");
        }
    }
    let (decision, _) = house.decide(&attempt("shut", "shut"), 1);
    let Decision::Accept(verified) = decision else { panic!("{decision:?}") };
    assert!(verified.account().nologin.is_some(), "for who speaks with the peer to tell");
    let inside = Attempt { remote: Some("192.0.2.7".parse().unwrap()), ..attempt("net", "net") };
    assert_eq!(house.judge(&inside, 1).0, "verified");
    let pop = Attempt { service: "pop3".into(), ..attempt("pop", "pop") };
    assert_eq!(house.judge(&pop, 1).0, "verified");
}

#[test]
fn a_name_that_leads_to_several_accounts_is_nobodys_token() {
    let sql = "[[directory]]\nname = 'mail'\ntype = 'sqlite'\nfile = '@DIR@/mail.db'\n\
        user_query = 'SELECT user FROM people WHERE alias = :user'\n";
    let house = House::new(sql, "");
    let database = rusqlite::Connection::open(house._dir.path().join("mail.db")).unwrap();
    let rows = "CREATE TABLE people (user, alias); INSERT INTO people VALUES ('one@x.test', 'both@x.test'),
        ('two@x.test', 'both@x.test'), ('one@x.test', 'one@x.test')";
    database.execute_batch(rows).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    house.good("both", "both", 3600);
    house.good("one", "one", 3600);
    for (name, token, outcome) in [
        ("", "both", "ambiguous"),
        ("one", "both", "ambiguous"),
        ("both", "one", "ambiguous"),
        ("", "one", "verified"),
    ] {
        let attempt = attempt(name, token);
        let judged = runtime.block_on(house.engine.judge(&attempt, house.at(1)));
        assert_eq!(judged.0.outcome(), outcome, "{name:?} {token}");
    }
}

#[test]
fn an_account_can_be_made_of_what_the_token_says() {
    let house = house();
    let fields =
        [("home", "/m/{domain}/{local}"), ("active", "{enabled}"), ("quota_rule", "*:bytes={quota}")];
    let fields = fields.iter().map(|(name, text)| ((*name).to_owned(), Template::of(text))).collect();
    let recipe = Arc::new(FromClaims { fields });
    let token = |user: &str, claims| Vouched {
        account: Join::FromClaims(Arc::clone(&recipe)),
        claims: Arc::new(crate::oidc::Claims::of(claims)),
        ..of(user, 3600)
    };
    house.say("carol", Ok(token("carol", json!({ "enabled": true, "quota": 5 }))));
    house.say("dave", Ok(token("dave", json!({ "enabled": false }))));
    house.say("erin", Ok(token("erin", json!({}))));
    for (name, token, outcome) in [
        ("carol", "carol", "verified"),
        ("", "carol", "verified"),
        ("alice", "carol", "token_of_another"),
        ("dave", "dave", "disabled"),
        // Nobody can say whether they may come in.
        ("erin", "erin", "unavailable"),
    ] {
        for _ in 0..2 {
            assert_eq!(house.judge(&attempt(name, token), 1).0, outcome, "{name:?} {token}");
        }
    }
    let (decision, _) = house.decide(&attempt("", "carol"), 1);
    let Decision::Accept(verified) = decision else { panic!("{decision:?}") };
    let account = verified.account();
    assert_eq!((account.user.as_str(), &*account.directory), ("carol@x.test", "idp"));
    assert_eq!(account.userdb.as_fields().raw(), b"home=/m/x.test/carol\tquota_rule=*:bytes=5");
}
