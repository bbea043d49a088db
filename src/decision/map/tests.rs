use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Answer, Asker, Engine};
use crate::{
    cache,
    config::{Config, Surroundings},
    decision::Limits,
    directory::Chain,
    password::Pool,
};

const TABLES: &str = "
    CREATE TABLE mailbox (username TEXT PRIMARY KEY, password TEXT);
    CREATE TABLE alias (address TEXT PRIMARY KEY, goto TEXT);
    CREATE TABLE alias_domain (alias_domain TEXT PRIMARY KEY, target_domain TEXT);
    CREATE TABLE acl (address TEXT, login TEXT);
    INSERT INTO mailbox VALUES ('anna@example.org', 'x'), ('ben@example.org', 'x'), ('cleo@example.net', 'x'),
        ('dora@example.org', 'x');
    INSERT INTO alias VALUES
        ('sales@example.org', 'anna@example.org,ben@example.org'),
        ('shop@example.org', 'sales@example.org'),
        ('ben+bills@example.org', 'cleo@example.net'),
        ('moved@example.org', '@example.net'),
        ('ring@example.org', 'ring@example.org,bell@example.org'),
        ('bell@example.org', 'ring@example.org'),
        ('away@example.org', 'somebody@elsewhere.test'),
        ('dora@example.org', 'dora@example.org,cleo@example.net'),
        ('@example.net', 'cleo@example.net');
    INSERT INTO alias_domain VALUES ('example.com', 'example.org'), ('example.info', 'example.com'), ('loop.test', 'loop.test');
    INSERT INTO acl VALUES
        ('anna@example.org', 'ben@example.org'), ('@example.org', 'boss@example.org'), ('*', 'root@example.org');
";

const USER_QUERY: &str = "SELECT username AS user, password FROM mailbox WHERE username = :user";

const DIRECTORY: &str = "
[[directory]]
name = 'mail'
type = 'sqlite'
file = '@DIR@/mail.db'
domains = ['example.org', 'example.net']
user_query = \"SELECT username AS user, password FROM mailbox WHERE username = :user\"
[directory.maps]
aliases = 'SELECT goto FROM alias WHERE address = :key'
alias_domains = \"SELECT target_domain FROM alias_domain WHERE alias_domain='%s'\"
";

/// An engine over such tables, with `more` behind the configuration.
fn engine(more: &str) -> (TempDir, Engine) {
    engine_over(&format!("{DIRECTORY}{more}"))
}

fn engine_over(config: &str) -> (TempDir, Engine) {
    let dir = tempfile::tempdir().unwrap();
    Connection::open(dir.path().join("mail.db")).unwrap().execute_batch(TABLES).unwrap();
    let mut around = Surroundings::of_this_process(false);
    around.state_dir = Some(dir.path().join("state"));
    around.runtime_dir = Some(dir.path().join("run"));
    let text = config.replace("@DIR@", dir.path().to_str().unwrap());
    let config = Config::from_texts(&[(Path::new("test.toml"), &text)], &around).unwrap();
    let chain = Chain::open(&config.directories, None).unwrap();
    let engine = Engine::new(chain, Arc::new(Pool::with_queue(1, 1 << 30, 16)), Limits::default(), None);
    let limits = cache::Limits {
        ttl: Duration::from_secs(300),
        negative_ttl: Duration::from_secs(60),
        max_stale: Duration::from_secs(3600),
        max_memory: 1 << 24,
    };
    let engine = engine.with_memory(limits, Instant::now()).unwrap().with_maps(&config.maps);
    (dir, engine)
}

async fn told(engine: &Engine, map: &str, key: &str) -> Option<String> {
    match engine.map(map.as_bytes(), key.as_bytes(), Asker::Unknown).await.unwrap() {
        Answer::Found(value) => Some(value.as_str().to_owned()),
        Answer::NotThere => None,
        other @ (Answer::NoSuchMap | Answer::NotForYou) => panic!("{map}: {other}"),
    }
}

