//! Who somebody is, and what becomes of that in real Dovecot 2.3 and 2.4: master users, other names, limits of
//! mailboxes, mail that is not taken in, logins that go on elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use support::{Dovecot, Gatepost, Imap, Listener, Place, Slapd, Tree, slapd, wait_until};

/// A line of a passwd-file: somebody of the mail user, whose home is a directory of that name.
fn line(place: &Place, name: &str, home: &str, extra: &str) -> String {
    let (user, password) = (format!("{name}@example.test"), name);
    format!("{user}:{{PLAIN}}{password}:5000:5000::{}::{extra}\n", place.inside(&format!("mail/{home}")))
}

/// A directory of these lines.
fn directory(place: &Place, name: &str, lines: &str, more: &str) -> String {
    place.write(name, lines);
    let file = place.outside(name);
    format!("[[directory]]\nname = \"{name}\"\ntype = \"passwd-file\"\nfile = {file:?}\n{more}\n")
}

/// The first line is of the table before the directories.
const SEPARATOR: &str = "master_user_separator = \"*\"\n";

/// The snippet for the Dovecot of a place, with these lines behind it.
fn snippet(place: &Place, bookworm: &str, trixie: &str) -> String {
    match place.tree().name() {
        "bookworm" => Place::snippet("dovecot-2.3.conf") + bookworm,
        _ => Place::snippet("dovecot-2.4.conf") + trixie,
    }
}

/// AUTHENTICATE PLAIN as somebody else.
fn act_as(imap: &mut Imap, target: &str, user: &str, password: &str) -> String {
    imap.command(&format!("AUTHENTICATE PLAIN {}", BASE64.encode(format!("{target}\0{user}\0{password}"))))
}

