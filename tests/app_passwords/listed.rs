//! App passwords that another program keeps in a table of its own, as mailcow does.

use crate::support::{Alone, Dovecot, Gatepost, Listener, MariaDb, Place, Tree};

/// The tables, as far as they matter here. `secret` is a hash of bcrypt.
const TABLES: &str = "
CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, password VARCHAR(255), alias VARCHAR(255));
CREATE TABLE app_passwd (id INTEGER PRIMARY KEY, name VARCHAR(255), mailbox VARCHAR(255), password VARCHAR(255),
    imap_access INT DEFAULT 1, pop3_access INT DEFAULT 1, active INT DEFAULT 1, expires_at DATETIME);
INSERT INTO mailbox VALUES ('alice@example.test', '{PLAIN}wonder', 'ally@example.test');
INSERT INTO mailbox VALUES ('bob@example.test', '{PLAIN}builder', NULL);
INSERT INTO app_passwd VALUES (1, 'Phone', 'alice@example.test',
    '{BLF-CRYPT}$2y$05$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW', 1, 0, 1, NULL);
INSERT INTO app_passwd VALUES (2, 'Fetcher', 'alice@example.test', '{PLAIN}for-pop3', 0, 1, 1, NULL);
INSERT INTO app_passwd VALUES (3, 'Gone', 'alice@example.test', '{PLAIN}was-on', 1, 1, 0, NULL);
INSERT INTO app_passwd VALUES (4, 'Guest', 'alice@example.test', '{PLAIN}was-here', 1, 1, 1, '2020-01-01 00:00:00');
INSERT INTO app_passwd VALUES (5, 'Desk', 'bob@example.test', '{PLAIN}of-bob', 1, 1, 1, '2999-01-01 00:00:00');
";

const APP_PASSWORDS: &str = "SELECT mailbox AS user, id, name AS label, password, imap_access AS imap, \
     pop3_access AS pop3, active, expires_at FROM app_passwd WHERE mailbox = :user";

fn directory(kind: &str, source: &str, home: &str) -> String {
    format!(
        "[[directory]]
name = 'mailcow'
type = '{kind}'
{source}
primary_password_services = ['imap']
user_query = 'SELECT username AS user, password FROM mailbox WHERE username = :user OR alias = :user'
app_password_query = '{APP_PASSWORDS}'
[directory.fields]
uid = '5000'
gid = '5000'
home = '{home}/{{user}}'
"
    )
}

#[test]
fn rows_of_another_program_log_in_for_what_their_flags_say() {
    for tree in Tree::all() {
        eprintln!("with the Dovecot of {}", tree.name());
        let place = Place::new(&tree);
        // In the one from MariaDB, in the other from a file.
        let maria = (tree.name() == "bookworm").then(|| MariaDb::start(&place));
        let (kind, source) = if let Some(maria) = &maria {
            maria.sql("mail", TABLES);
            let socket = maria.socket();
            let url = format!("mysql://gatepost@/mail?socket={}", socket.display());
            ("mysql", format!("url = '{url}'\npassword = 'service'"))
        } else {
            let file = place.outside("mailcow.db");
            rusqlite::Connection::open(&file).unwrap().execute_batch(TABLES).unwrap();
            ("sqlite", format!("file = '{}'", file.display()))
        };
        let directory = directory(kind, &source, &place.inside("mail"));
        let mut gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &directory);
        let dovecot = Dovecot::start(&place);
        let imap = |user: &str, password: &str| dovecot.imap().login(user, password);
        let wrong = imap("alice@example.test", "wrong");
        assert!(wrong.starts_with("NO [AUTHENTICATIONFAILED]"), "{wrong}");

        for user in ["alice@example.test", "ally@example.test", "ALICE@example.test"] {
            let mut session = dovecot.imap();
            assert!(session.login(user, "secret").starts_with("OK"), "{user}");
            assert!(session.command("SELECT INBOX").starts_with("OK [READ-WRITE]"));
            assert!(imap(user, "wonder").starts_with("OK"), "{user}");
        }
        assert!(imap("bob@example.test", "of-bob").starts_with("OK"));
        for (user, password) in [
            ("alice@example.test", "for-pop3"),
            ("alice@example.test", "was-on"),
            ("alice@example.test", "was-here"),
            ("alice@example.test", "of-bob"),
            ("bob@example.test", "secret"),
        ] {
            assert_eq!(imap(user, password), wrong, "{user} {password}");
        }
        for (password, answer) in [("for-pop3", "+OK"), ("secret", "-ERR [AUTH]"), ("wonder", "-ERR [AUTH]")]
        {
            let mut pop3 = dovecot.pop3();
            pop3.ask("USER alice@example.test", "+OK");
            pop3.ask(&format!("PASS {password}"), answer);
        }
        gatepost.stop();
        let log = gatepost.log();
        for parts in [
            ["outcome=verified", "app_password=\"1\"", "label=\"Phone\"", "service=\"imap\""],
            ["the app password is not for this service", "app_password=\"1\"", "label=\"Phone\"", "\"pop3\""],
            ["the app password is switched off", "app_password=\"3\"", "label=\"Gone\"", "\"imap\""],
            ["the app password has expired", "app_password=\"4\"", "label=\"Guest\"", "\"imap\""],
            [
                "primary_password_denied",
                "the main password may not be used for pop3",
                "use an app",
                "\"pop3\"",
            ],
        ] {
            let said = log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
            assert!(said, "{parts:?}\n{log}");
        }
    }
}

