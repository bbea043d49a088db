//! Real Dovecot with nothing but the lines that `gatepost serve` prints when it has no configuration.

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
    fs::{self, File},
    io::Write,
    process::{Command, Stdio},
};

use support::{Dovecot, Place, Tree, process::Process, wait_until};

/// `gatepost` as it is for who has no configuration, with its directories in `place`.
fn gatepost(place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.args(args).env("STATE_DIRECTORY", place.outside("state.gp"));
    command.env("RUNTIME_DIRECTORY", place.outside("run.gp")).env_remove("GATEPOST_CONFIG");
    command
}

/// The lines printed for Dovecot, which stand indented under their heading.
fn lines_for_dovecot(said: &str) -> String {
    let indented = said.lines().skip_while(|line| !line.starts_with("Dovecot")).skip(1);
    indented.take_while(|line| line.starts_with(' ')).map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_is_printed_for_dovecot_works_as_printed() {
    for tree in [Tree::bookworm(), Tree::trixie()] {
        let place = Place::new(&tree);
        let log = place.outside("gatepost.log");
        let mut command = gatepost(&place, &["serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        let mut daemon = Process::start("gatepost", &mut command);
        wait_until("gatepost is ready", || {
            assert_eq!(daemon.ended(), None, "{}", place.read("gatepost.log"));
            place.read("gatepost.log").contains("ready")
        });

        let home = place.inside("mail/alice");
        let mut add =
            gatepost(&place, &["user", "add", "alice@example.test", "--uid", "5000", "--gid", "5000"]);
        let mut add = add.args(["--home", &home]).stdin(Stdio::piped()).spawn().unwrap();
        add.stdin.take().unwrap().write_all(b"wonder\n").unwrap();
        assert!(add.wait().unwrap().success());

        // Dovecot sees the paths from inside the tree.
        let root = fs::canonicalize(tree.root()).unwrap();
        let printed = lines_for_dovecot(&place.read("gatepost.log")).replace(root.to_str().unwrap(), "");
        assert!(printed.contains("executable = imap-login "), "{printed}");
        let mut dovecot = Dovecot::start_with(&place, &printed);
        let said = dovecot.imap().login("alice@example.test", "wonder");
        assert!(said.starts_with("OK"), "{}: {said}", tree.name());
        let said = dovecot.imap().login("alice@example.test", "wander");
        assert!(said.starts_with("NO [AUTHENTICATIONFAILED]"), "{}: {said}", tree.name());
        let found = dovecot.doveadm(&["user", "alice@example.test"]);
        assert!(found.status.success(), "{found:?}");
        dovecot.stop();
        assert!(daemon.stop().success());
    }
}
