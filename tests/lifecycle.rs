//! From the first start to the last answer: sockets, their owners and modes, activation, reload, the end.

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
    net::TcpListener,
    os::{
        fd::AsFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixListener,
        },
    },
    process::Command,
};

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::Signal;
use support::{Alone, Lines, connect, wait_until};

const LISTENERS: &str = r#"
[[listener]]
protocol = "dovecot-login"
path = "@DIR@/login/gatepost/login"
link = "@DIR@/login/login"

[[listener]]
protocol = "dovecot-client"
path = "@DIR@/client"
mode = "0660"
group = "7"

[[listener]]
protocol = "dovecot-master"
path = "@DIR@/master"

[[listener]]
protocol = "dovecot-userdb"
path = "@DIR@/userdb"
"#;

const DIRECTORY: &str = r#"
[sasl]
failure_delay = "0s"

[[directory]]
name = "people"
type = "passwd-file"
file = "@DIR@/users"
"#;

const USERS: &str = "alice@example.org:{PLAIN}wonder:5000:5000::/mail/alice::\n";

fn alone() -> Alone {
    Alone::new(&format!("{LISTENERS}{DIRECTORY}"), USERS)
}

/// Greets and is greeted.
fn shake_hands(peer: &mut Lines) {
    peer.say("VERSION\t1\t2\nCPID\t4711");
    while peer.hear() != "DONE" {}
}

