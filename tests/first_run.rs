//! `gatepost serve` without any configuration, as an ordinary user who has just built it.

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
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Output, Stdio},
};

use support::{connect, wait_until};

/// `nobody`: whoever runs the tests, this is not them.
const ORDINARY: u32 = 65534;

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("gp").tempdir_in("/tmp").unwrap();
        let binary = dir.path().join("gatepost");
        fs::copy(env!("CARGO_BIN_EXE_gatepost"), &binary).unwrap();
        std::os::unix::fs::chown(dir.path(), Some(ORDINARY), Some(ORDINARY)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn gatepost(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.path().join("gatepost"));
        command.args(args).env_clear().env("HOME", self.path()).uid(ORDINARY).gid(ORDINARY);
        command.env("XDG_RUNTIME_DIR", self.path().join("runtime"));
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .gatepost(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }
}

#[test]
fn without_a_configuration_it_runs_and_says_what_to_type_next_and_that_works() {
    let home = Home::new();
    let log = home.path().join("log");
    let mut command = home.gatepost(&["serve"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
    let mut daemon = command.spawn().unwrap();
    let said = || fs::read_to_string(&log).unwrap();
    let started = std::panic::catch_unwind(|| wait_until("it is ready", || said().contains("ready")));

    let checks = std::panic::catch_unwind(|| {
        for line in [
            "gatepost user add alice@example.org",
            "gatepost auth test alice@example.org",
            "smtpd_sasl_path = ",
            "auth_socket_path = ",
        ] {
            assert!(said().contains(line), "{line} is not in\n{}", said());
        }
        let added = home.run(&["user", "add", "alice@example.org"], "wonder\n");
        assert_eq!(added.status.code(), Some(0), "{added:?}");
        let right = home.run(&["auth", "test", "alice@example.org"], "wonder\n");
        assert_eq!(right.status.code(), Some(0), "{right:?}");
        let wrong = home.run(&["auth", "test", "alice@example.org"], "wander\n");
        assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
        let found = home.run(&["lookup", "alice@example.org"], "");
        assert_eq!(found.status.code(), Some(0), "{found:?}");
        let nobody = home.run(&["lookup", "bob@example.org"], "");
        assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");

        // The sockets are where it said.
        let path =
            said().lines().find_map(|line| line.trim().strip_prefix("smtpd_sasl_path = ").map(str::to_owned));
        let mut peer = connect(Path::new(&path.unwrap()));
        assert_eq!(peer.hear(), "VERSION\t1\t2");
    });
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    if let Err(panic) = started.and(checks) {
        eprintln!("{}", said());
        std::panic::resume_unwind(panic);
    }
}
