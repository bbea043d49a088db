use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{Alone, imap::plain, wait_until};

/// Connections of a crowd, and how many of it log in over each.
const PEERS: usize = 10;
const EACH: usize = 100;

/// How long the last of a thousand waits at most of whom nobody is known, on a machine that has little else to do.
const COLD: Duration = Duration::from_secs(1);

/// How often a machine that has more to do may take longer.
const PATIENCE: usize = 5;

/// Has a crowd log in to a daemon that has just started, and again after another start while the last of them has waited
/// too long. How often it has started.
#[track_caller]
pub fn cold_start(gatepost: &mut Alone, who: impl Fn(usize) -> (String, String)) -> usize {
    for start in 1..=PATIENCE {
        gatepost.start();
        let took = all_at_once(gatepost, &who);
        eprintln!("a thousand who are not known: the last answer after {took:.2?}");
        if took <= COLD {
            return start;
        }
        gatepost.stop();
    }
    panic!("the last answer came after more than {COLD:?} each time");
}

/// A thousand people, whose names and passwords `who` knows by their number, log in at once over connections that stay.
/// All of them have to be let in; how long that takes until the last one knows.
pub fn all_at_once(gatepost: &Alone, who: impl Fn(usize) -> (String, String)) -> Duration {
    let people = |peer: usize| peer * EACH..(peer + 1) * EACH;
    let mut peers: Vec<_> = (0..PEERS).map(|_| gatepost.connect("client")).collect();
    let flights: Vec<String> = (0..PEERS)
        .map(|peer| {
            let line = |number: usize| {
                let (user, password) = who(number);
                format!("AUTH\t{}\tPLAIN\tservice=imap\tresp={}", number + 1, plain(&user, &password))
            };
            people(peer).map(line).collect::<Vec<_>>().join("\n")
        })
        .collect();
    for lines in &mut peers {
        lines.say("VERSION\t1\t2\nCPID\t4711");
        lines.hear_until(|line| line == "DONE");
    }
    let begun = Instant::now();
    for (lines, flight) in peers.iter_mut().zip(&flights) {
        lines.say(flight);
    }
    for (peer, lines) in peers.iter_mut().enumerate() {
        let mut heard: Vec<String> = people(peer).map(|_| lines.hear()).collect();
        let welcome = |number: usize| format!("OK\t{}\tuser={}", number + 1, who(number).0);
        let mut expected: Vec<String> = people(peer).map(welcome).collect();
        heard.sort();
        expected.sort();
        assert_eq!(heard, expected, "{}", gatepost.log());
    }
    begun.elapsed()
}

/// Twelve thousand people whom nobody knows try to log in at once, while their directory does not answer and gives up after
/// `timeout`. No more than `most` of them may be kept waiting: the others have to be told of a temporary failure at once.
/// From the first of these on `log_in` is called with 0, 1, 2 ..., and must not wait for the directory.
pub fn flood_of_strangers(gatepost: &Alone, timeout: Duration, most: usize, mut log_in: impl FnMut(usize)) {
    const PEERS: usize = 12;
    const EACH: usize = 1000;
    const LOGINS: usize = 500;
    /// What a machine with much to do may add.
    const SLACK: Duration = Duration::from_secs(4);

    let full = AtomicBool::new(false);
    let flood = |peer: usize| {
        let mut lines = gatepost.connect("client");
        lines.say("VERSION\t1\t2\nCPID\t4711");
        lines.hear_until(|line| line == "DONE");
        let begun = Instant::now();
        let stranger = |id: usize| {
            let response = plain(&format!("stranger{peer}.{id}@example.org"), "x");
            format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={response}")
        };
        lines.say(&(1..=EACH).map(stranger).collect::<Vec<_>>().join("\n"));
        let mut told = || {
            let line = lines.hear_only();
            assert!(line.starts_with("FAIL\t") && line.ends_with("\tcode=temp_fail\ttemp"), "{line}");
            full.store(true, Ordering::Relaxed);
            begun.elapsed()
        };
        (0..EACH).map(|_| told()).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let flood = &flood;
        let floods: Vec<_> = (0..PEERS).map(|peer| scope.spawn(move || flood(peer))).collect();
        wait_until("the first is put off", || full.load(Ordering::Relaxed));
        let known: Vec<_> = (0..LOGINS)
            .map(|number| {
                let asked = Instant::now();
                log_in(number);
                asked.elapsed()
            })
            .collect();
        let waited = known.iter().filter(|&&took| took > timeout / 4).count();
        let mut times: Vec<_> = floods.into_iter().flat_map(|flood| flood.join().unwrap()).collect();
        times.sort_unstable();
        let (count, last) = (times.len(), times[times.len() - 1]);
        let at_once = times.iter().filter(|&&took| took < timeout - timeout / 4).count();
        eprintln!(
            "{waited} of {LOGINS} who are known have waited; of {count} strangers {at_once} were put off at once, the \
             last after {last:.2?}"
        );
        // One that is asked about, and none besides. How much the flood slows the others down is for the benchmarks.
        assert!(waited <= 2, "{known:?}");
        assert!(at_once >= count - most, "{} were kept waiting", count - at_once);
        assert!(last < timeout + SLACK, "{last:?}");
    });
}
