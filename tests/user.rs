//! `gatepost user` as an administrator runs it: arguments, standard input, a terminal, exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use nix::{
    pty::openpty,
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Home {
    dir: TempDir,
}

impl Home {
    fn new(config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let state = dir.path().join("state");
        let text = format!(
            "[server]\nstate_dir = '{}'\nruntime_dir = '{}'\ndefault_domain = 'example.org'\n{config}",
            state.display(),
            dir.path().join("run").display()
        );
        std::fs::write(dir.path().join("gatepost.toml"), text).unwrap();
        Self { dir }
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("state/users.db")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("--config").arg(self.dir.path().join("gatepost.toml")).args(args);
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        run(self.command(args), input)
    }

    /// The exit code, and the JSON on standard output.
    fn json(&self, args: &[&str], input: &str) -> (i32, Value) {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.run(&args, input);
        let said = String::from_utf8(output.stdout).unwrap();
        let value = serde_json::from_str(&said);
        (output.status.code().unwrap(), value.unwrap_or_else(|error| panic!("{args:?}: {error}: {said:?}")))
    }
}

fn run(mut command: Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever needs no password may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Ends a process that waits for what does not come, so that the test fails instead of waiting with it.
struct Deadline {
    _passed: mpsc::Sender<()>,
}

impl Deadline {
    fn of(child: &Child) -> Self {
        let pid = Pid::from_raw(child.id().cast_signed());
        let (passed, late) = mpsc::channel::<()>();
        thread::spawn(move || {
            if late.recv_timeout(Duration::from_secs(20)) == Err(RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        Self { _passed: passed }
    }
}

const LOCAL: &str = "[[directory]]\nname = 'local'\ntype = 'sqlite'\n";

#[test]
fn users_are_added_listed_shown_changed_and_deleted() {
    let home = Home::new(LOCAL);
    let add =
        ["user", "add", "Alice", "--uid", "5000", "--home", "/m/alice", "--field", "quota_rule=*:bytes=1G"];
    let (code, said) = home.json(&add, "secret\n");
    assert_eq!(
        (code, said),
        (0, json!({"outcome": "added", "user": "alice@example.org", "directory": "local"}))
    );
    assert_eq!(home.json(&["user", "add", "bob@example.org", "--no-password"], "").0, 0);

    let (code, said) = home.json(&["user", "list"], "");
    assert_eq!(
        (code, said),
        (0, json!({"directory": "local", "users": ["alice@example.org", "bob@example.org"]}))
    );
    let text = home.run(&["user", "list"], "");
    assert_eq!(String::from_utf8(text.stdout).unwrap(), "alice@example.org\nbob@example.org\n");

    let (code, mut said) = home.json(&["user", "show", "alice"], "");
    for time in ["created_at", "updated_at"] {
        let time = said.as_object_mut().unwrap().remove(time).unwrap();
        assert!(time.as_str().unwrap().ends_with('Z') && time.as_str().unwrap().len() == 20, "{time}");
    }
    let expected = json!({
        "outcome": "found", "user": "alice@example.org", "directory": "local", "password": "ARGON2ID",
        "active": true, "uid": 5000, "gid": null, "home": "/m/alice",
        "fields": {"quota_rule": "*:bytes=1G"}, "unavailable": null
    });
    assert_eq!((code, said), (0, expected));
    assert_eq!(home.json(&["user", "show", "bob"], "").1["password"], Value::Null);

    let login = |password: &str| home.json(&["auth", "test", "alice"], password).0;
    assert_eq!((login("secret\n"), login("other\n")), (0, 1));
    assert_eq!(home.json(&["user", "passwd", "alice"], "other\n").0, 0);
    assert_eq!((login("secret\n"), login("other\n")), (1, 0));

    let (code, said) = home.json(&["user", "delete", "alice"], "");
    assert_eq!((code, &said["outcome"]), (0, &json!("deleted")));
    assert_eq!(login("other\n"), 1);
    assert_eq!(home.json(&["user", "list"], "").1["users"], json!(["bob@example.org"]));
}

#[test]
fn exit_codes_tell_no_from_later_and_from_never() {
    let more = "[[directory]]\nname = 'fixed'\ntype = 'static'\n\
                [[directory]]\nname = 'far'\ntype = 'sqlite'\nfile = '/nonexistent/users.db'\ndomains = ['far.test']\n";
    let home = Home::new(&format!("{LOCAL}{more}"));
    assert_eq!(home.json(&["user", "list"], "").0, 75, "there is no file yet");
    assert_eq!(home.json(&["user", "delete", "alice"], "").0, 75);
    assert_eq!(home.json(&["user", "add", "alice"], "secret\n").0, 0);
    let table: &[(&[&str], &str, i32, &str)] = &[
        (&["user", "add", "alice"], "secret\n", 1, "exists"),
        (&["user", "add", "ALICE@example.org"], "secret\n", 1, "exists"),
        (&["user", "add", "carol"], "", 1, "invalid"),
        (&["user", "add", "carol"], "\n", 1, "invalid"),
        (&["user", "add", "carol"], "a\0b\n", 1, "invalid"),
        (&["user", "add", "a b"], "secret\n", 1, "invalid"),
        (&["user", "add", "carol", "--uid", "root"], "secret\n", 1, "invalid"),
        (&["user", "add", "carol", "--field", "allow_nets=nonsense"], "secret\n", 1, "invalid"),
        (&["user", "add", "carol", "--field", "nopassword=y"], "secret\n", 1, "invalid"),
        (&["user", "add", "carol@other.test", "--directory", "far"], "secret\n", 1, "invalid"),
        (&["user", "show", "nobody"], "", 1, "not_found"),
        (&["user", "passwd", "nobody"], "secret\n", 1, "not_found"),
        (&["user", "delete", "nobody"], "", 1, "not_found"),
        (&["user", "list", "--directory", "far"], "", 75, "unavailable"),
        (&["user", "list", "--directory", "fixed"], "", 78, "invalid"),
        (&["user", "list", "--directory", "nowhere"], "", 78, "invalid"),
    ];
    for (args, input, code, outcome) in table {
        let (got, said) = home.json(args, input);
        assert_eq!((got, &said["outcome"]), (*code, &json!(outcome)), "{args:?}: {said}");
        assert!(!said["reason"].as_str().unwrap().is_empty(), "{args:?}");
    }
    assert_eq!(home.json(&["user", "list"], "").1["users"], json!(["alice@example.org"]));

    std::fs::write(home.database().with_file_name("none"), "").unwrap();
    assert_eq!(
        Home::new("[[directory]]\nname = 'x'\ntype = 'oracle'\n").run(&["user", "list"], "").status.code(),
        Some(78)
    );
    std::fs::write(home.database(), "not a database, and long enough to be none".repeat(50)).unwrap();
    for side in ["users.db-wal", "users.db-shm"] {
        let _ = std::fs::remove_file(home.database().with_file_name(side));
    }
    assert_eq!(home.json(&["user", "list"], "").0, 75);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure_and_a_full_disk_is() {
    let home = Home::new(LOCAL);
    for number in 0..3 {
        assert_eq!(home.json(&["user", "add", &format!("user{number}"), "--no-password"], "").0, 0);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = home.command(&["user", "list"]).stdin(Stdio::null()).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = home.command(&["user", "list"]).stdin(Stdio::null()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(75));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("standard output: "));
}

#[test]
fn a_terminal_is_asked_twice_and_shows_nothing() {
    let home = Home::new(LOCAL);
    let table: &[(&str, &[&str], i32)] = &[
        ("alice", &["secret\n", "secret\n"], 0),
        ("bob", &["secret\n", "other\n"], 1),
        ("carol", &["\n"], 1),
        ("dave", &["secr\u{3}"], 75),
    ];
    for (user, answers, code) in table {
        let pty = openpty(None, None).unwrap();
        let before = tcgetattr(&pty.slave).unwrap();
        assert!(before.local_flags.contains(LocalFlags::ECHO));
        let mut child = home
            .command(&["user", "add", user])
            .stdin(pty.slave.try_clone().unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _deadline = Deadline::of(&child);
        let mut prompts = child.stderr.take().unwrap();
        let mut master = File::from(pty.master);
        let mut said = Vec::new();
        for answer in *answers {
            // Each prompt ends in ": ".
            let mut byte = [0];
            while !said.ends_with(b": ") {
                assert_eq!(prompts.read(&mut byte).unwrap(), 1, "{user}: {said:?}");
                said.push(byte[0]);
            }
            said.push(b'\n');
            master.write_all(answer.as_bytes()).unwrap();
        }
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(*code), "{user}");
        assert_eq!(
            tcgetattr(&pty.slave).unwrap().local_flags,
            before.local_flags,
            "{user}: as it was before"
        );
        drop(pty.slave);
        // With the other end closed, what is there can be read, and then there is an error.
        let mut shown = Vec::new();
        let _ = master.read_to_end(&mut shown);
        let shown = String::from_utf8(shown).unwrap();
        assert!(!shown.contains("secr") && !shown.contains("other"), "{user}: {shown:?}");
    }
    assert_eq!(home.json(&["user", "list"], "").1["users"], json!(["alice@example.org"]));
    assert_eq!(home.json(&["auth", "test", "alice"], "secret\n").0, 0);
}

#[test]
fn a_password_is_no_argument_and_no_part_of_any_message() {
    let home = Home::new(LOCAL);
    for args in [&["user", "add", "alice", "hunter2"][..], &["user", "add", "alice", "--password", "hunter2"]]
    {
        let output = home.run(args, "");
        assert_ne!(output.status.code(), Some(0), "{args:?}");
    }
    assert!(!home.database().exists());
    let output = home.run(&["user", "add", "alice"], "hunter2\n");
    assert!(output.status.success());
    let proxied = ["--field", "proxy=yes", "--field", "host=192.0.2.7", "--field", "pass=hunter2"];
    let added = home.run(&[&["user", "add", "bob"][..], &proxied].concat(), "secret\n");
    assert!(added.status.success(), "{added:?}");
    let show = |args: &[&str]| home.run(args, "").stdout;
    let shown =
        [show(&["user", "show", "bob"]), show(&["user", "show", "bob", "--json"]), show(&["lookup", "bob"])];
    let own = [output.stdout, output.stderr, show(&["user", "show", "alice"])];
    for said in own.into_iter().chain(shown) {
        let said = String::from_utf8(said).unwrap();
        assert!(!said.contains("hunter2") && !said.contains("argon2id$"), "{said}");
    }
}

/// The service's user is to find what `sudo gatepost user add` has made, also before it ever ran.
#[test]
fn what_root_has_added_the_daemons_user_reads_and_changes() {
    const DAEMON: u32 = 65534;
    let home = Home::new(LOCAL);
    let binary = home.dir.path().join("gatepost");
    std::fs::copy(env!("CARGO_BIN_EXE_gatepost"), &binary).unwrap();
    std::os::unix::fs::chown(home.dir.path(), Some(DAEMON), Some(DAEMON)).unwrap();
    std::fs::set_permissions(home.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let as_daemon = |args: &[&str], input: &str| {
        let mut command = Command::new(&binary);
        command.arg("--config").arg(home.dir.path().join("gatepost.toml")).args(args).uid(DAEMON).gid(DAEMON);
        run(command, input)
    };
    // Open all the time, so that the files of the log are left to the next writer, whoever that is.
    let mut open = None;
    for round in 0..3 {
        let user = format!("user{round}");
        let added = home.run(&["user", "add", &user], "secret\n");
        assert_eq!(added.status.code(), Some(0), "{added:?}");
        let reader = rusqlite::Connection::open(home.database()).unwrap();
        reader.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0)).unwrap();
        open = Some(reader);
        for (args, input) in [(["auth", "test", &user], "secret\n"), (["user", "passwd", &user], "secret\n")]
        {
            let done = as_daemon(&args, input);
            assert_eq!(done.status.code(), Some(0), "{args:?} {done:?}");
        }
    }
    drop(open);
}

#[test]
fn check_names_the_directories_that_do_not_answer() {
    let home = Home::new("[[directory]]\nname = 'old'\ntype = 'passwd-file'\nfile = '/nonexistent/users'\n");
    let (exit, said) = home.json(&["check"], "");
    assert_eq!((exit, &said["outcome"]), (0, &json!("valid")), "the daemon starts with it");
    let why = said["unavailable"][0].as_str().unwrap();
    assert!(why.contains("old") && why.contains("/nonexistent/users"), "{why}");
    let text = String::from_utf8(home.run(&["check"], "").stdout).unwrap();
    assert!(text.contains("directory old is unavailable: /nonexistent/users"), "{text}");
    let home = Home::new("[[directory]]\nname = 'fixed'\ntype = 'static'\n");
    assert_eq!(home.json(&["check"], "").1["unavailable"], json!([]));
}

/// What a map says of a key, without a daemon.
fn mapped(home: &Home, map: &str, key: &str) -> Option<String> {
    let (code, said) = home.json(&["map", "query", map, key], "");
    let value = said["value"].as_str().map(str::to_owned);
    assert_eq!(code, i32::from(value.is_none()), "{said}");
    value
}

#[test]
fn aliases_are_kept_beside_the_users() {
    let home = Home::new(LOCAL);
    for user in ["anna", "ben", "cleo@example.net"] {
        assert_eq!(home.json(&["user", "add", "--no-password", user], "").0, 0);
    }
    let directory = "local";
    for (arguments, address, targets) in [
        (
            &["sales", "anna", "Ben@Example.org"][..],
            "sales@example.org",
            &["anna@example.org", "ben@example.org"][..],
        ),
        (&["Shop", "sales"], "shop@example.org", &["sales@example.org"]),
        (&["@Example.COM", "@example.org"], "@example.com", &["@example.org"]),
        (&["@example.net", "cleo@example.net"], "@example.net", &["cleo@example.net"]),
        // Again.
        (&["sales", "anna"], "sales@example.org", &["anna@example.org"]),
    ] {
        let arguments = [&["alias", "add"], arguments].concat();
        let expected =
            json!({ "outcome": "added", "address": address, "targets": targets, "directory": directory });
        assert_eq!(home.json(&arguments, ""), (0, expected));
    }
    for arguments in [
        &["@example.com", "anna"][..],
        &["@example.net", "@example.org"],
        &["anna", "@example.org"],
        &["@example.info", "@example.org", "@example.net"],
        &["@", "anna"],
        &["a b", "anna"],
    ] {
        let (code, said) = home.json(&[&["alias", "add"], arguments].concat(), "");
        assert_eq!((code, &said["outcome"]), (1, &json!("invalid")), "{arguments:?}");
    }
    let listed = home.run(&["alias", "list"], "");
    assert_eq!(
        String::from_utf8(listed.stdout).unwrap(),
        "@example.com @example.org\n@example.net cleo@example.net\nsales@example.org anna@example.org\n\
         sales@example.org ben@example.org\nshop@example.org sales@example.org\n"
    );
    let all = "anna@example.org,ben@example.org";
    for (map, key, expected) in [
        ("aliases", "Sales@example.org", Some(all)),
        ("aliases", "shop+x@example.org", Some("sales+x@example.org")),
        ("aliases", "anna@example.com", Some("anna@example.org")),
        ("aliases", "nobody@example.com", None),
        ("aliases", "anybody@example.net", Some("cleo@example.net")),
        ("aliases", "cleo@example.net", None),
        ("alias_domains", "example.com", Some("example.org")),
        ("domains", "example.org", Some("example.org")),
        ("domains", "example.net", Some("example.net")),
        ("domains", "example.com", Some("example.com")),
        ("domains", "example.info", None),
        ("domains", "anna", None),
        ("senders", "shop@example.com", Some(all)),
        ("recipients", "sales@example.org", Some(all)),
    ] {
        assert_eq!(mapped(&home, map, key).as_deref(), expected, "{map} of {key}");
    }
    assert_eq!(home.json(&["alias", "delete", "sales", "ben"], "").0, 0);
    assert_eq!(mapped(&home, "aliases", "sales@example.org").as_deref(), Some("anna@example.org"));
    assert_eq!(home.json(&["alias", "delete", "sales"], "").0, 0);
    assert_eq!(mapped(&home, "aliases", "sales@example.org"), None);
    let (code, said) = home.json(&["alias", "delete", "sales"], "");
    assert_eq!((code, &said["outcome"]), (1, &json!("not_found")));
    let said: Value = serde_json::from_slice(&home.run(&["alias", "list", "--json"], "").stdout).unwrap();
    assert_eq!(said["aliases"].as_array().unwrap().len(), 3);
}
