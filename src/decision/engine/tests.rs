use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::FutureExt as _;
use gatepost_protocol::secret::Secret;

use super::{Engine, Limits};
use crate::{
    config,
    decision::{Attempt, Decision, Hop, Refusal, TempFail, testing::configured},
    directory::Chain,
    mechanism::{Claim, Credential, Mechanism},
    password::Pool,
};

/// Judges over a passwd-file of these lines; `None`: over one that is not there.
fn engine(lines: Option<&[u8]>) -> Engine {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    if let Some(lines) = lines {
        fs::write(&file, lines).unwrap();
    }
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
    let chain = Chain::open(&[people], None).unwrap();
    Engine::new(chain, Arc::new(Pool::with_queue(1, 1 << 30, 16)), Limits::default(), None)
}

fn attempt(name: &[u8], password: &[u8]) -> Attempt {
    let claim = Claim {
        authzid: None,
        authcid: name.to_vec(),
        credential: Credential::Password(Secret::new(password.to_vec())),
    };
    let (mechanism, service) = (Mechanism::Plain, "imap".into());
    Attempt { claim, mechanism, service, remote: None, session: None, hop: Hop::default() }
}

fn outcome(engine: &Engine, name: &[u8], password: &[u8]) -> &'static str {
    engine.decide(&attempt(name, password), UNIX_EPOCH).now_or_never().unwrap().outcome()
}

/// RFC 4513 5.1.2: an empty password proves nothing. Programs that asked an LDAP server all the same let everybody in.
#[test]
fn an_empty_password_lets_nobody_in_even_where_it_is_the_stored_one() {
    let engine = engine(Some(b"open:{PLAIN}\nlate:{PLAIN}x\nnone:\nstar:*\n"));
    for name in ["open", "late", "none", "star"] {
        assert_eq!(outcome(&engine, name.as_bytes(), b""), "rejected", "{name}");
    }
    assert_eq!(outcome(&engine, b"late", b"x"), "verified");
}

/// Dovecot's NEWS 2.3.11: what stood behind a NUL went unchecked.
#[test]
fn a_password_with_a_nul_lets_nobody_in_even_where_it_is_the_stored_one() {
    let engine = engine(Some(b"alice:{PLAIN}good\nnul:{PLAIN}good\0junk\n"));
    for (name, password) in
        [("alice", &b"good\0junk"[..]), ("alice", b"good\0"), ("alice", b"\0good"), ("nul", b"good\0junk")]
    {
        assert_eq!(outcome(&engine, name.as_bytes(), password), "rejected", "{}", password.escape_ascii());
    }
    assert_eq!(outcome(&engine, b"alice", b"good"), "verified");
}

#[test]
fn no_answer_is_neither_a_wrong_password_nor_an_unknown_user() {
    let engine = engine(None);
    let decision = engine.decide(&attempt(b"alice", b"good"), UNIX_EPOCH).now_or_never().unwrap();
    assert!(matches!(decision, Decision::Refuse(Refusal::TempFail(TempFail::Directory(_)))), "{decision:?}");
    // Whom nobody can be called, no directory needs to be asked about.
    assert_eq!(outcome(&engine, b"a b", b"x"), "invalid_name");
}

#[test]
fn an_invalid_name_is_refused_whatever_the_password() {
    let engine = engine(Some(b"alice:{PLAIN}good\n"));
    let table: &[&[u8]] = &[
        b"",
        b"alice ",
        b" alice",
        b"alice\n",
        b"alice\t",
        b"alice\0",
        b"\xff",
        b"alice*bob",
        b"../alice",
        b"@",
        b"a@b@c",
    ];
    for name in table {
        assert_eq!(outcome(&engine, name, b"good"), "invalid_name", "{}", name.escape_ascii());
    }
    assert_eq!(outcome(&engine, b"ALICE", b"good"), "verified");
}

/// Judges over the directories of a configuration text; `users` is a passwd-file of these lines.
fn engine_of(text: &str, users: &str) -> Engine {
    let (_dir, config) = configured(text, users);
    let chain = Chain::open(&config.directories, Some("x.test")).unwrap();
    let pool = Arc::new(Pool::with_queue(1, 1 << 30, 16));
    Engine::new(chain, pool, Limits::default(), Some("x.test")).with_separator(Some('*'))
}

const MASTERS: &str = "
[[directory]]
name = 'admins'
type = 'static'
master = true
targets = ['x.test', '*.y.test']
users = ['admin', 'alice']
password = '{PLAIN}master'

[[directory]]
name = 'shut'
type = 'static'
master = true
users = ['closed']
password = '{PLAIN}master'
[directory.fields]
nologin = 'yes'

[[directory]]
name = 'home'
type = 'static'
master = true
users = ['homely']
password = '{PLAIN}master'
[directory.fields]
allow_nets = '192.0.2.0/24'

