//! Users in a real Active Directory, whom gatepost lets in through a real Dovecot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use support::{Authority, House, Place, Samba, Table, Tree, Watching, samba, samba::ROOT, wait_until};

/// The example of `conf.d`.
fn example(place: &Place, samba: &Samba<'_>) -> String {
    let urls = [format!("ldaps://{}", samba.ldaps())];
    Table::example(place, "active-directory.toml", &urls, samba::SERVICE.1)
}

/// A table of its own.
fn table(place: &Place, url: String) -> Table {
    let (dn, password) = samba::SERVICE;
    Table::new(&[url], &place.outside("authority.pem")).with("bind_dn", dn).with("bind_password", password)
}

#[test]
fn the_example_lets_in_who_is_in_the_group_and_says_why_it_lets_others_not() {
    let place = Place::new(&Tree::bookworm());
    let samba = Samba::start(&place);
    // A password older than it may be cannot be had by waiting.
    samba.modify(&format!("dn: {ROOT}\nchangetype: modify\nreplace: maxPwdAge\nmaxPwdAge: -864000000010\n"));
    samba.modify_raw(&format!(
        "dn: CN=old,OU=Staff,{ROOT}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 133000000000000000\n"
    ));
    let house = House::open(&place, &example(&place, &samba));
    house.admits("alice@example.org", "alice-secret");
    // By another address, by the logon name; and through a group in the group, with a password beyond ASCII.
    house.admits("wonder@example.org", "alice-secret");
    house.admits("Alice@AD.example.org", "alice-secret");
    house.admits("bob@example.org", "bob-sécret");
    let said = house.dovecot.doveadm(&["user", "wonder@example.org"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("mail/example.org/alice"), "they are one person: {said}");

    house.refuses("alice@example.org", "wrong");
    house.refuses("nobody@example.org", "alice-secret");
    house.refuses("carol@example.org", "carol-secret");
    house.says(&["user=\"carol@example.org\"", "outcome=no_such_user"]);

    for (who, outcome) in [
        ("disabled", "disabled"),
        ("expired", "expired"),
        ("change", "expired"),
        ("old", "expired"),
        ("hours", "disabled"),
        ("elsewhere", "disabled"),
    ] {
        let user = format!("{who}@example.org");
        // Only who knows the password learns it.
        house.refuses(&user, "wrong");
        house.says(&[&format!("user=\"{user}\""), "outcome=rejected"]);
        let answer = house.login(&user, &format!("{who}-secret"));
        assert!(answer.starts_with("NO"), "{user}: {answer}");
        house.says(&[&format!("user=\"{user}\""), &format!("outcome={outcome}")]);
    }

    // No bind is needed for the controller to have its say: who is disabled has no other way in either.
    let app_password = |user: &str| {
        let made = Command::new(env!("CARGO_BIN_EXE_gatepost"))
            .args(["app-password", "create", user, "--label", "phone", "--config"])
            .arg(place.outside("gatepost.toml"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    house.admits("alice@example.org", &app_password("alice@example.org"));
    house.refuses("disabled@example.org", "wrong");
    let answer = house.login("disabled@example.org", &app_password("disabled@example.org"));
    assert!(answer.starts_with("NO"), "{answer}");
    house.says(&["user=\"disabled@example.org\"", "outcome=disabled"]);

    let reply = house.dovecot.lmtp().send("a@example.test", "disabled@example.org", "hello");
    assert_eq!(reply.code, 250, "who is disabled gets mail: {}", reply.text);
    let reply = house.dovecot.lmtp().send("a@example.test", "carol@example.org", "hello");
    assert_eq!(reply.code, 550, "{}", reply.text);

    let listed = house.dovecot.doveadm(&["user", "*"]);
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut listed: Vec<_> = listed.lines().map(|line| line.split('@').next().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, ["alice", "bob", "change", "elsewhere", "expired", "hours", "locked", "old"]);
}

#[test]
fn the_example_says_where_mail_goes() {
    let place = Place::new(&Tree::bookworm());
    let samba = Samba::start(&place);
    let group = |name: &str, rest: &str| {
        format!(
            "dn: CN={name},OU=Groups,{ROOT}\nchangetype: add\nobjectClass: group\nsAMAccountName: {name}\n{rest}\n"
        )
    };
    samba.modify(&format!(
        "dn: CN=Friend,OU=Staff,{ROOT}\nchangetype: add\nobjectClass: contact\nmail: friend@elsewhere.test\n\n"
    ));
    samba.modify(&group(
        "Sales",
        &format!(
            "mail: sales@example.org\nproxyAddresses: smtp:shop@example.org\n\
            member: CN=Alice Liddell,OU=Staff,{ROOT}\nmember: CN=Friend,OU=Staff,{ROOT}\nmember: CN=Berlin,OU=Groups,{ROOT}\n"
        ),
    ));
    samba.modify(&group("Empty", "mail: empty@example.org\n"));
    let house = House::open(&place, &example(&place, &samba));
    house.maps(&[
        ("domains", "example.org", Some("example.org")),
        ("domains", "AD.example.org", Some("ad.example.org")),
        ("domains", "elsewhere.test", None),
        ("mailboxes", "wonder+x@example.org", Some("alice@example.org")),
        ("mailboxes", "carol@example.org", None),
        ("aliases", "empty@example.org", None),
        ("aliases", "alice@example.org", None),
        ("aliases", "wonder@example.org", None),
        ("aliases", "nobody@example.org", None),
        ("senders", "wonder@example.org", Some("alice@example.org")),
        ("senders", "sales@example.org", None),
        ("senders", "nobody@example.org", None),
    ]);
    // In the order of the controller.
    for address in ["sales", "Shop"] {
        let address = format!("{address}@example.org");
        let output = house.gatepost.command(&["map", "query", "aliases", &address]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let mut members: Vec<_> = said.trim().trim_start_matches("found: ").split(',').collect();
        members.sort_unstable();
        assert_eq!(members, ["alice@example.org", "bob@example.org", "friend@elsewhere.test"], "{address}");
    }
}

#[test]
fn a_wrong_password_costs_one_bind_and_a_locked_account_says_so() {
    let place = Place::new(&Tree::bookworm());
    let samba = Samba::start(&place);
    samba.modify(&format!(
        "dn: {ROOT}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 3\n-\n\
        replace: lockoutDuration\nlockoutDuration: -864000000000\n-\n\
        replace: lockOutObservationWindow\nlockOutObservationWindow: -864000000000\n"
    ));
    // Often, so that what the controller notes about a failure would be taken for a change if it was one.
    let often = "type = \"ldap\"\nchange_poll = \"300ms\"";
    let directory = example(&place, &samba).replacen("type = \"ldap\"", often, 1);
    let house = House::open(&place, &format!("[log]\nfilter = \"debug\"\n{directory}"));
    house.admits("locked@example.org", "locked-secret");
    // The first login for weeks is one.
    house.says(&["have changed", "locked@example.org"]);
    for failures in 1..=3 {
        // The same one again costs nothing, for several looks for changes.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            house.refuses("locked@example.org", &format!("wrong{failures}"));
            assert_eq!(samba.attribute("locked", "badPwdCount"), failures.to_string());
        }
    }
    // Passwords that cannot be right are not asked about.
    assert_eq!(samba.attribute("alice", "badPwdCount"), "0");
    house.refuses("alice@example.org", "");
    assert_eq!(samba.attribute("alice", "badPwdCount"), "0");

    // That the controller has locked it is a change.
    wait_until("the lock is known", || {
        let answer = house.login("locked@example.org", "locked-secret");
        assert!(answer.starts_with("OK") || answer.starts_with("NO [AUTHENTICATIONFAILED]"), "{answer}");
        !answer.starts_with("OK")
    });
    house.says(&["user=\"locked@example.org\"", "outcome=locked"]);
    samba.modify(&format!(
        "dn: CN=locked,OU=Staff,{ROOT}\nchangetype: modify\nreplace: lockoutTime\nlockoutTime: 0\n"
    ));
    house.admits("locked@example.org", "locked-secret");
}

#[test]
fn a_group_has_its_own_members_alone_unless_groups_in_it_count() {
    let place = Place::new(&Tree::bookworm());
    let samba = Samba::start(&place);
    let nested = example(&place, &samba);
    assert!(nested.contains("nested_groups = true"));
    let house = House::open(&place, &nested.replace("nested_groups = true", "nested_groups = false"));
    house.admits("alice@example.org", "alice-secret");
    house.refuses("bob@example.org", "bob-sécret");
    house.says(&["user=\"bob@example.org\"", "outcome=no_such_user"]);
}

#[test]
fn starttls_names_and_hashes_do_as_well() {
    let place = Place::new(&Tree::bookworm());
    let samba = Samba::start(&place);
    let (ldap, ldaps) = (format!("ldap://{}", samba.ldap()), format!("ldaps://{}", samba.ldaps()));
    let found = |table: Table| table.with("base_dn", ROOT).with("user_filter", "(mail={user})");
    let by_name = format!("CN={{local}},OU=Staff,{ROOT}");
    for (table, password) in [
        (found(table(&place, ldap).with_raw("starttls = true")), "bob-sécret"),
        (table(&place, ldaps.clone()).with("user_dn", by_name), "bob-sécret"),
    ] {
        let mut house = House::open(&place, &table.fields(&place));
        house.admits("bob@example.org", password);
        house.refuses("bob@example.org", "wrong");
        house.refuses("nobody@example.org", password);
        house.gatepost.stop();
        house.dovecot.stop();
    }
    let house = House::open(&place, &found(table(&place, ldaps)).with("password", "info").fields(&place));
    house.admits("alice@example.org", "info-secret");
    house.refuses("alice@example.org", "alice-secret");
}

#[test]
fn what_cannot_be_trusted_or_wants_tls_is_a_temporary_failure() {
    let place = Place::new(&Tree::bookworm());
    let samba = Samba::start(&place);
    let stranger = Authority::found(&place, "stranger");
    let (ldap, ldaps) = (format!("ldap://{}", samba.ldap()), format!("ldaps://{}", samba.ldaps()));
    let good = place.outside("authority.pem");
    for (url, ca, more, why) in [
        (&ldaps, stranger.file(), "", "certificate"),
        (&ldap, stranger.file(), "starttls = true", "certificate"),
        (&ldap, good, "", "strongerAuthRequired"),
    ] {
        let (dn, password) = samba::SERVICE;
        let table = Table::new(std::slice::from_ref(url), &ca)
            .with("bind_dn", dn)
            .with("bind_password", password)
            .with("base_dn", ROOT)
            .with("user_filter", "(mail={user})")
            .with_raw(more);
        let mut house = House::open(&place, &table.fields(&place));
        house.refuses_as("alice@example.org", "alice-secret", "UNAVAILABLE");
        wait_until("the log says why", || house.gatepost.log().contains(why));
        house.gatepost.stop();
        house.dovecot.stop();
    }
}

#[test]
fn whoever_is_changed_is_told_by_all_names_and_nobody_else() {
    let place = Place::new(&Tree::bookworm());
    let mut samba = Samba::start(&place);
    let often = "[directory.fields]";
    let text = example(&place, &samba).replace(often, &format!("change_poll = \"100ms\"\n{often}"));
    let watching = Watching::started(&text);
    watching.settles();
    let dn = |name: &str| format!("dn: CN={name},OU=Staff,{ROOT}\nchangetype: modify\n");
    let alice = ["alice@ad.example.org", "alice@example.org", "wonder@example.org"];

    samba.modify(&format!("{}replace: unicodePwd\nunicodePwd: another-secret\n", dn("Alice Liddell")));
    watching.tells(&alice, 1);
    // Twice within one second, and only then the next one.
    samba.modify(&format!("{}replace: description\ndescription: 1\n", dn("Alice Liddell")));
    samba.modify(&format!("{}replace: userAccountControl\nuserAccountControl: 514\n", dn("Alice Liddell")));
    watching.tells(&alice, 1);
    // A bind is no change; but for the first one, which is kept.
    assert!(watching.binds("bob@example.org", "bob-s\u{e9}cret"));
    watching.settles();
    assert!(watching.binds("bob@example.org", "bob-s\u{e9}cret"));
    assert!(!watching.binds("bob@example.org", "wrong"));
    watching.settles();
    samba.modify(&format!("{}replace: mail\nmail: robert@example.org\n", dn("Bob")));
    watching.tells_at_least(&["robert@example.org"]);
    // Members of groups in the group count, so that any group may decide.
    samba.modify(&format!(
        "dn: CN=Mail Users,OU=Groups,{ROOT}\nchangetype: modify\nreplace: description\ndescription: x\n"
    ));
    watching.tells_everybody(1);

    samba.stop();
    samba.start_again();
    samba.modify(&format!("{}replace: description\ndescription: 2\n", dn("disabled")));
    watching.tells_at_least(&["disabled@example.org"]);
}
