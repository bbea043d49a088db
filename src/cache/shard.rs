//! A part of the table, under one lock.
//!
//! When it is full, a hand goes round over the places of the table, as in the CLOCK algorithm: who was asked for since it
//! came by last stays for another round, the others go. Who is new was not asked for so far, so that names that nobody has,
//! tried one after the other, push out each other and not those in use. The places are in the order of their hashes, which is
//! none.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    Counts,
    clock::Tick,
    digest::Digest,
    entry::{Back, Entry, EntryBuf, Front},
    pages::Pages,
    table::Table,
};

/// How many places are looked at, with every entry that is put in, for such as nobody can use any more.
const SWEEP: usize = 2;

/// Entries of some of the names.
///
/// In this order, what a hit looks at and changes stands together with the lock before it, in one line of the processor's
/// memory: each line that the last one to look has changed on another core has to be fetched from there.
#[derive(Default)]
#[repr(C)]
pub(super) struct Shard {
    /// Of the counts the one that nearly every look adds to.
    pub(super) hits: u64,
    /// What of them a plain login needs, by the hashes of their names.
    table: Table,
    /// The rest of each.
    pages: Pages<Back>,
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
        // A panic in between can have left it with a wrong sum, with places that nobody finds, or with somebody's first part
        // before another one's second one, at the worst. `find` compares names; `find_by` finds by the first part, and whoever
        // takes more of the entry than that somebody is there asks whether the other one has the name too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Has the processor send for the first part of somebody with this hash, and does not wait for it.
    pub(super) fn fetch(&self, hash: u64) {
        self.table.fetch(hash);
    }