#[test]
fn a_master_user_reads_the_mail_of_others_and_every_log_says_so() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let people = ["alice", "bob"].map(|name| line(&place, name, name, ""));
        let off = line(&place, "off", "off", "active=no");
        let admin = "admin@example.test:{PLAIN}master::::::\n";
        let directories = [
            SEPARATOR.to_owned(),
            directory(&place, "people", &(people.concat() + &off), ""),
            directory(&place, "admins", admin, "master = true\ntargets = [\"example.test\"]\n"),
        ];
        let gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &directories.concat());
        let named = "login_log_format_elements = user=<%{user}> by=<%{auth_user}>\n";
        let prefix = "mail_log_prefix = \"%{user} by %{auth_user}: \"\n";
        let log = format!("{named}{prefix}");
        let dovecot = Dovecot::start_with(&place, &snippet(&place, &log, &log));

        let delivered = dovecot.lmtp().send("sender@example.test", "alice@example.test", "hello alice");
        assert_eq!(delivered.code, 250, "{}", delivered.text);
        for log_in in [
            |imap: &mut Imap| imap.login("alice@example.test*admin@example.test", "master"),
            |imap: &mut Imap| imap.authenticate_at_once("alice@example.test*admin@example.test", "master"),
            |imap: &mut Imap| act_as(imap, "alice@example.test", "admin@example.test", "master"),
        ] {
            let mut imap = dovecot.imap();
            let answer = log_in(&mut imap);
            assert!(answer.starts_with("OK"), "{answer}");
            let answer = imap.command("STATUS INBOX (MESSAGES)");
            assert!(answer.starts_with("OK"), "{answer}");
            assert!(imap.command("SELECT INBOX").starts_with("OK [READ-WRITE]"));
            assert!(imap.command("FETCH 1 BODY.PEEK[]").starts_with("OK"), "the mail of Alice is there");
            imap.command("LOGOUT");
        }
        let mut pop3 = dovecot.pop3();
        pop3.ask("USER alice@example.test*admin@example.test", "+OK");
        pop3.ask("PASS master", "+OK");
        pop3.ask("STAT", "+OK 1 ");

        for (user, password, answer) in [
            ("alice@example.test*admin@example.test", "alice", "NO [AUTHENTICATIONFAILED]"),
            ("alice@example.test*bob@example.test", "bob", "NO [AUTHENTICATIONFAILED]"),
            ("admin@example.test", "master", "NO [AUTHENTICATIONFAILED]"),
            ("alice@example.test*", "alice", "NO [AUTHENTICATIONFAILED]"),
            ("alice@example.test*bob@example.test*admin@example.test", "master", "NO [AUTHENTICATIONFAILED]"),
            ("nobody@example.test*admin@example.test", "master", "NO [AUTHORIZATIONFAILED]"),
            ("off@example.test*admin@example.test", "master", "NO [AUTHORIZATIONFAILED]"),
            ("alice@example.test*alice@example.test", "alice", "OK"),
        ] {
            let said = dovecot.imap().login(user, password);
            assert!(said.starts_with(answer), "{user}: {said}");
        }
        assert_eq!(dovecot.doveadm(&["user", "admin@example.test"]).status.code(), Some(67));
        let listed = dovecot.doveadm(&["user", "*"]).stdout;
        assert!(!String::from_utf8_lossy(&listed).contains("admin"));

        let output = dovecot.doveadm(&["auth", "login", "alice@example.test*admin@example.test", "master"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("master_user=admin@example.test"), "{said}");
        let log = dovecot.log();
        assert!(
            log.contains("user=<alice@example.test>, by=<admin@example.test>"),
            "the login process: {log}"
        );
        assert!(log.contains("alice@example.test by admin@example.test: "), "the mail process: {log}");
        let of = |parts: &[&str]| {
            let log = gatepost.log();
            let attempts = log.lines().filter(|line| line.contains(" master login "));
            attempts.filter(|line| parts.iter().all(|part| line.contains(part))).count()
        };
        let master = "master=\"admin@example.test\"";
        // The log is written soon after its event.
        wait_until("all of it is in the log", || {
            of(&["outcome=verified", master, "user=\"alice@example.test\""]) == 5
        });
        assert_eq!(of(&["outcome=target_refused", master, "user=\"off@example.test\""]), 1);
        assert_eq!(of(&["outcome=no_such_user", "master=\"bob@example.test\""]), 1);
        let log = gatepost.log();
        assert!(!log.contains("=\"master\"") && !log.contains("{PLAIN}"), "{log}");
    }
}

#[test]
fn another_name_of_somebody_opens_their_mailbox() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let lines = line(&place, "alice", "alice", "")
            + &line(&place, "sales", "nowhere", "user=alice@example.test")
            + &line(&place, "off", "off", "active=no")
            + &line(&place, "back", "off", "user=off@example.test");
        let people = directory(&place, "people", &lines, "");
        let _gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &people);
        let dovecot = Dovecot::start(&place);

        for recipient in ["alice@example.test", "Sales@Example.test"] {
            let reply = dovecot.lmtp().send("sender@example.test", recipient, "hello");
            assert_eq!(reply.code, 250, "{recipient}: {}", reply.text);
        }
        let mut imap = dovecot.imap();
        assert!(
            imap.login("sales@example.test", "alice").starts_with("NO"),
            "each name has a password of its own"
        );
        let answer = imap.login("SALES@example.test", "sales");
        assert!(answer.starts_with("OK"), "{answer}");
        assert!(imap.command("SELECT INBOX").starts_with("OK"));
        assert!(imap.command("FETCH 1:2 UID").starts_with("OK"));
        let mails = fs::read_dir(place.outside("mail/alice/Maildir/new")).unwrap().count()
            + fs::read_dir(place.outside("mail/alice/Maildir/cur")).unwrap().count();
        assert_eq!(mails, 2, "in one mailbox");
        assert!(!place.outside("mail/nowhere").exists());
        assert!(dovecot.imap().login("back@example.test", "back").starts_with("NO"), "no way around");
    }
}

