//! Answers by the digest of their question, in a bounded room.
//!
//! For what is known of tokens, which is simpler than what is known of names: an answer is whole, and the next one takes its
//! place. The table is in parts, each under its own lock, which is held for a look or a change and never while
//! somebody waits. When a part is full, those go that were not asked for since they came or since they were looked at
//! last (CLOCK): who tries many tokens, one after the other, pushes out their own tries and not what is in use.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::digest::Digest;

/// How many parts there are.
const PARTS: usize = 16;

/// What the place of an answer takes beside it: its key twice, its weight, and the room that tables keep free.
const PLACE: usize = 128;

/// Answers, each with the memory that it takes.
#[derive(Debug)]
pub struct Bounded<V> {
    parts: [Mutex<Part<V>>; PARTS],
    /// Bytes for each part.
    room: usize,
}

#[derive(Debug)]
struct Part<V> {
    places: HashMap<[u8; 16], Place<V>>,
    /// In the order in which they are looked at when room is needed; each once.
    round: VecDeque<[u8; 16]>,
    weight: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Place<V> {
    value: V,
    weight: usize,
    used: bool,
}

/// How full it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// Answers.
    pub entries: usize,
    /// Bytes of memory that they take.
    pub bytes: usize,
    /// Answers that had to make room.
    pub evicted: u64,
}

impl<V: Clone> Bounded<V> {
    /// An empty one for so many bytes.
    pub fn new(room: usize) -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()), room: room / PARTS }
    }

    /// The answer to a question.
    pub fn find(&self, digest: &Digest) -> Option<V> {
        let mut part = self.part(digest);
        let place = part.places.get_mut(&digest.bytes())?;
        place.used = true;
        Some(place.value.clone())
    }

    /// Puts an answer in. `make` is given the one that is there, under the lock, and says what takes its place and how
    /// many bytes that takes; `None`: it stays as it is.
    pub fn put(&self, digest: &Digest, make: impl FnOnce(Option<&V>) -> Option<(V, usize)>) {
        let mut part = self.part(digest);
        let key = digest.bytes();
        let Some((value, weight)) = make(part.places.get(&key).map(|place| &place.value)) else { return };
        let weight = weight + PLACE;
        let (known, used) = part.take_out(&key);
        // What has more than a quarter of the room to itself would push out too much.
        if weight > self.room / 4 {
            part.round.retain(|other| *other != key);
            return;
        }
        let passed = part.make_room(self.room - weight, &key);
        if passed || !known {
            part.round.push_back(key);
        }
        part.weight += weight;
        part.places.insert(key, Place { value, weight, used });
    }

    /// Forgets the answer to a question.
    pub fn remove(&self, digest: &Digest) {
        let mut part = self.part(digest);
        let key = digest.bytes();
        if part.take_out(&key).0 {
            part.round.retain(|other| *other != key);
        }
    }

    /// Forgets those of which `goes` says so; how many that were.
    pub fn forget(&self, mut goes: impl FnMut(&V) -> bool) -> usize {
        self.parts.iter().map(|part| lock(part).forget(&mut goes)).sum()
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        let mut fill = Fill::default();
        for part in &self.parts {
            let part = lock(part);
            fill.entries += part.places.len();
            fill.bytes += part.weight;
            fill.evicted += part.evicted;
        }
        fill
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is less than the number of parts")]
    fn part(&self, digest: &Digest) -> MutexGuard<'_, Part<V>> {
        let [first, ..] = digest.bytes();
        lock(&self.parts[usize::from(first) % PARTS])
    }
}

impl<V> Part<V> {
    /// Takes out the answer to a question, and leaves it its place in the round. Whether it was there, and in use.
    fn take_out(&mut self, key: &[u8; 16]) -> (bool, bool) {
        let Some(place) = self.places.remove(key) else { return (false, false) };
        self.weight -= place.weight;
        (true, place.used)
    }

    /// Has those go that nobody asks for, until no more than `limit` bytes are left. Whether it has come by the one that
    /// is being put in, which has no place in the round then.
    fn make_room(&mut self, limit: usize, key: &[u8; 16]) -> bool {
        let mut passed = false;
        // Each is looked at twice at most: whoever is spared is not any more when it comes round again.
        while self.weight > limit {
            let Some(next) = self.round.pop_front() else { break };
            match self.places.get_mut(&next) {
                Some(place) if place.used => {
                    place.used = false;
                    self.round.push_back(next);
                }
                Some(_) => {
                    self.take_out(&next);
                    self.evicted += 1;
                }
                None => passed |= next == *key,
            }
        }
        passed
    }