    pub(super) fn find(&self, sought: Sought<'_>) -> Option<Entry<'_>> {
        self.entry(self.place_of(sought)?)
    }

    /// The same where somebody is asked about with a password, of which and of their name this is a digest: whose password it
    /// is found to be has the name.
    pub(super) fn find_by(&self, sought: Sought<'_>, digest: &Digest) -> Option<Entry<'_>> {
        let known = |front: &Front| sought.service.is_empty() && front.proves(digest);
        self.entry(self.table.find(sought.hash, |front| known(front) || self.is(front, sought))?)
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
        entry: EntryBuf,
        now: Tick,
        limit: usize,
        hash: impl Fn(&Back) -> u64,
        dead: impl Fn(Entry<'_>) -> bool,
    ) {
        let weight = entry.back.weight();
        if size_of::<EntryBuf>() + weight > limit / 4 {
            return self.lose(sought, now, hash);
        }
        match self.place_of(sought) {
            Some(place) => {
                entry.front.touch();
                self.replace(place, entry);
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
        // Where the table itself has grown, or what is in the place of another is larger.
        self.make_room(now, limit, |_| 0, &hash, &dead);
        // After a flush, or where what is there is larger than the limit, the table itself is too large.
        self.table.shrink(limit, hash_of(&self.pages, &hash));
    }

    /// Takes one out because it is not to be relied on any more.
    pub(super) fn lose(&mut self, sought: Sought<'_>, now: Tick, hash: impl Fn(&Back) -> u64) {
        if self.remove(sought, hash) {
            // Whoever waited for the lock has looked at the clock before.
            self.gone = self.gone.max(Some(now));
        }
    }

    /// Takes one out as if it had never been there. Whether it was. `hash`: what an entry is found by, since another one
    /// is moved to its place.
    pub(super) fn remove(&mut self, sought: Sought<'_>, hash: impl Fn(&Back) -> u64) -> bool {
        let known = self.place_of(sought);
        if let Some(place) = known {
            self.take_out(sought.hash, place, hash);
        }
        known.is_some()
    }

    /// Forgets those that `whom` says. How many they were.
    pub(super) fn forget(&mut self, whom: impl Fn(&Back) -> bool, hash: impl Fn(&Back) -> u64) -> usize {
        let all = (0..self.pages.len()).filter_map(|at| Some((at, self.pages.get(at)?)));
        let going: Vec<_> = all.filter(|(_, back)| whom(back)).map(|(at, back)| (at, hash(back))).collect();
        // From the end: what is moved to the place of another is none of them then.
        for &(at, name) in going.iter().rev() {
            if let Some(place) = self.table.find(name, |front| front.number() == at) {
                self.take_out(name, place, &hash);
            }
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
        self.table.len()
    }

    /// Bytes of memory that all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.weight + self.pages.bytes() + self.table.bytes()
    }

    /// Has others go until there are as many bytes as `more` says, or until nobody is left.
    fn make_room(
        &mut self,
        now: Tick,
        limit: usize,
        more: impl Fn(&Pages<Back>) -> usize,
        hash: impl Fn(&Back) -> u64,
        dead: impl Fn(Entry<'_>) -> bool,
    ) {
        // Twice round at the most: the first round takes the marks away.
        let mut steps = 2 * self.table.places();
        while self.bytes() + more(&self.pages) > limit && steps > 0 && self.table.len() > 0 {
            if self.clear(self.hand, now, &hash, |entry| dead(entry) || !entry.was_used()) {
                // Another one may have come to the place.
                self.counts.evicted += 1;
            } else {
                self.hand = self.after(self.hand);
                steps -= 1;
            }
        }
    }

    /// Puts in one whose name is not there.
    fn insert(&mut self, sought: Sought<'_>, entry: EntryBuf, limit: usize, hash: impl Fn(&Back) -> u64) {
        let EntryBuf { mut front, back } = entry;
        let (weight, others) = (back.weight(), is_of_others(&back));
        front.renumber(self.pages.len());
        self.pages.push(back, limit);
        self.count(weight, others);
        self.table.insert(sought.hash, front, limit, hash_of(&self.pages, &hash));
    }

    /// Puts one in the place of one with the same name.
    fn replace(&mut self, place: usize, entry: EntryBuf) {
        let Some(front) = self.table.in_place_mut(place) else { return };
        let at = front.number();
        *front = entry.front;
        front.renumber(at);
        self.uncount(at);
        self.count(entry.back.weight(), is_of_others(&entry.back));
        if let Some(back) = self.pages.get_mut(at) {
            *back = entry.back;
        }
    }

    /// The place after this one, round and round.
    fn after(&self, place: usize) -> usize {
        if place + 1 < self.table.places() { place + 1 } else { 0 }
    }

    /// Takes out what is in a place if `goes` says so. Whether it has.
    fn clear(
        &mut self,
        place: usize,
        now: Tick,
        hash: impl Fn(&Back) -> u64,
        goes: impl Fn(Entry<'_>) -> bool,
    ) -> bool {
        let Some(entry) = self.entry(place).filter(|entry| goes(*entry)) else { return false };
        let name = hash(entry.back());
        let known = entry.is_somebody().then(|| entry.fetched().ended.min(now));
        self.gone = self.gone.max(known);
        self.take_out(name, place, hash);
        true
    }

    /// Takes out the one in a place, with this hash. The second part of another one is moved to where its own was.
    fn take_out(&mut self, name: u64, place: usize, hash: impl Fn(&Back) -> u64) {
        let Some(at) = self.table.in_place(place).map(Front::number) else { return };
        self.table.remove(name, place, hash_of(&self.pages, &hash));
        self.uncount(at);
        let Some(was) = self.pages.swap_remove(at) else { return };
        let moved = self.pages.get(at).map_or(0, hash);
        if let Some(place) = self.table.find(moved, |front| front.number() == was)
            && let Some(front) = self.table.in_place_mut(place)
        {
            front.renumber(at);
        }
    }

    /// The one in a place.
    fn entry(&self, place: usize) -> Option<Entry<'_>> {
        let front = self.table.in_place(place)?;
        Some(Entry::of(front, self.pages.get(front.number())?))
    }

    fn place_of(&self, sought: Sought<'_>) -> Option<usize> {
        self.table.find(sought.hash, |front| self.is(front, sought))
    }

    fn is(&self, front: &Front, sought: Sought<'_>) -> bool {
        self.pages.get(front.number()).is_some_and(|back| back.is_of(sought.user, sought.service))
    }

    fn count(&mut self, weight: usize, others: bool) {
        self.weight += weight;
        self.others += usize::from(others);
    }

    fn uncount(&mut self, at: usize) {
        if let Some(back) = self.pages.get(at) {
            self.weight -= back.weight();
            self.others -= usize::from(is_of_others(back));
        }
    }
}

/// What an entry is found by, of which this is the first part.
fn hash_of(pages: &Pages<Back>, hash: impl Fn(&Back) -> u64) -> impl Fn(&Front) -> u64 {
    move |front| pages.get(front.number()).map_or(0, &hash)
}

/// Whether it is to be forgotten when somebody of another name is, or has another one for each service.
fn is_of_others(back: &Back) -> bool {
    !back.service().is_empty()
        || back.canonical() != back.user()
        || back.elsewhere().is_some_and(|other| other.user.as_str() != back.user())
}

impl Back {
    /// Whether `whom` says so of one of its names.
    pub(super) fn is_about(&self, whom: impl Fn(&str) -> bool) -> bool {
        whom(self.user())
            || whom(self.canonical())
            || self.elsewhere().is_some_and(|other| whom(other.user.as_str()))
    }
}