[[directory]]
name = 'people'
type = 'passwd-file'
file = '@DIR@/users'

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
bob:{PLAIN}bob::::::
sub@s.y.test:{PLAIN}sub::::::
far@z.test:{PLAIN}far::::::
boss:{PLAIN}boss::::::user=far@z.test
late:{PLAIN}late::::::expires_at=1000
off:{PLAIN}off::::::active=no
out:{PLAIN}out::::::expired
pop:{PLAIN}pop::::::services=pop3
net:{PLAIN}net::::::allow_nets=192.0.2.0/24
none:::::::
shut:{PLAIN}shut::::::nologin
bad:{PLAIN}bad:0:0::::
left:{PLAIN}left::::::password_from=staff
lost:{PLAIN}lost::::::password_from=staff
";

#[test]
fn a_master_user_logs_in_as_others_with_their_own_password_alone() {
    let engine = engine_of(MASTERS, PEOPLE);
    let table = [
        ("alice*admin", "master", "verified"),
        ("ALICE@X.test*Admin@x.TEST", "master", "verified"),
        ("alice*admin", "alice", "rejected"),
        ("alice*admin", "", "rejected"),
        ("alice*bob", "bob", "no_such_user"),
        ("alice*bob", "master", "no_such_user"),
        ("alice*nobody", "master", "no_such_user"),
        // Nobody is a master user without a target, and no password of one is any good for oneself.
        ("admin", "master", "no_such_user"),
        ("admin*admin", "master", "no_such_user"),
        ("alice", "master", "rejected"),
        ("alice*alice", "master", "rejected"),
        ("alice*alice", "alice", "verified"),
        ("Alice*alice@x.test", "alice", "verified"),
        ("bob*alice", "master", "verified"),
        ("bob*alice", "alice", "rejected"),
        // Whom the targets do not name, by which of their names whatever.
        ("sub@s.y.test*admin", "master", "verified"),
        ("far@z.test*admin", "master", "target_refused"),
        ("boss*admin", "master", "target_refused"),
        ("nobody@z.test*admin", "master", "target_refused"),
        ("nobody*admin", "master", "target_refused"),
        // The rules of the target hold, and its password does not matter.
        ("none*admin", "master", "verified"),
        ("shut*admin", "master", "verified"),
        ("off*admin", "master", "target_refused"),
        ("out*admin", "master", "target_refused"),
        ("pop*admin", "master", "target_refused"),
        ("net*admin", "master", "target_refused"),
        ("off*admin", "wrong", "rejected"),
        // Those too that are kept where its password is checked.
        ("left*admin", "master", "target_refused"),
        ("lost*admin", "master", "target_refused"),
        ("bad*admin", "master", "unavailable"),
        // As do those of the master user.
        ("alice*closed", "master", "disabled"),
        ("alice*homely", "master", "network_denied"),
        // What is no name, or no two.
        ("*admin", "master", "invalid_name"),
        ("alice*", "alice", "invalid_name"),
        ("alice*", "master", "invalid_name"),
        ("*", "master", "invalid_name"),
        ("alice**admin", "master", "invalid_name"),
        ("alice*bob*admin", "master", "invalid_name"),
        ("alice*admin*admin", "master", "invalid_name"),
        ("a b*admin", "master", "invalid_name"),
    ];
    for (name, password, expected) in table {
        assert_eq!(outcome(&engine, name.as_bytes(), password.as_bytes()), expected, "{name} {password:?}");
    }
    let mut acting = attempt(b"admin", b"master");
    acting.claim.authzid = Some(b"alice".to_vec());
    let decision = engine.decide(&acting, UNIX_EPOCH).now_or_never().unwrap();
    let Decision::Accept(verified) = decision else { panic!("{decision:?}") };
    assert_eq!(
        (verified.user().as_str(), verified.master().unwrap().as_str()),
        ("alice@x.test", "admin@x.test")
    );
    assert_eq!(verified.original(), Some(&b"admin"[..]));
}

#[test]
fn without_directories_of_master_users_nobody_acts_as_somebody_else() {
    let engine =
        engine_of("[[directory]]\nname = 'people'\ntype = 'passwd-file'\nfile = '@DIR@/users'\n", PEOPLE);
    for (name, password) in [("alice*bob", "bob"), ("alice*bob", "alice"), ("alice*bob", "wrong")] {
        assert_eq!(
            outcome(&engine, name.as_bytes(), password.as_bytes()),
            "authz_denied",
            "{name} {password}"
        );
    }
    assert_eq!(outcome(&engine.with_separator(None), b"alice*alice", b"alice"), "invalid_name");
}

