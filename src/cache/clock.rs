//! Time as entries keep it: in four bytes.

use std::time::{Duration, Instant};

/// A moment since the cache began, in tenths of a second. It lasts for 13 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u32);

/// A tenth of a second.
const LENGTH: u64 = 100;

impl Tick {
    /// So many tenths of a second after the beginning.
    pub const fn new(tenths: u32) -> Self {
        Self(tenths)
    }

    /// So many tenths of a second after the beginning.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// How long ago `earlier` was, in tenths of a second; 0 if it is yet to come.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Counts from the moment that it was made.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) const fn new(now: Instant) -> Self {
        Self(now)
    }

    /// The moment at which `now` is.
    pub(super) fn at(&self, now: Instant) -> Tick {
        Tick(tenths(now.saturating_duration_since(self.0)))
    }
}

/// A length of time, as far as it can be told.
pub(super) fn tenths(time: Duration) -> u32 {
    let seconds = time.as_secs().saturating_mul(1000 / LENGTH);
    u32::try_from(seconds.saturating_add(u64::from(time.subsec_millis()) / LENGTH)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Clock, Tick, tenths};

    #[test]
    fn time_is_told_in_tenths_of_a_second() {
        let start = Instant::now();
        let clock = Clock::new(start);
        for (millis, ticks) in [(0, 0), (99, 0), (100, 1), (1_999, 19), (60_000, 600)] {
            assert_eq!(clock.at(start + Duration::from_millis(millis)), Tick(ticks));
        }
        assert_eq!(Tick(5).since(Tick(3)), 2);
        assert_eq!(Tick(3).since(Tick(5)), 0);
        assert_eq!(tenths(Duration::MAX), u32::MAX);
    }
}
