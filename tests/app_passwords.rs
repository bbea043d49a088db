//! App passwords as people have them: made by an administrator, used by mail programs through real Dovecot 2.3 and 2.4
//! and Postfix, and taken away again.

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
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};
use support::{Alone, Dovecot, Gatepost, Listener, People, Place, Postfix, Smtpd, Tree, wait_until};

const ALICE: &str = "alice@example.test";

/// What an administrator types.
struct Admin {
    config: PathBuf,
}

impl Admin {
    fn of(place: &Place) -> Self {
        Self { config: place.outside("gatepost.toml") }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("--config").arg(&self.config).arg("app-password").args(args).output().unwrap()
    }

    /// The exit code, and the JSON on standard output.
    fn json(&self, args: &[&str]) -> (i32, Value) {
        let output = self.run(&[args, &["--json"]].concat());
        let value = serde_json::from_slice(&output.stdout);
        (output.status.code().unwrap(), value.unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}")))
    }

    /// The id and the password of a new one.
    fn create(&self, args: &[&str]) -> (String, String) {
        let (code, said) = self.json(&[&["create", ALICE, "--label"], args].concat());
        assert_eq!(code, 0, "{said}");
        (said["id"].as_str().unwrap().to_owned(), said["password"].as_str().unwrap().to_owned())
    }

