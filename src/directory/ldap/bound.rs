//! Entries that were bound a moment ago.
//!
//! A server may write down each bind: that it was wrong (overlay ppolicy) or right (`lastbind`). For whoever asks what
//! has changed that is a change like any other; where every answer that is kept brings about a change, none would be
//! kept for long.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::entry::Entry;

/// The most that are remembered. Who is not costs a question.
const MOST: usize = 50_000;

/// Attributes in which servers keep when a bind was tried.
pub(super) const TRIED: [&str; 3] = ["pwdFailureTime", "pwdLastSuccess", "authTimestamp"];

/// When the password was changed, where a policy keeps that.
pub(super) const CHANGED: &str = "pwdChangedTime";

/// How long after a failure was noted its change may be stamped, in microseconds.
const AT_ONCE: u64 = 10_000;

/// The entries, by their names as the server spells them.
#[derive(Default)]
pub(super) struct RecentlyBound(Mutex<HashMap<String, Binds>>);

struct Binds {
    last: Instant,
    /// Those that have not explained anything so far.
    left: u32,
}

impl RecentlyBound {
    /// Notes a bind that is about to be tried.
    pub(super) fn note(&self, dn: &str) {
        let mut bound = self.lock();
        if let Some(binds) = bound.get_mut(dn) {
            *binds = Binds { last: Instant::now(), left: binds.left.saturating_add(1) };
        } else if bound.len() < MOST {
            bound.insert(dn.to_owned(), Binds { last: Instant::now(), left: 1 });
        }
    }

    /// Forgets those that were bound longer ago than that.
    pub(super) fn forget(&self, age: Duration) {
        self.lock().retain(|_, binds| binds.last.elapsed() <= age);
    }

    /// Whether the last that has happened to an entry is a bind of ours, which has not explained another stamp. Then we
    /// have asked after everything else that has, and got to know it; but for a password that was changed just before a
    /// wrong one was tried.
    ///
    /// `stamp` is the entry's and `since` the one from which on changes count, both beginning with a time to the second.
    pub(super) fn explains(&self, entry: &Entry, stamp: &str, since: &str) -> bool {
        let times = |name| entry.values(name).filter_map(|time| std::str::from_utf8(time).ok());
        let tried = TRIED.into_iter().flat_map(times).any(|time| is_of(time, stamp));
        let changed = times(CHANGED).max();
        if !tried || changed.is_some_and(|changed| second(changed) >= second(since)) {
            return false;
        }
        let mut bound = self.lock();
        let Some(binds) = bound.get_mut(&entry.dn).filter(|binds| binds.left > 0) else { return false };
        binds.left -= 1;
        true
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Binds>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what was noted at `time` has this stamp: as closely as both of them say.
fn is_of(time: &str, stamp: &str) -> bool {
    let between = |(time, stamp): (u64, u64)| stamp.checked_sub(time);
    second(time).is_some()
        && second(time) == second(stamp)
        && micros(time).zip(micros(stamp)).is_none_or(|both| between(both).is_some_and(|gap| gap <= AT_ONCE))
}

/// `YYYYMMDDHHMMSS` of a generalised time, or of a CSN.
fn second(time: &str) -> Option<&str> {
    time.get(..14)
}

/// What stands behind it.
fn micros(time: &str) -> Option<u64> {
    let (digits, _) = time.get(14..)?.strip_prefix('.')?.split_once('Z')?;
    digits.parse().ok().filter(|_| digits.len() == 6)
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_bind_has_the_stamp_of_its_time() {
        let csn = "20261124000841.792478Z#000000#000#000000";
        for (time, expected) in [
            ("20261124000841.792452Z", true),
            ("20261124000841.782000Z", false),
            ("20261124000841.792479Z", false),
            ("20261124000840.792452Z", false),
            ("20261124000841Z", true),
            ("20261124000840Z", false),
            ("2026", false),
            ("", false),
        ] {
            assert_eq!(is_of(time, csn), expected, "{time}");
        }
        assert!(is_of("20261124000841.792452Z", "20261124000841Z"));
    }
}
