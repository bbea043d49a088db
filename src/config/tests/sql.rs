//! Directories of type mysql and postgres, and sqlite with a `user_query`.

use super::*;
use crate::config::sql::{Address, Source, Sql, Tls};

const MYSQL: &str = "[[directory]]\nname = 'a'\ntype = 'mysql'\n";
const QUERY: &str = "user_query = 'SELECT name AS user FROM people WHERE name = :user'\n";

fn sql(text: &str) -> Sql {
    let config = checked(text).unwrap_or_else(|problems| panic!("{text}: {problems}"));
    match config.directories.into_iter().next().unwrap().kind {
        Kind::Sql(sql) => *sql,
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn a_server_is_read_with_defaults_for_what_is_not_said() {
    let sql = sql(&format!("{MYSQL}url = 'mysql://gp@/mail?socket=/run/my.sock'\n{QUERY}"));
    let Source::Server(server) = &sql.source else { panic!("{sql:?}") };
    assert_eq!(server.address, Address::Unix("/run/my.sock".into(), 3306));
    assert_eq!((server.user.as_str(), server.database.as_str()), ("gp", "mail"));
    assert!(server.password.is_none() && server.tls.is_none());
    assert_eq!(sql.user_query.unwrap().sql(), "SELECT name AS user FROM people WHERE name = ?");
    assert_eq!((sql.max_connections, sql.timeout.as_secs(), sql.connect_timeout.as_secs()), (32, 3, 2));
    assert!(sql.list_query.is_none() && sql.update_password_query.is_none());
}

#[test]
fn a_file_with_a_user_query_is_a_database_of_somebody_else() {
    let sql = sql(&format!("[[directory]]\nname = 'a'\ntype = 'sqlite'\nfile = '/p.db'\n{QUERY}"));
    assert!(matches!(&sql.source, Source::File(path) if path == Path::new("/p.db")));
    assert_eq!(sql.user_query.unwrap().sql(), "SELECT name AS user FROM people WHERE name = ?1");
    assert_eq!(sql.max_connections, 8);
}

/// The host, further keys, and whether TLS is used.
#[test]
fn other_machines_are_talked_to_with_tls_unless_it_is_said_in_so_many_words() {
    let table = [
        ("db.example.org", "", true),
        ("192.0.2.1", "", true),
        ("[2001:db8::1]", "", true),
        ("db.example.org", "tls = 'required'\n", true),
        ("db.example.org", "tls = 'off'\n", false),
        ("localhost", "", false),
        ("127.0.0.2", "", false),
        ("[::1]", "", false),
        ("[::ffff:127.0.0.1]", "", false),
        ("localhost.example.org", "", true),
        ("localhost", "tls = 'required'\n", true),
        ("localhost", "ca_file = '/ca.pem'\n", true),
    ];
    for (kind, scheme) in [("mysql", "mysql"), ("postgres", "postgres")] {
        for (host, keys, expected) in table {
            let text = format!(
                "[[directory]]\nname = 'a'\ntype = '{kind}'\nurl = '{scheme}://gp@{host}/mail'\n{keys}{QUERY}"
            );
            let Source::Server(server) = sql(&text).source else { panic!("{text}") };
            assert_eq!(server.tls.is_some(), expected, "{text}");
            let named = keys.contains("ca_file").then(|| PathBuf::from("/ca.pem"));
            assert_eq!(server.tls.and_then(|Tls { ca_file }| ca_file), named, "{text}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_server_is_told_with_its_place() {
    let table: &[(&str, &[&str])] = &[
        ("", &["1:1: directory.url: is missing", "1:1: directory.user_query: is missing"]),
        (
            "url = 'mysql://gp@h/m'\nlist_query = 'SELECT name AS user FROM people'\n[directory.maps]\naliases = 'SELECT :key'\n",
            &["5:1: directory.list_query: is about users, and without a user_query there are none here"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT 1 WHERE a = :usr'\n",
            &["5:14: directory.user_query: names \"usr\", which nobody has a value for"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT name AS user FROM people'\n",
            &["5:14: directory.user_query: asks for nobody in particular"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT :user'\nlist_query = 'SELECT 1 WHERE a > :after'\n",
            &["6:14: directory.list_query: names only one of :after and :limit"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT :user'\nlist_query = 'SELECT :user'\n",
            &["6:14: directory.list_query: names \"user\", which nobody has a value for"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT :user'\nupdate_password_query = 'UPDATE a SET p = :password WHERE n = :user'\n",
            &["6:25: directory.update_password_query: does not name both :password and :old_password"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT :user, :claim_name'\n",
            &["5:14: directory.user_query: names \"claim_name\", which nobody has a value for"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT :user'\nprovision_query = 'INSERT INTO a VALUES (:claim_name)'\n",
            &["6:19: directory.provision_query: asks for nobody in particular"],
        ),
        (
            "url = 'mysql://gp:x@h/m'\nuser_query = 'SELECT :user'\n",
            &["4:7: directory.url: holds a password"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT :user'\nca_file = '/ca'\ntls = 'off'\nmax_connections = 0\ntimeout = '1ms'\n",
            &[
                "6:11: directory.ca_file: is for TLS, which is off here",
                "8:19: directory.max_connections: is out of range",
                "9:11: directory.timeout: is out of range",
            ],
        ),
        (
            "url = 'mysql://gp@/m?socket=/s'\nuser_query = 'SELECT :user'\nca_file = '/ca'\n",
            &["6:11: directory.ca_file: is for TLS, and a unix socket needs none"],
        ),
        (
            "url = 'mysql://gp@h/m'\nuser_query = 'SELECT :user'\nfile = '/f'\n",
            &["6:1: directory.file: is no key of gatepost"],
        ),
    ];
    for (keys, expected) in table {
        let got = heads(&[("a.toml", &format!("{MYSQL}{keys}"))]);
        let expected: Vec<String> = expected.iter().map(|head| format!("a.toml:{head}")).collect();
        assert_eq!(got, expected, "{keys}");
    }
    let text = format!("[[directory]]\nname = 'a'\ntype = 'sqlite'\n{QUERY}");
    assert_eq!(heads(&[("a.toml", &text)]), ["a.toml:1:1: directory.file: is missing"]);
}

#[test]
fn tables_of_postfix_need_no_users() {
    let sql = sql(&format!("{MYSQL}url = 'mysql://gp@h/mail'\n[directory.maps]\naliases = 'SELECT :key'\n"));
    assert!(sql.user_query.is_none());
}