async fn check(engine: &Engine, map: &str, table: &[(&str, Option<&str>)]) {
    // The second time from memory.
    for round in 0..2 {
        for (key, expected) in table {
            let answer = told(engine, map, key).await;
            assert_eq!(answer.as_deref(), *expected, "{map} of {key:?} in round {round}");
        }
    }
}

#[tokio::test]
async fn an_alias_leads_on_and_nobody_loses_mail_to_a_catch_all() {
    let (_dir, engine) = engine("");
    check(
        &engine,
        "aliases",
        &[
            ("sales@example.org", Some("anna@example.org,ben@example.org")),
            ("Sales@Example.ORG", Some("anna@example.org,ben@example.org")),
            ("sales+x@example.org", Some("anna+x@example.org,ben+x@example.org")),
            ("shop@example.org", Some("sales@example.org")),
            // A mailbox keeps its mail, with any extension but the one that has an alias of its own.
            ("anna@example.org", None),
            ("anna+x@example.org", None),
            ("ben+bills@example.org", Some("cleo@example.net")),
            ("ben+other@example.org", None),
            ("nobody@example.org", None),
            // Their own alias leads back to them, and on.
            ("dora+x@example.org", Some("dora+x@example.org,cleo+x@example.net")),
            ("moved@example.org", Some("@example.net")),
            ("Moved+X@example.org", Some("Moved+X@example.net")),
            // Of everybody in a domain, only those go on who are not there.
            ("nobody@example.net", Some("cleo@example.net")),
            ("nobody+x@example.net", Some("cleo@example.net")),
            ("cleo@example.net", None),
            ("cleo+x@example.net", None),
            // Another name of a domain, and of that one again.
            ("anna@example.com", Some("anna@example.org")),
            ("anna+x@example.com", Some("anna+x@example.org")),
            ("sales@example.com", Some("sales@example.org")),
            ("nobody@example.com", None),
            ("anna@example.info", Some("anna@example.com")),
            ("anna@loop.test", None),
            ("anna", None),
            ("", None),
        ],
    )
    .await;
}

#[tokio::test]
async fn mailboxes_domains_and_recipients_are_what_mail_is_taken_in_for() {
    let (_dir, engine) = engine("");
    check(
        &engine,
        "mailboxes",
        &[
            ("Anna+x@example.org", Some("anna@example.org")),
            ("sales@example.org", None),
            ("anna@example.com", None),
        ],
    )
    .await;
    check(
        &engine,
        "domains",
        &[
            ("Example.ORG", Some("example.org")),
            ("example.com", Some("example.com")),
            ("example.info", Some("example.info")),
            ("elsewhere.test", None),
            ("anna@example.org", None),
        ],
    )
    .await;
    check(
        &engine,
        "recipients",
        &[
            ("anna+x@example.org", Some("anna@example.org")),
            ("sales@example.org", Some("anna@example.org,ben@example.org")),
            ("anna@example.com", Some("anna@example.org")),
            ("nobody@example.net", Some("cleo@example.net")),
            ("nobody@example.org", None),
            ("nobody@example.com", None),
        ],
    )
    .await;
}

/// The rules of an account and its canonical name count from memory as well as from the directory.
#[tokio::test]
async fn who_takes_in_no_mail_has_no_mailbox_and_may_send() {
    let query = "SELECT username AS user, password, CASE username WHEN 'ben@example.org' THEN 'no' END AS lmtp \
                 FROM mailbox WHERE username = replace(:user, 'annie@', 'anna@')";
    let (_dir, engine) = engine_over(&DIRECTORY.replace(USER_QUERY, query));
    let mailboxes = [
        ("ben@example.org", None),
        ("ben+x@example.org", None),
        ("Annie+x@example.org", Some("anna@example.org")),
        ("anna@example.org", Some("anna@example.org")),
    ];
    check(&engine, "mailboxes", &mailboxes).await;
    check(&engine, "senders", &[("ben@example.org", Some("ben@example.org"))]).await;
}