/// `AUTH` of alice with a password in base64.
fn auth(peer: &mut Lines, id: u32, response: &str) -> String {
    peer.say(&format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={response}"));
    peer.hear()
}

/// NUL alice@example.org NUL wonder
const RIGHT: &str = "AGFsaWNlQGV4YW1wbGUub3JnAHdvbmRlcg==";

#[test]
fn sockets_have_their_owner_and_mode_and_the_link_is_relative() {
    let gatepost = alone().started();
    let modes = [("login/gatepost/login", 0o666), ("client", 0o660), ("master", 0o600), ("userdb", 0o666)];
    for (name, mode) in modes {
        let metadata = fs::symlink_metadata(gatepost.path(name)).unwrap();
        assert!(metadata.file_type().is_socket(), "{name}");
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    assert_eq!(fs::metadata(gatepost.path("client")).unwrap().gid(), 7);
    assert_eq!(fs::metadata(gatepost.path("run/control")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(gatepost.path("login/gatepost")).unwrap().permissions().mode() & 0o777, 0o755);
    let target = fs::read_link(gatepost.path("login/login")).unwrap();
    assert_eq!(target.to_str(), Some("gatepost/login"), "a login process sees it from inside a chroot");
    shake_hands(&mut gatepost.connect("login/login"));
}

#[test]
fn sockets_stay_when_the_daemon_ends_and_are_taken_over_when_it_returns() {
    let mut gatepost = alone().started();
    gatepost.stop();
    assert!(gatepost.path("client").exists(), "a stopped daemon leaves its sockets in place");
    gatepost.start();
    shake_hands(&mut gatepost.connect("client"));
    gatepost.process().kill();
    gatepost.start();
    shake_hands(&mut gatepost.connect("client"));
}

#[test]
fn a_socket_that_somebody_listens_on_is_left_to_them() {
    let gatepost = alone();
    fs::create_dir_all(gatepost.path("login/gatepost")).unwrap();
    let theirs = UnixListener::bind(gatepost.path("master")).unwrap();
    fs::write(gatepost.path("client"), "a file").unwrap();
    let refused = gatepost.refused();
    assert_eq!(refused.code, Some(75), "{}", refused.said);
    assert!(refused.said.contains("another process listens on it"), "{}", refused.said);
    assert!(refused.said.contains("it is not a socket"), "all of them are said at once: {}", refused.said);
    assert_eq!(fs::read_to_string(gatepost.path("client")).unwrap(), "a file");
    drop(theirs);
}

#[test]
fn a_configuration_with_mistakes_does_not_start_and_says_all_of_them() {
    let gatepost = Alone::new("[sasl]\nmechanism = ['PLAIN']\nfailure_delay = '9s'\n[[directory]]\n", "");
    let refused = gatepost.refused();
    assert_eq!(refused.code, Some(78), "{}", refused.said);
    for said in
        ["sasl.mechanism", "mechanisms", "sasl.failure_delay", "gatepost.toml:5:1", "gatepost.toml:6:"]
    {
        assert!(refused.said.contains(said), "{said} is not in\n{}", refused.said);
    }
}

#[test]
fn a_reload_takes_a_new_configuration_and_keeps_the_running_one_if_it_is_wrong() {
    let mut gatepost = alone().started();
    let mut peer = gatepost.connect("client");
    shake_hands(&mut peer);
    assert!(auth(&mut peer, 1, RIGHT).starts_with("OK\t1\t"));

    gatepost.configure(&format!("{LISTENERS}{DIRECTORY}nonsense = true\n"));
    gatepost.process().signal(Signal::SIGHUP);
    wait_until("the wrong configuration was noticed", || gatepost.log().contains("nonsense"));
    assert!(auth(&mut peer, 2, RIGHT).starts_with("OK\t2\t"), "the running configuration stays");

    fs::write(gatepost.path("others"), "bob@example.org:{PLAIN}wonder:::::\n").unwrap();
    gatepost.configure(&format!("{LISTENERS}{DIRECTORY}").replace("/users", "/others"));
    gatepost.process().signal(Signal::SIGHUP);
    wait_until("the new configuration is in force", || auth(&mut peer, 3, RIGHT).starts_with("FAIL"));
}

#[test]
fn sockets_that_a_supervisor_holds_need_no_listener_and_outlive_the_daemon() {
    let mut gatepost = Alone::new(DIRECTORY, USERS);
    let socket = UnixListener::bind(gatepost.path("held")).unwrap();
    let start = |gatepost: &mut Alone| {
        let mut command = Command::new("sh");
        command.args(["-c", r#"export LISTEN_PID=$$; exec "$@""#, "sh", env!("CARGO_BIN_EXE_gatepost")]);
        command.args(["serve", "--config"]).arg(gatepost.path("gatepost.toml"));
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "dovecot-client");
        let parent_fd = socket.as_fd().try_clone_to_owned().unwrap();
        command.fd_mappings(vec![FdMapping { parent_fd, child_fd: 3 }]).unwrap();
        gatepost.start_with(command);
    };
    start(&mut gatepost);
    shake_hands(&mut gatepost.connect("held"));
    gatepost.stop();
    let mut waiting = connect(&gatepost.path("held"));
    start(&mut gatepost);
    shake_hands(&mut waiting);
    assert!(auth(&mut waiting, 1, RIGHT).starts_with("OK"), "who connected in between is served");
    assert!(!gatepost.path("run/login").exists(), "no default socket stands beside the ones that are held");
}

#[test]
fn a_table_that_a_supervisor_holds_is_the_one_that_its_listener_says() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut gatepost = Alone::new(DIRECTORY, USERS);
    let serve = |gatepost: &Alone| {
        let mut command = Command::new("sh");
        command.args(["-c", r#"export LISTEN_PID=$$; exec "$@""#, "sh", env!("CARGO_BIN_EXE_gatepost")]);
        command.args(["serve", "--config"]).arg(gatepost.path("gatepost.toml"));
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "postfix-tcp-table");
        let parent_fd = socket.as_fd().try_clone_to_owned().unwrap();
        command.fd_mappings(vec![FdMapping { parent_fd, child_fd: 3 }]).unwrap();
        command
    };
    let output = serve(&gatepost).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("write a [[listener]]"), "{output:?}");

    gatepost.configure(&format!(
        "[[listener]]\nprotocol = 'postfix-tcp-table'\naddress = '{address}'\nallow_from = ['127.0.0.0/8']\n\
         map = 'mailboxes'\n{DIRECTORY}"
    ));
    let command = serve(&gatepost);
    gatepost.start_with(command);
    let mut table = Lines::connect(address);
    table.say("get alice@example.org");
    assert_eq!(table.hear(), "200 alice@example.org");
}

#[test]
fn what_is_in_flight_is_answered_before_the_end() {
    let config = format!("{LISTENERS}{DIRECTORY}").replace("0s", "8s");
    let mut gatepost = Alone::new(&config, USERS).started();
    let mut peer = gatepost.connect("client");
    shake_hands(&mut peer);
    peer.say("AUTH\t1\tPLAIN\tservice=imap\tresp=AGFsaWNlQGV4YW1wbGUub3JnAHdyb25n");
    peer.say("AUTH\t2\tLOGIN\tservice=imap");
    assert_eq!(peer.hear(), "CONT\t2\tVXNlcm5hbWU6");
    gatepost.process().signal(Signal::SIGTERM);
    assert_eq!(peer.hear(), "FAIL\t1\tuser=alice@example.org", "a delayed failure is told at once");
    // The exchange that has begun can still be finished.
    peer.say("CONT\t2\tYWxpY2VAZXhhbXBsZS5vcmc=");
    assert_eq!(peer.hear(), "CONT\t2\tUGFzc3dvcmQ6");
    peer.say("CONT\t2\td29uZGVy");
    assert_eq!(peer.hear(), "OK\t2\tuser=alice@example.org");
    gatepost.stop();
}

#[test]
fn a_core_of_the_daemon_would_hold_nothing_because_there_is_none() {
    let mut gatepost = alone().started();
    let limits = fs::read_to_string(format!("/proc/{}/limits", gatepost.process().pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}

#[test]
fn secrets_of_the_state_directory_are_private() {
    let gatepost = alone().started();
    let mode = |name: &str| fs::metadata(gatepost.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state"), 0o700);
    assert_eq!(mode("state/auth-token-secret.dat"), 0o600);
}

#[test]
fn over_tcp_only_the_loopback_is_served() {
    let listener = "[[listener]]\nprotocol = 'dovecot-client'\naddress = '0.0.0.0:0'\n";
    let refused = Alone::new(&format!("{listener}{DIRECTORY}"), USERS).refused();
    assert_eq!(refused.code, Some(78), "{}", refused.said);
    assert!(refused.said.contains("allow_from"), "{}", refused.said);
}

#[test]
fn the_log_has_one_event_a_decision_and_no_password() {
    let gatepost = alone().started();
    let mut peer = gatepost.connect("client");
    shake_hands(&mut peer);
    auth(&mut peer, 1, RIGHT);
    // NUL alice NUL hunter2
    auth(&mut peer, 2, "AGFsaWNlQGV4YW1wbGUub3JnAGh1bnRlcjI=");
    wait_until("both decisions are in the log", || gatepost.log().matches("auth decided").count() == 2);
    let log = gatepost.log();
    assert!(log.contains("outcome=verified") && log.contains("outcome=rejected"), "{log}");
    for secret in ["wonder", "hunter2", RIGHT, "AGFsaWNlQGV4YW1wbGUub3JnAGh1bnRlcjI="] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn fields_that_make_no_account_of_claims_do_not_start() {
    let oidc = "[[oidc]]\nname = 'idp'\nissuer = 'https://id.example.org'\nclient_id = 'gatepost'\nvalidation = 'jwt'\n\
                audience = ['gatepost']\naccount = 'from_claims'\n[oidc.fields]\nallow_nets = 'nonsense'\n";
    let gatepost = Alone::new(&format!("{LISTENERS}{DIRECTORY}{oidc}"), USERS);
    let refused = gatepost.refused();
    assert_eq!(refused.code, Some(78), "{}", refused.said);
    assert!(refused.said.contains("provider idp: fields.allow_nets: "), "{}", refused.said);
    let checked = gatepost.command(&["check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(78), "{checked:?}");
}