    fn forget(&mut self, goes: &mut impl FnMut(&V) -> bool) -> usize {
        let before = self.places.len();
        let weight = &mut self.weight;
        self.places.retain(|_, place| {
            let gone = goes(&place.value);
            if gone {
                *weight -= place.weight;
            }
            !gone
        });
        let places = &self.places;
        self.round.retain(|key| places.contains_key(key));
        before - self.places.len()
    }
}

impl<V> Default for Part<V> {
    fn default() -> Self {
        Self { places: HashMap::new(), round: VecDeque::new(), weight: 0, evicted: 0 }
    }
}

fn lock<V>(part: &Mutex<Part<V>>) -> MutexGuard<'_, Part<V>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::*};

    use super::{Bounded, Digest, PARTS, PLACE};
    use crate::cache::Digester;

    fn put(table: &Bounded<usize>, digest: &Digest, value: usize, weight: usize) {
        table.put(digest, |_| Some((value, weight)));
    }

    #[test]
    fn those_in_use_stay_and_the_others_go() {
        let digester = Digester::new().unwrap();
        let table = Bounded::new(1 << 20);
        let regulars: Vec<Digest> =
            (0..100_u32).map(|number| digester.token(&number.to_le_bytes())).collect();
        for (value, digest) in regulars.iter().enumerate() {
            put(&table, digest, value, 300);
        }
        for round in 0..20_u32 {
            for (value, digest) in regulars.iter().enumerate() {
                assert_eq!(table.find(digest), Some(value), "in round {round}");
            }
            for number in 0..1000_u32 {
                put(&table, &digester.token(format!("{round} {number}").as_bytes()), 0, 300);
            }
            assert!(table.fill().bytes <= 1 << 20);
        }
        let fill = table.fill();
        assert!(fill.evicted > 15_000 && fill.entries > 2000, "{fill:?}");
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_takes_its_older_self_along() {
        let digest = Digester::new().unwrap().token(b"x");
        let table = Bounded::new(PARTS * 4096);
        put(&table, &digest, 1, 100);
        put(&table, &digest, 2, 4096);
        assert_eq!(table.find(&digest), None);
        assert_eq!((table.fill().entries, table.fill().bytes), (0, 0));
        put(&table, &digest, 3, 100);
        assert_eq!((table.find(&digest), table.fill().bytes), (Some(3), 100 + PLACE));
    }

    proptest! {
        /// Nothing is found that was not put in last, and what is counted is what is there.
        #[test]
        fn it_finds_what_was_put_in_last_or_nothing(
            steps in vec((0..40_u8, 0..700_usize, 0..8_u8), 0..200),
        ) {
            let digester = Digester::new().unwrap();
            let table = Bounded::new(PARTS * 3000);
            let mut model = HashMap::new();
            for (at, (name, weight, what)) in steps.into_iter().enumerate() {
                let digest = digester.token(&[name]);
                match what {
                    0 => {
                        table.forget(|value: &usize| (*value).is_multiple_of(3));
                        model.retain(|_, (value, _): &mut (usize, usize)| !value.is_multiple_of(3));
                    }
                    1..4 => {
                        let found = table.find(&digest);
                        prop_assert!(found.is_none() || found == model.get(&name).map(|(value, _)| *value));
                    }
                    _ => {
                        put(&table, &digest, at, weight);
                        model.insert(name, (at, weight + PLACE));
                    }
                }
                let kept = model.iter().filter(|(name, (value, _))| table.find(&digester.token(&[**name])) == Some(*value));
                let (count, bytes) = kept.fold((0, 0), |(count, bytes), (_, (_, weight))| (count + 1, bytes + weight));
                let fill = table.fill();
                prop_assert_eq!((fill.entries, fill.bytes), (count, bytes));
                for part in &table.parts {
                    let part = part.lock().unwrap();
                    let mut listed: Vec<_> = part.round.iter().collect();
                    listed.sort();
                    let mut kept: Vec<_> = part.places.keys().collect();
                    kept.sort();
                    prop_assert_eq!(listed, kept, "each is looked at once a round");
                    prop_assert!(part.weight <= 3000);
                }
            }
        }
    }
}