#[tokio::test]
async fn whoever_has_an_address_may_send_under_it_in_whichever_way_they_have_it() {
    let (_dir, engine) = engine("");
    let all = "anna@example.org,ben@example.org";
    check(
        &engine,
        "senders",
        &[
            ("Anna+x@example.org", Some("anna@example.org")),
            ("sales@example.org", Some(all)),
            ("shop@example.org", Some(all)),
            ("sales@example.com", Some(all)),
            ("anna@example.info", Some("anna@example.org")),
            ("ben+bills@example.org", Some("ben@example.org,cleo@example.net")),
            ("ring@example.org", None),
            ("away@example.org", None),
            // Who gets the mail of a mailbox as well is not its owner.
            ("dora@example.org", Some("dora@example.org")),
            ("dora+x@example.org", Some("dora@example.org")),
            ("nobody@example.net", Some("cleo@example.net")),
            ("cleo@example.net", Some("cleo@example.net")),
            ("nobody@example.org", None),
            ("", None),
        ],
    )
    .await;
}

/// Where the directory itself finds people by what their domain is called besides.
#[tokio::test]
async fn mail_for_another_name_of_a_domain_goes_where_that_for_the_domain_goes() {
    let query = "SELECT username AS user, password FROM mailbox WHERE username = COALESCE((SELECT :local || '@' || target_domain \
        FROM alias_domain WHERE alias_domain = :domain), :user)";
    let (_dir, engine) = engine_over(&DIRECTORY.replace(USER_QUERY, query));
    check(
        &engine,
        "aliases",
        &[
            ("anna@example.com", Some("anna@example.org")),
            ("dora+x@example.com", Some("dora+x@example.org")),
            ("dora@example.org", Some("dora@example.org,cleo@example.net")),
            ("anna@example.org", None),
            ("nobody@example.com", None),
        ],
    )
    .await;
    check(&engine, "senders", &[("dora@example.com", Some("dora@example.org"))]).await;
}

#[tokio::test]
async fn whom_a_table_names_may_send_too_and_aliases_need_not() {
    let (_dir, engine) = engine(
        "senders = 'SELECT login FROM acl WHERE address = :key ORDER BY login'\n[maps]\naliases_may_send = false\n",
    );
    check(
        &engine,
        "senders",
        &[
            ("anna@example.org", Some("anna@example.org,ben@example.org,boss@example.org,root@example.org")),
            (
                "anna+x@example.org",
                Some("anna@example.org,ben@example.org,boss@example.org,root@example.org"),
            ),
            ("sales@example.org", Some("boss@example.org,root@example.org")),
            ("nobody@example.com", Some("boss@example.org,root@example.org")),
            ("cleo@example.net", Some("cleo@example.net,root@example.org")),
            ("nobody@example.net", Some("root@example.org")),
        ],
    )
    .await;
}

