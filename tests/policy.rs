//! Sending limits over a reload, a crash and a restart, and what the command line says of rules for mail. What Postfix makes of
//! them is in `tests/postfix/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/mod.rs"]
mod support;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};
use support::{Alone, wait_until};

const CONFIG: &str = r#"
[[listener]]
protocol = "postfix-policy"
path = "@DIR@/policy"
[[directory]]
name = "people"
type = "passwd-file"
file = "@DIR@/users"
[[policy.rule]]
name = "own"
sender_authorisation = true
dry_run = true
[[policy.rule]]
name = "hourly"
limit = { per = "user", window = "1h", messages = 2 }
"#;

const USERS: &str = "anna@example.org:{PLAIN}a:::::\n";

const DUNNO: &str = "action=DUNNO\n\n";
const OVER: &str = "action=DEFER 4.7.1 sending limit reached, try again later\n\n";

fn end(instance: u32) -> String {
    format!(
        "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\nsasl_username=anna@example.org\nsender=\n\
         instance={instance}\nrecipient_count=1\nsize=5\n\n"
    )
}

/// What is said of a mail at its end.
fn sends(gatepost: &Alone, instance: u32) -> String {
    let mut stream = UnixStream::connect(gatepost.path("policy")).unwrap();
    stream.write_all(end(instance).as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

/// How many rows there are of what was sent, as far as that is on the disk.
fn written(gatepost: &Alone) -> u32 {
    let path = gatepost.path("state").join("limits.db");
    let Ok(db) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else { return 0 };
    db.query_row("SELECT coalesce(sum(messages), 0) FROM sent", [], |row| row.get(0)).unwrap_or(0)
}

#[test]
fn what_was_sent_is_known_after_a_reload_a_crash_and_a_restart() {
    let mut gatepost = Alone::new(CONFIG, USERS).started();
    assert_eq!(sends(&gatepost, 1), DUNNO);
    gatepost.configure(&CONFIG.replace("messages = 2", "messages = 3"));
    gatepost.process().signal(Signal::SIGHUP);
    wait_until("the configuration was read again", || gatepost.log().contains("was read again"));
    assert_eq!(sends(&gatepost, 2), DUNNO);
    // Those of the last seconds are forgotten in a crash, and those before are not.
    wait_until("both are written down", || written(&gatepost) == 2);
    gatepost.process().kill();
    gatepost.start();
    assert_eq!([sends(&gatepost, 3), sends(&gatepost, 4)], [DUNNO, OVER]);
    gatepost.stop();
    assert_eq!(written(&gatepost), 3, "at the end all are");
    gatepost.start();
    assert_eq!(sends(&gatepost, 5), OVER);
    assert_eq!(gatepost.run(&["policy", "reset", "ANNA@example.org"], "").status.code(), Some(0));
    assert_eq!(sends(&gatepost, 6), DUNNO);
    gatepost.stop();
    assert_eq!(written(&gatepost), 1);
}

#[test]
fn the_command_says_what_would_be_said_and_by_which_rule() {
    let mut gatepost = Alone::new(CONFIG, USERS).started();
    let test = |gatepost: &Alone, args: &[&str], attributes: &str| {
        let output = gatepost.run(args, attributes);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let of_anna = "sasl_username=anna@example.org\nsender=bob@example.org\n";
    let trial = "on trial: 553 5.7.1 <bob@example.org>: Sender address rejected: not owned by user anna@example.org, by rule own";
    for running in [true, false] {
        for (attributes, code, text) in [
            (of_anna, 0, format!("DUNNO, by no rule\n  {trial}\n")),
            ("", 0, "DUNNO, by no rule\n".to_owned()),
            ("size=many\n", 1, "malformed: malformed size: expected a number\n".to_owned()),
            (
                "nonsense",
                1,
                "malformed: malformed policy attribute: expected <name>=<value>, without NUL\n".to_owned(),
            ),
        ] {
            let said = test(&gatepost, &["policy", "test"], attributes);
            assert_eq!(said, (code, text), "{attributes:?} while it runs: {running}");
        }
        if running {
            assert_eq!([sends(&gatepost, 1), sends(&gatepost, 2)], [DUNNO; 2]);
            let (code, json) = test(&gatepost, &["--json", "policy", "test"], &end(3));
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let said = serde_json::json!({
                "outcome": "refused",
                "policy": { "rule": "hourly", "action": "DEFER 4.7.1 sending limit reached, try again later" },
            });
            assert_eq!((code, json), (1, said));
            gatepost.stop();
        }
    }
    assert_eq!(
        gatepost.run(&["policy", "reset", "anna@example.org"], "").status.code(),
        Some(75),
        "none runs"
    );
}
