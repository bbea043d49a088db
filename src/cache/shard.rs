//! A part of the table, under one lock.
//!
//! When it is full, a hand goes round over the places of the table, as in the CLOCK algorithm: who was asked for since it
//! came by last stays for another round, the others go. Who is new was not asked for so far, so that names that nobody has,
//! tried one after the other, push out each other and not those in use. The places are in the order of their hashes, which is
//! none.

use hashbrown::HashTable;

use super::{Counts, clock::Tick, entry::Entry};

/// How many places are looked at, with every entry that is put in, for such as nobody can use any more.
const SWEEP: usize = 2;

/// Entries of some of the names.
#[derive(Default)]
pub(super) struct Shard {
    table: HashTable<Box<Entry>>,
    /// Bytes of the entries, without the table.
    weight: usize,
    /// The place that was looked at last for who was not asked for.
    hand: usize,
    /// The place that was looked at last for who cannot be used.
    broom: usize,
    /// Entries that are about another name than their own too, or about a service.
    others: usize,
    /// Up to then something was known of somebody who is not in the table, and no more: what was asked before may be
    /// older than that.
    gone: Option<Tick>,
    pub(super) counts: Counts,
}

/// What an entry is found by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sought<'a> {
    pub(super) hash: u64,
    pub(super) user: &'a [u8],
    pub(super) service: &'a [u8],
}

impl Sought<'_> {
    fn is(&self, entry: &Entry) -> bool {
        entry.is_of(self.user, self.service)
    }
}

impl Shard {
    pub(super) fn find(&self, sought: Sought<'_>) -> Option<&Entry> {
        self.table.find(sought.hash, |entry| sought.is(entry)).map(|entry| &**entry)
    }

    /// When something was known last of anybody of whom nothing is known; `None`: never. Of names that nobody has it is not
    /// told: whoever tries many of them would keep everybody else from being remembered.
    pub(super) fn gone(&self) -> Option<Tick> {
        self.gone
    }

    /// Puts one in, in the place of the one that has its name, and makes room for it: `limit` bytes are all that there
    /// are. What is `dead` goes first. One for which there would be no room beside others is not kept.
    pub(super) fn put(
        &mut self,
        sought: Sought<'_>,
        entry: Entry,
        now: Tick,
        limit: usize,
        hash: impl Fn(&Entry) -> u64,
        dead: impl Fn(&Entry) -> bool,
    ) {
        let weight = entry.weight();
        if weight > limit / 2 {
            return self.lose(sought, now);
        }
        if self.remove(sought) {
            entry.touch();
        }
        self.weight += weight;
        self.others += usize::from(is_of_others(&entry));
        self.table.insert_unique(sought.hash, Box::new(entry), |entry| hash(entry));
        for _ in 0..SWEEP {
            self.broom = self.after(self.broom);
            self.clear(self.broom, now, &dead);
        }
        // Twice round at the most: the first round takes the marks away.
        let mut steps = 2 * self.table.num_buckets();
        while self.bytes() > limit && steps > 0 && !self.table.is_empty() {
            self.hand = self.after(self.hand);
            let goes = self.clear(self.hand, now, |entry| dead(entry) || !entry.was_used());
            self.counts.evicted += u64::from(goes);
            steps -= 1;
        }
        // After a flush, or where what is there is larger than the limit, the table itself is too large.
        if self.table.len() * 8 < self.table.capacity() {
            self.table.shrink_to(self.table.len() * 2, |entry| hash(entry));
        }
    }

    /// Takes one out because it is not to be relied on any more.
    pub(super) fn lose(&mut self, sought: Sought<'_>, now: Tick) {
        if self.remove(sought) {
            // Whoever waited for the lock has looked at the clock before.
            self.gone = self.gone.max(Some(now));
        }
    }

    /// Takes one out as if it had never been there. Whether it was.
    pub(super) fn remove(&mut self, sought: Sought<'_>) -> bool {
        match self.table.find_entry(sought.hash, |entry| sought.is(entry)) {
            Ok(place) => {
                let (gone, _) = place.remove();
                self.weight -= gone.weight();
                self.others -= usize::from(is_of_others(&gone));
                true
            }
            Err(_) => false,
        }
    }

    /// Forgets those that `whom` says. How many they were.
    pub(super) fn forget(&mut self, whom: impl Fn(&Entry) -> bool) -> usize {
        let before = self.table.len();
        let (weight, others) = (&mut self.weight, &mut self.others);
        self.table.retain(|entry| {
            let goes = whom(entry);
            if goes {
                *weight -= entry.weight();
                *others -= usize::from(is_of_others(entry));
            }
            !goes
        });
        before - self.table.len()
    }

    /// Whether there is any that is not found by the name alone that it is about.
    pub(super) fn has_others(&self) -> bool {
        self.others > 0
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes of memory that all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.weight + self.table.allocation_size()
    }

    /// The place after this one, round and round.
    fn after(&self, place: usize) -> usize {
        if place + 1 < self.table.num_buckets() { place + 1 } else { 0 }
    }

    /// Takes out what is in a place if `goes` says so. Whether it has.
    fn clear(&mut self, place: usize, now: Tick, goes: impl Fn(&Entry) -> bool) -> bool {
        match self.table.get_bucket_entry(place) {
            Ok(place) if goes(place.get()) => {
                let (gone, _) = place.remove();
                self.weight -= gone.weight();
                self.others -= usize::from(is_of_others(&gone));
                if gone.is_somebody() {
                    self.gone = self.gone.max(Some(gone.fetched().ended.min(now)));
                }
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

/// Whether it is to be forgotten when somebody of another name is, or has another one for each service.
fn is_of_others(entry: &Entry) -> bool {
    !entry.service().is_empty()
        || entry.canonical() != entry.user()
        || entry.elsewhere().is_some_and(|other| other.user.as_str() != entry.user())
}

impl Entry {
    /// Whether `whom` says so of one of its names.
    pub(super) fn is_about(&self, whom: impl Fn(&str) -> bool) -> bool {
        whom(self.user())
            || whom(self.canonical())
            || self.elsewhere().is_some_and(|other| whom(other.user.as_str()))
    }
}
