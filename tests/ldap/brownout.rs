//! A directory server that gets slow, goes away and comes back, under the logins of people who were there before: they
//! notice nothing, and nobody else gets in.
//!
//! `GATEPOST_BROWNOUT` is the length of each phase in seconds (15). What is known runs out within it, so that people are
//! let in although their time is over.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    House, at,
    support::{Dovecot, Gatepost, Listener, Place, Proxy, Slapd, Tree, Wire, slapd::person, wait_until},
};

/// How many people there are, and how many logins a second. Every fifth one is by a wrong password.
const PEOPLE: usize = 40;
const RATE: u32 = 20;
const WRONG: usize = 5;

/// The `timeout` of the directory. Nobody waits longer for gatepost, but for the moment in which it wakes up.
const TIMEOUT: Duration = Duration::from_secs(2);
const MOMENT: Duration = Duration::from_millis(250);

/// What a login takes besides on a machine with much to do: Dovecot's processes, and a delay after failures.
const SLACK: Duration = Duration::from_millis(1500);

/// Who has waited longer than this has waited for the directory.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How soon after its return the directory is what counts.
const RECOVERY: Duration = Duration::from_secs(5);

/// What is said while nobody can be asked.
const AWAY: &str = "NO [UNAVAILABLE]";
const REJECTED: &str = "NO [AUTHENTICATIONFAILED]";

/// One login, as the person sees it.
#[derive(Debug)]
struct Login {
    number: usize,
    right: bool,
    /// Since the beginning of the phase.
    at: Duration,
    took: Duration,
    answer: String,
}

/// What gatepost says of one: the outcome, the word for where it came from, and how long it took itself.
struct Event {
    outcome: String,
    cache: Option<String>,
    took: Duration,
}

struct Phase {
    name: &'static str,
    logins: Vec<Login>,
}

fn phase_length() -> Duration {
    let seconds = std::env::var("GATEPOST_BROWNOUT").map_or(15, |text| text.parse().expect("seconds"));
    assert!(seconds > RECOVERY.as_secs(), "phases have to be longer than it takes to recover");
    Duration::from_secs(seconds)
}

fn somebody(number: usize) -> (String, String) {
    let name = format!("user{:02}", number % PEOPLE);
    (format!("{name}@example.org"), format!("{name}-secret"))
}

fn session(number: usize) -> String {
    format!("login-{number:05}")
}

impl House<'_> {
    /// Logs somebody in under a session of this number, by which it is found in the log. Only the password is timed.
    fn logs_in(&self, number: usize, password: &str) -> (String, Duration) {
        let (user, _) = somebody(number);
        let mut imap = self.imap();
        let known = imap.command(&format!("ID (\"x-session-id\" \"{}\")", session(number)));
        assert!(known.starts_with("OK"), "{known}");
        let begun = Instant::now();
        let answer = imap.authenticate_at_once(&user, password);
        (answer, begun.elapsed())
    }

    /// The steady load, for a while.
    fn under_load(&self, name: &'static str, first: usize, length: Duration) -> Phase {
        let begun = Instant::now();
        let mut logins = Vec::new();
        thread::scope(|scope| {
            let mut running = Vec::new();
            for tick in 0.. {
                let due = Duration::from_secs(1) / RATE * tick;
                if due >= length {
                    break;
                }
                thread::sleep(due.saturating_sub(begun.elapsed()));
                running.push(scope.spawn(move || {
                    let number = first + usize::try_from(tick).unwrap();
                    // Old phones go on with the same wrong password; others try a new one each time.
                    let (right, password) = match (number % WRONG, number % 2) {
                        (0, 0) => (false, "wrong".to_owned()),
                        (0, _) => (false, format!("wrong{number}")),
                        _ => (true, somebody(number).1),
                    };
                    let at = begun.elapsed();
                    let (answer, took) = self.logs_in(number, &password);
                    Login { number, right, at, took, answer }
                }));
            }
            logins.extend(running.into_iter().map(|login| login.join().unwrap()));
        });
        Phase { name, logins }
    }

    /// What the log says of every login, by its session.
    fn events(&self, count: usize) -> HashMap<String, Event> {
        let of = |line: &str, key: &str| {
            let (_, rest) = line.split_once(&format!(" {key}="))?;
            Some(rest.split(' ').next().unwrap_or(rest).trim_matches('"').to_owned())
        };
        let mut events = HashMap::new();
        wait_until("all logins are in the log", || {
            let log = self.gatepost.log();
            let told = log.lines().filter(|line| line.contains("auth decided"));
            let event = |line: &str| {
                let took = Duration::from_micros(of(line, "took_us")?.parse().ok()?);
                Some((
                    of(line, "session")?,
                    Event { outcome: of(line, "outcome")?, cache: of(line, "cache"), took },
                ))
            };
            events = told.filter_map(event).filter(|(session, _)| session.starts_with("login-")).collect();
            events.len() >= count
        });
        events
    }
}

