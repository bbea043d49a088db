//! `change_poll`, `changed_query` and `changed_since`.

use std::time::Duration;

use super::*;

const MYSQL: &str = "[[directory]]\nname = 'a'\ntype = 'mysql'\nurl = 'mysql://gp@h/m'\n";
const QUERY: &str = "user_query = 'SELECT name AS user FROM people WHERE name = :user'\n";
const CHANGED: &str =
    "changed_query = 'SELECT name AS user, at AS changed FROM people WHERE at >= :since -- x'\n";
const SQLITE: &str = "[[directory]]\nname = 'a'\ntype = 'sqlite'\n";
const LDAP: &str = "[[directory]]\nname = 'a'\ntype = 'ldap'\nurls = ['ldapi://%2Fx']\nbase_dn = 'dc=x'\nuser_filter = '(uid={user})'\n";

fn directory(text: &str) -> Directory {
    let config = checked(text).unwrap_or_else(|problems| panic!("{text}: {problems}"));
    config.directories.into_iter().next().unwrap()
}

#[test]
fn who_can_tell_is_asked_unless_it_is_said_otherwise() {
    let table = [
        (SQLITE, "", Some(1000)),
        (SQLITE, "change_poll = '5s'\n", Some(5000)),
        (LDAP, "", Some(10_000)),
        (LDAP, "change_poll = '100ms'\n", Some(100)),
        (LDAP, "change_poll = '0s'\n", None),
        (MYSQL, QUERY, None),
        ("[[directory]]\nname = 'a'\ntype = 'static'\n", "", None),
        ("[[directory]]\nname = 'a'\ntype = 'passwd-file'\nfile = '/f'\n", "", None),
    ];
    for (head, keys, milliseconds) in table {
        let got = directory(&format!("{head}{keys}")).change_poll;
        assert_eq!(got, milliseconds.map(Duration::from_millis), "{head}{keys}");
    }
    let with_query = format!("{MYSQL}{QUERY}{CHANGED}");
    assert_eq!(directory(&with_query).change_poll, Some(Duration::from_secs(10)));
    assert_eq!(directory(&format!("{with_query}change_poll = '0s'\n")).change_poll, None);
    // Nothing is kept that could be outdated, and nothing has to be taken away for that.
    for head in [SQLITE, LDAP, &with_query] {
        let got = directory(&format!("{head}change_poll = '5s'\n[cache]\nttl = '0s'\nmax_stale = '1h'\n"));
        assert_eq!(got.change_poll, None, "{head}");
    }
}

#[test]
fn the_database_sorts_what_the_query_gives_and_limits_it() {
    for (kind, source, placeholder, quote, since) in [
        ("mysql", "url = 'mysql://gp@h/m'", "?", "`", "1970-01-02 00:00:00"),
        ("postgres", "url = 'postgres://gp@h/m'", "$1", "\"", "1970-01-02 00:00:00"),
        ("sqlite", "file = '/f'", "?1", "\"", "0"),
    ] {
        let text = format!("[[directory]]\nname = 'a'\ntype = '{kind}'\n{source}\n{QUERY}{CHANGED}");
        let Kind::Sql(sql) = directory(&text).kind else { panic!("{text}") };
        let changes = sql.changes.unwrap();
        let inner = format!("SELECT name AS user, at AS changed FROM people WHERE at >= {placeholder} -- x");
        assert_eq!(changes.written.sql(), inner);
        let whole = format!(
            "SELECT * FROM (\n{inner}\n) AS gatepost_changed WHERE changed IS NOT NULL ORDER BY changed DESC, {quote}user{quote} LIMIT 10001"
        );
        assert_eq!((changes.query.sql(), changes.since.as_str()), (whole.as_str(), since), "{kind}");
    }
}

#[test]
fn what_cannot_be_polled_is_told_with_its_place() {
    let table: &[(&str, &str, &[&str])] = &[
        (
            MYSQL,
            "change_poll = '1s'\n",
            &["6:1: directory.change_poll: needs a query that says who has changed"],
        ),
        (MYSQL, "changed_since = '0'\n", &["6:17: directory.changed_since: is where changed_query starts"]),
        (MYSQL, "changed_query = 'SELECT 1'\n", &["6:17: directory.changed_query: does not name :since"]),
        (MYSQL, "changed_query = 'SELECT :user'\n", &["6:17: directory.changed_query: names \"user\""]),
        (LDAP, "change_poll = '50ms'\n", &["7:15: directory.change_poll: is out of range"]),
        (LDAP, "change_poll = '2h'\n", &["7:15: directory.change_poll: is out of range"]),
        (
            "[[directory]]\nname = 'a'\ntype = 'static'\n",
            "change_poll = '1s'\n",
            &["4:1: directory.change_poll: is for what can change"],
        ),
        (
            "[[directory]]\nname = 'a'\ntype = 'passwd-file'\nfile = '/f'\n",
            "change_poll = '1s'\n",
            &["5:1: directory.change_poll: is for what is asked, and this file"],
        ),
    ];
    for (head, keys, expected) in table {
        let query = if *head == MYSQL { QUERY } else { "" };
        let got = heads(&[("a.toml", &format!("{head}{query}{keys}"))]);
        assert_eq!(got.len(), expected.len(), "{keys}: {got:?}");
        for (got, expected) in got.iter().zip(*expected) {
            assert!(got.starts_with(&format!("a.toml:{expected}")), "{keys}: {got}");
        }
    }
}
