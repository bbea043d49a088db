//! The configurations of `conf.d/examples` over the schemas that they are for. Only places are put in.

use crate::{
    asking::plain,
    database::gatepost_over,
    support::{
        Dovecot, Gatepost, Listener, MariaDb, Place, Postfix, Smtpd, Tree, Watching, example, side_by_side,
    },
};

/// For which of these services the password lets somebody in: Dovecot's programs ask as themselves.
fn good_for<'s>(
    gatepost: &Gatepost<'_>,
    place: &Place,
    services: &[&'s str],
    user: &str,
    password: &str,
) -> Vec<&'s str> {
    let mut lines = crate::support::connect(&place.outside("run/auth-client"));
    lines.say("VERSION\t1\t2\nCPID\t4711");
    lines.hear_until(|line| line == "DONE");
    // At once, as each refusal is told later.
    for (id, service) in services.iter().enumerate() {
        let response = plain(user, password);
        lines.say(&format!("AUTH\t{}\tPLAIN\tservice={service}\tresp={response}", id + 1));
    }
    let mut good = vec![false; services.len()];
    for _ in services {
        let said = lines.hear();
        assert!(!said.contains("temp"), "{user}: {said}\n{}", gatepost.log());
        let mut fields = said.split('\t');
        let (word, id) = (fields.next().unwrap(), fields.next().unwrap().parse::<usize>().unwrap());
        good[id - 1] = word == "OK";
    }
    services.iter().zip(good).filter_map(|(service, good)| good.then_some(*service)).collect()
}

/// Whether somebody may log in to IMAP.
fn lets_in(gatepost: &Gatepost<'_>, place: &Place, user: &str, password: &str) -> bool {
    !good_for(gatepost, place, &["imap"], user, password).is_empty()
}

