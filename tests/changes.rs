//! Who has changed in what is on this machine: the embedded database, which other processes write to, and passwd-files.

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
    time::{Duration, Instant},
};

use support::{Alone, Watching};

#[test]
fn what_commands_do_to_the_embedded_database_is_told_by_name_within_a_second() {
    let home =
        Alone::new("[[directory]]\nname = \"local\"\ntype = \"sqlite\"\nfile = \"@DIR@/users.db\"\n", "");
    let run = |args: &[&str], input: &str| {
        let output = home.run(args, input);
        assert!(output.status.success(), "{args:?}: {output:?}");
    };
    run(&["user", "add", "alice@example.org"], "secret\n");
    run(&["user", "add", "bob@example.org"], "secret\n");
    let file = home.path("users.db");
    let watching =
        Watching::started(&format!("[[directory]]\nname = \"local\"\ntype = \"sqlite\"\nfile = {file:?}\n"));
    watching.settles();
    for (args, input, user) in [
        (["user", "passwd", "alice@example.org"].as_slice(), "another\n", "alice@example.org"),
        (&["user", "add", "carol@example.org", "--no-password"], "", "carol@example.org"),
        (&["user", "delete", "bob@example.org"], "", "bob@example.org"),
    ] {
        run(args, input);
        let done = Instant::now();
        watching.tells(&[user], 1);
        // A machine that is busy may add something.
        assert!(done.elapsed() < Duration::from_secs(2), "{user}: {:?}", done.elapsed());
    }
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute("UPDATE users SET active = 0 WHERE name = 'alice@example.org'", []).unwrap();
    watching.tells(&["alice@example.org"], 1);
}

#[test]
fn users_of_a_passwd_file_are_told_whose_lines_have_changed() {
    let home = Alone::new("", "");
    let file = home.path("users");
    let write = |text: &str| {
        let new = home.path("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &file).unwrap();
    };
    write("alice@example.org:{PLAIN}a\nbob@example.org:{PLAIN}b\ncarol@example.org:{PLAIN}c\n");
    let watching = Watching::started(&format!(
        "[[directory]]\nname = \"old\"\ntype = \"passwd-file\"\nfile = {file:?}\n"
    ));
    watching.settles();
    write("# again\ncarol@example.org:{PLAIN}c\nalice@example.org:{PLAIN}x\ndora@example.org:{PLAIN}d\n");
    watching.tells(&["alice@example.org", "bob@example.org", "dora@example.org"], 1);
    // Whoever was told while it was away is not known.
    fs::remove_file(&file).unwrap();
    watching.settles();
    write("carol@example.org:{PLAIN}c\n");
    watching.tells_everybody(1);
}
