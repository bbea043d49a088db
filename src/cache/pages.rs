//! Lists that grow without anything in them moving: in pages of many.
//!
//! Entries in an allocation of their own each would share the memory with all that requests need for a moment. Of what is
//! given back in such a mixture much is of no use: pieces that were cut once fit nothing any more, and while entries came
//! and went, the process came to hold a third more than they took. What moves when it grows leaves holes too, the larger
//! the longer it has grown. Pages are taken as a list fills, and from then on nothing is taken and nothing given back,
//! whoever comes and goes.

use std::mem;

use prefetch_index::prefetch_index;

/// A list has room for so many pages at least, of which two may be vacant.
const PAGES: usize = 6;

/// A page is below 128 KiB, which the C library gives back to the kernel and takes from there one by one.
const LARGEST: usize = 127 << 10;

/// A list in pages. Each has room for two to the power of `bits`.
#[repr(C)]
pub(super) struct Pages<T> {
    /// All but the last two are full.
    pages: Vec<Vec<T>>,
    bits: u32,
    len: usize,
    /// How many places have been in use. The kernel gives memory to others only when it is written to.
    used: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), bits: 0, len: 0, used: 0 }
    }
}

impl<T> Pages<T> {
    /// The one with this number.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&T> {
        let (page, place) = self.split(at);
        self.pages.get(page)?.get(place)
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let (page, place) = self.split(at);
        self.pages.get_mut(page)?.get_mut(place)
    }

    /// Has the processor send for the beginning of one, and does not wait for it.
    #[inline]
    pub(super) fn fetch(&self, at: usize) {
        let (page, place) = self.split(at);
        if let Some(page) = self.pages.get(page) {
            prefetch_index(page, place);
        }
    }

    /// How many there are: their numbers are all below this.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Puts one behind the last. `limit`: so many bytes may all of them take.
    pub(super) fn push(&mut self, value: T, limit: usize) {
        if self.pages.is_empty() {
            let most = (limit / PAGES).min(LARGEST) / size_of::<T>();
            self.bits = most.checked_ilog2().unwrap_or(0);
        }
        if self.len == self.places() {
            self.pages.push(Vec::with_capacity(1 << self.bits));
        }
        let (page, _) = self.split(self.len);
        if let Some(page) = self.pages.get_mut(page) {
            page.push(value);
            self.len += 1;
            self.used = self.used.max(self.len);
        }
    }

    /// Takes one out, and puts the last one in its place. The number that this one had, if it is another one.
    pub(super) fn swap_remove(&mut self, at: usize) -> Option<usize> {
        let last = self.len.checked_sub(1)?;
        let ((page, place), (last_page, last_place)) = (self.split(at), self.split(last));
        // Swapped, and dropped where it is then: moved out it would leave a copy that is not wiped.
        match self.pages.get_disjoint_mut([page, last_page]) {
            Ok([one, other]) => mem::swap(one.get_mut(place)?, other.get_mut(last_place)?),
            Err(_) => self.pages.get_mut(page)?.swap(place, last_place),
        }
        self.pages.get_mut(last_page)?.truncate(last_place);
        self.len = last;
        // One is kept for the next: who is at the border between two would take it and give it back all the time.
        if self.len == 0 {
            *self = Self::default();
        } else if self.places() - self.len >= 2 << self.bits {
            self.pages.pop();
            self.used = self.used.min(self.places());
        }
        (at != last).then_some(last)
    }

    /// Bytes of memory that all of it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.used * size_of::<T>() + self.pages.capacity() * size_of::<Vec<T>>()
    }

    /// Bytes of memory that one more takes.
    pub(super) const fn growth(&self) -> usize {
        if self.len == self.used { size_of::<T>() } else { 0 }
    }

    const fn places(&self) -> usize {
        self.pages.len() << self.bits
    }

    /// In which page it is, and where.
    const fn split(&self, at: usize) -> (usize, usize) {
        (at >> self.bits, at & ((1 << self.bits) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, PAGES, Pages};

    type Item = [usize; 13];

    fn item(number: usize) -> Item {
        [number; 13]
    }

    fn all(pages: &Pages<Item>) -> Vec<usize> {
        (0..pages.len()).map(|at| pages.get(at).unwrap()[0]).collect()
    }

    #[test]
    fn numbers_lead_to_who_was_put_there_and_the_last_fills_a_gap() {
        // Pages of one, of a few, and of as many as can be.
        for (limit, bits) in [(0, 0), (10_000, 4), (usize::MAX, 10)] {
            let (mut pages, mut known) = (Pages::default(), Vec::new());
            for number in 0..3000 {
                pages.push(item(number), limit);
                known.push(number);
            }
            assert_eq!((pages.bits, all(&pages) == known), (bits, true));
            assert!(pages.get(3000).is_none() && pages.get(usize::MAX).is_none());
            pages.fetch(2999);
            pages.fetch(usize::MAX);
            for step in (0..known.len()).rev() {
                let gap = step * 7 % known.len();
                let last = known.len() - 1;
                known.swap_remove(gap);
                assert_eq!(pages.swap_remove(gap), (gap != last).then_some(last), "{step} of {limit}");
                if step.is_multiple_of(100) {
                    assert_eq!(all(&pages), known, "{step} of {limit}");
                }
            }
            assert_eq!((pages.swap_remove(0), pages.bytes()), (None, 0), "all is given back");
        }
    }

    #[test]
    fn a_page_is_taken_from_the_heap() {
        assert!(size_of::<Item>() << 10 <= LARGEST && LARGEST < 128 << 10);
    }

    #[test]
    fn what_it_takes_is_what_was_in_use_until_pages_are_given_back() {
        let (mut pages, limit) = (Pages::default(), 64 * PAGES * size_of::<Item>());
        let mut growth = 0;
        for number in 0..640 {
            growth += pages.growth();
            pages.push(item(number), limit);
        }
        assert_eq!((pages.bits, growth, pages.used), (6, 640 * size_of::<Item>(), 640));
        assert!(pages.bytes() >= growth && pages.bytes() < growth + 1000);
        for _ in 0..64 {
            pages.swap_remove(0);
        }
        assert_eq!((pages.growth(), pages.used, pages.pages.len()), (0, 640, 10));
        for _ in 0..64 {
            pages.swap_remove(0);
        }
        assert_eq!((pages.growth(), pages.used, pages.pages.len()), (0, 576, 9));
    }
}
