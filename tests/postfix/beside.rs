//! Postfix's own `mysql:` and `ldap:` tables and those of gatepost, beside one another over the same data.
//!
//! Ten thousand keys (`keys`) are asked of each table (`definitions`) on both sides, by `postmap` and as real smtpds, their
//! trivial-rewrite and cleanup ask (`sides`), and the answers have to be the same to the letter.

mod definitions;
mod keys;
mod sides;

use std::{collections::BTreeSet, fmt::Debug, thread};

use self::{
    definitions::{Definition, LDAP, LDAP_TOO_MUCH, SQL, SQL_TOO_MUCH, WALKED, ldif, sql},
    keys::{KEYS, addresses, external, keys, rows, unquoted},
    sides::{Kind, PATIENT, Side, file, said, services, write_files},
};
use crate::support::{Gatepost, MariaDb, Place, Postfix, Slapd, Tree, slapd::SERVICE};

/// What is meant to be different. `docs/postfix.md` says the same.
struct Difference {
    why: &'static str,
    is: fn(&str, &BTreeSet<String>) -> bool,
    /// The tables in which it may be, all if there are none.
    of: &'static [&'static str],
    /// Those in which it has to be seen.
    seen: &'static [&'static str],
}

const DIFFERENCES: [Difference; 4] = [
    Difference {
        why: "Postfix folds letters, so that it never finds what has a ß or ς in it; gatepost takes them to lower case",
        is: |key, _| key.contains(['ß', 'ς', 'σ', 'Σ']),
        of: &[],
        seen: &["whole", "relocated_maps", "transport_maps", "virtual_alias_maps"],
    },
    Difference {
        why: "Postfix's cleanup does not find what is stored without the quotes that it needs, though smtpd does",
        is: |key, stored| is_stored_without_quotes(key, stored),
        of: &["virtual_alias_maps"],
        seen: &["virtual_alias_maps"],
    },
    Difference {
        why: "the internal form of a name in quotes is the external one of another, which gatepost takes it for",
        is: |key, _| key.starts_with(r#""\""#),
        of: &["relocated_maps", "transport_maps", "check_recipient_access", "check_sender_access"],
        seen: &["relocated_maps", "transport_maps"],
    },
    Difference {
        why: "gatepost asks for a domain of other letters in both its forms, as U-label and as A-label",
        is: |key, _| {
            let (_, domain) = key.rsplit_once('@').unwrap_or(("", key));
            !domain.is_ascii() || domain.to_lowercase().contains("xn--")
        },
        of: &[],
        seen: &["relocated_maps"],
    },
];

fn is_stored_without_quotes(key: &str, stored: &BTreeSet<String>) -> bool {
    let Some((local, domain)) = key.rsplit_once('@') else { return false };
    let Some(plain) = unquoted(local) else { return false };
    let bare = plain.split_once('+').map(|(bare, _)| bare.to_owned());
    let is_stored = |local: &String| {
        external(local) != *local && stored.contains(&format!("{local}@{domain}").to_lowercase())
    };
    [Some(plain), bare].iter().flatten().any(is_stored)
}

/// Fails where two sides do not say the same of a key, unless that is meant, or where nothing is different any more that was.
fn compare<T: Debug + PartialEq>(table: &str, keys: &[String], own: &[T], ours: &[T]) {
    assert_eq!((own.len(), ours.len()), (keys.len(), keys.len()), "{table}");
    let stored: BTreeSet<_> = rows().into_iter().map(|row| row.address).collect();
    let (mut wrong, mut seen) = (Vec::new(), [0; DIFFERENCES.len()]);
    for ((key, own), ours) in keys.iter().zip(own).zip(ours).filter(|((_, own), ours)| own != ours) {
        let meant = |difference: &Difference| {
            let may_be = difference.of.is_empty() || difference.of.contains(&table);
            may_be && (difference.is)(key, &stored)
        };
        match DIFFERENCES.iter().position(meant) {
            Some(at) => seen[at] += 1,
            None => wrong.push(format!("{key:?}\n    Postfix   {own:?}\n    gatepost  {ours:?}")),
        }
    }
    let shown = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{table}: {} of {} keys differ:\n{shown}", wrong.len(), keys.len());
    for (difference, seen) in DIFFERENCES.iter().zip(seen) {
        let expected = difference.seen.contains(&table);
        assert!(seen > 0 || !expected, "{table}: this is no longer different: {}", difference.why);
    }
}

fn sql_directory<'d>(server: &MariaDb<'_>, tables: impl IntoIterator<Item = &'d Definition>) -> String {
    let tables: String = tables.into_iter().map(Definition::for_gatepost).collect();
    format!(
        "[[directory]]
name = 'mail'
type = 'mysql'
url = 'mysql://gatepost@/mail?socket={}'
password = 'service'
user_query = 'SELECT username AS user, password FROM mailbox WHERE username = :user'
{tables}",
        server.socket().display()
    )
}

fn sql_server(server: &MariaDb<'_>) -> String {
    format!("hosts = {}\nuser = gatepost\npassword = service\ndbname = mail\n", server.address())
}

