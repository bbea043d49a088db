use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    House, Table,
    asking::{self, Auth},
    at, of, searching,
    support::{FORGETFUL, Place, Proxy, Slapd, Tree, slapd::SUFFIX},
};

#[test]
fn a_good_login_is_one_search_and_one_bind_and_a_wrong_password_is_one_bind() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let house = House::open(&place, &of(&place, &slapd).fields(&place));
    house.admits("alice@example.org", "alice-secret");
    house.gatepost.forget();

    let alice = "BIND dn=\"uid=alice,";
    let searches = "SRCH base=\"ou=people,";
    let before = (slapd.asked(alice), slapd.asked(searches));
    house.admits("alice@example.org", "alice-secret");
    let after = (slapd.asked(alice), slapd.asked(searches));
    // slapd tells of a bind that succeeds in two lines: who asks, and who they are now. Dovecot asks for the user once
    // more after the login, and finds what the login has found.
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 1), "{}", slapd.log());

    house.refuses("alice@example.org", "wrong");
    assert_eq!(slapd.asked(alice) - after.0, 1, "{}", slapd.log());
    house.refuses("nobody@example.org", "wrong");
    assert_eq!(slapd.asked("BIND dn=\"uid=nobody"), 0);
}

#[test]
fn people_log_in_by_ldaps_and_starttls_and_without_within_this_machine() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let authority = place.outside("authority.pem");
    for (url, more) in [
        (format!("ldaps://{}", slapd.ldaps()), ""),
        (format!("ldap://{}", slapd.ldap()), "starttls = true"),
        (format!("ldap://{}", slapd.ldap()), ""),
        (slapd.ldapi(), ""),
    ] {
        let table = searching(&[url], &authority)
            .with_raw(more)
            .with("base_dn", format_args!("ou=people,{SUFFIX}"))
            .with("user_filter", "(&(objectClass=inetOrgPerson)(|(mail={user})(uid={local})))");
        let mut house = House::open(&place, &table.fields(&place));
        house.admits("alice@example.org", "alice-secret");
        house.admits("alice@elsewhere.test", "alice-secret");
        house.admits("bob@example.org", "builder");
        house.admits("o'brien@example.org", "o'brien-secret");
        house.refuses("alice@example.org", "bob-secret");
        house.refuses("nobody@example.org", "alice-secret");
        house.gatepost.stop();
        house.dovecot.stop();
    }
}

#[test]
fn as_many_passwords_are_checked_at_once_as_there_are_connections_and_these_are_used_again() {
    /// One way.
    const FAR: Duration = Duration::from_millis(50);

    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let proxy = Proxy::start(slapd.ldaps());
    let table = at(&place, proxy.address()).with_raw("search_connections = 1\nbind_connections = 4");
    let fields = "[directory.fields]\nhome = \"/mail/{local}\"\n";
    // From memory, one would ask for all of them.
    let gatepost = asking::daemon(&format!("{}{fields}{FORGETFUL}", table.0), "").started();
    let log_in_16_times = || {
        let begun = Instant::now();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let reply = Auth::connect(&gatepost).plain("alice@example.org", "alice-secret");
                    assert!(reply.starts_with("OK"), "{reply}");
                });
            }
        });
        begun.elapsed()
    };
    proxy.delay(FAR);
    log_in_16_times();
    assert_eq!(proxy.accepted(), 5, "one for searches and four for binds");
    let took = log_in_16_times();
    assert_eq!(proxy.accepted(), 5, "none was opened anew");
    // A search, a moment to see that a connection is alive, and four rounds of binds: 6 times there and back. One after
    // the other it would be 32 times.
    assert!(took > 10 * FAR && took < 24 * FAR, "took {took:?}");
}

#[test]
fn a_stored_hash_is_compared_here() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let table = of(&place, &slapd).with("password", "userPassword").with("default_scheme", "PLAIN");
    let house = House::open(&place, &table.fields(&place));
    house.admits("bob@example.org", "builder");
    house.admits("alice@example.org", "alice-secret");
    house.refuses("bob@example.org", "bob-secret");
    assert_eq!(slapd.asked("BIND dn=\"uid="), 0);
}