impl Phase {
    fn next(&self) -> usize {
        self.logins.iter().map(|login| login.number).max().unwrap() + 1
    }

    /// In one line each: who saw what, and how long they took.
    fn report(&self, events: &HashMap<String, Event>) {
        let mut seen: Vec<(String, Vec<Duration>, Duration)> = Vec::new();
        for login in &self.logins {
            let Event { outcome, cache, took } = &events[&session(login.number)];
            let word = if login.right { "right" } else { "wrong" };
            let said = login.answer.split_inclusive(']').next().unwrap_or_default();
            let said = if said.starts_with("OK") { "OK" } else { said };
            let cache = cache.as_deref().unwrap_or("asked");
            let what = format!("{word} {said} outcome={outcome} {cache}");
            match seen.iter_mut().find(|(known, ..)| *known == what) {
                Some((_, times, own)) => {
                    times.push(login.took);
                    *own = (*own).max(*took);
                }
                None => seen.push((what, vec![login.took], *took)),
            }
        }
        seen.sort();
        for (what, mut times, own) in seen {
            times.sort_unstable();
            let (count, most) = (times.len(), times[times.len() - 1]);
            let [half, tail] = [count / 2, count * 99 / 100].map(|place| times[place]);
            eprintln!(
                "{:>8}: {count:4} {what}: median {half:.3?}, 99% {tail:.3?}, longest {most:.3?}, of it gatepost {own:.3?}",
                self.name
            );
        }
    }

    /// What holds in every phase: who is right is let in, who is wrong is not, and nobody waits longer than for the
    /// directory's `timeout`.
    fn check(&self, away: bool, events: &HashMap<String, Event>) {
        for login in &self.logins {
            let Login { number, right, at, took, answer } = login;
            let what = format!("{}, after {at:.2?}: {number} took {took:.2?}: {answer}", self.name);
            if *right {
                assert!(answer.starts_with("OK"), "{what}");
            } else {
                assert!(answer.starts_with(REJECTED) || (away && answer.starts_with(AWAY)), "{what}");
            }
            assert!(*took < TIMEOUT + SLACK, "{what}");
            let own = events[&session(*number)].took;
            assert!(own < TIMEOUT + MOMENT, "{what}: {own:.3?} of it are gatepost's");
        }
    }

    /// Once it is known that the directory does not answer, one at a time waits for it, to find out whether it is back.
    fn check_that_few_wait(&self, length: Duration, events: &HashMap<String, Event>) {
        let later = self.logins.iter().filter(|login| login.right && login.at > TIMEOUT + SLACK);
        let times: Vec<_> = later.map(|login| events[&session(login.number)].took).collect();
        let late = times.iter().filter(|&&took| took > AT_ONCE).count();
        eprintln!("{:>8}: {late} of {} waited later on", self.name, times.len());
        let most = length.as_secs() / TIMEOUT.as_secs() + 1;
        assert!(late as u64 <= most, "{}: {late} of {} waited: {times:?}", self.name, times.len());
    }
}

