//! The first parts of entries, where the hashes of their names lead.
//!
//! Two to a line of the processor's memory, and beside each a byte of the hash. Who is looked for is in the line that the
//! hash leads to, or, where that was full when they came, in one of the next; the line knows how many have gone on from
//! it. Where a table is at its fullest, nine of ten are in the first two. So that among a million, where each line is one that
//! has to be waited for, finding somebody takes hardly more than one of them, and these two can be sent for as soon as the name
//! is known (`fetch`).

use std::mem;

use super::{entry::Front, pages::Pages};

/// How many are in a line.
const SLOTS: usize = 2;

/// When of so many places this many are in use, there are more lines.
const FULL: (usize, usize) = (5, 4);

/// First parts by hashes. Several may have one hash.
#[derive(Default)]
#[repr(C)]
pub(super) struct Table {
    lines: Pages<Line>,
    len: usize,
}

#[derive(Default)]
#[repr(C, align(64))]
struct Line {
    /// How many of those that the hash leads here, or before, are behind it because it was full. At the most that can be
    /// told it stays until there are more lines: they are looked for behind it then, whether there are any or not.
    passed: u16,
    /// A byte of the hash of each; zero: the slot is free.
    tags: [u8; SLOTS],
    fronts: [Front; SLOTS],
}