#[test]
fn who_takes_no_mail_is_refused_as_a_recipient_and_nobody_else_is() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let lines = line(&place, "deaf", "deaf", "lmtp=no")
            + &line(&place, "quiet", "quiet", "active=2")
            + &line(&place, "late", "late", "expires_at=2020-01-01")
            + &line(&place, "reader", "reader", "services=imap");
        let people = directory(&place, "people", &lines, "");
        let _gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &people);
        let dovecot = Dovecot::start(&place);
        for (name, code, login) in [
            ("deaf", 550, "OK"),
            ("quiet", 250, "NO [AUTHENTICATIONFAILED]"),
            ("late", 250, "NO [EXPIRED]"),
            ("reader", 250, "OK"),
        ] {
            let user = format!("{name}@example.test");
            let reply = dovecot.lmtp().send("sender@example.test", &user, "hello");
            assert_eq!(reply.code, code, "{name}: {}", reply.text);
            let answer = dovecot.imap().login(&user, name);
            assert!(answer.starts_with(login), "{name}: {answer}");
            assert_eq!(dovecot.doveadm(&["user", &user]).status.code(), Some(0), "{name} exists");
        }
    }
}

/// One set of fields for both, each of which leaves the other's words alone.
#[test]
fn the_limit_of_a_mailbox_is_that_of_the_directory() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let lines = line(&place, "alice", "alice", "quota=20971520") + &line(&place, "bob", "bob", "");
        let fields = "[directory.fields]\nquota_rule = \"*:bytes={quota:-10485760}\"\n\
                      quota_storage_size = \"{quota:-10485760}B\"\nmail = \"maildir:{home}/Mail\"\n\
                      mail_driver = \"maildir\"\nmail_path = \"{home}/Mail\"\nmail_inbox_path = \"{home}/Mail\"\n";
        let people = directory(&place, "people", &lines, fields);
        let _gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &people);
        let dovecot = Dovecot::start_with(
            &place,
            &snippet(
                &place,
                "mail_plugins = quota\nprotocol imap {\n  mail_plugins = quota imap_quota\n}\n\
                 plugin {\n  quota = count:User quota\n  quota_vsizes = yes\n}\n",
                "mail_plugins {\n  quota = yes\n}\nprotocol imap {\n  mail_plugins {\n    imap_quota = yes\n  }\n}\n\
                 quota \"User quota\" {\n}\n",
            ),
        );
        for (name, kibibytes) in [("alice", "20480"), ("bob", "10240")] {
            let user = format!("{name}@example.test");
            let output = dovecot.doveadm(&["-f", "flow", "quota", "get", "-u", &user]);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                said.contains("Type=STORAGE") && said.contains(&format!("Limit={kibibytes}")),
                "{output:?}"
            );
            let mut imap = dovecot.imap();
            assert!(imap.login(&user, name).starts_with("OK"));
            let lines = imap.lines_of("GETQUOTAROOT INBOX");
            assert!(lines.iter().any(|line| line.contains(&format!("STORAGE 0 {kibibytes}"))), "{lines:?}");
            let reply = dovecot.lmtp().send("sender@example.test", &user, "hello");
            assert_eq!(reply.code, 250, "{}", reply.text);
            assert!(place.outside(&format!("mail/{name}/Mail/new")).exists(), "where the fields say");
        }
        assert!(!dovecot.log().contains("Error"), "{}", dovecot.log());
    }
}