#[test]
fn whoever_was_known_gets_in_through_a_brown_out_and_nobody_else_does() {
    let length = phase_length();
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let people: String = (0..PEOPLE)
        .map(|number| {
            let name = format!("user{number:02}");
            person(&name, "people", &format!("{name}-secret"))
        })
        .collect();
    slapd.add(people.trim_start());
    let proxy = Proxy::start(slapd.ldaps());
    let table = at(&place, proxy.address()).with("connect_timeout", "1s").with("timeout", "2s");
    let cache = "[cache]\nttl = \"3s\"\nnegative_ttl = \"2s\"\n";
    let directories = format!("{cache}{}", table.fields(&place));
    let gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &directories);
    // Whoever is trusted may name their session.
    let login = "service imap-login {\n  service_count = 0\n}\nlogin_trusted_networks = 127.0.0.0/8\n";
    let house = House { gatepost, dovecot: Dovecot::start_also(&place, login) };
    proxy.delay(Duration::from_millis(10));
    for number in 0..PEOPLE {
        let (user, password) = somebody(number);
        house.admits(&user, &password);
    }

    let well = house.under_load("20 ms", 0, length);
    // Half of it on the way there, half on the way back.
    proxy.delay(Duration::from_millis(2500));
    let slow = house.under_load("5 s", well.next(), length);
    proxy.set(Wire::Refused);
    let away = house.under_load("reset", slow.next(), length);
    proxy.delay(Duration::from_millis(10));
    proxy.set(Wire::Open);
    let back = house.under_load("back", away.next(), length);

    let events = house.events(back.next());
    for phase in [&well, &slow, &away, &back] {
        phase.report(&events);
    }
    for (phase, is_away) in [(&well, false), (&slow, true), (&away, true), (&back, true)] {
        phase.check(is_away, &events);
    }
    slow.check_that_few_wait(length, &events);
    away.check_that_few_wait(length, &events);

    // The phases are what they are meant to be.
    let stale = |phase: &Phase| {
        let is_stale = |login: &&Login| events[&session(login.number)].cache.as_deref() == Some("stale");
        phase.logins.iter().filter(is_stale).map(|login| login.at).collect::<Vec<_>>()
    };
    let asked = |login: &&Login| login.right && events[&session(login.number)].cache.is_none();
    assert_eq!(stale(&well), Vec::<Duration>::new());
    assert!(!stale(&slow).is_empty() && !stale(&away).is_empty());
    let unavailable = back.logins.iter().filter(|login| login.answer.starts_with(AWAY));
    let last = stale(&back).into_iter().chain(unavailable.map(|login| login.at)).max();
    eprintln!("the last answer without the directory was {last:.2?} after its return");
    assert!(last.is_none_or(|last| last < RECOVERY), "{last:?}");
    let is_soon = |login: &&Login| asked(login) && login.at < RECOVERY;
    assert!(back.logins.iter().filter(is_soon).count() > 1, "nobody is asked about any more");
}

/// Each answer comes within the directory's `timeout`, and what a login takes is more than a peer waits: no connection fails, and
/// nobody would ever be told that the server does not answer.
#[test]
fn whoever_was_known_gets_in_before_their_program_gives_up_however_slow_each_answer_is() {
    const EACH_WAY: Duration = Duration::from_millis(2300);

    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let proxy = Proxy::start(slapd.ldaps());
    let table = at(&place, proxy.address()).with("timeout", "30s").with("connect_timeout", "10s");
    let house = House::open(&place, &format!("[cache]\nttl = \"1s\"\n{}", table.fields(&place)));
    house.admits("alice@example.org", "alice-secret");
    let deliver = || house.dovecot.lmtp().send("a@example.test", "alice@example.org", "hello").code;
    for each_way in [EACH_WAY, 2 * EACH_WAY] {
        proxy.delay(each_way);
        let known = Instant::now();
        wait_until("what is known has run out", || known.elapsed() > Duration::from_secs(1));
        let begun = Instant::now();
        house.admits("alice@example.org", "alice-secret");
        // Postfix waits for 10 s.
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
        eprintln!("{each_way:?} each way: let in after {:.2?}", begun.elapsed());
        let answer = house.login("alice@example.org", "wrong");
        assert!(answer.starts_with(AWAY), "{answer}");
        assert_eq!(deliver(), 250);
    }
    house.says(&["outcome=verified", "cache=\"stale\""]);
}
