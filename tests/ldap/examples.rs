//! The files of `conf.d/examples` for LDAP servers.

use crate::support::{Alone, Authority, House, Place, Slapd, Table, Tree, slapd};

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
