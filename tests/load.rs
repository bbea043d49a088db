//! `gatepost bench` against the daemon, and what is in the log afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod support;

use std::{fs, process::Output};

use serde_json::Value;
use support::Alone;

const CONFIG: &str = r#"
[sasl]
failure_delay = "0s"

[[listener]]
protocol = "dovecot-client"
path = "@DIR@/client"

[[listener]]
protocol = "dovecot-login"
path = "@DIR@/login"

[[directory]]
name = "people"
type = "passwd-file"
file = "@DIR@/users"
"#;

const USERS: usize = 100;

/// A daemon with users, and a file of their passwords for the load.
fn daemon() -> Alone {
    let users: String = (0..USERS).map(|user| format!("u{user}:{{PLAIN}}secret{user}\n")).collect();
    let gatepost = Alone::new(CONFIG, &users).started();
    write_passwords(&gatepost, |user| format!("secret{user}"));
    gatepost
}

fn write_passwords(gatepost: &Alone, password: impl Fn(usize) -> String) {
    let text: String = (0..USERS).map(|user| format!("u{user}:{}\n", password(user))).collect();
    fs::write(gatepost.path("passwords"), text).unwrap();
}

fn bench(gatepost: &Alone, socket: &str, arguments: &[&str]) -> Output {
    let mut command = gatepost.command(&["bench", "--json", "--socket"]);
    command.arg(gatepost.path(socket)).arg("--users").arg(gatepost.path("passwords")).args(arguments);
    command.output().unwrap()
}

fn outcome(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn every_answer_under_load_is_right_and_every_decision_is_in_the_log_at_the_end() {
    let mut gatepost = daemon();
    let mix = ["--connections", "8", "--requests", "20000", "--bad", "20", "--unknown", "20"];
    for socket in ["client", "login"] {
        let output = bench(&gatepost, socket, &mix);
        let said = outcome(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!((&said["outcome"], &said["requests"]), (&"right".into(), &20_000.into()));
        assert_eq!(said["ok"].as_u64().unwrap() + said["fail"].as_u64().unwrap(), 20_000);
        assert!(said["fail"].as_u64().unwrap() > 6000, "{said}");
    }
    // At once, with events still on their way to the log.
    gatepost.stop();
    assert_eq!(gatepost.log().matches("auth decided").count(), 40_000);
    assert!(gatepost.log().lines().last().unwrap().contains("stopping"));
}

#[test]
fn a_right_password_that_is_refused_shows_in_the_exit_code() {
    let gatepost = daemon();
    write_passwords(&gatepost, |user| if user == 7 { "other".to_owned() } else { format!("secret{user}") });
    let output = bench(&gatepost, "client", &["--requests", "5000"]);
    let said = outcome(&output);
    assert_eq!((output.status.code(), &said["outcome"]), (Some(1), &"wrong".into()));
    assert!(said["wrong"]["shut_out"].as_u64().unwrap() > 0, "{said}");
    assert_eq!(said["wrong"]["let_in"], 0);
}

#[test]
fn an_outage_is_no_wrong_answer() {
    let mut gatepost = daemon();
    gatepost.stop();
    fs::remove_file(gatepost.path("users")).unwrap();
    gatepost.start();
    let output = bench(&gatepost, "client", &["--requests", "500"]);
    let said = outcome(&output);
    assert_eq!((output.status.code(), &said["outcome"]), (Some(75), &"incomplete".into()));
    assert_eq!((&said["other"], &said["wrong"]["shut_out"]), (&500.into(), &0.into()));
}

#[test]
fn the_server_s_cpu_time_is_told_for_its_pid() {
    let mut gatepost = daemon();
    let pid = gatepost.process().pid().to_string();
    let cpu = |arguments: &[&str]| {
        let said = outcome(&bench(&gatepost, "client", arguments));
        said["server_cpu_us_per_request"].as_f64()
    };
    assert_eq!(cpu(&["--requests", "100"]), None);
    let told = cpu(&["--requests", "50000", "--pid", &pid]).unwrap();
    assert!(told > 0.0 && told < 100_000.0, "{told}");
    let output = bench(&gatepost, "client", &["--requests", "100", "--pid", "4194305"]);
    assert_eq!(output.status.code(), Some(75), "no such process");
}

#[test]
fn what_cannot_be_driven_is_said_with_the_exit_code_of_a_mistake() {
    let gatepost = daemon();
    fs::write(gatepost.path("passwords"), "u1:secret1\nu2\n").unwrap();
    let output = bench(&gatepost, "client", &[]);
    assert_eq!(output.status.code(), Some(78));
    let reason = outcome(&output)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("line 2") && !reason.contains("u2"), "{reason}");

    write_passwords(&gatepost, |user| format!("secret{user}"));
    let output = bench(&gatepost, "client", &["--bad", "60", "--unknown", "60"]);
    assert_eq!(output.status.code(), Some(78));
    let output = bench(&gatepost, "nowhere", &[]);
    assert_eq!((output.status.code(), &outcome(&output)["outcome"]), (Some(75), &"unavailable".into()));
}