    fn of_alice(&self, id: &str) -> Value {
        let (code, said) = self.json(&["list", ALICE]);
        assert_eq!(code, 0, "{said}");
        let all = said["app_passwords"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap_or(&Value::Null).clone()
    }
}

#[test]
fn an_app_password_opens_imap_and_only_what_and_while_it_may() {
    for tree in Tree::all() {
        eprintln!("with the Dovecot of {}", tree.name());
        let place = Place::new(&tree);
        let people = People::settle(&place);
        let mut gatepost = Gatepost::start(&place, &Listener::dovecot(&place));
        let dovecot = Dovecot::start(&place);
        let admin = Admin::of(&place);
        let login = |password: &str| dovecot.imap().login(ALICE, &format!("\"{password}\""));
        let wrong = login("wrong");
        assert!(wrong.starts_with("NO [AUTHENTICATIONFAILED]"), "{wrong}");

        // Nobody has made one yet.
        let never = "gpap-0000-0000-0000-0000-0000-0000-0000";
        assert!(login(never).starts_with("NO [UNAVAILABLE]"), "whether there are any, nobody can say");
        let (id, phone) = admin.create(&["Old phone"]);
        assert_eq!(login(never), wrong);

        let mut imap = dovecot.imap();
        let answer = imap.login(ALICE, &phone);
        assert!(answer.starts_with("OK"), "{answer}");
        assert!(imap.command("SELECT INBOX").starts_with("OK [READ-WRITE]"));
        assert!(login(&phone.to_uppercase().replace('-', " ")).starts_with("OK"));
        assert!(login("wonder").starts_with("OK"), "the main password goes on");
        let mut pop3 = dovecot.pop3();
        pop3.ask(&format!("USER {ALICE}"), "+OK");
        pop3.ask(&format!("PASS {phone}"), "+OK");

        // Whatever is wrong with it, it reads like a wrong password.
        let other = admin.create(&["Mailer", "--service", "smtp"]).1;
        let far = admin.create(&["Office", "--net", "192.0.2.0/24", "--net", "2001:db8::/32"]).1;
        let (most, last) = phone.split_at(phone.len() - 1);
        let mistyped = format!("{most}{}", if last == "0" { "1" } else { "0" });
        for refused in [&*other, &far, &mistyped, most] {
            assert_eq!(login(refused), wrong, "{refused}");
        }
        let bob = dovecot.imap().login("bob@example.test", &phone);
        assert_eq!(bob, wrong, "it is for its owner alone");
        let near = admin.create(&["Desk", "--service", "IMAP", "--net", "127.0.0.0/8"]).1;
        assert!(login(&near).starts_with("OK"));
        let (short, soon) = admin.create(&["Guest", "--expires", "2s"]);
        wait_until("an app password is over", || login(&soon) == wrong);
        assert_eq!(admin.of_alice(&short)["expired"], json!(true));

        // When and where it was used last, is known a little later, and at the latest when the daemon ends.
        wait_until("the use is written", || admin.of_alice(&id)["last_used"]["service"] == "pop3");
        assert!(login(&phone).starts_with("OK"));
        gatepost.stop();
        let used = &admin.of_alice(&id)["last_used"];
        assert_eq!((&used["service"], &used["remote"]), (&json!("imap"), &json!("127.0.0.1")));
        gatepost.start_again();

        // Account data is needed as well: without it nobody can say that the account is not switched off.
        people.hide();
        assert!(login(&phone).starts_with("NO [UNAVAILABLE]"));
        assert_eq!(login(&mistyped), login("wrong"), "an outage, for these too");
        people.show();

        assert!(login(&phone).starts_with("OK"));
        let (code, said) = admin.json(&["revoke", &id]);
        let revoked = json!({"outcome": "revoked", "id": id, "user": ALICE, "label": "Old phone"});
        assert_eq!((code, said), (0, revoked));
        assert_eq!(login(&phone), wrong, "at once");

        gatepost.stop();
        let log = gatepost.log();
        let let_in = log.lines().filter(|line| line.contains("outcome=verified"));
        let by_phone = let_in
            .filter(|line| line.contains(&format!("app_password=\"{id}\"")) && line.contains("Old phone"));
        assert!(by_phone.count() >= 5, "{log}");
        for (label, why) in [
            ("Mailer", "the app password is not for this service"),
            ("Office", "the app password is not for the remote address"),
            ("Guest", "the app password has expired"),
        ] {
            let label = format!("label=\"{label}\"");
            assert!(log.lines().any(|line| line.contains(why) && line.contains(&label)), "{why}\n{log}");
        }
        assert!(log.contains("no app password of this user; no directory was asked about it"), "{log}");
        for secret in [&phone, &other, &far, &near, &soon] {
            for spelling in [secret.clone(), secret.replace('-', ""), secret.to_uppercase()] {
                assert!(!log.contains(spelling.split_at(5).1), "{log}");
            }
        }
    }
}

#[test]
fn an_app_password_for_smtp_sends_mail_and_one_for_imap_does_not() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        People::settle(&place);
        let _gatepost = Gatepost::start(&place, &Postfix::listeners(&place));
        let postfix = Postfix::start(&place, None);
        let admin = Admin::of(&place);
        let (_, for_imap) = admin.create(&["Reader", "--service", "imap"]);
        let (id, for_smtp) = admin.create(&["Sender", "--service", "submission"]);
        for smtpd in [Smtpd::ChrootedUnix, Smtpd::Inet] {
            let mut smtp = postfix.connect(smtpd);
            let refused = smtp.auth_plain(ALICE, &for_imap);
            assert_eq!(refused.code, 535, "{}", refused.text);
            assert_eq!(refused.text, smtp.auth_plain(ALICE, "wrong").text);
            let reply = smtp.auth_login(ALICE, &for_smtp);
            assert_eq!(reply.code, 235, "{}", reply.text);
            let reply = smtp.send(ALICE, "friend@elsewhere.test", "hello");
            assert_eq!(reply.code, 250, "{}", reply.text);
        }
        wait_until("the use is written", || admin.of_alice(&id)["last_used"]["service"] == "smtp");
    }
}

/// Directories of which each keeps the main password from somewhere.
const FEW: &str = "\
[log]
filter = 'trace'
[[directory]]
name = 'mail'
type = 'passwd-file'
file = '@DIR@/users'
domains = ['example.test']
primary_password_services = ['imap']
[[directory]]
name = 'strict'
type = 'static'
password = '{PLAIN}secret'
domains = ['strict.test']
primary_password_services = []
[[listener]]
protocol = 'dovecot-login'
path = '@DIR@/login'
";

fn alone(config: &str, users: &str) -> (Alone, Admin) {
    let alone = Alone::new(config, users);
    let admin = Admin { config: alone.path("gatepost.toml") };
    (alone, admin)
}

