//! What a poll has brought, beside what the one before has: which of it is new.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

/// How long the mark of a poll stays behind the latest that was seen. A change is written with the time at which its
/// transaction has begun, and can be seen when that has ended; until then others have been seen that are later.
pub(in crate::directory) const OVERLAP: Duration = Duration::from_secs(30);

/// How long after a stamp was first seen the same one can still be given to another change: stamps of a second's
/// precision, with some time for clocks.
const SETTLES: Duration = Duration::from_secs(2);

/// The most marks that are kept, if one comes with every poll and none is answered.
const MARKS: usize = 512;

/// The rows of the last poll, each with whom it is about and its stamp, and what was told of them.
pub(in crate::directory) struct Ledger<W> {
    rows: HashMap<(W, String), Told>,
    /// Whether a stamp is that of one change alone.
    exact: bool,
}

/// What was told of a row.
#[derive(Clone, Copy)]
struct Told {
    /// When it was first seen.
    first: Instant,
    /// Whether there is nothing more to come under this stamp.
    settled: bool,
}

impl<W: Clone + Eq + Hash> Ledger<W> {
    /// One that knows nothing. `exact`: no two changes of anybody have the same stamp. Where they may, a row is told at
    /// each poll until no other change can have its stamp.
    pub(in crate::directory) fn new(exact: bool) -> Self {
        Self { rows: HashMap::new(), exact }
    }

    /// Whether all that the last poll has brought was told, and would not be again.
    pub(in crate::directory) fn is_settled(&self) -> bool {
        self.rows.values().all(|told| told.settled)
    }

    /// Whether the last poll has brought this row.
    pub(in crate::directory) fn knows(&self, row: &(W, String)) -> bool {
        self.rows.contains_key(row)
    }

    /// Takes a row for known, so that nothing is told of it.
    pub(in crate::directory) fn know(&mut self, row: (W, String), now: Instant) {
        self.rows.entry(row).or_insert(Told { first: now, settled: true });
    }

    /// Takes over what a poll has brought, and gives those of whom something is to be told.
    pub(in crate::directory) fn note(
        &mut self,
        rows: impl IntoIterator<Item = (W, String)>,
        now: Instant,
    ) -> Vec<W> {
        let mut next = HashMap::new();
        let mut tell = HashSet::new();
        for row in rows {
            let fresh = Told { first: now, settled: self.exact };
            let told = match self.rows.get(&row) {
                Some(told) if told.settled => *told,
                Some(told) => {
                    tell.insert(row.0.clone());
                    Told { settled: now.duration_since(told.first) >= SETTLES, ..*told }
                }
                None => {
                    tell.insert(row.0.clone());
                    fresh
                }
            };
            next.insert(row, told);
        }
        self.rows = next;
        tell.into_iter().collect()
    }

    /// Those of the last poll's rows that fit and that are not among `rows`, which should have brought them again: they
    /// were deleted, or their stamps were set back.
    pub(in crate::directory) fn missing(&self, rows: &[(W, String)], fits: impl Fn(&str) -> bool) -> Vec<W> {
        let here: HashSet<&W> = rows.iter().map(|(who, _)| who).collect();
        let gone = self.rows.keys().filter(|(who, stamp)| fits(stamp) && !here.contains(who));
        let gone: HashSet<&W> = gone.map(|(who, _)| who).collect();
        gone.into_iter().cloned().collect()
    }
}

/// From where on a poll asks: stamps, each with the time at which it was seen to be the latest. Which of two is later,
/// their source alone can say.
pub(in crate::directory) struct Trail(VecDeque<(Instant, String)>);

impl Trail {
    /// One that begins here.
    pub(in crate::directory) fn new(start: String, now: Instant) -> Self {
        Self(VecDeque::from([(now, start)]))
    }

    /// Notes the latest stamp that there is.
    pub(in crate::directory) fn note(&mut self, latest: &str, now: Instant) {
        if self.latest() == latest {
            return;
        }
        if self.0.len() >= MARKS {
            // The first one has to do for longer.
            self.0.remove(1);
        }
        self.0.push_back((now, latest.to_owned()));
    }

    /// The latest that was noted.
    pub(in crate::directory) fn latest(&self) -> &str {
        self.0.back().map_or("", |(_, stamp)| stamp)
    }

