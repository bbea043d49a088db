use std::time::{Duration, Instant};

/// Settings under which nothing runs out while a test lasts.
pub const LONG: &str = "[cache]\nttl = \"10m\"\nnegative_ttl = \"10m\"\n";

/// How gatepost comes to know that something has changed, and how soon at the latest.
pub struct Notice {
    pub name: &'static str,
    /// The settings of its memory.
    pub cache: &'static str,
    /// What its directory has besides.
    pub keys: &'static str,
    within: Duration,
}

impl Notice {
    /// By the time that it trusts what it knows, where the directory has the first keys; or by asking, where it has the
    /// others, each second who has changed. And one second for a machine that has much to do.
    pub const fn both(trusting: &'static str, asking: &'static str) -> [Self; 2] {
        const SHORT: &str = "[cache]\nttl = \"2s\"\nnegative_ttl = \"2s\"\n";
        [
            Self { name: "ttl", cache: SHORT, keys: trusting, within: Duration::from_secs(3) },
            Self { name: "change_poll", cache: LONG, keys: asking, within: Duration::from_secs(2) },
        ]
    }

    /// Waits until what has just changed is what counts; fails, with the log, where that takes longer than it may.
    #[track_caller]
    pub fn soon(&self, what: &str, log: impl Fn() -> String, mut counts: impl FnMut() -> bool) {
        let begun = Instant::now();
        loop {
            // A login that begins in time may end later.
            let at = begun.elapsed();
            if counts() {
                eprintln!("{what}: noticed after {at:.2?}");
                return;
            }
            assert!(at < self.within, "{what}: not noticed after {at:.2?}\n{}", log());
        }
    }
}
