//! Whether entries take as much memory as they say.

use std::{env, fs, process::Command};

use super::{cache, hash, limits, named, right, teach_by, wrong};
use crate::{
    account::{Account, Net, Nologin, State},
    cache::{Elsewhere, Lesson, Limits, Tick},
    username::Username,
};

/// Set in the process that measures.
const MEASURING: &str = "GATEPOST_TEST_WEIGHT";
const ENTRIES: usize = 100_000;

/// Bytes of memory of this process, without its program.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// In a process of its own, because other tests would be measured as well.
#[test]
fn what_it_says_it_takes_is_what_it_takes() {
    if let Some(kind) = env::var_os(MEASURING) {
        return measure(kind.to_str().unwrap());
    }
    for kind in ["plain", "mailbox", "rules", "elsewhere", "wrong", "nobody"] {
        let mut alone = Command::new(env::current_exe().unwrap());
        alone.args(["--exact", "cache::tests::weight::what_it_says_it_takes_is_what_it_takes"]);
        let run = alone.args(["--test-threads", "1", "--nocapture"]).env(MEASURING, kind).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{kind}: {said}");
    }
}

fn measure(kind: &str) {
    let cache = cache(Limits { max_memory: 1 << 30, ..limits() });
    let checked = hash(&cache, "x");
    let before = resident();
    for number in 0..ENTRIES {
        // 22 bytes, as names are.
        let user = format!("user{number:06}@example.org");
        let mut account = Account::named(&user);
        match kind {
            "mailbox" => {
                for (name, value) in
                    [("uid", "5000"), ("gid", "5000"), ("home", "/var/vmail/example.org/user")]
                {
                    account.userdb.push(name, value);
                }
            }
            "rules" => {
                account.state = State::Until(7);
                account.allow_nets = Some(vec!["192.0.2.0/24".parse::<Net>().unwrap(); 40]);
                account.services.set("imap", false);
                account.services.set("pop3", false);
                account.nologin = Some(Nologin { reason: Some("x".repeat(100)) });
            }
            "nobody" => {
                cache.learn(named(&user), cache.ask(Tick::new(0)), Lesson::Nobody, Tick::new(0));
                continue;
            }
            _ => {}
        }
        let said = right(&cache, &user, "x");
        let lesson = Lesson::Somebody {
            account: &account,
            directory: 0,
            elsewhere: (kind == "elsewhere").then(|| Elsewhere {
                directory: 1,
                user: Username::of_normal_form(&format!("uid{number:06}@staff.example.org")),
                state: State::Active,
            }),
            fingerprint: Some(checked),
            said,
        };
        cache.learn(named(&user), cache.ask(Tick::new(0)), lesson, Tick::new(0));
        if kind == "wrong" {
            for at in 1..4 {
                teach_by(&cache, &user, wrong(&cache, &user, &format!("{at}")), at * 2, checked);
            }
        }
    }
    let (status, grown) = (cache.status(), resident() - before);
    assert_eq!(status.entries, ENTRIES);
    let each = (status.bytes / ENTRIES, grown / ENTRIES);
    println!("{kind}: {} bytes an entry by its own account, {} resident", each.0, each.1);
    assert!(each.0 * 115 / 100 >= each.1 && each.1 * 115 / 100 >= each.0, "{kind}: {each:?}");
    // What a verified password without fields may take.
    assert!(kind != "plain" || each.1 <= 170, "{each:?}");
    assert!(kind != "mailbox" || each.1 <= 306, "{each:?}");
}