#[test]
fn where_the_main_password_may_not_be_used_the_operator_is_told_and_the_remote_is_not() {
    let (gatepost, admin) = alone(FEW, "alice@example.test:{PLAIN}secret::::::\n");
    let app_password = admin.create(&["phone"]).1;
    let test = |user: &str, service: &str, password: &str| {
        let output = gatepost.run(&["auth", "test", user, "--service", service, "--json"], password);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        (said["outcome"].as_str().unwrap().to_owned(), said["reason"].as_str().unwrap_or_default().to_owned())
    };
    let outcome = |user: &str, service: &str, password: &str| test(user, service, password).0;
    assert_eq!(outcome(ALICE, "imap", "secret"), "verified");
    for service in ["smtp", "submission", "pop3"] {
        let denied = format!("the main password may not be used for {service}: use an app password");
        assert_eq!(test(ALICE, service, "secret"), ("primary_password_denied".to_owned(), denied));
        assert_eq!(outcome(ALICE, service, "wrong"), "rejected");
        assert_eq!(outcome(ALICE, service, &app_password), "verified");
    }
    assert_eq!(outcome("eve@strict.test", "imap", "secret"), "primary_password_denied");

    // The remote sees a wrong password.
    let mut gatepost = gatepost.started();
    let mut login = gatepost.connect("login");
    login.say("VERSION\t1\t2\nCPID\t4711");
    login.hear_until(|line| line == "DONE");
    for (id, password, answer) in [(1, "secret", "FAIL"), (2, "wrong", "FAIL"), (3, &*app_password, "OK")] {
        let response = support::plain(ALICE, password);
        login.ask(
            &format!("AUTH\t{id}\tPLAIN\tservice=smtp\tresp={response}"),
            &format!("{answer}\t{id}\tuser={ALICE}"),
        );
    }
    gatepost.stop();
    let log = gatepost.log();
    let denied = "reason=the main password may not be used for smtp: use an app password";
    assert!(
        log.lines().any(|line| line.contains("outcome=primary_password_denied") && line.contains(denied))
    );
    let secret = app_password.split_at(5).1;
    for spelling in [secret.to_owned(), secret.replace('-', "")] {
        assert!(!log.contains(&spelling), "the log at its finest holds a secret");
    }
}

#[test]
fn the_command_tells_no_from_later_and_from_never() {
    let config = format!(
        "{FEW}[[directory]]\nname = 'away'\ntype = 'passwd-file'\nfile = '/nonexistent/users'\ndomains = ['away.test']\n"
    );
    let (gatepost, admin) = alone(&config, "alice@example.test:{PLAIN}secret::::::\nali:x:::::: \n");
    let code = |args: &[&str]| admin.json(args).0;
    let label = ["--label", "x"];
    let create = |args: &[&str]| code(&[&["create"], args, &label[..]].concat());

    // Before anything was made.
    assert_eq!(admin.json(&["list", "--all"]), (0, json!({"app_passwords": []})));
    assert_eq!(code(&["revoke", "4k7mx2"]), 1);
    assert!(!gatepost.path("state/app-passwords.db").exists(), "nothing is made by looking");

    assert_eq!(create(&["nobody@example.test"]), 1);
    assert_eq!(create(&["nobody@elsewhere.test"]), 1);
    assert_eq!(create(&["no body@example.test"]), 1);
    assert_eq!(create(&["eve@away.test"]), 75);
    assert_eq!(create(&["nobody@example.test", "--force"]), 1, "force is for outages");
    assert_eq!(create(&["eve@away.test", "--force"]), 0);
    assert_eq!(create(&["Alice@Example.test"]), 0);
    for bad in [
        &["create", ALICE][..],
        &["create", ALICE, "--label", ""],
        &["create", ALICE, "--label", "two\nlines"],
        &["create", ALICE, "--label", "x", "--service", "imap smtp"],
        &["create", ALICE, "--label", "x", "--net", "everywhere"],
        &["create", ALICE, "--label", "x", "--expires", "2001-01-01"],
        &["create", ALICE, "--label", "x", "--expires", "soon"],
        &["list"],
        &["list", ALICE, "--all"],
    ] {
        assert_eq!(admin.run(bad).status.code(), Some(2), "{bad:?}");
    }
    assert_eq!(code(&["revoke", "nonsense"]), 1);

    let (code, said) = admin.json(&["list", "--all"]);
    let users: Vec<_> = said["app_passwords"].as_array().unwrap().iter().map(|one| &one["user"]).collect();
    assert_eq!((code, users), (0, vec![&json!(ALICE), &json!("eve@away.test")]), "by their canonical names");
    assert!(!said.to_string().contains("gpap"), "{said}");

    // As text the password is alone on standard output.
    let output = admin.run(&["create", ALICE, "--label", "pipe \u{1b}", "--expires", "90d"]);
    assert_eq!(output.status.code(), Some(2), "a control character in a label");
    let output =
        admin.run(&["create", ALICE, "--label", "pipe", "--service", "imap", "--expires", "2999-12-31"]);
    let password = String::from_utf8(output.stdout).unwrap();
    assert!(
        password.starts_with("gpap-") && password.len() == 40 && password.ends_with('\n'),
        "{password:?}"
    );
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(note.contains("for imap until 3000-01-01T00:00:00Z") && !note.contains("gpap"), "{note}");
    let test = gatepost.run(&["auth", "test", ALICE], &password);
    assert!(String::from_utf8(test.stdout).unwrap().contains("with app password"), "the daemon need not run");
    let text = String::from_utf8(admin.run(&["list", ALICE]).stdout).unwrap();
    assert!(text.lines().any(|line| line.contains("\"pipe\"") && line.ends_with("never used")), "{text}");
    assert_eq!(admin.json(&["list", ALICE]).1["app_passwords"].as_array().unwrap().len(), 2);

    fs::write(
        gatepost.path("state/app-passwords.db"),
        "no database, but longer than a header of one".repeat(9),
    )
    .unwrap();
    for args in [&["list", "--all"][..], &["revoke", "4k7mx2"], &["create", ALICE, "--label", "x"]] {
        assert_eq!(admin.json(args).0, 75, "{args:?}");
    }
}