    /// From where on to ask.
    pub(in crate::directory) fn since(&self) -> &str {
        self.0.front().map_or("", |(_, stamp)| stamp)
    }

    /// That was asked at `now`, and answered. A mark has done its time with a poll from it that came long enough after
    /// the next one was seen: however rare polls are, and however long none was answered.
    pub(in crate::directory) fn asked(&mut self, now: Instant) {
        while self.0.get(1).is_some_and(|(seen, _)| now.duration_since(*seen) >= OVERLAP) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Ledger, MARKS, SETTLES, Trail};

    fn rows(rows: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        rows.iter().map(|(who, stamp)| (*who, (*stamp).to_owned())).collect()
    }

    fn sorted(mut told: Vec<&'static str>) -> Vec<&'static str> {
        told.sort_unstable();
        told
    }

    #[test]
    fn a_row_is_told_until_its_second_is_over() {
        let (mut ledger, now) = (Ledger::new(false), Instant::now());
        let at = |milliseconds| now + Duration::from_millis(milliseconds);
        assert_eq!(ledger.note(rows(&[("a", "1")]), at(0)), ["a"]);
        assert_eq!(ledger.note(rows(&[("a", "1")]), at(1000)), ["a"], "it may have changed again, unseen");
        assert_eq!(sorted(ledger.note(rows(&[("a", "1"), ("b", "1")]), at(1500))), ["a", "b"]);
        assert_eq!(sorted(ledger.note(rows(&[("a", "1"), ("b", "1")]), now + SETTLES)), ["a", "b"]);
        assert!(!ledger.is_settled());
        assert_eq!(ledger.note(rows(&[("a", "1"), ("b", "1")]), at(9000)), ["b"]);
        assert!(ledger.is_settled());
        assert_eq!(ledger.note(rows(&[("a", "1"), ("b", "1")]), at(90_000)), [""; 0]);
        assert_eq!(sorted(ledger.note(rows(&[("a", "2"), ("a", "3"), ("b", "1")]), at(91_000))), ["a"]);
    }

    #[test]
    fn exact_stamps_are_told_once() {
        let (mut ledger, now) = (Ledger::new(true), Instant::now());
        assert_eq!(ledger.note(rows(&[("a", "1")]), now), ["a"]);
        assert!(ledger.is_settled());
        assert_eq!(ledger.note(rows(&[("a", "1")]), now + SETTLES), [""; 0]);
    }

    #[test]
    fn who_is_not_brought_again_is_missing() {
        let mut ledger = Ledger::new(true);
        ledger.note(rows(&[("a", "1"), ("b", "1"), ("c", "2"), ("d", "0")]), Instant::now());
        let now = rows(&[("b", "3"), ("c", "2")]);
        assert_eq!(ledger.missing(&now, |stamp| stamp == "1"), ["a"], "b has another stamp by now");
        assert_eq!(sorted(ledger.missing(&now, |_| true)), ["a", "d"]);
    }

    #[test]
    fn a_poll_asks_from_what_was_the_latest_a_while_ago() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut trail = Trail::new("1".to_owned(), now);
        assert_eq!(trail.since(), "1", "nothing else is known");
        trail.note("2", now);
        trail.note("2", at(5));
        trail.note("3", at(10));
        assert_eq!(trail.latest(), "3");
        for (asked, since) in [(29, "1"), (30, "2"), (39, "2"), (40, "3"), (4000, "3")] {
            trail.asked(at(asked));
            assert_eq!(trail.since(), since, "{asked}");
        }
        trail.note("4", at(4000));
        trail.note("5", at(4001));
        trail.asked(at(4001));
        assert_eq!(trail.since(), "3");
        trail.asked(at(9000));
        assert_eq!(trail.since(), "5", "one poll is enough for both");
    }

    #[test]
    fn marks_do_not_heap_up_while_nothing_is_answered() {
        let now = Instant::now();
        let mut trail = Trail::new("first".to_owned(), now);
        for number in 0..10 * MARKS {
            trail.note(&number.to_string(), now);
        }
        assert_eq!((trail.0.len(), trail.since()), (MARKS, "first"));
        assert_eq!(trail.latest(), (10 * MARKS - 1).to_string());
    }
}
