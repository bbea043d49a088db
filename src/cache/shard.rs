//! A part of the table, under one lock.
//!
//! When it is full, a hand goes round over the places of the table, as in the CLOCK algorithm: who was asked for since it
//! came by last stays for another round, the others go. Who is new was not asked for so far, so that names that nobody has,
//! tried one after the other, push out each other and not those in use. The places are in the order of their hashes, which is
//! none.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Counts, clock::Tick, entry::Entry, index::Index, pages::Pages};

/// How many places are looked at, with every entry that is put in, for such as nobody can use any more.
const SWEEP: usize = 2;

/// Entries of some of the names.
///
/// In this order, what a hit looks at and changes stands together with the lock before it, in one line of the processor's
/// memory: each line that the last one to look has changed on another core has to be fetched from there.
#[derive(Default)]
#[repr(C)]
pub(super) struct Shard {
    /// Their numbers, by the hashes of their names.
    index: Index,
    /// Of the counts the one that nearly every look adds to.
    pub(super) hits: u64,
    pages: Pages,
    /// Bytes that entries take beside the table and the pages.
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
    /// The others.
    pub(super) counts: Counts,
}

/// One under its lock. Processors fetch two lines at once: no other one is in them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Locked(Mutex<Shard>);

/// What an entry is found by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sought<'a> {
    pub(super) hash: u64,
    pub(super) user: &'a [u8],
    pub(super) service: &'a [u8],
}

impl Locked {
    pub(super) fn lock(&self) -> MutexGuard<'_, Shard> {
        // A panic in between can have left it with a wrong sum, or with places that nobody finds, at the worst: whoever finds
        // an entry compares names.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sought<'_> {
    fn is(&self, entry: &Entry) -> bool {
        entry.is_of(self.user, self.service)
    }
}

impl Shard {
    pub(super) fn find(&self, sought: Sought<'_>) -> Option<&Entry> {
        let mut found = None;
        self.index.find(sought.hash, |at| {
            found = self.pages.get(at).filter(|entry| sought.is(entry));
            found.is_some()
        });
        found
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
        if size_of::<Entry>() + weight > limit / 2 {
            return self.lose(sought, now, hash);
        }
        match self.number_of(sought) {
            Some(at) => {
                entry.touch();
                self.uncount(at);
                self.pages.replace(at, entry);
                self.count(at);
            }
            None => {
                self.make_room(now, limit, |pages| weight + pages.growth(), &hash, &dead);
                self.insert(sought, entry, limit, &hash);
            }
        }
        for _ in 0..SWEEP {
            self.broom = self.after(self.broom);
            self.clear(self.broom, now, &hash, &dead);
        }
        // Where the index itself has grown, or what is in the place of another is larger.
        self.make_room(now, limit, |_| 0, &hash, &dead);
        // After a flush, or where what is there is larger than the limit, the index itself is too large.
        self.index.shrink(hash_of(&self.pages, &hash));
    }

    /// Takes one out because it is not to be relied on any more.
    pub(super) fn lose(&mut self, sought: Sought<'_>, now: Tick, hash: impl Fn(&Entry) -> u64) {
        if self.remove(sought, hash) {
            // Whoever waited for the lock has looked at the clock before.
            self.gone = self.gone.max(Some(now));
        }
    }

    /// Takes one out as if it had never been there. Whether it was. `hash`: what an entry is found by, since another one
    /// is moved to its place.
    pub(super) fn remove(&mut self, sought: Sought<'_>, hash: impl Fn(&Entry) -> u64) -> bool {
        let known = self.number_of(sought);
        if let Some(at) = known {
            self.index.remove(sought.hash, at);
            self.take_out(at, hash);
        }
        known.is_some()
    }

