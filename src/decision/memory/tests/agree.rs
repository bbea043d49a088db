//! What memory says is what the directories would say.

use proptest::prelude::*;

use super::{Attempt, Decision, Engine, House, Instant, IpAddr, Knock, Now, attempt};
use crate::decision::Refusal;

/// All that an account can be.
const TEXT: &str = "
[[directory]]
name = 'admins'
type = 'static'
master = true
users = ['admin']
password = '{PLAIN}master'

[[directory]]
name = 'staff'
type = 'static'
domains = ['staff.test', 'x.test']
users = ['far@staff.test', 'off@staff.test']
password = '{PLAIN}main'

[[directory]]
name = 'people'
type = 'passwd-file'
file = '@DIR@/users'
domains = ['x.test']

[[directory]]
name = 'imaponly'
type = 'static'
domains = ['p.test']
users = ['prim@p.test']
password = '{PLAIN}main'
primary_password_services = ['imap']

[[directory]]
name = 'mail'
type = 'sqlite'
file = '@DIR@/mail.db'
domains = ['sql.test']
primary_password_services = ['imap', 'smtp']
user_query = 'SELECT user, password FROM people WHERE user = :user OR alias = :user'
app_password_query = 'SELECT user, id, password, imap, expires_at FROM apps WHERE user = :user'
";

const USERS: &str = "
plain:{PLAIN}main::::::
full:{PLAIN}main:5000:5000::/srv/mail::userdb_quota_rule=*:bytes=5
pop:{PLAIN}main::::::services=pop3
net:{PLAIN}main::::::allow_nets=192.0.2.0/24
here:{PLAIN}main::::::allow_nets=local
late:{PLAIN}main::::::expires_at=1000
soon:{PLAIN}main::::::expires_at=4000000000
off:{PLAIN}main::::::active=no
shut:{PLAIN}main::::::nologin reason=closed
moved:{PLAIN}main::::::proxy host=192.0.2.9
alias:{PLAIN}main::::::user=plain
broken:{NO-SUCH}x::::::
none:::::::
there:{PLAIN}own::::::password_from=staff password_user=far@staff.test
gone:{PLAIN}own::::::password_from=staff
";

const SQL: &str = "
CREATE TABLE people (user, alias, password);
INSERT INTO people VALUES ('apps@sql.test', 'second@sql.test', '{PLAIN}main');
CREATE TABLE apps (user, id, password, imap, expires_at);
INSERT INTO apps VALUES
 ('apps@sql.test', 1, '{PLAIN}phone', 1, NULL),
 ('apps@sql.test', 2, '{PLAIN}noimap', 0, NULL),
 ('apps@sql.test', 3, '{PLAIN}late', 1, 1000);
";

const NAMES: [&str; 27] = [
    "plain@x.test",
    "plain",
    "Plain@x.test",
    "full@x.test",
    "pop@x.test",
    "net@x.test",
    "here@x.test",
    "late@x.test",
    "soon@x.test",
    "off@x.test",
    "shut@x.test",
    "moved@x.test",
    "alias@x.test",
    "broken@x.test",
    "none@x.test",
    "there@x.test",
    "gone@x.test",
    "prim@p.test",
    "apps@sql.test",
    "second@sql.test",
    "nobody@x.test",
    "admin@x.test",
    "plain@x.test*admin",
    "plain@x.test*plain@x.test",
    "bad name",
    "nobody@nowhere.test",
    "far@staff.test",
];
const PASSWORDS: [&str; 9] = ["main", "own", "phone", "noimap", "late", "master", "", "main\0", "wrong"];
const SERVICES: [&str; 4] = ["imap", "pop3", "smtp", "IMAP"];
const REMOTES: [Option<&str>; 3] = [None, Some("192.0.2.7"), Some("::ffff:192.0.2.7")];

/// All that a peer is told, and the log.
fn told(decision: &Decision) -> String {
    match decision {
        Decision::Accept(verified) => {
            let account = verified.account();
            format!(
                "{} of {} by {:?}, typed {:?}, {:?}, {:?}, {:?}",
                account.user,
                account.directory,
                verified.by(),
                verified.original(),
                account.nologin,
                account.passdb,
                account.userdb
            )
        }
        // Which of the two reasons it is depends on whether the directory is asked at all.
        Decision::Refuse(Refusal::PasswordMismatch | Refusal::PrimaryPasswordDenied { .. }) => {
            "mismatch".to_owned()
        }
        Decision::Refuse(refusal) => format!("{refusal:?}"),
    }
}

fn recalled(engine: &Engine, attempt: &Attempt) -> Option<Result<String, Refusal>> {
    let password = attempt.claim.credential.password().unwrap();
    let knock = Knock {
        authcid: &attempt.claim.authcid,
        authzid: attempt.claim.authzid.as_deref(),
        password: password.expose(),
        proof: &[&attempt.claim.authcid, &b"\0"[..], password.expose()].concat(),
        service: &attempt.service,
        keeps: true,
    };
    let known = engine.recall(&knock, || attempt.remote, Instant::now())?;
    Some(known.map(|known| {
        let account = known.account().unwrap();
        let by = known.app_password().map(|which| &which.id);
        format!("{} of {} by {by:?} {:?}", account.user.as_str(), known.directory(), account.userdb)
    }))
}

fn of_numbers((name, password, service, remote): (usize, usize, usize, usize)) -> Attempt {
    let remote = REMOTES[remote].map(|text| text.parse::<IpAddr>().unwrap());
    Attempt { remote, ..attempt(NAMES[name], PASSWORDS[password], SERVICES[service]) }
}