#[tokio::test]
async fn any_other_map_is_asked_as_postfix_would_ask_its_own_table() {
    let (_dir, engine) = engine(
        "canonical_maps = \"SELECT goto FROM alias WHERE address = '%s'\"
smtp_generic_maps = \"SELECT goto FROM alias WHERE address = '%s'\"
relocated_maps = \"SELECT goto FROM alias WHERE address = '%s'\"
relay = [
    { query = \"SELECT login FROM acl WHERE address = '@%d'\", result_format = 'smtp:[%d]', domain = 'example.org' },
    \"SELECT 'second' FROM alias WHERE address = '%s'\",
]
[directory.maps.one]
query = \"SELECT username FROM mailbox WHERE username LIKE '%%@%d'\"
expansion_limit = 1
[maps.relay]
walk = 'address'
",
    );
    check(
        &engine,
        "canonical_maps",
        &[
            ("shop+x@example.org", Some("sales+x@example.org")),
            ("Moved+X@example.org", Some("Moved+X@example.net")),
            ("nobody@example.net", Some("cleo@example.net")),
            ("nobody@example.org", None),
            ("", None),
        ],
    )
    .await;
    // The same name elsewhere, without what was taken off it; and where Postfix takes it for no address, as it stands there.
    check(&engine, "smtp_generic_maps", &[("Moved+X@example.org", Some("Moved@example.net"))]).await;
    check(&engine, "relocated_maps", &[("Moved+X@example.org", Some("@example.net"))]).await;
    check(
        &engine,
        "relay",
        &[
            ("anybody@example.org", Some("smtp:[example.org]")),
            ("nobody@example.net", Some("second")),
            ("@example.org", None),
        ],
    )
    .await;
    assert_eq!(told(&engine, "one", "x@example.net").await.as_deref(), Some("cleo@example.net"));
    let several = engine.map(b"one", b"x@example.org", Asker::Unknown).await;
    assert!(several.is_err_and(|why| why.to_string().contains("expansion_limit")));
}

#[tokio::test]
async fn what_a_directory_has_said_serves_to_find_and_never_to_refuse() {
    let (dir, engine) = engine("");
    let keys = ["sales@example.org", "anna@example.org", "nobody@example.org"];
    for key in keys {
        told(&engine, "aliases", key).await;
        told(&engine, "senders", key).await;
    }
    Connection::open(dir.path().join("mail.db")).unwrap().execute_batch("DROP TABLE alias").unwrap();
    // As when the time of all is over.
    engine.memory.as_ref().unwrap().maps.doubt(Instant::now());
    let found = told(&engine, "aliases", "sales@example.org").await;
    assert_eq!(found.as_deref(), Some("anna@example.org,ben@example.org"));
    assert_eq!(told(&engine, "aliases", "anna@example.org").await, None, "the mailbox is there");
    for key in ["nobody@example.org", "never@example.org"] {
        assert!(engine.map(b"aliases", key.as_bytes(), Asker::Unknown).await.is_err(), "{key}");
        assert!(engine.map(b"senders", key.as_bytes(), Asker::Unknown).await.is_err(), "{key}");
    }
    let senders = told(&engine, "senders", "anna@example.org").await;
    assert_eq!(senders.as_deref(), Some("anna@example.org"));
    let status = engine.memory_status().unwrap().maps;
    assert!(status.counts.stale > 0 && status.entries > 0 && status.bytes > 0, "{status:?}");
}

#[tokio::test]
async fn what_was_remembered_is_forgotten_with_a_flush_and_with_a_change() {
    let (dir, engine) = engine("");
    let database = Connection::open(dir.path().join("mail.db")).unwrap();
    let goto = |goto: &str| {
        let sql = "UPDATE alias SET goto = ?1 WHERE address = 'shop@example.org'";
        database.execute(sql, [goto]).unwrap();
    };
    let shop = || told(&engine, "aliases", "shop@example.org");
    assert_eq!(shop().await.as_deref(), Some("sales@example.org"));
    goto("anna@example.org");
    assert_eq!(shop().await.as_deref(), Some("sales@example.org"), "from memory");
    engine.flush(|name| name == "shop@example.org");
    assert_eq!(shop().await.as_deref(), Some("anna@example.org"));
    goto("ben@example.org");
    engine.forget_keys(["shop@example.org"]);
    assert_eq!(shop().await.as_deref(), Some("ben@example.org"));
}

#[tokio::test]
async fn a_map_with_readers_is_for_these_alone() {
    let (_dir, engine) = engine(
        "smtp_sasl_password_maps = \"SELECT 'user:secret' FROM alias WHERE address = '%s'\"
[maps.smtp_sasl_password_maps]
readers = ['4321']
",
    );
    for (asker, allowed) in [
        (Asker::Process(4321), true),
        (Asker::Process(0), true),
        (Asker::Operator, true),
        (Asker::Process(4322), false),
        (Asker::Unknown, false),
    ] {
        let answer = engine.map(b"smtp_sasl_password_maps", b"shop@example.org", asker).await.unwrap();
        match answer {
            Answer::Found(value) if allowed => {
                assert_eq!(value.as_str(), "user:secret");
                assert_eq!(format!("{value:?}"), "Mapped(11 bytes)");
            }
            answer => assert_eq!((answer, allowed), (Answer::NotForYou, false), "{asker:?}"),
        }
    }
    assert_eq!(engine.map(b"nothing", b"a", Asker::Operator).await, Ok(Answer::NoSuchMap));
    assert_eq!(engine.map(b"aliases", b"\xff@example.org", Asker::Operator).await, Ok(Answer::NotThere));
}