#[test]
fn an_entry_is_found_by_its_name() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let urls = [format!("ldaps://{}", slapd.ldaps())];
    let table = searching(&urls, &place.outside("authority.pem"));
    let house = House::open(
        &place,
        &table.with("user_dn", format_args!("uid={{local}},ou=people,{SUFFIX}")).fields(&place),
    );
    house.admits("alice@example.org", "alice-secret");
    house.admits("o'brien@example.org", "o'brien-secret");
    house.refuses("alice@example.org", "wrong");
    house.refuses("nobody@example.org", "wrong");
    let reply = house.dovecot.lmtp().send("a@example.test", "nobody@example.org", "hello");
    assert_eq!(reply.code, 550, "{}", reply.text);
}

#[test]
fn without_a_service_account_a_name_is_bound_and_nothing_is_searched() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let (urls, ca) = (format!("ldaps://{}", slapd.ldaps()), place.outside("authority.pem"));
    let table = Table(format!(
        "[[directory]]\nname = \"staff\"\ntype = \"ldap\"\nurls = [\"{urls}\"]\nca_file = {ca:?}\ndomains = [\"example.org\"]\n"
    ));
    let house = House::open(
        &place,
        &table.with("user_dn", format_args!("uid={{local}},ou=people,{SUFFIX}")).fields(&place),
    );
    house.admits("alice@example.org", "alice-secret");
    house.refuses("alice@example.org", "wrong");
    house.refuses("nobody@example.org", "wrong");
    assert_eq!(slapd.asked("SRCH base=\"uid="), 0, "{}", slapd.log());
}

#[test]
fn who_is_not_in_the_group_does_not_exist() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let table = of(&place, &slapd).with("require_group", format_args!("cn=mail,ou=groups,{SUFFIX}"));
    let house = House::open(&place, &table.fields(&place));
    house.admits("alice@example.org", "alice-secret");
    house.refuses("carol@example.org", "carol-secret");
    assert_eq!(slapd.asked("BIND dn=\"uid=carol"), 0);
    let reply = house.dovecot.lmtp().send("a@example.test", "carol@example.org", "hello");
    assert_eq!(reply.code, 550, "{}", reply.text);
}

#[test]
fn what_a_password_policy_says_is_told() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let house = House::open(&place, &of(&place, &slapd).fields(&place));
    house.refuses_as("expired@example.org", "expired-secret", "EXPIRED");
    house.refuses("expired@example.org", "wrong");
    house.refuses_as("reset@example.org", "reset-secret", "EXPIRED");
    house.admits("grace@example.org", "grace-secret");
    house.says(&["a password has run out", "left=2"]);

    house.admits("locked@example.org", "locked-secret");
    for wrong in ["wrong", "other", "third"] {
        house.refuses("locked@example.org", wrong);
    }
    house.gatepost.forget();
    house.refuses("locked@example.org", "locked-secret");
    house.says(&["the directory has locked the account for a time"]);
}

#[test]
fn a_name_of_two_entries_is_nobodys() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let table = searching(&[format!("ldaps://{}", slapd.ldaps())], &place.outside("authority.pem"))
        .with("base_dn", SUFFIX)
        .with("user_filter", "(mail={user})");
    let house = House::open(&place, &table.fields(&place));
    house.admits("alice@example.org", "alice-secret");
    house.refuses("twin@example.org", "twin-secret");
    let reply = house.dovecot.lmtp().send("a@example.test", "twin@example.org", "hello");
    assert_eq!(reply.code, 451, "mail is not lost because of a slip: {}", reply.text);
}

/// An attribute that people may write themselves, or that is not unique, makes nobody somebody else.
#[test]
fn who_takes_the_address_of_somebody_else_is_not_let_in_as_them() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let table = searching(&[format!("ldaps://{}", slapd.ldaps())], &place.outside("authority.pem"))
        .with("base_dn", format_args!("ou=people,{SUFFIX}"))
        .with("user_filter", "(&(objectClass=inetOrgPerson)(|(mail={user})(uid={local})))");
    let house = House::open(&place, &format!("{}user = \"{{mail}}\"\n", table.fields(&place)));
    house.admits("bob@elsewhere.test", "builder");
    house.admits("bob@example.org", "builder");
    let of_bob = |mail: &str| {
        let bob =
            format!("dn: uid=bob,ou=people,{SUFFIX}\nchangetype: modify\nreplace: mail\nmail: {mail}\n");
        slapd.modify(&bob, false);
        house.gatepost.forget();
    };
    of_bob("alice@example.org");
    house.refuses("bob@elsewhere.test", "builder");
    house.says(&["user=\"bob@elsewhere.test\"", "outcome=ambiguous"]);
    house.refuses("bob@example.org", "builder");
    of_bob("bob@example.org");
    house.admits("bob@elsewhere.test", "builder");
}