impl Table {
    /// The place of the one with this hash of whom `is` says that it is the one.
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(&Front) -> bool) -> Option<usize> {
        let tag = tag(hash);
        let mut at = self.home(hash);
        // Once round, where all lines have been passed.
        for _ in 0..self.lines.len() {
            let line = self.lines.get(at)?;
            let mut slots = line.tags.iter().zip(&line.fronts);
            if let Some(slot) = slots.position(|(known, front)| *known == tag && is(front)) {
                return Some(at * SLOTS + slot);
            }
            if line.passed == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// Has the processor send for the line that a hash leads to and the one after it, and does not wait for them.
    pub(super) fn fetch(&self, hash: u64) {
        let home = self.home(hash);
        self.lines.fetch(home);
        self.lines.fetch(self.after(home));
    }

    /// Puts one in. `limit`: so many bytes may all of it take. `hash_of`: the hash of another that is there, for when it
    /// grows.
    pub(super) fn insert(&mut self, hash: u64, front: Front, limit: usize, hash_of: impl Fn(&Front) -> u64) {
        if self.len * FULL.0 >= self.places() * FULL.1 {
            // In small steps: free places are memory too.
            self.rebuild(self.lines.len() * 9 / 8 + 1, limit, hash_of);
        }
        self.put(hash, front);
    }

    /// Takes the one out that is in a place that its hash was found to lead to. `hash_of`: the hash of another that is
    /// there. Whoever went on because it was full comes back: while some come and others go, they would go on further
    /// and further.
    pub(super) fn remove(&mut self, hash: u64, place: usize, hash_of: impl Fn(&Front) -> u64) {
        let Some(slot) = self.slot_mut(place).filter(|(tag, _)| **tag != 0) else { return };
        (*slot.0, *slot.1) = Default::default();
        self.len -= 1;
        self.leave(self.home(hash), place / SLOTS);
        let mut free = place;
        while let Some(from) = self.gone_on_from(free / SLOTS, &hash_of) {
            let moved = self.slot_mut(from).map(|(tag, front)| (mem::take(tag), mem::take(front)));
            if let (Some(slot), Some(moved)) = (self.slot_mut(free), moved) {
                (*slot.0, *slot.1) = moved;
            }
            self.leave(free / SLOTS, from / SLOTS);
            free = from;
        }
    }

    /// Gives memory back where there is room for many more than are there.
    pub(super) fn shrink(&mut self, limit: usize, hash_of: impl Fn(&Front) -> u64) {
        if self.len * FULL.0 * 8 < self.places() * FULL.1 {
            self.rebuild((self.len * 2 * FULL.0).div_ceil(SLOTS * FULL.1), limit, hash_of);
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

    /// The one in a place.
    pub(super) fn in_place(&self, place: usize) -> Option<&Front> {
        let line = self.lines.get(place / SLOTS)?;
        line.tags.get(place % SLOTS).filter(|&&tag| tag != 0)?;
        line.fronts.get(place % SLOTS)
    }

    /// The same, to be changed.
    pub(super) fn in_place_mut(&mut self, place: usize) -> Option<&mut Front> {
        self.slot_mut(place).filter(|(tag, _)| **tag != 0).map(|(_, front)| front)
    }

    /// Bytes of memory that it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.lines.bytes()
    }

    /// Has so many lines from now on, which are enough for those that are there.
    fn rebuild(&mut self, lines: usize, limit: usize, hash_of: impl Fn(&Front) -> u64) {
        // In pages too: pieces of memory of many sizes, each larger than the one before, would leave holes.
        let mut all = Pages::default();
        for place in 0..self.places() {
            if let Some((tag, front)) = self.slot_mut(place).filter(|(tag, _)| **tag != 0) {
                *tag = 0;
                all.push(mem::take(front), usize::MAX);
            }
        }
        if lines < self.lines.len() {
            self.lines = Pages::default();
        }
        for at in 0..self.lines.len() {
            if let Some(line) = self.lines.get_mut(at) {
                *line = Line::default();
            }
        }
        while self.lines.len() < lines {
            self.lines.push(Line::default(), limit);
        }
        self.len = 0;
        for at in 0..all.len() {
            if let Some(front) = all.get_mut(at).map(mem::take) {
                self.put(hash_of(&front), front);
            }
        }
    }

    /// Puts one in where there is room.
    fn put(&mut self, hash: u64, front: Front) {
        let mut at = self.home(hash);
        while let Some(line) = self.lines.get_mut(at) {
            let mut slots = line.tags.iter_mut().zip(&mut line.fronts);
            if let Some(slot) = slots.find(|(tag, _)| **tag == 0) {
                (*slot.0, *slot.1) = (tag(hash), front);
                self.len += 1;
                return;
            }
            line.passed = line.passed.saturating_add(1);
            at = self.after(at);
        }
    }

    /// The place of somebody who has gone on from a line because it was full.
    fn gone_on_from(&self, line: usize, hash_of: impl Fn(&Front) -> u64) -> Option<usize> {
        let count = self.lines.len();
        let mut at = line;
        for distance in 1..count {
            if self.lines.get(at)?.passed == 0 {
                return None;
            }
            at = self.after(at);
            for place in at * SLOTS..(at + 1) * SLOTS {
                let home = self.in_place(place).map(|front| self.home(hash_of(front)));
                if home.is_some_and(|home| (at + count - home) % count >= distance) {
                    return Some(place);
                }
            }
        }
        None
    }

    /// Somebody who was in the line `to` is no more behind those from `from` on.
    fn leave(&mut self, from: usize, to: usize) {
        let mut at = from;
        while at != to {
            if let Some(line) = self.lines.get_mut(at) {
                line.passed -= u16::from(line.passed < u16::MAX);
            }
            at = self.after(at);
        }
    }

    fn slot_mut(&mut self, place: usize) -> Option<(&mut u8, &mut Front)> {
        let line = self.lines.get_mut(place / SLOTS)?;
        Some((line.tags.get_mut(place % SLOTS)?, line.fronts.get_mut(place % SLOTS)?))
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

/// A byte of a hash that is not zero: of the half that does not lead to the line.
const fn tag(hash: u64) -> u8 {
    let [_, _, _, byte, ..] = hash.to_le_bytes();
    // Two of them are one.
    if byte == 0 { 1 } else { byte }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, hash::BuildHasher as _};

    use proptest::{collection::vec, prelude::*};

    use super::{FULL, Front, Line, SLOTS, Table};

    /// A hash that leads to a certain line of few, with one of a few tags.
    fn hash(home: u64, tag: u64) -> u64 {
        home << 61 | tag << 24
    }

    fn numbered(number: usize) -> Front {
        let mut front = Front::default();
        front.renumber(number);
        front
    }

    fn found(table: &Table, hash: u64, number: usize) -> bool {
        let place = table.find(hash, |front| front.number() == number);
        place.and_then(|place| table.in_place(place)).is_some_and(|front| front.number() == number)
    }

    fn remove(table: &mut Table, hash: u64, number: usize, hash_of: impl Fn(&Front) -> u64) -> bool {
        let place = table.find(hash, |front| front.number() == number);
        if let Some(place) = place {
            table.remove(hash, place, hash_of);
        }
        place.is_some()
    }

    fn numbers(table: &Table) -> Vec<usize> {
        let all = (0..table.places()).filter_map(|place| table.in_place(place));
        let mut all: Vec<_> = all.map(Front::number).collect();
        all.sort_unstable();
        all
    }

    fn passed(table: &Table) -> impl Iterator<Item = u16> {
        (0..table.lines.len()).map(|at| table.lines.get(at).unwrap().passed)
    }

    #[test]
    fn a_line_of_slots_is_a_line_of_memory() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
        let mut empty = Table::default();
        assert_eq!(empty.find(0, |_| true), None);
        empty.fetch(0);
        empty.remove(0, 0, |_| 0);
        assert_eq!(empty.len(), 0);
    }

    #[test]
    fn all_are_asked_for_that_have_the_same_bits_and_no_others() {
        let mut table = Table::default();
        let hashes: HashMap<_, _> =
            (0..3).map(|number| (number, hash(3, 7))).chain([(3, hash(3, 8))]).collect();
        for (&number, &hash) in &hashes {
            table.insert(hash, numbered(number), usize::MAX, |front| hashes[&front.number()]);
        }
        let mut asked = Vec::new();
        assert_eq!(
            table.find(hash(3, 7), |front| {
                asked.push(front.number());
                false
            }),
            None
        );
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2]);
        assert_eq!(table.find(hash(3, 9), |_| true), None);
    }

    #[test]
    fn it_is_never_fuller_than_it_may_be_and_gives_back_what_it_does_not_need() {
        let mut table = Table::default();
        let of = |number: usize| (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash_of = |front: &Front| of(front.number());
        for number in 0..10_000 {
            table.insert(of(number), numbered(number), usize::MAX, hash_of);
            assert!(table.len() * FULL.0 <= table.places() * FULL.1 + FULL.0);
        }
        assert!((0..10_000).all(|number| found(&table, of(number), number)));
        assert!(table.bytes() <= 10_000 * 50, "{}", table.bytes());
        for number in 100..10_000 {
            assert!(remove(&mut table, of(number), number, hash_of));
        }
        table.shrink(usize::MAX, hash_of);
        assert!(table.bytes() < 9000, "{}", table.bytes());
        assert!((0..100).all(|number| found(&table, of(number), number)));
        assert_eq!(numbers(&table), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn behind_a_line_that_too_many_have_passed_everybody_is_still_found() {
        let mut table = Table::default();
        let of = |number: usize| hash(u64::from(number < 70_000) * 3, (number % 200) as u64 + 1);
        for number in [0, 70_000, 1, 2, 3] {
            table.insert(of(number), numbered(number), usize::MAX, |front| of(front.number()));
        }
        for at in 0..table.lines.len() {
            table.lines.get_mut(at).unwrap().passed = u16::MAX;
        }
        for number in 4..40 {
            // Without growing, which would count anew.
            if table.len() == table.places() {
                break;
            }
            table.put(of(number), numbered(number));
            assert!(found(&table, of(number), number) && found(&table, of(70_000), 70_000));
        }
        assert!(remove(&mut table, of(3), 3, |front| of(front.number())) && found(&table, of(2), 2));
        assert!(passed(&table).all(|passed| passed == u16::MAX));
    }

    /// How many lines are looked through for those with these numbers, one with another.
    fn looked_through(table: &Table, of: impl Fn(usize) -> u64, numbers: std::ops::Range<usize>) -> f64 {
        let (all, count) = (table.lines.len(), numbers.len());
        let lines = numbers.map(|number| {
            let place = table.find(of(number), |front| front.number() == number).unwrap();
            1 + (place / SLOTS + all - table.home(of(number))) % all
        });
        lines.sum::<usize>() as f64 / count as f64
    }

    #[test]
    fn while_some_come_and_others_go_they_do_not_go_on_further() {
        let hasher = std::hash::RandomState::new();
        let of = |number: usize| hasher.hash_one(number);
        let hash_of = |front: &Front| of(front.number());
        let (mut table, count) = (Table::default(), 4000);
        for number in 0..count {
            table.insert(of(number), numbered(number), usize::MAX, hash_of);
        }
        let first = looked_through(&table, of, 0..count);
        for number in 0..10 * count {
            assert!(remove(&mut table, of(number), number, hash_of));
            table.insert(of(number + count), numbered(number + count), usize::MAX, hash_of);
        }
        let last = looked_through(&table, of, 10 * count..11 * count);
        assert!(first < 2.2 && last < first * 1.2, "{first} lines, and then {last}");
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
            let (mut table, mut next) = (Table::default(), 0);
            let mut there: Vec<(usize, u64)> = Vec::new();
            for step in steps {
                let known: HashMap<_, _> = there.iter().copied().collect();
                let of = |front: &Front| known[&front.number()];
                match step {
                    Step::Insert(home, tag) => {
                        table.insert(hash(home, tag), numbered(next), 3000, of);
                        there.push((next, hash(home, tag)));
                        next += 1;
                    }
                    Step::Remove(_) | Step::Renumber(_) if there.is_empty() => {}
                    Step::Remove(at) => {
                        let (number, hash) = there.swap_remove(at % there.len());
                        prop_assert!(remove(&mut table, hash, number, of));
                        prop_assert!(!remove(&mut table, hash, number, of));
                    }
                    Step::Renumber(at) => {
                        let at = at % there.len();
                        let (number, hash) = there[at];
                        let place = table.find(hash, |front| front.number() == number).unwrap();
                        table.in_place_mut(place).unwrap().renumber(next);
                        there[at].0 = next;
                        next += 1;
                    }
                    Step::Shrink => table.shrink(3000, of),
                }
                prop_assert_eq!(table.len(), there.len());
                prop_assert!(there.iter().all(|&(number, hash)| found(&table, hash, number)));
            }
            let mut expected: Vec<_> = there.iter().map(|&(number, _)| number).collect();
            expected.sort_unstable();
            prop_assert_eq!(numbers(&table), expected);
            // Nobody is looked for behind a line any more when nobody is there.
            let known: HashMap<_, _> = there.iter().copied().collect();
            for (number, hash) in there {
                prop_assert!(remove(&mut table, hash, number, |front| known[&front.number()]));
            }
            prop_assert!(passed(&table).all(|passed| passed == 0));
        }
    }
}