/// Two servers over one directory: each user's mail is on one of them, and either takes their login.
#[test]
fn a_login_goes_on_to_the_server_that_has_the_mail_and_no_further() {
    for (front, back) in [(Tree::bookworm(), Tree::trixie()), (Tree::trixie(), Tree::bookworm())] {
        let (front, back) = (Place::new(&front), Place::new(&back));
        let lines = |place: &Place| {
            let there = |name: &str, host: &Place| {
                let extra = format!("proxy_maybe host={} port=10143", host.address());
                line(place, name, name, &extra)
            };
            there("anna", &front) + &there("bert", &back)
        };
        let start = |place| {
            let people = directory(place, "people", &lines(place), "");
            Gatepost::start_over(place, &Listener::dovecot(place), &people)
        };
        let (_one, _two) = (start(&front), start(&back));
        let (one, two) = (Dovecot::start(&front), Dovecot::start(&back));
        let home = |place: &Place, name: &str| place.outside(&format!("mail/{name}")).exists();

        for (dovecot, name) in [(&one, "anna"), (&two, "bert"), (&one, "bert"), (&two, "anna")] {
            let mut imap = dovecot.imap();
            let user = format!("{name}@example.test");
            assert!(imap.login(&user, "wrong").starts_with("NO [AUTHENTICATIONFAILED]"));
            let answer = imap.login(&user, name);
            assert!(answer.starts_with("OK"), "{name}: {answer}\n{}\n{}", one.log(), two.log());
            let answer = imap.command("SELECT INBOX");
            assert!(answer.starts_with("OK [READ-WRITE]"), "{name}: {answer}");
        }
        assert!(home(&front, "anna") && home(&back, "bert"));
        assert!(!home(&front, "bert") && !home(&back, "anna"), "each mailbox is in one place");
        for (dovecot, host) in [(&one, front.address()), (&two, front.address())] {
            let output = dovecot.doveadm(&["auth", "lookup", "anna@example.test"]);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(&host.to_string()) && !said.contains("proxy_maybe"), "{said}");
        }
    }
}

#[test]
fn mail_goes_on_to_the_server_that_has_the_mailbox() {
    for (front, back) in [(Tree::bookworm(), Tree::trixie()), (Tree::trixie(), Tree::bookworm())] {
        let (front, back) = (Place::new(&front), Place::new(&back));
        let start = |place, lines: &str| {
            let people = directory(place, "people", lines, "");
            Gatepost::start_over(place, &Listener::dovecot(place), &people)
        };
        let away = format!("proxy host={} port=10024", back.address());
        let here =
            line(&front, "bert", "bert", "") + &line(&front, "off", "off", &format!("{away} active=no"));
        let _one = start(&front, &(line(&front, "anna", "anna", &away) + &here));
        let _two = start(&back, &["anna", "off"].map(|name| line(&back, name, name, "")).concat());
        let proxy = "lmtp_proxy = yes\n";
        let one = Dovecot::start_with(&front, &snippet(&front, proxy, proxy));
        let _two = Dovecot::start(&back);
        for (name, code) in [("anna", 250), ("bert", 250), ("nobody", 550), ("off", 250)] {
            let reply = one.lmtp().send("sender@example.test", &format!("{name}@example.test"), "hello");
            assert_eq!(reply.code, code, "{name}: {}", reply.text);
        }
        let arrived = |place: &Place, name: &str| place.outside(&format!("mail/{name}/Maildir/new")).exists();
        assert!(arrived(&back, "anna") && !arrived(&front, "anna"));
        assert!(arrived(&front, "bert") && !arrived(&back, "bert"));
        assert!(
            arrived(&back, "off") && !arrived(&front, "off"),
            "that nobody logs in does not concern mail"
        );
    }
}

#[test]
fn a_password_may_be_in_another_directory_than_the_mailbox() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let lines = line(&place, "alice", "alice", "password_from=staff password_user=a.smith")
            + &line(&place, "bob", "bob", "")
            + &line(&place, "lost", "lost", "password_from=stuff");
        let directories = directory(&place, "people", &lines, "domains = [\"example.test\"]\n")
            + &directory(&place, "staff", "a.smith:{PLAIN}staff\n", "");
        let _gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &directories);
        let dovecot = Dovecot::start(&place);
        for (name, password, answer) in [
            ("alice", "staff", "OK"),
            ("alice", "alice", "NO [AUTHENTICATIONFAILED]"),
            ("bob", "bob", "OK"),
            ("bob", "staff", "NO [AUTHENTICATIONFAILED]"),
            ("lost", "lost", "NO [UNAVAILABLE]"),
        ] {
            let said = dovecot.imap().login(&format!("{name}@example.test"), password);
            assert!(said.starts_with(answer), "{name} {password}: {said}");
        }
        let reply = dovecot.lmtp().send("sender@example.test", "lost@example.test", "hello");
        assert_eq!(reply.code, 250, "mail needs no password: {}", reply.text);
        let mut imap = dovecot.imap();
        assert!(imap.login("alice@example.test", "staff").starts_with("OK"));
        assert!(imap.command("SELECT INBOX").starts_with("OK"));
        assert!(place.outside("mail/alice/Maildir").exists());
    }
}