fn ldap_directory<'d>(slapd: &Slapd<'_>, tables: impl IntoIterator<Item = &'d Definition>) -> String {
    let tables: String = tables.into_iter().map(Definition::for_gatepost).collect();
    format!(
        "[[directory]]
name = 'staff'
type = 'ldap'
urls = ['{}']
bind_dn = '{}'
bind_password = '{}'
base_dn = 'dc=example,dc=org'
user_filter = '(&(objectClass=inetOrgPerson)(uid={{user}}))'
{tables}",
        slapd.ldapi(),
        SERVICE.0,
        SERVICE.1
    )
}

fn ldap_server(slapd: &Slapd<'_>) -> String {
    format!(
        "server_host = ldap://{}\nversion = 3\nbind = yes\nbind_dn = {}\nbind_pw = {}\n",
        slapd.ldap(),
        SERVICE.0,
        SERVICE.1
    )
}

fn asked_by_postmap(postfix: &Postfix<'_>, place: &Place, own: &str, tables: &[Definition]) {
    let keys = keys(&rows());
    for table in tables {
        let (theirs, ours) = thread::scope(|scope| {
            let theirs = scope.spawn(|| postfix.query_all(&file(place, own, table.name), &keys));
            let ours = postfix.query_all(&Postfix::table_of_gatepost(place, table.name), &keys);
            (theirs.join().unwrap(), ours)
        });
        let found = theirs.iter().flatten().count();
        assert!(found > KEYS / 50 && found < KEYS, "{}: {found} keys are found", table.name);
        compare(table.name, &keys, &theirs, &ours);
    }
}

/// Of a key with more values than there may be, neither says anything, and neither says that there is none.
fn too_much(postfix: &Postfix<'_>, place: &Place, own: &str, tables: &[Definition], key: &str) {
    for table in tables {
        let tables = [file(place, own, table.name), Postfix::table_of_gatepost(place, table.name)];
        for asked in tables {
            assert_eq!(postfix.query_table(&asked, key), (1, String::new()), "{asked}");
        }
    }
}

#[test]
fn a_table_of_mariadb_holds_for_gatepost_what_it_holds_for_postfix() {
    let (place, cellar) = (Place::new(&Tree::bookworm()), Place::new(&Tree::bookworm()));
    let (server, rows) = (MariaDb::start(&cellar), rows());
    server.sql("mail", &sql(&rows));
    let all = SQL.iter().chain(&SQL_TOO_MUCH);
    let _gatepost =
        Gatepost::start_over(&place, &Postfix::listeners(&place), &sql_directory(&server, all.clone()));
    let postfix = Postfix::start_told(&place, None, PATIENT, "");
    write_files(&place, "mysql", &sql_server(&server), all);
    asked_by_postmap(&postfix, &place, "mysql", &SQL);
    let several =
        rows.iter().find(|row| row.values.iter().flatten().filter(|value| !value.is_empty()).count() > 1);
    too_much(&postfix, &place, "mysql", &SQL_TOO_MUCH, &several.unwrap().address);
}

#[test]
fn a_table_of_slapd_holds_for_gatepost_what_it_holds_for_postfix() {
    let (place, cellar) = (Place::new(&Tree::bookworm()), Place::new(&Tree::bookworm()));
    let (mut slapd, rows) = (Slapd::start(&cellar), rows());
    slapd.stop();
    slapd.load(&ldif(&rows));
    slapd.start_again();
    let all = LDAP.iter().chain(&LDAP_TOO_MUCH);
    let _gatepost =
        Gatepost::start_over(&place, &Postfix::listeners(&place), &ldap_directory(&slapd, all.clone()));
    let postfix = Postfix::start_told(&place, None, PATIENT, "");
    write_files(&place, "ldap", &ldap_server(&slapd), all);
    asked_by_postmap(&postfix, &place, "ldap", &LDAP);
    // A group of groups of groups.
    too_much(&postfix, &place, "ldap", &LDAP_TOO_MUCH, &rows[34].address);
}

#[test]
fn a_key_is_walked_by_gatepost_as_the_daemons_of_postfix_walk_it() {
    for (tree, many) in [(Tree::bookworm(), KEYS), (Tree::trixie(), KEYS / 10)] {
        let (place, cellar) = (Place::new(&tree), Place::new(&Tree::bookworm()));
        let server = MariaDb::start(&cellar);
        server.sql("mail", &sql(&rows()));
        let _gatepost =
            Gatepost::start_over(&place, &Postfix::listeners(&place), &sql_directory(&server, &WALKED));
        write_files(&place, "mysql", &sql_server(&server), &WALKED);
        let postfix = Postfix::start_told(&place, None, PATIENT, &services(&place, "mysql"));
        let addresses = addresses(&rows());
        for kind in Kind::ALL {
            let addresses = kind.addresses(&addresses[..many]);
            let (own, ours) = thread::scope(|scope| {
                let own = scope.spawn(|| said(&place, &postfix, kind, Side::Own, &addresses));
                let ours = said(&place, &postfix, kind, Side::Gatepost, &addresses);
                (own.join().unwrap(), ours)
            });
            let found = own.iter().filter(|said| said.contains("elsewhere.test")).count();
            assert!(found > addresses.len() / 3, "{kind:?}: {found} addresses are found");
            compare(kind.map(), &addresses, &own, &ours);
        }
    }
}
