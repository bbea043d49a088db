use std::path::Path;

use super::{Find, Scope, Url, url};
use crate::config::{Config, Kind, Problem, Surroundings};

fn around() -> Surroundings {
    Surroundings {
        state_dir: Some("/state".into()),
        runtime_dir: Some("/run/gatepost".into()),
        ..Surroundings::none()
    }
}

const GOOD: &str = "urls = ['ldaps://a']\nbase_dn = 'dc=x'\nuser_filter = '(mail={user})'\n";

/// The problems of a directory, each without its place.
fn problems(text: &str) -> Vec<String> {
    let text = format!("[[directory]]\nname = 'staff'\ntype = 'ldap'\n{text}");
    match Config::from_texts(&[(Path::new("a.toml"), &text)], &around()) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            let what = |problem: &Problem| format!("{}: {}", problem.key, problem.what);
            problems.iter().map(what).collect()
        }
    }
}

#[test]
fn what_is_not_said_has_a_default() {
    let text = format!("[[directory]]\nname = 'staff'\ntype = 'ldap'\n{GOOD}");
    let config = Config::from_texts(&[(Path::new("a.toml"), &text)], &around()).unwrap();
    let Kind::Ldap(ldap) = &config.directories[0].kind else { panic!("{config:?}") };
    assert_eq!(ldap.urls, [Url::Tls { host: "a".into(), port: 636 }]);
    assert!(!ldap.starttls && ldap.ca_file.is_none() && ldap.account.is_none() && !ldap.nested_groups);
    assert!(matches!(&ldap.find, Find::Filter(_)) && ldap.scope == Scope::Subtree);
    assert!(ldap.password.is_none() && ldap.require_group.is_none() && ldap.list_filter.is_none());
    assert_eq!((ldap.connect_timeout.as_secs(), ldap.timeout.as_secs()), (2, 5));
    assert_eq!((ldap.search_connections, ldap.bind_connections), (2, 16));
}

#[test]
fn every_mistake_is_said() {
    let table: &[(&str, &[&str])] = &[
        ("", &["directory.urls: is missing", "directory.user_filter: is missing"]),
        ("urls = []\nuser_dn = 'uid={local},dc=x'\n", &["directory.urls: is empty"]),
        ("urls = ['ldaps://a']\nuser_filter = '(mail={user})'\n", &["directory.base_dn: is missing"]),
        (
            "urls = ['ldaps://a']\nuser_dn = 'uid={local}'\nuser_filter = '(a={user})'\nbase_dn = 'dc=x'\n",
            &["directory.user_dn: is a second way to a user, besides user_filter"],
        ),
        (
            "urls = ['ldaps://a']\nbase_dn = 'x'\nuser_filter = '(a={b})'\nscope = 'tree'\n",
            &[
                "directory.base_dn: is no distinguished name",
                "directory.user_filter: asks for \"b\", which is not known before the entry is found",
                "directory.scope: \"tree\" is not known here",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(&problems(text), expected, "{text}");
    }
    let table = [
        ("starttls = 'yes'", "directory.starttls: true or false is wanted here, not a string"),
        ("starttls = true", "directory.urls: cannot have StartTLS"),
        ("bind_dn = 'cn=x'", "directory.bind_dn: has no password, and would be nobody in particular"),
        ("bind_password = 'x'", "directory.bind_password: is nobody's"),
        ("password = '{SSHA}x'", "directory.password: is neither \"bind\" nor the name of an attribute"),
        ("default_scheme = 'SSHA'", "directory.default_scheme: is for passwords that are read, and none is"),
        (
            "nested_groups = true",
            "directory.nested_groups: is about the members of a group, and there is none",
        ),
        ("require_group = 'mail'", "directory.require_group: is no distinguished name"),
        (
            "list_filter = '(mail=*)'",
            "directory.list_filter: finds entries, and nothing says which name they log in with",
        ),
        ("list_filter = '(mail=*'\nfields.user = '{mail}'", "directory.list_filter: is no filter"),
        (
            "timeout = '2s'\nconnect_timeout = '2s'",
            "directory.connect_timeout: leaves no time for an answer within timeout",
        ),
        ("timeout = '0s'", "directory.timeout: is out of range"),
        ("search_connections = 0", "directory.search_connections: is out of range"),
        ("host = 'ldap'", "directory.host: is no key of gatepost"),
        (
            "password = 'userPassword'\nfields.pass = '{USERPASSWORD}'",
            "directory.password: would be handed to the peer by the field pass",
        ),
    ];
    for (more, expected) in table {
        assert_eq!(problems(&format!("{GOOD}{more}\n")), [expected], "{more}");
    }
}

#[test]
fn passwords_go_in_clear_only_where_nobody_can_listen_or_somebody_has_said_so() {
    let problems = |url: &str, more: &str| {
        problems(&format!("urls = ['{url}']\nuser_dn = 'uid={{local}},dc=x'\n{more}\n"))
    };
    for url in [
        "ldap://127.0.0.1",
        "ldap://127.8.9.10:3389",
        "ldap://[::1]",
        "ldap://localhost",
        "ldapi://%2Frun%2Fl",
    ] {
        assert_eq!(problems(url, ""), [""; 0], "{url}");
    }
    for url in [
        "ldap://192.0.2.1",
        "ldap://ldap.example.org",
        "ldap://[2001:db8::1]",
        "ldap://localhost.example.org",
    ] {
        let clear = ["directory.urls: would send passwords for everybody on the way to read"];
        assert_eq!(problems(url, ""), clear, "{url}");
        assert_eq!(problems(url, "starttls = true"), [""; 0], "{url}");
        assert_eq!(problems(url, "allow_cleartext = true"), [""; 0], "{url}");
    }
}

#[test]
fn a_server_is_a_name_or_an_address() {
    let tls = |host: &str, port| Url::Tls { host: host.into(), port };
    let known = [
        ("ldaps://ldap.example.org", tls("ldap.example.org", 636)),
        ("LDAPS://ldap.example.org:3636/", tls("ldap.example.org", 3636)),
        ("ldaps://[2001:db8::1]:3636", tls("2001:db8::1", 3636)),
        ("ldaps://192.0.2.1", tls("192.0.2.1", 636)),
        ("ldap://a", Url::Plain { host: "a".into(), port: 389 }),
        ("ldapi://%2Frun%2fldapi", Url::Unix { path: "/run/ldapi".into() }),
        ("ldapi:///run/ldapi", Url::Unix { path: "/run/ldapi".into() }),
    ];
    for (text, expected) in known {
        assert_eq!(url(text).unwrap(), expected, "{text}");
    }
    assert_eq!(tls("2001:db8::1", 636).to_string(), "ldaps://[2001:db8::1]:636");
    for text in [
        "",
        "ldap.example.org",
        "ldaps:ldap.example.org",
        "http://a",
        "ldaps://",
        "ldaps://a:0",
        "ldaps://a:x",
        "ldaps://a:65536",
        "ldaps://2001:db8::1",
        "ldaps://[a]",
        "ldaps://[::1]x",
        "ldaps://cn=admin:secret@a",
        "ldaps://a/dc=org",
        "ldaps://a?x",
        "ldaps://a b",
        "ldapi://run",
        "ldapi://%2",
    ] {
        assert!(url(text).is_err(), "{text}");
    }
}
