//! Where the entries of a part lie: one behind the other, in pages of many.
//!
//! Each in an allocation of its own would share the memory with all that requests need for a moment. Of what is given back
//! in such a mixture much is of no use: pieces that were cut once fit nothing any more, and while entries came and went,
//! the process came to hold a third more than they took. Pages are taken as a part fills, and from then on nothing is
//! taken and nothing given back, whoever comes and goes.

use std::mem;

use super::entry::Entry;

/// A part has room for so many pages at least, of which two may be vacant.
const PAGES: usize = 6;

/// A page has up to so many entries: below 128 KiB, which the C library gives back to the kernel and takes from there one
/// by one.
const LARGEST: usize = 1000;

/// So many bits of a number are for the place in the page.
const PLACE: u32 = LARGEST.next_power_of_two().trailing_zeros();

/// An entry where it lies: it begins with a line of the processor's memory.
#[repr(align(64))]
struct Lying(Entry);

/// Entries by their number: the page, and the place in it.
#[derive(Default)]
#[repr(C)]
pub(super) struct Pages {
    /// All but the last two are full.
    pages: Vec<Vec<Lying>>,
    /// How many entries are in a full page.
    size: usize,
    len: usize,
    /// How many places have been in use. The kernel gives memory to others only when it is written to.
    used: usize,
}

impl Pages {
    /// The entry with this number.
    pub(super) fn get(&self, at: u32) -> Option<&Entry> {
        let (page, place) = split(at);
        self.pages.get(page)?.get(place).map(|lying| &lying.0)
    }

    /// Puts one behind the last. `limit`: so many bytes may all of them take. Its number; `None`: there are too many.
    pub(super) fn push(&mut self, entry: Entry, limit: usize) -> Option<u32> {
        if self.pages.is_empty() {
            self.size = (limit / PAGES / size_of::<Lying>()).clamp(1, LARGEST);
        }
        let at = self.number(self.len)?;
        if self.len == self.places() {
            self.pages.push(Vec::with_capacity(self.size));
        }
        let (page, _) = split(at);
        self.pages.get_mut(page)?.push(Lying(entry));
        self.len += 1;
        self.used = self.used.max(self.len);
        Some(at)
    }

    /// Puts another one in the place of one.
    pub(super) fn replace(&mut self, at: u32, entry: Entry) {
        let (page, place) = split(at);
        if let Some(place) = self.pages.get_mut(page).and_then(|page| page.get_mut(place)) {
            place.0 = entry;
        }
    }

    /// Takes one out, and puts the last one in its place. The number that this one had, if it is another one.
    pub(super) fn swap_remove(&mut self, at: u32) -> Option<u32> {
        let last = self.number(self.len.checked_sub(1)?)?;
        let (page, place) = split(at);
        let (last_page, last_place) = split(last);
        // Swapped, and dropped where it is then: moved out it would leave a copy that is not wiped.
        match self.pages.get_disjoint_mut([page, last_page]) {
            Ok([one, other]) => mem::swap(one.get_mut(place)?, other.get_mut(last_place)?),
            Err(_) => self.pages.get_mut(page)?.swap(place, last_place),
        }
        self.pages.get_mut(last_page)?.truncate(last_place);
        self.len -= 1;
        // One is kept for the next: who is at the border between two would take it and give it back all the time.
        if self.len == 0 {
            *self = Self::default();
        } else if self.places() - self.len >= 2 * self.size {
            self.pages.pop();
            self.used = self.used.min(self.places());
        }
        (at != last).then_some(last)
    }

    /// Bytes of memory that all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.used * size_of::<Lying>() + self.pages.capacity() * size_of::<Vec<Lying>>()
    }

    /// Bytes of memory that one more takes.
    pub(super) fn growth(&self) -> usize {
        if self.len == self.used { size_of::<Lying>() } else { 0 }
    }

    /// All of them, with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..self.len).filter_map(|index| self.number(index)).filter_map(|at| Some((at, self.get(at)?)))
    }

    fn places(&self) -> usize {
        self.pages.len() * self.size
    }

    /// The number of the one that so many others are before.
    fn number(&self, index: usize) -> Option<u32> {
        let (page, place) = (index.checked_div(self.size)?, index % self.size);
        u32::try_from(page << PLACE | place).ok()
    }
}

/// In which page it is, and where.
const fn split(at: u32) -> (usize, usize) {
    ((at >> PLACE) as usize, (at & ((1 << PLACE) - 1)) as usize)
}

#[cfg(test)]
mod tests {
    use super::{Entry, LARGEST, Lying, PAGES, Pages};
    use crate::cache::{
        Tick,
        entry::{Draft, Proof, Span},
    };

    fn named(user: &str) -> Entry {
        let fetched = Span { begun: Tick::new(0), ended: Tick::new(0) };
        let draft = Draft {
            user,
            service: "",
            found: None,
            unsettled: false,
            fetched,
            proof: Proof::After(Tick::new(0), None),
            fingerprint: None,
            app_passwords: Vec::new(),
            wrong: Vec::new(),
        };
        draft.pack().unwrap()
    }

    fn users(pages: &Pages) -> Vec<(u32, String)> {
        pages.iter().map(|(at, entry)| (at, entry.user().to_owned())).collect()
    }

    #[test]
    fn numbers_lead_to_who_was_put_there_and_the_last_fills_a_gap() {
        // Pages of one, of a few, and of as many as can be.
        for (limit, expected) in [(0, 1), (10_000, 13), (usize::MAX, LARGEST)] {
            let (mut pages, mut known) = (Pages::default(), Vec::new());
            for number in 0..3000_u32 {
                let user = format!("user{number}");
                known.push((pages.push(named(&user), limit).unwrap(), user));
            }
            assert_eq!(pages.size, expected);
            for step in (0..known.len()).rev() {
                let gap = step * 7 % known.len();
                let last = known.pop().unwrap();
                let moved = pages.swap_remove(known.get(gap).map_or(last.0, |gap| gap.0));
                assert_eq!(moved, (gap < known.len()).then_some(last.0), "{step} of {limit}");
                if let Some(place) = known.get_mut(gap) {
                    place.1 = last.1;
                }
                if step.is_multiple_of(100) {
                    assert_eq!(users(&pages), known, "{step} of {limit}");
                }
            }
            assert_eq!((pages.swap_remove(0), pages.bytes()), (None, 0), "all is given back");
        }
    }

    #[test]
    fn what_it_takes_is_what_was_in_use_until_pages_are_given_back() {
        let (mut pages, limit) = (Pages::default(), 64 * PAGES * size_of::<Lying>());
        let mut growth = 0;
        let entries = |pages: &Pages| pages.used;
        for number in 0..640 {
            growth += pages.growth();
            pages.push(named(&format!("user{number}")), limit).unwrap();
        }
        assert_eq!((pages.size, growth, entries(&pages)), (64, 640 * size_of::<Lying>(), 640));
        assert!(pages.bytes() >= growth && pages.bytes() < growth + 1000);
        for _ in 0..64 {
            pages.swap_remove(0);
        }
        assert_eq!((pages.growth(), entries(&pages), pages.pages.len()), (0, 640, 10));
        for _ in 0..64 {
            pages.swap_remove(0);
        }
        assert_eq!((pages.growth(), entries(&pages), pages.pages.len()), (0, 576, 9));
    }
}
