//! Whether entries take as much memory as they say.

use std::{collections::VecDeque, env, fs, process::Command, time::Duration};

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

/// Has `measure` run in a process of its own for each kind, because other tests would be measured as well.
fn alone(test: &str, kinds: &[&str], measure: fn(&str)) {
    if let Some(kind) = env::var_os(MEASURING) {
        return measure(kind.to_str().unwrap());
    }
    for kind in kinds {
        let mut alone = Command::new(env::current_exe().unwrap());
        alone.args([
            "--exact",
            &format!("cache::tests::weight::{test}"),
            "--test-threads",
            "1",
            "--nocapture",
        ]);
        let run = alone.env(MEASURING, kind).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{kind}: {said}");
    }
}

#[test]
fn what_it_says_it_takes_is_what_it_takes() {
    let kinds = ["plain", "mailbox", "rules", "elsewhere", "wrong", "nobody"];
    alone("what_it_says_it_takes_is_what_it_takes", &kinds, measure);
}

#[test]
fn who_comes_and_goes_leaves_no_holes_in_memory() {
    alone("who_comes_and_goes_leaves_no_holes_in_memory", &["plain", "mailbox"], churn);
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
            "mailbox" => account = mailbox(&user),
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

fn mailbox(user: &str) -> Account {
    let mut account = Account::named(user);
    for (name, value) in [("uid", "5000"), ("gid", "5000"), ("home", "/var/vmail/example.org/user")] {
        account.userdb.push(name, value);
    }
    account
}

/// Many times more than there is room for, among other things that are in memory for a moment.
fn churn(kind: &str) {
    const ROOM: usize = 15 << 20;
    // Nothing outlives its time.
    let cache = cache(Limits { max_memory: ROOM, ttl: Duration::from_secs(1 << 20), ..limits() });
    let checked = hash(&cache, "x");
    let mut requests = VecDeque::new();
    let mut answer = |number| {
        requests.push_back(request(number));
        if requests.len() > 64 {
            requests.pop_front();
        }
    };
    (0..10_000).for_each(&mut answer);
    let before = resident();
    for number in 0..4 * u32::try_from(ENTRIES).unwrap() {
        answer(number);
        let (user, now) = (format!("user{number:06}@example.org"), Tick::new(number));
        let account = if kind == "mailbox" { mailbox(&user) } else { Account::named(&user) };
        let said = right(&cache, &user, "x");
        let fingerprint = Some(checked);
        let lesson = Lesson::Somebody { account: &account, directory: 0, elsewhere: None, fingerprint, said };
        cache.learn(named(&user), cache.ask(now), lesson, now);
    }
    let (status, grown) = (cache.status(), resident() - before);
    println!("{kind}: {} of {ROOM} bytes by its own account, {grown} resident", status.bytes);
    assert!(status.counts.evicted > 2 * ENTRIES as u64 && status.bytes > ROOM / 16 * 15, "{status:?}");
    // What is promised is a fifth beyond what it may take, of all that comes to it in a daemon.
    assert!(grown <= ROOM / 100 * 115, "{grown} for {ROOM}");
}

/// What a request has in memory until it is answered: pieces of many sizes, of which the larger are always the same.
fn request(number: u32) -> Vec<Vec<u8>> {
    let small = [24, 52, 100, 136, 250, 350].into_iter().enumerate();
    let small = small.map(|(at, size)| vec![1; size + (number as usize >> at) % 5 * 16]);
    small.chain([vec![1; 6400], vec![1; 12_080]]).collect()
}
