//! What is remembered is forgotten where somebody says so: on the command line, over the master socket by real
//! doveadm 2.3 and 2.4, by a reload, by a new password. And what a flood of nonsense does to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "lessons/asking.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is made for other tests as well")]
mod asking;
mod support;

use std::{
    fmt::Write as _,
    fs,
    process::{Command, Output},
    thread,
};

use asking::{Auth, Master, PEOPLE, daemon, plain};
use nix::sys::signal::Signal;
use serde_json::Value;
use support::{Alone, Dovecot, Gatepost, Listener, Place, Tree, process, wait_until};

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";
const DORA: &str = "dora@example.org";

/// The answer of `gatepost cache ... --json`.
fn answer(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The only number in what a program says.
fn number(output: &Output) -> u64 {
    assert!(output.status.success(), "{output:?}");
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    let numbers: Vec<u64> =
        said.split(|c: char| !c.is_ascii_digit()).filter_map(|s| s.parse().ok()).collect();
    assert_eq!(numbers.len(), 1, "{said}");
    numbers[0]
}

/// Three people, one of whom has another name, behind gatepost and Dovecot.
struct Stage<'a> {
    gatepost: Gatepost<'a>,
    dovecot: Dovecot<'a>,
}

impl<'a> Stage<'a> {
    fn set(place: &'a Place) -> Self {
        let home = |name: &str| place.inside(&format!("mail/{name}"));
        let mut users = String::new();
        for name in [ALICE, BOB, DORA] {
            writeln!(users, "{name}:{{PLAIN}}secret:5000:5000::{}::", home(name)).unwrap();
        }
        writeln!(users, "ally@example.test:{{PLAIN}}secret:5000:5000::{}::user={ALICE}", home("x")).unwrap();
        place.write("users", &users);
        let file = place.outside("users");
        let directory = format!("[[directory]]\nname = 'people'\ntype = 'passwd-file'\nfile = {file:?}\n");
        let gatepost = Gatepost::start_over(place, &Listener::dovecot(place), &directory);
        Self { gatepost, dovecot: Dovecot::start(place) }
    }

    fn status(&self) -> Value {
        answer(&mut self.gatepost.command(&["cache", "status"]))["cache"].clone()
    }

    fn count(&self, what: &str) -> u64 {
        self.status()["counts"][what].as_u64().unwrap()
    }

    fn entries(&self) -> u64 {
        self.status()["entries"].as_u64().unwrap()
    }

    fn log_in(&self, user: &str) {
        let said = self.dovecot.imap().login(user, "secret");
        assert!(said.starts_with("OK"), "{user}: {said}\n{}", self.gatepost.log());
    }

    /// All of them are known from now on.
    #[track_caller]
    fn acquaint(&self) {
        for user in [ALICE, BOB, DORA, "ally@example.test"] {
            self.log_in(user);
        }
        assert_eq!(self.entries(), 4);
    }

    /// Whether a login of theirs is answered from memory.
    fn knows(&self, user: &str) -> bool {
        let before = (self.count("hits"), self.count("misses"));
        self.log_in(user);
        match (self.count("hits") - before.0, self.count("misses") - before.1) {
            (1, 0) => true,
            (0, 1) => false,
            other => panic!("{user}: {other:?}"),
        }
    }

    /// `gatepost cache flush`; how many it says that were forgotten.
    fn flush(&self, users: &[&str]) -> u64 {
        let said = answer(self.gatepost.command(&["cache", "flush"]).args(users));
        assert_eq!(said["outcome"], "done");
        said["flushed"].as_u64().unwrap()
    }

    fn doveadm_flush(&self, users: &[&str]) -> u64 {
        number(&self.dovecot.doveadm(&[&["auth", "cache", "flush"], users].concat()))
    }
}

#[test]
fn an_administrator_forgets_users_domains_or_everybody() {
    for tree in Tree::all() {
        eprintln!("with the Dovecot of {}", tree.name());
        let place = Place::new(&tree);
        let stage = Stage::set(&place);
        assert_eq!(stage.entries(), 0);
        // Soon after the start the directory says where it stands, and all are asked about once more.
        wait_until("memory is asked", || stage.knows(ALICE) && stage.knows(BOB));
        for by_doveadm in [false, true] {
            let flush =
                |users: &[&str]| if by_doveadm { stage.doveadm_flush(users) } else { stage.flush(users) };
            flush(&[]);
            stage.acquaint();
            assert!(stage.knows(ALICE) && stage.knows(BOB));
            // By her other name as well.
            assert_eq!(flush(&["Alice@Example.TEST"]), 2);
            assert_eq!(stage.entries(), 2);
            assert!(!stage.knows(ALICE) && stage.knows(BOB) && stage.knows(DORA));
            assert_eq!(flush(&["nobody@example.test"]), 0);
            assert_eq!(flush(&[BOB, DORA]), 2);
            assert!(!stage.knows(DORA));

            flush(&[]);
            stage.acquaint();
            assert_eq!(flush(&["@example.test"]), 3);
            assert!(stage.knows(DORA) && !stage.knows(BOB));
            assert_eq!(flush(&["b*", "*@example.org"]), 2);
            assert_eq!((flush(&[]), stage.entries()), (0, 0));
            stage.acquaint();
            assert_eq!((flush(&[]), stage.entries()), (4, 0));
            assert_eq!(flush(&[]), 0);
        }
    }
}