/// To the database of the app passwords these are one name, and they are two people.
#[test]
fn a_name_that_only_the_database_takes_for_the_same_opens_nothing() {
    let place = Place::new(&Tree::bookworm());
    let maria = MariaDb::start(&place);
    maria.sql(
        "mail",
        "CREATE TABLE people (name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY);
         CREATE TABLE apps (owner VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, password VARCHAR(255));
         INSERT INTO people VALUES ('rene@example.test'), ('ren\u{e9}@example.test');
         INSERT INTO apps VALUES ('rene@example.test', '{PLAIN}of-rene');",
    );
    let socket = maria.socket();
    let config = format!(
        "[[directory]]\nname = 'people'\ntype = 'mysql'\nurl = 'mysql://gatepost@/mail?socket={}'\n\
         password = 'service'\nuser_query = 'SELECT name AS user FROM people WHERE name = :user'\n\
         app_password_query = 'SELECT owner AS user, password FROM apps WHERE owner = :user'\n",
        socket.display()
    );
    let gatepost = Alone::new(&config, "");
    let test = |user: &str| gatepost.run(&["auth", "test", user], "of-rene").status.code();
    assert_eq!(test("rene@example.test"), Some(0));
    assert_eq!(test("ren\u{e9}@example.test"), Some(1));
    let equal = maria.sql("mail", "SELECT count(*) FROM apps WHERE owner = 'ren\u{e9}@example.test'");
    assert_eq!(equal.trim(), "1", "or else this shows nothing");
}

#[test]
fn a_query_that_no_app_password_can_come_of_is_a_mistake_of_the_configuration() {
    let alone = Alone::new("", "");
    let file = alone.path("mailcow.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch(TABLES).unwrap();
    let good = directory("sqlite", "file = '@DIR@/mailcow.db'", "/m");
    for (columns, why) in [
        ("id, password", "gives no column user"),
        ("mailbox AS user, id", "gives no column password"),
        ("mailbox AS user, password, imap_access", "\"imap_access\" means nothing for an app password"),
    ] {
        let query = format!("SELECT {columns} FROM app_passwd WHERE mailbox = :user");
        alone.configure(&good.replace(APP_PASSWORDS, &query));
        let checked = alone.run(&["check"], "");
        let said = String::from_utf8(checked.stdout).unwrap();
        assert_eq!(checked.status.code(), Some(78), "{said}");
        assert!(said.contains("app_password_query") && said.contains(why), "{said}");
    }
    alone.configure(&good);
    assert_eq!(alone.run(&["check"], "").status.code(), Some(0));
}
