//! That nobody can tell who exists by the time that a refusal takes. A program of its own, so that no other test runs
//! beside it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    reason = "a test fails by panicking, and uses its own part of the house"
)]

#[path = "lessons/asking.rs"]
mod asking;
mod support;

use std::time::{Duration, Instant};

use asking::{Auth, daemon};

/// Two passwd-files, each of one scheme, as a decoy takes after the most common one of its directory.
const TWO: &str = r#"
[[directory]]
name = "slow"
type = "passwd-file"
file = "@DIR@/users"
domains = ["slow.test"]

[[directory]]
name = "quick"
type = "passwd-file"
file = "@DIR@/users-quick"
domains = ["quick.test"]
"#;

/// Dovecot's, of `secret`. It takes thrice the memory of gatepost's own, and with it the time.
const ARGON2ID: &str =
    "$argon2id$v=19$m=65536,t=3,p=1$ykRgktSHRWk2rAiaxaCSRQ$RH530r/qWdyQlpOndH6zYDEXi8anAOJrnGFijwwFKXE";

/// Of `right` with the salt `salt`.
const SSHA: &str = "{SSHA}Q0dAUNYieUEh8DjAxxd1rE959TVzYWx0";

/// How far apart the medians may be.
const FACTOR: f64 = 1.5;

/// How often the measurement is continued before they are held to be apart.
const BATCHES: usize = 5;

/// A name that nobody has, a wrong password, an account without a password and one that is switched off cost the same
/// work, and so the same time.
///
/// This asserts no speed. What it would find is work that is left out or done twice: an unknown name that is refused
/// without a hash answers a thousand times faster than ARGON2ID, and one that is verified against a hash of another
/// scheme than its neighbours' a thousand times slower than SSHA. The kinds take turns, so that whatever else the
/// machine does hits all of them, and medians do not mind the rest. Where they are apart nevertheless, more samples
/// tell a busy machine from a leak: noise averages out, a leak stays.
#[test]
fn who_does_not_exist_costs_what_everybody_costs() {
    let lines = |domain: &str, stored: &str| {
        format!("real@{domain}:{stored}::::::\nnone@{domain}:::::::\noff@{domain}:{stored}::::::active=no\n")
    };
    let gatepost = daemon(TWO, &lines("slow.test", ARGON2ID));
    std::fs::write(gatepost.path("users-quick"), lines("quick.test", SSHA)).unwrap();
    let gatepost = gatepost.started();
    let mut auth = Auth::connect(&gatepost);
    for (domain, rounds) in [("slow.test", 9), ("quick.test", 301)] {
        let mut times = Times::new(domain);
        times.measure(&mut auth, 1);
        times.samples.iter_mut().for_each(Vec::clear);
        let alike = (0..BATCHES).any(|_| {
            times.measure(&mut auth, rounds);
            times.are_alike()
        });
        let medians = times.medians();
        assert!(alike, "{:?} took {medians:?}", times.users);
    }
}

struct Times {
    users: [String; 4],
    samples: [Vec<Duration>; 4],
}

impl Times {
    fn new(domain: &str) -> Self {
        let users = ["nobody", "real", "none", "off"].map(|user| format!("{user}@{domain}"));
        Self { users, samples: Default::default() }
    }

    fn measure(&mut self, auth: &mut Auth, rounds: usize) {
        for _ in 0..rounds {
            for (user, samples) in self.users.iter().zip(&mut self.samples) {
                let asked = Instant::now();
                let reply = auth.plain(user, "wrong");
                samples.push(asked.elapsed());
                assert_eq!(reply, format!("FAIL\tuser={user}"));
            }
        }
    }

    fn medians(&mut self) -> [Duration; 4] {
        self.samples.each_mut().map(|samples| {
            samples.sort();
            samples[samples.len() / 2]
        })
    }

    fn are_alike(&mut self) -> bool {
        let medians = self.medians().map(|median| median.as_secs_f64());
        let least = medians.into_iter().fold(f64::INFINITY, f64::min);
        let most = medians.into_iter().fold(0.0, f64::max);
        most <= FACTOR * least
    }
}