    /// Forgets those that `whom` says. How many they were.
    pub(super) fn forget(&mut self, whom: impl Fn(&Entry) -> bool, hash: impl Fn(&Entry) -> u64) -> usize {
        let going = self.pages.iter().filter(|(_, entry)| whom(entry)).map(|(at, entry)| (at, hash(entry)));
        let going: Vec<_> = going.collect();
        // From the end: what is moved to the place of another is none of them then.
        for &(at, name) in going.iter().rev() {
            self.index.remove(name, at);
            self.take_out(at, &hash);
        }
        going.len()
    }

    /// Whether there is any that is not found by the name alone that it is about.
    pub(super) fn has_others(&self) -> bool {
        self.others > 0
    }

    /// What has happened so far.
    pub(super) fn counts(&self) -> Counts {
        Counts { hits: self.hits, ..self.counts }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes of memory that all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.weight + self.pages.bytes() + self.index.bytes()
    }

    /// Has others go until there are as many bytes as `more` says, or until nobody is left.
    fn make_room(
        &mut self,
        now: Tick,
        limit: usize,
        more: impl Fn(&Pages) -> usize,
        hash: impl Fn(&Entry) -> u64,
        dead: impl Fn(&Entry) -> bool,
    ) {
        // Twice round at the most: the first round takes the marks away.
        let mut steps = 2 * self.index.places();
        while self.bytes() + more(&self.pages) > limit && steps > 0 && self.index.len() > 0 {
            self.hand = self.after(self.hand);
            let goes = self.clear(self.hand, now, &hash, |entry| dead(entry) || !entry.was_used());
            self.counts.evicted += u64::from(goes);
            steps -= 1;
        }
    }

    /// Puts in one whose name is not there.
    fn insert(&mut self, sought: Sought<'_>, entry: Entry, limit: usize, hash: impl Fn(&Entry) -> u64) {
        let Some(at) = self.pages.push(entry, limit) else { return };
        self.count(at);
        self.index.insert(sought.hash, at, hash_of(&self.pages, &hash));
    }

    /// The place after this one, round and round.
    fn after(&self, place: usize) -> usize {
        if place + 1 < self.index.places() { place + 1 } else { 0 }
    }

    /// Takes out what is in a place if `goes` says so. Whether it has.
    fn clear(
        &mut self,
        place: usize,
        now: Tick,
        hash: impl Fn(&Entry) -> u64,
        goes: impl Fn(&Entry) -> bool,
    ) -> bool {
        let Some(at) = self.index.in_place(place) else { return false };
        let Some(entry) = self.pages.get(at).filter(|entry| goes(entry)) else { return false };
        if entry.is_somebody() {
            self.gone = self.gone.max(Some(entry.fetched().ended.min(now)));
        }
        self.index.remove(hash(entry), at);
        self.take_out(at, hash);
        true
    }

    /// Takes out one that is not in the index any more, and lets the index know of the one that is moved to its place.
    fn take_out(&mut self, at: u32, hash: impl Fn(&Entry) -> u64) {
        self.uncount(at);
        if let Some(was) = self.pages.swap_remove(at) {
            self.index.renumber(hash_of(&self.pages, hash)(at), was, at);
        }
    }

    fn number_of(&self, sought: Sought<'_>) -> Option<u32> {
        self.index.find(sought.hash, |at| self.pages.get(at).is_some_and(|entry| sought.is(entry)))
    }

    fn count(&mut self, at: u32) {
        if let Some(entry) = self.pages.get(at) {
            self.weight += entry.weight();
            self.others += usize::from(is_of_others(entry));
        }
    }

    fn uncount(&mut self, at: u32) {
        if let Some(entry) = self.pages.get(at) {
            self.weight -= entry.weight();
            self.others -= usize::from(is_of_others(entry));
        }
    }
}

/// What the entry with a number is found by.
fn hash_of(pages: &Pages, hash: impl Fn(&Entry) -> u64) -> impl Fn(u32) -> u64 {
    move |at| pages.get(at).map_or(0, &hash)
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
