//! What one user, domain or address has sent within a window that moves along.
//!
//! Time is cut into sixtieths of the window, and what was sent in one of them is one sum. A sum counts until the whole of
//! its sixtieth is out of the window: so more than the limit is sent in no time of that length, and what was sent counts
//! for a sixtieth too long at most. Exact times would need memory for each mail.

use std::{collections::VecDeque, time::Duration};

use crate::config::Most;

/// Into so many parts a window is cut. So many sums and one more there are at most.
const PARTS: u64 = 60;

/// What a mail costs, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// How many they are.
    pub messages: u64,
    /// How many recipients they have.
    pub recipients: u64,
    /// How long they are.
    pub bytes: u64,
}

/// A length of time, in milliseconds, and its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    part: u64,
}

/// The sums of one, in their order in time, and whether they have been refused anything.
#[derive(Debug, Default)]
pub(super) struct Spent {
    sums: VecDeque<Sum>,
    /// Until then nobody is told once more that the limit has tripped. In milliseconds since 1970, as all of them.
    pub(super) told_until: u64,
    /// Until then nothing is taken.
    pub(super) suspended_until: u64,
    /// Whether any of it is not written down.
    pub(super) dirty: bool,
}

/// One part of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    /// When it begins.
    pub(super) at: u64,
    pub(super) cost: Cost,
    /// Whether it is not written down.
    pub(super) dirty: bool,
}

impl Cost {
    /// Both together.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            recipients: self.recipients.saturating_add(other.recipients),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// Whether it is within.
    pub(super) fn fits(self, most: Most) -> bool {
        let within = |count: u64, most: Option<u64>| most.is_none_or(|most| count <= most);
        within(self.messages, most.messages)
            && within(self.recipients, most.recipients)
            && within(self.bytes, most.bytes)
    }
}

impl Window {
    pub(super) fn of(length: Duration) -> Self {
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Self { part: millis.div_ceil(PARTS).max(1) }
    }

    /// Whether what was sent at `at` counts.
    fn holds(self, at: u64, now: u64) -> bool {
        (now / self.part).saturating_sub(at / self.part) <= PARTS
    }

    /// When what was sent at `at` counts no longer.
    pub(super) const fn end_of(self, at: u64) -> u64 {
        (at / self.part).saturating_add(PARTS + 1).saturating_mul(self.part)
    }
}

impl Spent {
    /// What is in the window.
    pub(super) fn within(&self, window: Window, now: u64) -> Cost {
        let held = self.sums.iter().filter(|sum| window.holds(sum.at, now));
        held.fold(Cost::default(), |total, sum| total.plus(sum.cost))
    }

    /// Adds to it, and forgets what is out of it.
    pub(super) fn add(&mut self, cost: Cost, window: Window, now: u64) {
        self.forget(window, now);
        self.dirty = true;
        let same = |sum: &&mut Sum| sum.at / window.part >= now / window.part;
        match self.sums.back_mut().filter(same) {
            Some(sum) => {
                sum.cost = sum.cost.plus(cost);
                sum.dirty = true;
            }
            None => self.sums.push_back(Sum { at: now, cost, dirty: true }),
        }
    }

    /// Puts in what was written down, which comes in its order.
    pub(super) fn recall(&mut self, at: u64, cost: Cost) {
        self.sums.push_back(Sum { at, cost, dirty: false });
    }

    /// Whether there is nothing left to remember.
    pub(super) fn is_idle(&mut self, window: Window, now: u64) -> bool {
        self.forget(window, now);
        self.sums.is_empty() && self.told_until <= now && self.suspended_until <= now
    }

    /// When something was last sent.
    pub(super) fn last(&self) -> u64 {
        self.sums.back().map_or(0, |sum| sum.at).max(self.suspended_until)
    }

    /// Those that are not written down, which are from now on.
    pub(super) fn take_dirty(&mut self) -> impl Iterator<Item = Sum> + use<'_> {
        self.dirty = false;
        self.sums.iter_mut().filter_map(|sum| std::mem::take(&mut sum.dirty).then_some(*sum))
    }

    /// The sum that begins at `at` is not written down after all.
    pub(super) fn soil(&mut self, at: u64) {
        self.sums.iter_mut().filter(|sum| sum.at == at).for_each(|sum| sum.dirty = true);
    }

    /// How many sums there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }

    fn forget(&mut self, window: Window, now: u64) {
        while self.sums.front().is_some_and(|sum| !window.holds(sum.at, now)) {
            self.sums.pop_front();
        }
    }
}
