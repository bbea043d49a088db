//! Where an entry is, by the hash of its name.
//!
//! Twelve numbers to a line of the processor's memory, and beside each a byte of the hash. Who is looked for is in the line
//! that the hash leads to, or, where that was full when they came, in one of the next; the line knows how many have gone on
//! from it. So that among a million, where each line is one that has to be waited for, finding a number takes one of them.
//! A table that keeps bytes of hashes in one array and values in another takes two, one after the other.

use gatepost_protocol::scan::equal;

/// Numbers of a line.
const SLOTS: usize = 12;

/// When so many of the `SLOTS` of a line are in use on the average, there are more lines.
const FULL: usize = 10;

/// Numbers by hashes. Several may have one hash.
#[derive(Default)]
pub(super) struct Index {
    lines: Box<[Line]>,
    len: usize,
}

#[derive(Clone, Default)]
#[repr(C, align(64))]
struct Line {
    /// A byte of the hash of each; zero: the slot is free.
    tags: [u8; SLOTS],
    /// How many of those that the hash leads here, or before, are behind it because it was full.
    passed: u32,
    numbers: [u32; SLOTS],
}

impl Index {
    /// The number with this hash of which `is` says that it is the one.
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        self.walk(hash, |_, line| line.with(tag).find(|&number| is(number)))
    }

    /// Puts one in. `hash_of`: the hash of another that is there, for when it grows. The number is not there yet.
    pub(super) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if self.len >= self.lines.len() * FULL {
            self.rebuild(self.lines.len() * 3 / 2 + 1, hash_of);
        }
        self.put(hash, number);
    }

    /// Takes one out. Whether it was there.
    pub(super) fn remove(&mut self, hash: u64, number: u32) -> bool {
        let Some(place) = self.place_of(hash, number) else { return false };
        let last = place / SLOTS;
        let mut at = self.home(hash);
        while at != last {
            let next = self.after(at);
            if let Some(line) = self.lines.get_mut(at) {
                line.passed -= 1;
            }
            at = next;
        }
        if let Some(tag) = self.lines.get_mut(last).and_then(|line| line.tags.get_mut(place % SLOTS)) {
            *tag = 0;
        }
        self.len -= 1;
        true
    }

    /// Gives one another number.
    pub(super) fn renumber(&mut self, hash: u64, from: u32, to: u32) {
        let Some(place) = self.place_of(hash, from) else { return };
        if let Some(number) =
            self.lines.get_mut(place / SLOTS).and_then(|line| line.numbers.get_mut(place % SLOTS))
        {
            *number = to;
        }
    }

    /// Gives memory back where there is room for many more than are there.
    pub(super) fn shrink(&mut self, hash_of: impl Fn(u32) -> u64) {
        if self.len * 8 < self.lines.len() * FULL {
            self.rebuild((self.len * 2).div_ceil(FULL), hash_of);
        }
    }

    /// How many are there.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many places there are, free ones included.
    pub(super) const fn places(&self) -> usize {
        self.lines.len() * SLOTS
    }

    /// The number in a place.
    pub(super) fn in_place(&self, place: usize) -> Option<u32> {
        self.lines.get(place / SLOTS)?.get(place % SLOTS)
    }

    /// Bytes of memory that it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }

    /// Has so many lines from now on, which are enough for those that are there.
    fn rebuild(&mut self, lines: usize, hash_of: impl Fn(u32) -> u64) {
        let others = Self { lines: vec![Line::default(); lines].into(), len: 0 };
        let before = std::mem::replace(self, others);
        for number in (0..before.places()).filter_map(|place| before.in_place(place)) {
            self.put(hash_of(number), number);
        }
    }

    /// Puts one in where there is room.
    fn put(&mut self, hash: u64, number: u32) {
        let mut at = self.home(hash);
        while let Some(line) = self.lines.get_mut(at) {
            if line.put(tag(hash), number) {
                self.len += 1;
                return;
            }
            line.passed += 1;
            at = self.after(at);
        }
    }

    fn place_of(&self, hash: u64, number: u32) -> Option<usize> {
        let slot = |line: &Line| (0..SLOTS).find(|&slot| line.get(slot) == Some(number));
        self.walk(hash, |at, line| Some(at * SLOTS + slot(line)?))
    }

    /// What `seek` finds in the line that a hash leads to, or in those to which some have gone on from it.
    #[inline]
    fn walk<T>(&self, hash: u64, mut seek: impl FnMut(usize, &Line) -> Option<T>) -> Option<T> {
        let mut at = self.home(hash);
        // Once round, where all lines have been passed.
        for _ in 0..self.lines.len() {
            let line = self.lines.get(at)?;
            let found = seek(at, line);
            if found.is_some() || line.passed == 0 {
                return found;
            }
            at = self.after(at);
        }
        None
    }

    /// The line that a hash leads to: as far on among all of them as the hash is among all hashes.
    fn home(&self, hash: u64) -> usize {
        usize::try_from(((hash >> 32) * self.lines.len() as u64) >> 32).unwrap_or(0)
    }

    /// The line after this one, round and round.
    const fn after(&self, line: usize) -> usize {
        if line + 1 < self.lines.len() { line + 1 } else { 0 }
    }
}

