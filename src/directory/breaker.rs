//! A fuse before a server: when it does not answer, only one request at a time finds out whether it does again.
//!
//! Without it, every login of an outage waits until its own attempt to connect has timed out, and a server that comes
//! back is met by all of them at once.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long nobody tries after a failure. What healed is found this much later, so it is short.
const REST: Duration = Duration::from_secs(1);

/// The fuse of one server.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// It answers, as far as is known.
    Closed,
    /// It does not; the next try is due then.
    Open { until: Instant },
    /// Somebody tries, since then.
    Trying { since: Instant },
}

impl Breaker {
    /// One that has seen nothing yet.
    pub(crate) const fn new() -> Self {
        Self { state: Mutex::new(State::Closed) }
    }

    /// Whether the server may be asked now. After a failure it lets one through at a time; whoever is let through
    /// has to say how it went, and who does not within `patience` gives way to the next.
    pub(crate) fn admits(&self, now: Instant, patience: Duration) -> bool {
        let mut state = self.lock();
        match *state {
            State::Closed => true,
            State::Open { until } if now < until => false,
            State::Trying { since } if now < since + patience => false,
            State::Open { .. } | State::Trying { .. } => {
                *state = State::Trying { since: now };
                true
            }
        }
    }

    /// It has answered. Whether this is news.
    pub(crate) fn answered(&self) -> bool {
        let before = std::mem::replace(&mut *self.lock(), State::Closed);
        !matches!(before, State::Closed)
    }

    /// It has not. Whether this is news.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        let before = std::mem::replace(&mut *self.lock(), State::Open { until: now + REST });
        matches!(before, State::Closed)
    }

    /// Whether it answers, as far as is known.
    #[allow(dead_code, reason = "for a choice between several servers of one directory")]
    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Breaker, REST};

    #[test]
    fn after_a_failure_one_at_a_time_tries_until_one_is_answered() {
        let (breaker, patience) = (Breaker::new(), Duration::from_secs(5));
        let mut now = Instant::now();
        assert!(breaker.admits(now, patience) && breaker.admits(now, patience));
        assert!(breaker.failed(now) && !breaker.is_closed(), "the first failure is news");
        assert!(!breaker.failed(now), "the second is none");
        assert!(!breaker.admits(now, patience));
        now += REST;
        assert!(breaker.admits(now, patience) && !breaker.admits(now, patience));
        breaker.failed(now);
        assert!(!breaker.admits(now, patience));
        now += REST;
        assert!(breaker.admits(now, patience) && !breaker.admits(now, patience));
        now += patience;
        assert!(breaker.admits(now, patience), "whoever tried did not come back");
        assert!(breaker.answered() && !breaker.answered());
        assert!(breaker.admits(now, patience) && breaker.admits(now, patience));
    }
}