#[test]
fn mailcow_is_served_from_its_own_tables() {
    let place = Place::new(&Tree::bookworm());
    let server = MariaDb::start(&place);
    server.sql("mail", include_str!("schemas/mailcow.sql"));
    let prefix = place.inside("mail/vmail/");
    server.sql("mail", &format!("UPDATE mailbox SET mailbox_path_prefix = '{prefix}'"));
    let listeners = [Listener::dovecot(&place), Postfix::listeners(&place)].concat();
    let gatepost = Gatepost::start_over(&place, &listeners, &example("mailcow", &place, &server));
    let mut dovecot = Dovecot::start(&place);
    let postfix = Postfix::start(&place, None);

    let mut imap = dovecot.imap();
    assert!(imap.login("alice@example.test", "moohoo").starts_with("OK"));
    assert!(imap.command("SELECT INBOX").starts_with("OK [READ-WRITE]"));
    assert!(dovecot.imap().login("Alice@alias.test", "moohoo").starts_with("OK"));
    let mut pop3 = dovecot.pop3();
    pop3.ask("USER alice@example.test", "+OK");
    pop3.ask("PASS moohoo", "+OK");
    let mut sieve = dovecot.sieve();
    sieve.say(&format!("AUTHENTICATE \"PLAIN\" \"{}\"", plain("alice@example.test", "moohoo")));
    sieve.expect("OK");

    for (user, password, code) in [
        ("alice@example.test", "moohoo", 235),
        ("alice@example.test", "phone", 235),
        ("imaponly@example.test", "moohoo", 535),
        ("boxonly@example.test", "moohoo", 535),
    ] {
        let reply = postfix.connect(Smtpd::ALL[0]).auth_plain(user, password);
        assert_eq!(reply.code, code, "{user} {password}: {reply:?}");
    }

    // The user, and the services that the main password is good for.
    let services = ["imap", "pop3", "smtp", "submission", "sieve", "managesieve"];
    let asked = [services.as_slice(), &["doveadm", "eas"]].concat();
    let table: &[(&str, &[&str])] = &[
        ("alice@example.test", &services),
        ("alice@alias.test", &services),
        ("alice@former.test", &[]),
        ("boxonly@example.test", &[]),
        ("gone@example.test", &[]),
        ("closed@closed.test", &[]),
        ("imaponly@example.test", &["imap"]),
        ("apponly@example.test", &[]),
        ("old@example.test", &services),
        ("factor@example.test", &[]),
        ("far@example.test", &[]),
        ("room@example.test", &[]),
        ("nobody@example.test", &[]),
        ("nobody@alias.test", &[]),
    ];
    for (user, good) in table {
        assert_eq!(good_for(&gatepost, &place, &asked, user, "moohoo"), *good, "{user}");
        assert_eq!(good_for(&gatepost, &place, &asked, user, "moohoox"), [""; 0], "{user}");
    }

    // App passwords are good for what each of them is for, whatever the main password may do.
    let table: &[(&str, &str, &[&str])] = &[
        ("alice@example.test", "phone", &["imap", "smtp", "submission"]),
        ("alice@alias.test", "phone", &["imap", "smtp", "submission"]),
        ("alice@example.test", "laptop", &[]),
        ("apponly@example.test", "phone", &services),
        ("factor@example.test", "phone", &services),
        ("imaponly@example.test", "phone", &[]),
        ("boxonly@example.test", "phone", &[]),
    ];
    for (user, password, good) in table {
        assert_eq!(good_for(&gatepost, &place, &services, user, password), *good, "{user} {password}");
    }
    let mut imap = dovecot.imap();
    assert!(imap.login("apponly@example.test", "phone").starts_with("OK"));
    assert!(imap.command("SELECT INBOX").starts_with("OK [READ-WRITE]"));

    // Who has a mailbox gets mail.
    for (user, code) in [
        ("alice@example.test", 250),
        ("boxonly@example.test", 250),
        ("far@example.test", 250),
        ("gone@example.test", 550),
        ("nobody@example.test", 550),
    ] {
        let said = dovecot.lmtp().send("sender@example.test", user, "hello");
        assert_eq!(said.code, code, "{user}: {said:?}\n{}\n{}", gatepost.log(), dovecot.log());
    }
    assert!(place.outside("mail/vmail/example.test/alice/new").exists(), "{}", dovecot.log());
    let known = String::from_utf8(dovecot.doveadm(&["user", "alice@example.test"]).stdout).unwrap();
    assert!(known.contains("quota_rule\t*:bytes=3221225472"), "{known}");
    let mail = format!("maildir:{prefix}example.test/alice/:VOLATILEDIR={}", place.inside("mail/volatile"));
    assert!(known.contains(&mail), "{known}");
    let mut listed: Vec<_> = String::from_utf8(dovecot.doveadm(&["user", "*"]).stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    listed.sort();
    assert_eq!(
        listed,
        [
            "alice@example.test",
            "apponly@example.test",
            "boxonly@example.test",
            "closed@closed.test",
            "factor@example.test",
            "far@example.test",
            "imaponly@example.test",
            "old@example.test",
            "room@example.test",
        ]
    );
    dovecot.stop();
}

/// mailcow reads one row of one index for a login, and so does this; the same for what Postfix asks.
#[test]
fn the_queries_for_mailcow_read_no_whole_table() {
    let place = Place::new(&Tree::bookworm());
    let server = MariaDb::start(&place);
    server.sql("mail", include_str!("schemas/mailcow.sql"));
    server.sql(
        "mail",
        "INSERT INTO mailbox (username, password, local_part, domain)
         SELECT CONCAT('user', seq, '@example.test'), '', CONCAT('user', seq), 'example.test' FROM seq_1_to_20000;
         INSERT INTO alias (address, goto, domain)
         SELECT CONCAT('user', seq, '@example.test'), CONCAT('user', seq, '@example.test'), 'example.test' FROM seq_1_to_20000",
    );
    // Who has changed is asked about besides, and that does read all of them.
    let fields = "[directory.fields]";
    let never = format!("change_poll = \"0s\"\n{fields}");
    let gatepost = gatepost_over(&place, &example("mailcow", &place, &server).replace(fields, &never));
    // To ask for the status reads some rows as well.
    let read = || server.status("Handler_read_rnd_next") + server.status("Handler_read_next");
    assert!(lets_in(&gatepost, &place, "alice@example.test", "moohoo"));
    let before = read();
    assert!(lets_in(&gatepost, &place, "alice@alias.test", "moohoo"));
    let rows = read() - before;
    assert!(rows < 5000, "{rows} rows were read");
    for map in [
        "mailboxes",
        "aliases",
        "senders",
        "relay_recipient_maps",
        "transport_maps",
        "sender_dependent_default_transport_maps",
        "smtp_sasl_password_maps",
        "check_recipient_access",
    ] {
        for address in ["user77+x@alias.test", "user78+x@example.test"] {
            let before = read();
            let output = gatepost.command(&["map", "query", map, address]).output().unwrap();
            assert!(matches!(output.status.code(), Some(0 | 1)), "{map} {address}: {output:?}");
            let rows = read() - before;
            assert!(rows < 5000, "{rows} rows were read for {map} of {address}");
        }
    }
}

#[test]
fn postfixadmin_is_served_from_its_own_tables() {
    let place = Place::new(&Tree::bookworm());
    let server = MariaDb::start(&place);
    server.sql("mail", include_str!("schemas/postfixadmin.sql"));
    let gatepost = gatepost_over(&place, &example("postfixadmin", &place, &server));
    let dovecot = Dovecot::start(&place);
    let mut imap = dovecot.imap();
    assert!(imap.login("alice@example.test", "wonder").starts_with("OK"));
    assert!(imap.command("SELECT INBOX").starts_with("OK [READ-WRITE]"));
    for (user, password, expected) in [
        ("alice@alias.test", "wonder", true),
        ("alice@former.test", "wonder", false),
        ("alice@example.test", "moohoo", false),
        ("bob@example.test", "moohoo", true),
        ("old@example.test", "old", true),
        ("gone@example.test", "old", false),
        ("closed@closed.test", "old", false),
        ("nobody@example.test", "old", false),
        ("жук@example.test", "old", false),
        ("жук@alias.test", "old", false),
        ("old@жук.test", "old", false),
    ] {
        assert_eq!(lets_in(&gatepost, &place, user, password), expected, "{user} {password}");
    }
    for (user, code) in [("bob@example.test", 250), ("gone@example.test", 550), ("closed@closed.test", 550)] {
        let said = dovecot.lmtp().send("sender@example.test", user, "hello");
        assert_eq!(said.code, code, "{user}: {said:?}\n{}", gatepost.log());
    }
    let known = String::from_utf8(dovecot.doveadm(&["user", "alice@example.test"]).stdout).unwrap();
    assert!(known.contains("quota_rule\t*:bytes=1048576"), "{known}");
    let home = place.inside("mail/vmail/example.test/alice/");
    assert!(known.contains(&format!("home\t{home}")), "{known}");
    let listed = String::from_utf8(dovecot.doveadm(&["user", "*"]).stdout).unwrap();
    assert_eq!(listed, "alice@example.test\nbob@example.test\nold@example.test\n");
}

/// The statement, and who is told.
#[test]
fn whoever_is_changed_in_mailcow_or_postfixadmin_is_told() {
    let mailcow: &[(&str, &[&str])] = &[
        (
            "UPDATE mailbox SET password = '{PLAIN}x' WHERE username = 'alice@example.test'",
            &["alice@example.test"],
        ),
        ("UPDATE mailbox SET active = 0 WHERE username = 'old@example.test'", &["old@example.test"]),
        (
            "INSERT INTO app_passwd (name, mailbox, domain, password) VALUES ('x', 'imaponly@example.test', 'example.test', 'x')",
            &["imaponly@example.test"],
        ),
        (
            "UPDATE app_passwd SET active = 0 WHERE mailbox = 'apponly@example.test'",
            &["apponly@example.test"],
        ),
        ("UPDATE domain SET active = 1 WHERE domain = 'closed.test'", &["closed@closed.test"]),
        (
            "INSERT INTO mailbox (username, password, local_part, domain) VALUES ('new@closed.test', 'x', 'new', 'closed.test')",
            &["new@closed.test"],
        ),
        (
            "INSERT INTO alias (address, goto, domain) VALUES ('sales@example.test', 'alice@example.test', 'example.test'), ('@example.test', 'old@example.test', 'example.test')",
            &["sales@example.test"],
        ),
        ("UPDATE alias SET active = 0 WHERE address = 'sales@example.test'", &["sales@example.test"]),
        (
            "INSERT INTO spamalias (address, goto, description, validity) VALUES ('temp@example.test', 'alice@example.test', '', 1)",
            &["temp@example.test"],
        ),
    ];
    let postfixadmin: &[(&str, &[&str])] = &[
        (
            "UPDATE mailbox SET password = 'x', modified = NOW() WHERE username = 'alice@example.test'",
            &["alice@example.test"],
        ),
        (
            "UPDATE mailbox SET active = 0, modified = NOW() WHERE username = 'bob@example.test'",
            &["bob@example.test"],
        ),
        (
            "UPDATE domain SET active = 1, modified = NOW() WHERE domain = 'closed.test'",
            &["closed@closed.test"],
        ),
        (
            "UPDATE alias SET goto = 'bob@example.test', modified = NOW() WHERE address = 'old@example.test'",
            &["old@example.test"],
        ),
    ];
    let both = [
        ("mailcow", ("mailcow", include_str!("schemas/mailcow.sql"), mailcow)),
        ("postfixadmin", ("postfixadmin", include_str!("schemas/postfixadmin.sql"), postfixadmin)),
    ];
    side_by_side(both, |(name, schema, table)| {
        let place = Place::new(&Tree::bookworm());
        let server = MariaDb::start(&place);
        server.sql("mail", schema);
        let often = "[directory.fields]";
        let text =
            example(name, &place, &server).replace(often, &format!("change_poll = \"100ms\"\n{often}"));
        let watching = Watching::started(&text);
        assert_eq!(watching.examine(), Ok(()));
        watching.settles();
        for (statement, names) in table {
            server.sql("mail", statement);
            watching.tells_and_settles(names);
        }
    });
}
