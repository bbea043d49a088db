use proptest::prelude::*;

use super::{Audience, BadRow, Recipe, Row, Value};
use crate::{
    account::Password,
    account::{Account, State},
    directory::tests::config,
    password::Scheme,
    username::Username,
};

const EVERYBODY: &str = "name = 'test'\ntype = 'sqlite'\nfile = '/nonexistent/users.db'\n";

fn recipe(more: &str) -> Recipe {
    let config = config(&format!("[[directory]]\n{EVERYBODY}{more}"));
    Recipe {
        directory: "test".into(),
        domains: crate::directory::Domains::new(config.domains),
        default_domain: Some("example.org".into()),
        default_scheme: Scheme::Crypt,
        fields: config.fields,
        ids: super::Ids::default(),
        rehash: None,
    }
}

fn name(text: &str) -> Username {
    Username::normalise(text.as_bytes(), None).unwrap()
}

/// Audience, name, and value; `None` for a bare name.
type Given<'a> = (Audience, &'a str, Option<&'a str>);

fn account(recipe: &Recipe, values: &[Given<'_>]) -> Result<Account, BadRow> {
    let mut row = Row::default();
    for (audience, name, value) in values {
        let value = value.map_or(Value::Flag, |text| Value::Text(text.as_bytes()));
        row.put(*audience, name, value);
    }
    recipe.account(&name("alice@example.org"), &row)
}

fn raw(fields: &gatepost_protocol::dovecot::FieldsBuf) -> String {
    String::from_utf8(fields.as_fields().raw().to_vec()).unwrap()
}

#[test]
fn an_empty_row_is_an_account_that_nobody_can_log_in_to() {
    let account = account(&recipe(""), &[]).unwrap();
    assert_eq!(account.user, name("alice@example.org"));
    assert!(
        matches!(account.password, Password::Missing)
            && account.allow_nets.is_none()
            && account.nologin.is_none()
    );
    assert_eq!(account.state, State::Active);
    assert!(account.services.allow("imap"));
    assert!(account.passdb.is_empty() && account.userdb.is_empty());
}

#[test]
fn reserved_names_decide_over_the_login() {
    use Audience::{Column, Passdb};
    let values = [
        (Passdb, "active", Some("yes")),
        (Passdb, "allow_nets", Some("192.0.2.0/24,local")),
        (Passdb, "services", Some("imap,pop3")),
        (Column, "pop3", Some("0")),
        (Passdb, "nologin", None),
        (Passdb, "reason", Some("Moving\there")),
        (Column, "password", Some("{PLAIN}secret")),
    ];
    let account = account(&recipe(""), &values).unwrap();
    assert_eq!(account.allow_nets.as_ref().map(Vec::len), Some(2));
    assert!(
        account.services.allow("imap") && !account.services.allow("pop3") && !account.services.allow("smtp")
    );
    assert_eq!(account.nologin.unwrap().reason.as_deref(), Some("Moving\there"));
    assert!(account.password.stored().unwrap().matches(b"secret").unwrap());
    assert!(account.passdb.is_empty(), "the session says nologin by itself");
}

#[test]
fn states_and_flags_are_read_as_people_and_databases_write_them() {
    let table: &[(&str, Option<&str>, Result<State, BadRow>)] = &[
        ("active", Some("1"), Ok(State::Active)),
        ("active", Some("TRUE"), Ok(State::Active)),
        ("active", Some("t"), Ok(State::Active)),
        ("active", Some("0"), Ok(State::Disabled)),
        ("active", Some("no"), Ok(State::Disabled)),
        ("active", Some("2"), Ok(State::Disabled)),
        ("active", Some("Lookup"), Ok(State::Disabled)),
        ("active", Some("3"), Err(BadRow::Boolean("active"))),
        ("active", Some(""), Err(BadRow::Boolean("active"))),
        ("expired", Some("1"), Ok(State::Expired)),
        ("expired", None, Ok(State::Expired)),
        ("expired", Some("0"), Ok(State::Active)),
        ("expired", Some("2026-01-01"), Err(BadRow::Boolean("expired"))),
        ("expires_at", Some("1767225600"), Ok(State::Until(1_767_225_600))),
        ("expires_at", Some("2026-01-01 00:00:00"), Ok(State::Until(1_767_225_600))),
        ("expires_at", Some("soon"), Err(BadRow::Moment)),
        ("expires_at", Some(""), Err(BadRow::Moment)),
        ("expires_at", None, Err(BadRow::Moment)),
        ("password_user", Some("a b"), Ok(State::Active)),
        ("imap", Some("maybe"), Err(BadRow::Boolean("imap"))),
        ("nologin", Some("maybe"), Err(BadRow::Boolean("nologin"))),
        ("allow_nets", Some("10.0.0.0/8,nonsense"), Err(BadRow::Nets)),
        ("user", Some("a b"), Err(BadRow::Name)),
        ("userdb_uid", Some("0"), Err(BadRow::Id("uid"))),
        ("userdb_gid", Some("no-such-group-here"), Err(BadRow::Id("gid"))),
        ("nopassword", None, Err(BadRow::Refused("nopassword"))),
    ];
    for (column, value, expected) in table {
        let state = account(&recipe(""), &[(Audience::Passdb, column, *value)]).map(|account| account.state);
        assert_eq!(state, *expected, "{column} {value:?}");
    }
    for (value, expected) in [(None, true), (Some(""), true), (Some("y"), true), (Some("no"), false)] {
        let account = account(&recipe(""), &[(Audience::Passdb, "nologin", value)]).unwrap();
        assert_eq!(account.nologin.is_some(), expected, "{value:?}");
    }
}

#[test]
fn a_row_may_say_who_checks_the_password() {
    use Audience::Column;
    let elsewhere = |values: &[Given<'_>]| match account(&recipe(""), values)?.password {
        Password::Elsewhere(elsewhere) => {
            let user = elsewhere.user.as_ref().map_or("", Username::as_str);
            Ok(format!("{} {user}", elsewhere.directory))
        }
        other => Ok(super::super::tests::kind_of(&other)),
    };
    let stored = (Column, "password", Some("{PLAIN}x"));
    for (values, expected) in [
        (&[(Column, "password_from", Some("staff")), stored][..], Ok("staff ")),
        (&[stored, (Column, "password_from", Some(""))], Ok("PLAIN")),
        (
            &[(Column, "password_from", Some("staff")), (Column, "password_user", Some("Al@X.test"))],
            Ok("staff al@x.test"),
        ),
        (&[(Column, "password_from", Some("staff")), (Column, "password_user", Some(""))], Ok("staff ")),
        (
            &[(Column, "password_from", Some("staff")), (Column, "password_user", Some("a b"))],
            Err(BadRow::PasswordUser),
        ),
    ] {
        assert_eq!(elsewhere(values), expected.map(str::to_owned), "{values:?}");
    }
}

#[test]
fn marks_in_place_of_a_password_are_nobodys_password() {
    let of = |mark| account(&recipe(""), &[(Audience::Passdb, "password", Some(mark))]).unwrap().password;
    for elsewhere in ["", "x"] {
        assert!(matches!(of(elsewhere), Password::Missing), "{elsewhere}");
    }
    for mark in ["!", "*", "!!", "*LK*", "!$6$saltsalt$abc", "{CRYPT}!", "{crypt}*"] {
        assert!(matches!(of(mark), Password::Locked), "{mark}");
    }
    for broken in ["{NO-SUCH}abc", "{SSHA}***", "not a hash"] {
        let account = account(&recipe(""), &[(Audience::Passdb, "password", Some(broken))]).unwrap();
        let Password::Unusable(error) = account.password else { panic!("{broken}: {:?}", account.password) };
        assert!(!error.to_string().contains("abc") && !error.to_string().contains("***"), "{error}");
    }
}

#[test]
fn proxy_goes_bare_and_its_kin_with_it_or_not_at_all() {
    use Audience::{Column, Passdb};
    let table: &[(&[Given<'_>], &str)] = &[
        (&[(Passdb, "proxy", None), (Passdb, "host", Some("192.0.2.1"))], "proxy\thost=192.0.2.1"),
        (&[(Column, "proxy", Some("1")), (Column, "port", Some(""))], "proxy"),
        (&[(Column, "proxy", Some("y")), (Column, "proxy_noauth", Some("0"))], "proxy"),
        (&[(Column, "proxy", Some("y")), (Column, "proxy_noauth", Some("1"))], "proxy\tproxy_noauth"),
        (&[(Column, "proxy", Some("0")), (Column, "host", Some("192.0.2.1"))], ""),
        (&[(Column, "host", Some("192.0.2.1"))], "host=192.0.2.1"),
        (&[(Passdb, "forward_a", Some("b\tc")), (Passdb, "x", None)], "forward_a=b\u{1}tc\tx"),
    ];
    for (values, expected) in table {
        assert_eq!(raw(&account(&recipe(""), values).unwrap().passdb), *expected);
    }
}

#[test]
fn templates_take_the_row_and_are_not_read_twice() {
    use Audience::{Column, Userdb};
    let recipe = recipe(
        "[directory.fields]\nhome = '/m/{domain}/{local}'\nuid = '5000'\ngid = 'daemon'\nquota = '*:bytes={quota}'\n\
         note = '{text}'\n",
    );
    let values = [
        (Column, "quota", Some("10")),
        (Column, "text", Some("{user} %u {{\n")),
        (Column, "ignored", Some("x")),
        (Userdb, "home", Some("/elsewhere")),
        (Userdb, "mail", Some("maildir:~/M")),
    ];
    let userdb = raw(&account(&recipe, &values).unwrap().userdb);
    let expected = "mail=maildir:~/M\thome=/m/example.org/alice\tuid=5000\tgid=1\tquota=*:bytes=10\t\
                    note={user} %u {{\u{1}n";
    assert_eq!(userdb, expected);
}

#[test]
fn a_template_may_say_what_stands_in_for_a_missing_value() {
    use Audience::Column;
    let recipe = recipe(
        "[directory.fields]\nquota_rule = '*:bytes={quota:-10M}'\nallow_nets = '{nets:-192.0.2.0/24}'\n\
         user = '{owner:-}'\nnote = '{domain:-none}'\n",
    );
    let of = |quota: Option<Value<'static>>| {
        let mut row = Row::default();
        if let Some(quota) = quota {
            row.put(Column, "quota", quota);
        }
        let account = recipe.account(&name("alice@example.org"), &row).unwrap();
        assert_eq!((account.user.as_str(), account.allow_nets.unwrap().len()), ("alice@example.org", 1));
        raw(&account.userdb)
    };
    let with = |quota: &str| format!("quota_rule=*:bytes={quota}\tnote=example.org");
    assert_eq!(of(Some(Value::Text(b"5M"))), with("5M"));
    for nothing in [None, Some(Value::Null), Some(Value::Text(b""))] {
        assert_eq!(of(nothing), with("10M"));
    }
    let bare = recipe.account(&name("alice"), &Row::default());
    assert_eq!(raw(&bare.unwrap().userdb), "quota_rule=*:bytes=10M\tnote=none");
}

/// `mailbox.active AND domain.active`, where the domain is gone.
#[test]
fn nobody_is_active_because_the_database_does_not_know() {
    use Audience::Column;
    let mut row = Row::default();
    row.put(Column, "active", Value::Null);
    assert_eq!(recipe("").account(&name("a@example.org"), &row).unwrap().state, State::Disabled);
    let mut row = Row::default();
    row.put(Column, "both", Value::Null);
    let unknown = recipe("[directory.fields]\nactive = '{both}'\n").account(&name("a@example.org"), &row);
    assert_eq!(unknown.unwrap_err(), BadRow::Template { field: "active".into(), name: "both".into() });
}

#[test]
fn a_template_without_its_value_leaves_the_field_out_unless_it_guards_the_login() {
    use Audience::Column;
    let mut row = Row::default();
    row.put(Column, "nets", Value::Null);
    let fields = "[directory.fields]\nquota = '{quota}'\nallow_nets = '{nets}'\n";
    let account = recipe(fields).account(&name("a@example.org"), &row).unwrap();
    assert!(account.userdb.is_empty() && account.allow_nets.is_none());
    let misspelt = recipe(fields).account(&name("a@example.org"), &Row::default()).unwrap_err();
    assert_eq!(misspelt, BadRow::Template { field: "allow_nets".into(), name: "nets".into() });
    let homeless = recipe("[directory.fields]\nhome = '/m/{domain}/{local}'\n");
    let error = homeless.account(&name("alice"), &Row::default()).unwrap_err();
    assert_eq!(error, BadRow::Template { field: "home".into(), name: "domain".into() });
}

#[test]
fn the_canonical_name_is_the_rows_and_stays_in_the_directorys_domains() {
    let asked = name("alias@example.org");
    let with = |recipe: &Recipe, user: &str| {
        let mut row = Row::default();
        row.put(Audience::Column, "user", Value::Text(user.as_bytes()));
        recipe.account(&asked, &row).map(|account| account.user.as_str().to_owned())
    };
    let own = "domains = ['example.org']\n";
    let all = recipe("");
    assert_eq!(with(&all, "Alice@Example.ORG").as_deref(), Ok("alice@example.org"));
    assert_eq!(with(&all, "alice").as_deref(), Ok("alice@example.org"), "the default domain");
    assert_eq!(with(&all, "alice@other.test").as_deref(), Ok("alice@other.test"));
    assert_eq!(with(&recipe(own), "admin@other.test"), Err(BadRow::Domain));
    let local = recipe(&format!("{own}[directory.fields]\nuser = '{{local}}'\nhome = '/h/{{user}}'\n"));
    assert_eq!(raw(&local.account(&asked, &Row::default()).unwrap().userdb), "home=/h/alias@example.org");
    let bare = Recipe { default_domain: None, ..local };
    let account = bare.account(&asked, &Row::default()).unwrap();
    assert_eq!((account.user.as_str(), raw(&account.userdb).as_str()), ("alias", "home=/h/alias"));
}

proptest! {
    #[test]
    fn no_value_breaks_out_of_its_field(value in any::<Vec<u8>>()) {
        let recipe = recipe("[directory.fields]\nnote = '<{text}>'\n");
        let mut row = Row::default();
        row.put(Audience::Column, "text", Value::Text(&value));
        row.put(Audience::Userdb, "mail", Value::Text(&value));
        row.put(Audience::Passdb, "x", Value::Text(&value));
        let account = recipe.account(&name("a@b"), &row).unwrap();
        let read = |fields: &gatepost_protocol::dovecot::FieldsBuf, key: &[u8]| {
            prop_assert!(!fields.as_fields().raw().contains(&b'\n'));
            Ok(fields.as_fields().find(key).and_then(|field| field.value).map(|value| value.into_owned()))
        };
        prop_assert_eq!(read(&account.userdb, b"mail")?, Some(value.clone()));
        prop_assert_eq!(read(&account.userdb, b"note")?, Some([b"<", &value[..], b">"].concat()));
        prop_assert_eq!(read(&account.passdb, b"x")?, Some(value));
        prop_assert_eq!(account.userdb.as_fields().iter().count(), 2);
    }
}
