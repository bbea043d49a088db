//! `gatepost app-password`, and what the daemon and its log say.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    ALICE, Admin,
    support::{self, Alone},
};

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
    let checked = String::from_utf8(gatepost.run(&["check"], "").stdout).unwrap();
    assert!(checked.contains("but for now directory app-passwords.db is unavailable"), "{checked}");
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