/// What was verified for one user is worth nothing for another, whoever verified it.
#[test]
fn a_master_login_says_nothing_about_the_next_one() {
    let engine = engine_of(MASTERS, PEOPLE);
    assert_eq!(outcome(&engine, b"alice*admin", b"master"), "verified");
    assert_eq!(outcome(&engine, b"far@z.test*admin", b"master"), "target_refused");
    assert_eq!(outcome(&engine, b"alice", b"master"), "rejected");
    assert_eq!(outcome(&engine, b"bob*admin", b"alice"), "rejected");
}

#[test]
fn an_account_runs_out_at_its_second_for_logins_and_not_for_mail() {
    let engine = engine_of(MASTERS, PEOPLE);
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let outcome = |password: &[u8], now: SystemTime| {
        engine.decide(&attempt(b"late", password), now).now_or_never().unwrap().outcome()
    };
    assert_eq!(outcome(b"late", at(999)), "verified");
    assert_eq!(outcome(b"late", at(1000)), "expired");
    assert_eq!(outcome(b"wrong", at(1000)), "rejected", "only who knows the password learns of it");
    let preview = |service, now| {
        engine.preview(b"late", service, &Hop::default(), now).now_or_never().unwrap().unwrap().is_some()
    };
    assert!(preview("imap", at(999)) && !preview("imap", at(1000)));
    assert!(preview("lmtp", at(1000)), "mail goes where it went before");
    assert!(engine.lookup(b"late", "lmtp").now_or_never().unwrap().unwrap().is_some());
}

#[test]
fn who_takes_no_mail_is_no_recipient_and_logs_in_all_the_same() {
    let people =
        "reader:{PLAIN}r::::::lmtp=no\nquiet:{PLAIN}q::::::active=2\nlisted:{PLAIN}l::::::services=imap\n";
    let engine = engine_of(MASTERS, people);
    let found = |name: &str, service| {
        engine.lookup(name.as_bytes(), service).now_or_never().unwrap().unwrap().is_some()
    };
    for (name, service, expected) in [
        ("reader", "lmtp", false),
        ("reader", "lda", false),
        ("reader", "doveadm", true),
        ("quiet", "lmtp", true),
        ("listed", "lmtp", true),
    ] {
        assert_eq!(found(name, service), expected, "{name} {service}");
    }
    assert_eq!(outcome(&engine, b"reader", b"r"), "verified");
    assert_eq!(outcome(&engine, b"quiet", b"q"), "disabled");
    let preview = engine.preview(b"reader", "lmtp", &Hop::default(), UNIX_EPOCH).now_or_never().unwrap();
    assert!(preview.unwrap().is_none());
}

#[test]
fn whoever_checks_the_password_may_call_it_expired_and_nothing_else() {
    let directories = "
[[directory]]
name = 'people'
type = 'passwd-file'
file = '@DIR@/users'

[[directory]]
name = 'staff'
type = 'static'
users = ['alice', 'off']
password = '{PLAIN}staff'
[directory.fields]
allow_nets = '192.0.2.0/24'
home = '/staff'

[[directory]]
name = 'retired'
type = 'static'
password = '{PLAIN}staff'
[directory.fields]
expired = 'yes'
";
    let people = "alice:{PLAIN}own:5000:5000::/m/alice::password_from=staff\n\
                  off:{PLAIN}own::::::password_from=staff active=no\n\
                  old:{PLAIN}own::::::password_from=retired\n\
                  typo:{PLAIN}own::::::password_from=stuff\n\
                  gone:{PLAIN}own::::::password_from=staff\n";
    let engine = engine_of(directories, people);
    for (name, password, expected) in [
        ("alice", "staff", "verified"),
        ("alice", "own", "rejected"),
        ("alice", "", "rejected"),
        ("off", "staff", "disabled"),
        ("old", "staff", "expired"),
        ("old", "wrong", "rejected"),
        ("typo", "own", "unavailable"),
        ("gone", "own", "rejected"),
        ("gone", "staff", "rejected"),
    ] {
        assert_eq!(outcome(&engine, name.as_bytes(), password.as_bytes()), expected, "{name} {password:?}");
    }
    // Mail needs no password.
    let typo = engine.lookup(b"typo", "lmtp").now_or_never().unwrap().unwrap();
    assert_eq!(&*typo.unwrap().directory, "people");
    let alice = engine.lookup(b"alice", "lmtp").now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(alice.userdb.as_fields().raw(), b"uid=5000\tgid=5000\thome=/m/alice");
}

/// Each is moved about and allocated with its request, so those that ask a server keep that apart.
#[test]
fn a_login_that_is_answered_from_memory_is_small() {
    let engine = engine(Some(b"alice:{PLAIN}good\n"));
    let attempt = attempt(b"alice", b"good");
    let (login, lookup) = (engine.decide(&attempt, UNIX_EPOCH), engine.lookup(b"alice", "imap"));
    assert!(size_of_val(&login) <= 2048, "{} bytes", size_of_val(&login));
    assert!(size_of_val(&lookup) <= 1024, "{} bytes", size_of_val(&lookup));
}
