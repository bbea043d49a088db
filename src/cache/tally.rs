//! Counting what happens to answers, by whoever gives them at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Counts, Fill, Tokens};

/// What has happened so far.
#[derive(Debug, Default)]
pub struct Tally {
    hits: AtomicU64,
    negative_hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    refreshes: AtomicU64,
}

impl Tally {
    /// Something that is there was known.
    pub fn hit(&self) {
        one_more(&self.hits);
    }

    /// That something is not there, or no good, was known.
    pub fn negative_hit(&self) {
        one_more(&self.negative_hits);
    }

    /// Nothing was known.
    pub fn miss(&self) {
        one_more(&self.misses);
    }

    /// What had outlived its time was told, because nobody answered.
    pub fn stale(&self) {
        one_more(&self.stale);
    }

    /// Something was asked about ahead of time.
    pub fn refresh(&self) {
        one_more(&self.refreshes);
    }

    /// How it stands, with what there is room for.
    pub fn status(&self, fill: Fill) -> Tokens {
        let so_far = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = Counts {
            hits: so_far(&self.hits),
            negative_hits: so_far(&self.negative_hits),
            misses: so_far(&self.misses),
            stale: so_far(&self.stale),
            refreshes: so_far(&self.refreshes),
            lookups: 0,
            evicted: fill.evicted,
        };
        Tokens { entries: fill.entries, bytes: fill.bytes, counts }
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}