/// Mailboxes in a file, passwords in a directory server: what each of them says counts, and nothing else.
#[test]
fn a_directory_server_may_check_the_passwords_of_another_directorys_users() {
    let place = Place::new(&Tree::bookworm());
    let mut slapd = Slapd::start(&place);
    let of = |name: &str, more: &str| {
        let extra = format!("password_from=staff password_user={name}@example.org {more}");
        line(&place, name, name, &extra)
    };
    let lines = of("alice", "") + &of("expired", "") + &of("bob", "active=no") + &of("nobody", "");
    let (bind_dn, bind_password) = slapd::SERVICE;
    let staff = format!(
        "[[directory]]\nname = \"staff\"\ntype = \"ldap\"\nurls = [\"ldaps://{}\"]\nca_file = {:?}\n\
         bind_dn = \"{bind_dn}\"\nbind_password = \"{bind_password}\"\nbase_dn = \"ou=people,{}\"\n\
         user_filter = \"(&(objectClass=inetOrgPerson)(mail={{user}}))\"\ndomains = [\"example.org\"]\n\
         timeout = \"2s\"\n[directory.fields]\nhome = \"/nowhere\"\n",
        slapd.ldaps(),
        place.outside("authority.pem"),
        slapd::SUFFIX,
    );
    let directories = directory(&place, "people", &lines, "domains = [\"example.test\"]\n") + &staff;
    let gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &directories);
    let dovecot = Dovecot::start(&place);
    let log_in = |name: &str, password: &str| dovecot.imap().login(&format!("{name}@example.test"), password);

    let answer = log_in("alice", "alice-secret");
    assert!(answer.starts_with("OK"), "{answer}");
    let binds = || slapd.asked(" BIND dn=\"uid=alice,");
    let before = binds();
    // What stands in the file is nobody's password, and a wrong one is tried once.
    let answer = log_in("alice", "alice");
    assert!(answer.starts_with("NO [AUTHENTICATIONFAILED]"), "{answer}");
    wait_until("the bind is in the log of slapd", || binds() > before);
    for (name, password, expected) in [
        ("expired", "expired-secret", "NO [EXPIRED]"),
        ("bob", "builder", "NO [AUTHENTICATIONFAILED]"),
        ("nobody", "nobody", "NO [AUTHENTICATIONFAILED]"),
        ("nobody", "nobody-secret", "NO [AUTHENTICATIONFAILED]"),
    ] {
        let answer = log_in(name, password);
        assert!(answer.starts_with(expected), "{name}: {answer}");
    }
    let mut imap = dovecot.imap();
    assert!(imap.login("alice@example.test", "alice-secret").starts_with("OK"));
    assert!(imap.command("SELECT INBOX").starts_with("OK"));
    assert!(place.outside("mail/alice/Maildir").exists(), "the mailbox is where the file says");

    slapd.stop();
    assert!(log_in("alice", "alice-secret").starts_with("OK"), "from memory");
    gatepost.forget();
    let answer = log_in("alice", "alice-secret");
    assert!(answer.starts_with("NO [UNAVAILABLE]"), "{answer}");
    let reply = dovecot.lmtp().send("sender@example.test", "alice@example.test", "hello");
    assert_eq!(reply.code, 250, "mail needs no password: {}", reply.text);
    slapd.start_again();
    wait_until("the directory server is back", || log_in("alice", "alice-secret").starts_with("OK"));
    assert_eq!(log_in("alice", "alice"), log_in("nobody", "alice"));
}
