//! The files of `conf.d/examples` for LDAP servers.

use crate::support::{Alone, Authority, House, Place, Slapd, Table, Tree, slapd};

/// What the entries need to be asked for by Postfix: domains, groups with addresses, one in another, and further addresses.
const ADDRESSES: &str = "dn: dc=example,dc=org
changetype: modify
add: objectClass
objectClass: domainRelatedObject
-
add: associatedDomain
associatedDomain: example.org
associatedDomain: example.net

dn: uid=alice,ou=people,dc=example,dc=org
changetype: modify
add: objectClass
objectClass: inetLocalMailRecipient
-
add: mailLocalAddress
mailLocalAddress: liddell@example.org

dn: uid=carol,ou=people,dc=example,dc=org
changetype: modify
add: objectClass
objectClass: inetLocalMailRecipient
-
add: mailLocalAddress
mailLocalAddress: christmas@example.org

dn: cn=sales,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
objectClass: extensibleObject
cn: sales
mail: sales@example.org
member: uid=alice,ou=people,dc=example,dc=org
member: uid=bob,ou=people,dc=example,dc=org

dn: cn=all,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
objectClass: extensibleObject
cn: all
mail: all@example.org
mail: @example.net
member: cn=sales,ou=groups,dc=example,dc=org

dn: cn=quiet,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: quiet
member: uid=alice,ou=people,dc=example,dc=org
";

#[test]
fn the_example_for_openldap_serves_its_users() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let urls = [format!("ldaps://{}", slapd.ldaps())];
    let house = House::open(&place, &Table::example(&place, "openldap.toml", &urls, slapd::SERVICE.1));
    house.admits("alice@example.org", "alice-secret");
    house.admits("alice", "alice-secret");
    house.admits("bob@example.org", "builder");
    house.refuses("bob@example.org", "wrong");
    house.refuses("carol@example.org", "carol-secret");
    let said = house.dovecot.doveadm(&["user", "ALICE"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("mail/example.org/alice"), "{said}");
    let listed = house.dovecot.doveadm(&["user", "*"]);
    let mut listed: Vec<_> =
        listed.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    listed.sort_unstable();
    assert_eq!(listed, [b"alice@example.org".as_slice(), b"bob@example.org"]);
}

#[test]
fn the_example_for_openldap_says_where_mail_goes() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    slapd.modify(ADDRESSES, false);
    let urls = [format!("ldaps://{}", slapd.ldaps())];
    let house = House::open(&place, &Table::example(&place, "openldap.toml", &urls, slapd::SERVICE.1));
    let both = "alice@example.org,bob@example.org";
    house.maps(&[
        ("domains", "Example.org", Some("example.org")),
        ("domains", "example.net", Some("example.net")),
        ("domains", "elsewhere.test", None),
        ("mailboxes", "Alice+x@example.org", Some("alice@example.org")),
        ("mailboxes", "carol@example.org", None),
        ("mailboxes", "liddell@example.org", None),
        ("aliases", "sales@example.org", Some(both)),
        ("aliases", "sales+x@example.org", Some("alice+x@example.org,bob+x@example.org")),
        ("aliases", "all@example.org", Some(both)),
        ("aliases", "liddell@example.org", Some("alice@example.org")),
        // Whoever is in no mailbox, has no address, is not there, is a mailbox.
        ("aliases", "christmas@example.org", None),
        ("aliases", "quiet@example.org", None),
        ("aliases", "nobody@example.org", None),
        ("aliases", "alice@example.org", None),
        // For all others of a domain; uid finds people in each.
        ("aliases", "nobody@example.net", Some(both)),
        ("aliases", "alice@example.net", None),
        ("senders", "liddell@example.org", Some("alice@example.org")),
        ("senders", "all+x@example.org", Some(both)),
        ("senders", "alice@example.org", Some("alice@example.org")),
        ("senders", "christmas@example.org", None),
    ]);
    house.refuses("liddell@example.org", "alice-secret");
}

#[test]
fn each_example_is_fine() {
    let place = Place::new(&Tree::bookworm());
    Authority::found(&place, "authority");
    for name in ["openldap.toml", "active-directory.toml", "freeipa.toml"] {
        let urls = ["ldaps://127.0.0.1:1".to_owned()];
        let gatepost = Alone::new(&Table::example(&place, name, &urls, "secret"), "");
        let output = gatepost.run(&["check"], "");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        assert!(said.starts_with("fine: ") && said.contains("Connection refused"), "{name}: {said}");
    }
}