/// Whoever has somebody's name after them has none of their app passwords.
#[test]
fn who_is_deleted_takes_their_app_passwords_along() {
    let local = "[[directory]]\nname = 'local'\ntype = 'sqlite'\n";
    let (gatepost, admin) = alone(local, "");
    let add = || assert!(gatepost.run(&["user", "add", ALICE], "secret\n").status.success());
    let test = |password: &str| gatepost.run(&["auth", "test", ALICE], password).status.code();
    add();
    let password = admin.create(&["phone"]).1;
    admin.create(&["tablet"]);
    assert_eq!(test(&password), Some(0));
    let deleted = gatepost.run(&["user", "delete", ALICE, "--json"], "");
    let said: Value = serde_json::from_slice(&deleted.stdout).unwrap();
    assert_eq!((&said["outcome"], &said["app_passwords"]), (&json!("deleted"), &json!(2)));
    add();
    assert_eq!((test(&password), test("secret")), (Some(1), Some(0)));
    // One that looks like an app password would never be compared.
    let output = gatepost.run(&["user", "passwd", ALICE], &password);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

/// The service's user is to find what `sudo gatepost app-password create` has made, and to write last uses to it.
#[test]
fn what_root_has_made_the_daemons_user_reads_and_writes() {
    const DAEMON: u32 = 65534;
    let (gatepost, admin) = alone(FEW, "alice@example.test:{PLAIN}secret::::::\n");
    std::os::unix::fs::chown(gatepost.path(""), Some(DAEMON), Some(DAEMON)).unwrap();
    fs::set_permissions(gatepost.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = gatepost.path("gatepost.bin");
    fs::copy(env!("CARGO_BIN_EXE_gatepost"), &binary).unwrap();
    let (id, _) = admin.create(&["phone"]);
    let made = fs::metadata(gatepost.path("state/app-passwords.db")).unwrap();
    assert_eq!((made.uid(), made.permissions().mode() & 0o777), (DAEMON, 0o600));
    let as_daemon = |args: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg("--config").arg(&admin.config).arg("app-password").args(args);
        command.uid(DAEMON).gid(DAEMON).output().unwrap()
    };
    for args in [&["create", ALICE, "--label", "tablet"][..], &["revoke", &id], &["list", "--all"]] {
        let output = as_daemon(args);
        assert!(output.status.success(), "{args:?} {output:?}");
    }
}