async fn agree(house: &House, attempt: &Attempt) -> bool {
    let now = Now::read();
    let asked = house.forgetful.judge(attempt, now).await.0;
    let mut from_memory = false;
    if let Some(known) = recalled(&house.engine, attempt) {
        from_memory = true;
        match (&known, &asked) {
            (Ok(known), Decision::Accept(verified)) => {
                let account = verified.account();
                let by = verified.by().app_password().map(|which| &which.id);
                let expected =
                    format!("{} of {} by {by:?} {:?}", account.user, account.directory, account.userdb);
                assert_eq!(*known, expected, "{attempt:?}");
                // Nothing but the name is told of them.
                assert!(account.passdb.is_empty() && account.nologin.is_none(), "{attempt:?}");
                assert_eq!(verified.original(), None, "{attempt:?}");
                assert_eq!(verified.master(), None, "{attempt:?}");
            }
            (Err(known), Decision::Refuse(refusal)) => {
                assert!(!known.is_temporary() && !refusal.is_temporary(), "{attempt:?} {refusal:?}");
                assert_eq!(known.fail_code(), refusal.fail_code(), "{attempt:?}");
            }
            (known, asked) => panic!("{attempt:?}: {known:?} from memory, {asked:?} asked"),
        }
    }
    let (judged, recollection) = house.engine.judge(attempt, now).await;
    assert_eq!(told(&judged), told(&asked), "{attempt:?} {recollection:?}");
    from_memory || recollection.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever has tried what before.
    #[test]
    fn memory_says_what_the_directories_would_say(
        attempts in prop::collection::vec((0..NAMES.len(), 0..PASSWORDS.len(), 0..SERVICES.len(), 0..REMOTES.len()), 100)
    ) {
        let house = House::new(TEXT, USERS, SQL);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let known = runtime.block_on(async {
            let mut known = 0;
            for numbers in attempts {
                let attempt = of_numbers(numbers);
                // Twice, because most are new.
                known += usize::from(agree(&house, &attempt).await) + usize::from(agree(&house, &attempt).await);
            }
            known
        });
        prop_assert!(known > 50, "{known} of 200 were from memory");
    }
}

#[tokio::test]
async fn who_is_answered_from_memory_and_who_is_not() {
    let house = House::new(TEXT, USERS, SQL);
    let mut hot = Vec::new();
    for name in NAMES {
        for password in ["main", "own", "phone", "noimap", "late", "master"] {
            let attempt = attempt(name, password, "imap");
            assert!(recalled(&house.engine, &attempt).is_none_or(|known| known.is_err()), "not asked so far");
            house.engine.judge(&attempt, Now::read()).await;
            if let Some(Ok(_)) = recalled(&house.engine, &attempt) {
                hot.push(format!("{name} {password}"));
            }
        }
    }
    // Who has rules is judged by them, which takes longer.
    let expected = [
        "plain@x.test main",
        "full@x.test main",
        "prim@p.test main",
        "apps@sql.test main",
        "apps@sql.test phone",
        "far@staff.test main",
    ];
    assert_eq!(hot, expected);
    // What they are let in to is looked at each time.
    for (name, password, service, remote, expected) in [
        ("prim@p.test", "main", "smtp", None, false),
        ("prim@p.test", "main", "IMAP", None, true),
        ("apps@sql.test", "main", "smtp", None, true),
        ("apps@sql.test", "main", "pop3", None, false),
        ("apps@sql.test", "phone", "pop3", None, true),
    ] {
        let remote = remote.map(|text: &str| text.parse().unwrap());
        let attempt = Attempt { remote, ..attempt(name, password, service) };
        let known = recalled(&house.engine, &attempt);
        assert_eq!(known.is_some_and(|known| known.is_ok()), expected, "{name} {password} {service}");
        assert!(agree(&house, &attempt).await || !expected);
    }
    for (name, remote) in [("here@x.test", None), ("net@x.test", Some("192.0.2.7")), ("soon@x.test", None)] {
        let remote = remote.map(|text: &str| text.parse().unwrap());
        let attempt = Attempt { remote, ..attempt(name, "main", "imap") };
        let judged = house.engine.judge(&attempt, Now::read()).await;
        assert!(house.engine.judge(&attempt, Now::read()).await.1.is_some(), "{name}: {judged:?}");
        let outside = Attempt { remote: Some("198.51.100.1".parse().unwrap()), ..attempt };
        assert_eq!(house.engine.judge(&outside, Now::read()).await.1.is_some(), name.starts_with("soon"));
        agree(&house, &outside).await;
    }
}

#[tokio::test]
async fn app_passwords_of_our_own_are_looked_at_each_time() {
    let house = House::new(TEXT, USERS, SQL);
    for (name, owner, expected) in [
        ("plain", "plain", "verified"),
        ("alias", "plain", "verified"),
        ("alias", "alias", "rejected"),
        ("off", "off", "disabled"),
        ("late", "late", "expired"),
        ("pop", "pop", "service_denied"),
        ("shut", "shut", "verified"),
        ("none", "none", "verified"),
        ("gone", "gone", "disabled"),
        ("there", "there", "verified"),
        ("nobody", "nobody", "no_such_user"),
    ] {
        let password = house.own(owner);
        for round in 0..3 {
            let attempt = attempt(name, &password, "imap");
            assert!(recalled(&house.engine, &attempt).is_none());
            let (decision, recollection) = house.engine.judge(&attempt, Now::read()).await;
            assert_eq!((decision.outcome(), recollection), (expected, None), "{name} in round {round}");
            assert_eq!(told(&decision), told(&house.forgetful.judge(&attempt, Now::read()).await.0));
        }
    }
}