#[test]
fn what_is_remembered_is_told_in_words_and_in_json() {
    let place = Place::new(&Tree::bookworm());
    let stage = Stage::set(&place);
    stage.acquaint();
    // Soon after the start the directory says where it stands, and all are asked about once more.
    wait_until("all of them are known", || [ALICE, BOB, DORA].iter().all(|user| stage.knows(user)));
    let before = (stage.count("hits"), stage.count("misses"));
    stage.log_in(ALICE);
    let refused = stage.dovecot.imap().login(ALICE, "wrong");
    assert!(refused.starts_with("NO [AUTHENTICATIONFAILED]"), "{refused}");
    for _ in 0..2 {
        assert_eq!(stage.dovecot.doveadm(&["user", BOB]).status.code(), Some(0));
    }
    let status = stage.status();
    let counts = &status["counts"];
    assert_eq!(counts["hits"].as_u64().map(|hits| hits - before.0), Some(1), "{status}");
    assert_eq!(counts["misses"].as_u64().map(|misses| misses - before.1), Some(1), "{status}");
    assert!(counts["lookups"].as_u64().unwrap() >= 2, "{status}");
    assert_eq!(status["max_memory"], 256 << 20);
    let bytes = status["bytes"].as_u64().unwrap();
    assert!(bytes > 4 * 100 && bytes < 100_000, "{status}");

    let output = stage.gatepost.command(&["cache", "status"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for what in ["hits", "negative hits", "misses", "lookups", "stale", "refreshes", "evicted"] {
        let line = format!("{what:<15}{}", counts[what.replace(' ', "_")]);
        assert!(text.lines().any(|said| said == line), "{line:?}:\n{text}");
    }
    assert!(text.starts_with("entries        4\n"), "{text}");
    assert!(text.contains("of 256.0 MiB"), "{text}");
    let output = stage.gatepost.command(&["cache", "flush", ALICE]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "forgotten: 2\n");
    let output = stage.dovecot.doveadm(&["auth", "cache", "flush"]);
    assert_eq!(number(&output), 2);
}

#[test]
fn without_a_daemon_or_a_memory_that_is_what_is_said() {
    let mut gatepost =
        daemon(&format!("{PEOPLE}{}", support::FORGETFUL), "alice:{PLAIN}wonder::::::\n").started();
    assert_eq!(Auth::connect(&gatepost).plain("alice", "wonder"), "OK\tuser=alice");
    let status = gatepost.run(&["cache", "status"], "");
    assert_eq!(status.status.code(), Some(0), "{status:?}");
    assert_eq!(String::from_utf8_lossy(&status.stdout), "nothing is kept: cache.ttl is 0s\n");
    assert_eq!(String::from_utf8_lossy(&gatepost.run(&["cache", "flush"], "").stdout), "forgotten: 0\n");
    assert_eq!(Master::connect(&gatepost).lines.ask("CACHE-FLUSH\t1", ""), "OK\t1\t0");
    gatepost.stop();
    for what in ["status", "flush"] {
        let output = gatepost.run(&["cache", what], "");
        assert_eq!(output.status.code(), Some(75), "{what}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("none listens at") && said.contains("--config"), "{what}: {said}");
    }
}

/// A reload asks about everybody again, whatever else it changes, and a reload that fails changes nothing.
#[test]
fn a_reload_forgets_everybody() {
    let mut gatepost = daemon(PEOPLE, "alice:{PLAIN}wonder::::::\n").started();
    let mut auth = Auth::connect(&gatepost);
    assert_eq!(auth.plain("alice", "wonder"), "OK\tuser=alice");
    assert_eq!(auth.plain("bob", "builder"), "FAIL\tuser=bob");
    let entries =
        |gatepost: &Alone| answer(&mut gatepost.command(&["cache", "status"]))["cache"]["entries"].clone();
    assert_eq!(entries(&gatepost), 2);
    let good = fs::read_to_string(gatepost.path("gatepost.toml")).unwrap();
    fs::write(gatepost.path("gatepost.toml"), format!("{good}nonsense = true\n")).unwrap();
    gatepost.process().signal(Signal::SIGHUP);
    wait_until("the wrong configuration was noticed", || gatepost.log().contains("nonsense"));
    fs::write(gatepost.path("gatepost.toml"), good).unwrap();
    assert_eq!(entries(&gatepost), 2);

    // Nothing else has changed.
    gatepost.process().signal(Signal::SIGHUP);
    wait_until("everybody is forgotten", || entries(&gatepost) == 0);
    assert_eq!(auth.plain("alice", "wonder"), "OK\tuser=alice", "over a connection that was there before");
    assert_eq!(entries(&gatepost), 1);
}

#[test]
fn what_an_administrator_changes_about_a_user_counts_at_once() {
    let place = Place::new(&Tree::bookworm());
    let fields = format!(
        "[directory.fields]\nhome = \"{}/{{user}}\"\nuid = \"5000\"\ngid = \"5000\"\n",
        place.inside("mail")
    );
    let directory = format!("[[directory]]\nname = 'local'\ntype = 'sqlite'\n{fields}");
    let gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &directory);
    let dovecot = Dovecot::start(&place);
    let run = |arguments: &[&str], input: &str| process::fed(&mut gatepost.command(arguments), input);
    let admits = |password: &str| {
        let answer = dovecot.imap().login(ALICE, password);
        assert!(answer.starts_with("OK") || answer.starts_with("NO [AUTHENTICATIONFAILED]"), "{answer}");
        answer.starts_with("OK")
    };
    let deliver = || dovecot.lmtp().send("sender@example.test", ALICE, "hello").code;
    // Or there would be no database yet.
    run(&["user", "add", BOB], "builder\n");
    // Unknown, and so remembered.
    assert!(!admits("first"));
    assert_eq!(deliver(), 550);
    run(&["user", "add", ALICE], "first\n");
    assert!(admits("first") && admits("first"));
    assert_eq!(deliver(), 250);

    assert!(!admits("second"));
    run(&["user", "passwd", ALICE], "second\n");
    assert!(!admits("first"), "nobody has logged in with the new one yet");
    assert!(admits("second"), "it was wrong a moment ago");

    let made: Value =
        serde_json::from_str(&run(&["app-password", "create", ALICE, "--label", "phone", "--json"], ""))
            .unwrap();
    let (id, phone) = (made["id"].as_str().unwrap(), made["password"].as_str().unwrap());
    assert!(admits(phone) && admits(phone));
    run(&["app-password", "revoke", id], "");
    assert!(!admits(phone), "revoked is revoked");
    assert!(admits("second"));

    run(&["user", "delete", ALICE], "");
    assert!(!admits("second"));
    assert_eq!(deliver(), 550);
}

/// What the daemon has held of memory at most, in KiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// 99 of 100 logins are nonsense, over the same connections as the good ones.
#[test]
fn a_flood_of_nonsense_takes_bounded_memory_and_nobody_good_notices() {
    const PEERS: usize = 8;
    const FLIGHTS: usize = 60;
    const EACH: usize = 100;
    /// In KiB: what connections and the hashing of so many at once need.
    const ROOM: u64 = 32 * 1024;

    // {SSHA}: what is not known has to be hashed.
    let users: String =
        (0..100).map(|n| format!("good{n}:{{SSHA}}gfW6CDitAo92JenYKjnio4tl5eWQ7Arv::::::\n")).collect();
    let cache = "[cache]\nmax_memory = \"1MiB\"\n";
    let mut gatepost = daemon(&format!("{cache}{PEOPLE}"), &users).started();
    let pid = gatepost.process().pid();
    let before = peak(pid);
    let refused = thread::scope(|scope| {
        let flood = |peer: usize| {
            let mut auth = Auth::connect(&gatepost);
            let (mut refused, mut put_off) = (0, 0);
            for flight in 0..FLIGHTS {
                let good = (peer * FLIGHTS + flight) % EACH;
                let lines = (1..=EACH).map(|id| {
                    let response = match id {
                        _ if id == good + 1 => plain(format!("good{good}"), "secret"),
                        // Names that there are, and names that there are not.
                        _ if id % 2 == 0 => plain(format!("good{}", id - 1), format!("{peer} {flight} {id}")),
                        _ => plain(format!("u{peer}.{flight}.{id}"), "x"),
                    };
                    format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={response}")
                });
                auth.lines.say(&lines.collect::<Vec<_>>().join("\n"));
                for _ in 0..EACH {
                    let line = auth.lines.hear_only();
                    let id: usize = line.split('\t').nth(1).unwrap().parse().unwrap();
                    if id == good + 1 {
                        assert_eq!(line, format!("OK\t{id}\tuser=good{good}"));
                    } else {
                        assert!(line.starts_with("FAIL\t"), "{line}");
                        if line.contains("temp") { put_off += 1 } else { refused += 1 }
                    }
                }
            }
            (refused, put_off)
        };
        let peers: Vec<_> = (0..PEERS).map(|peer| scope.spawn(move || flood(peer))).collect();
        peers.into_iter().map(|peer| peer.join().unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    eprintln!("refused, put off: {refused:?}; {} KiB before, {} at most", before, peak(pid));
    assert!(refused.0 > 0);
    assert!(peak(pid) < before + ROOM, "grew from {before} to {} KiB", peak(pid));
    let status = answer(&mut gatepost.command(&["cache", "status"]))["cache"].clone();
    eprintln!("{status}");
    assert!(status["bytes"].as_u64().unwrap() <= 1 << 20, "{status}");
    assert!(status["counts"]["evicted"].as_u64().unwrap() > 0, "it was filled: {status}");
}