impl Line {
    /// The numbers with this byte of the hash, and now and then another one.
    fn with(&self, tag: u8) -> impl Iterator<Item = u32> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.tags;
        let eight = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let four = u64::from(u32::from_le_bytes([i, j, k, l]));
        // Of each byte the lowest bit for one of the eight, the next for one of the four.
        let mut same = equal(eight, tag) >> 7 | (equal(four, tag) & u64::from(u32::MAX)) >> 6;
        std::iter::from_fn(move || {
            let bit = same.trailing_zeros();
            let number = *self.numbers.get((bit / 8 + bit % 2 * 8) as usize).filter(|_| same != 0)?;
            same &= same - 1;
            Some(number)
        })
    }

    fn get(&self, slot: usize) -> Option<u32> {
        self.tags.get(slot).filter(|&&tag| tag != 0)?;
        self.numbers.get(slot).copied()
    }

    /// Puts one in. Whether there was room.
    fn put(&mut self, tag: u8, number: u32) -> bool {
        let mut slots = self.tags.iter_mut().zip(&mut self.numbers);
        let free = slots.find(|(tag, _)| **tag == 0);
        let found = free.is_some();
        if let Some(slot) = free {
            *slot.0 = tag;
            *slot.1 = number;
        }
        found
    }
}

/// A byte of a hash that is not zero: of the half that does not lead to the line.
const fn tag(hash: u64) -> u8 {
    let [_, _, _, byte, ..] = hash.to_le_bytes();
    // Two of them are one.
    if byte == 0 { 1 } else { byte }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::*};

    use super::{FULL, Index, Line, SLOTS};

    /// A hash that leads to a certain line of few, with one of a few tags.
    fn hash(home: u64, tag: u64) -> u64 {
        home << 61 | tag << 24
    }

    fn found(index: &Index, hash: u64, number: u32) -> bool {
        index.find(hash, |one| one == number) == Some(number)
    }

    #[test]
    fn a_line_of_slots_is_a_line_of_memory() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
        assert_eq!(Index::default().find(0, |_| true), None);
    }

    #[test]
    fn all_are_asked_for_that_have_the_same_bits_and_no_others() {
        let mut index = Index::default();
        let hashes: HashMap<_, _> =
            (0..3).map(|number| (number, hash(3, 7))).chain([(3, hash(3, 8))]).collect();
        for (&number, &hash) in &hashes {
            index.insert(hash, number, |number| hashes[&number]);
        }
        let mut asked = Vec::new();
        assert_eq!(
            index.find(hash(3, 7), |number| {
                asked.push(number);
                false
            }),
            None
        );
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2]);
        assert_eq!(index.find(hash(3, 9), |_| true), None);
        for at in 0..8 {
            index.insert(hash(3, 10), u32::MAX - at, |number| {
                hashes.get(&number).copied().unwrap_or(hash(3, 10))
            });
            assert!(found(&index, hash(3, 10), u32::MAX - at), "in slot {}", at + 4);
        }
    }

    #[test]
    fn it_is_never_fuller_than_it_may_be_and_gives_back_what_it_does_not_need() {
        let mut index = Index::default();
        let of = |number: u32| u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for number in 0..10_000 {
            index.insert(of(number), number, of);
            assert!(index.len() * SLOTS <= index.places() * FULL);
        }
        assert!((0..10_000).all(|number| found(&index, of(number), number)));
        assert!(index.bytes() <= 10_000 * 10, "{}", index.bytes());
        for number in 100..10_000 {
            assert!(index.remove(of(number), number));
        }
        index.shrink(of);
        assert!(index.bytes() < 2000, "{}", index.bytes());
        assert!((0..100).all(|number| found(&index, of(number), number)));
        assert_eq!((0..index.places()).filter_map(|place| index.in_place(place)).count(), 100);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64, u64),
        Remove(usize),
        Renumber(usize),
        Shrink,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..8_u64, 0..4_u64).prop_map(|(home, tag)| Step::Insert(home, tag)),
            5 => any::<usize>().prop_map(Step::Remove),
            1 => any::<usize>().prop_map(Step::Renumber),
            1 => Just(Step::Shrink),
        ];
        vec(step, 0..400)
    }

    proptest! {
        /// Many that are led to the same few lines, so that they go on to others, round the end as well.
        #[test]
        fn what_is_there_is_found_and_nothing_else(steps in steps()) {
            let (mut index, mut next) = (Index::default(), 0_u32);
            let mut there: Vec<(u32, u64)> = Vec::new();
            for step in steps {
                let known: HashMap<_, _> = there.iter().copied().collect();
                let of = |number: u32| known[&number];
                match step {
                    Step::Insert(home, tag) => {
                        index.insert(hash(home, tag), next, of);
                        there.push((next, hash(home, tag)));
                        next += 1;
                    }
                    Step::Remove(_) | Step::Renumber(_) if there.is_empty() => {}
                    Step::Remove(at) => {
                        let (number, hash) = there.swap_remove(at % there.len());
                        prop_assert!(index.remove(hash, number));
                        prop_assert!(!index.remove(hash, number));
                    }
                    Step::Renumber(at) => {
                        let at = at % there.len();
                        index.renumber(there[at].1, there[at].0, next);
                        there[at].0 = next;
                        next += 1;
                    }
                    Step::Shrink => index.shrink(of),
                }
                prop_assert_eq!(index.len(), there.len());
                prop_assert!(there.iter().all(|&(number, hash)| found(&index, hash, number)));
            }
            let mut all: Vec<_> = (0..index.places()).filter_map(|place| index.in_place(place)).collect();
            all.sort_unstable();
            let mut expected: Vec<_> = there.iter().map(|&(number, _)| number).collect();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
            // Nobody is looked for behind a line any more when nobody is there.
            for (number, hash) in there {
                prop_assert!(index.remove(hash, number));
            }
            prop_assert!(index.lines.iter().all(|line| line.passed == 0));
        }
    }
}
