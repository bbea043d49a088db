//! What directories have said, kept in memory for a while.
//!
//! An [`Entry`] is about one name. It holds the account, keyed digests of the password that was right last and of some
//! that were wrong, and when each of these was found out; never a password, and never a stored one. What it is good for:
//!
//! - [`Cache::recall`]: somebody with the right password, for `ttl`. That the name is nobody's, and that this very
//!   password is wrong, for `negative_ttl`. Another password than these is not refused from memory: the directory is
//!   asked.
//! - [`Cache::stale`]: the right password for `max_stale` more, where the directory gives no answer.
//! - [`Cache::account`]: where somebody's mail lives, for as long as the password.
//!
//! Times count from when a directory was *asked*, and what is learnt ([`Cache::learn`]) is held against what was
//! learnt in the meantime: of two answers whose questions overlapped nobody can say which is newer, so where they
//! contradict each other neither is kept. A flush ([`Cache::flush`]) voids the answers to all questions that were asked before
//! it, and one of names ([`Cache::forget`]) those that are about these names.
//!
//! The table is in parts (`shard`), each under its own lock, which is held for a look or a change and never while
//! somebody waits. Of a hundred thousand entries with a name of 22 bytes and no fields, each takes 153 bytes, and no more
//! with fields of up to 48. When it was chosen, and took 163, the same with quick_cache took 1.1 times as much, with moka
//! three times; to find one cost 1.25 times what it cost with quick_cache from one thread, as much from two, and less than a
//! third of what it cost with moka. Neither of them knows of times, or of single flight, as they are needed here. Since then
//! the hash table is its own too (`table`): among a million, who knows the password that was right last waits for one line of
//! the processor's memory, which has been on its way since the name was known, and for another one where the account is
//! wanted.

mod bearers;
mod bounded;
mod clock;
mod digest;
mod entry;
mod flight;
mod heard;
mod learn;
mod pages;
mod recall;
mod revoked;
mod shard;
mod table;
mod tally;

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        MutexGuard,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

pub use self::{
    bounded::{Bounded, Fill},
    clock::Tick,
    digest::{Digest, Digester, Fingerprint},
    entry::{Elsewhere, Entry, EntryBuf},
    flight::{Flights, Full},
    learn::{Lesson, Said},
    recall::{Expected, Holder, Recall, Right, Typed},
    revoked::{Logout, Revocations, SESSION as REVOKED_SESSION, Sighting, USER as REVOKED_USER},
    tally::Tally,
};
use self::{
    clock::{Clock, tenths},
    entry::{Back, Span},
    shard::{Locked, Shard, Sought},
};

/// How many parts the table has. Far more than cores, so that two of them seldom want the same one.
const SHARDS: usize = 64;

/// How many places the names have that answers are voided by.
const PLACES: usize = 512;

/// Ticks between two questions ahead of time about the same name, where the first has not helped.
const REFRESH_PAUSE: u32 = 10;

/// How long what is kept. See `[cache]` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a verified password is trusted without asking again; zero: nothing is kept.
    pub ttl: Duration,
    /// How long an unknown user, or one particular wrong password, is remembered.
    pub negative_ttl: Duration,
    /// How long past its `ttl` an entry may still serve while its source is unavailable.
    pub max_stale: Duration,
    /// Bytes of memory for all of it.
    pub max_memory: usize,
}

/// The memory of one engine.
#[derive(Debug)]
pub struct Cache {
    ttl: u32,
    negative_ttl: u32,
    max_stale: u32,
    max_memory: usize,
    clock: Clock,
    digester: Digester,
    hasher: RandomState,
    shards: [Locked; SHARDS],
    /// Counts the flushes.
    epoch: AtomicU64,
    /// Answers to what was asked in an earlier one than this are void.
    all_since: AtomicU64,
    /// The same of names, each in the place that its hash gives it. Those that share a place are void together.
    since: Box<[AtomicU64; PLACES]>,
    /// What was asked up to then is to be asked again.
    doubted: AtomicU32,
}

/// What an answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Whom it is about, in normal form.
    pub user: &'a str,
    /// What they want to use; empty where no directory reads it.
    pub service: &'a str,
}

/// A question that a directory is asked: what it answers counts from then on.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    begun: Tick,
    epoch: u64,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Right passwords that were known.
    pub hits: u64,
    /// Wrong passwords and unknown users that were known.
    pub negative_hits: u64,
    /// Questions about somebody that memory had no answer to.
    pub misses: u64,
    /// Answers that had outlived their time, given because a directory did not answer.
    pub stale: u64,
    /// Questions asked ahead of time.
    pub refreshes: u64,
    /// Accounts that were looked up without a password, and known.
    pub lookups: u64,
    /// Entries that had to make room.
    pub evicted: u64,
}

/// How it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Names that something is known of.
    pub entries: usize,
    /// Bytes of memory that they take.
    pub bytes: usize,
    /// Bytes that they may take.
    pub max_memory: usize,
    /// What has happened so far.
    pub counts: Counts,
    /// Of tokens: beside all that.
    #[serde(default)]
    pub tokens: Tokens,
    /// Of what tables of Postfix's have said: beside all that.
    #[serde(default)]
    pub maps: Tokens,
}

/// How it stands with tokens, or with another kind of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Of how many something is known.
    pub entries: usize,
    /// Bytes of memory that they take.
    pub bytes: usize,
    /// What has happened so far.
    pub counts: Counts,
}

impl Cache {
    /// An empty one. `None` where nothing is to be kept.
    ///
    /// # Errors
    ///
    /// Without random numbers.
    pub fn new(limits: Limits, now: Instant) -> Result<Option<Self>, getrandom::Error> {
        if limits.ttl.is_zero() {
            return Ok(None);
        }
        Ok(Some(Self {
            ttl: tenths(limits.ttl),
            negative_ttl: tenths(limits.negative_ttl),
            max_stale: tenths(limits.max_stale),
            max_memory: limits.max_memory,
            clock: Clock::new(now),
            digester: Digester::new()?,
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Locked::default()),
            epoch: AtomicU64::new(0),
            all_since: AtomicU64::new(0),
            since: Box::new(std::array::from_fn(|_| AtomicU64::new(0))),
            doubted: AtomicU32::new(0),
        }))
    }

    /// The same with so many bytes less of memory, which are for something else.
    #[must_use]
    pub fn without(self, bytes: usize) -> Self {
        Self { max_memory: self.max_memory.saturating_sub(bytes), ..self }
    }

    /// What makes its digests.
    pub const fn digester(&self) -> &Digester {
        &self.digester
    }

    /// The moment at which `now` is.
    pub fn at(&self, now: Instant) -> Tick {
        self.clock.at(now)
    }

    /// To be called before a directory is asked, for [`Self::learn`].
    pub fn ask(&self, now: Tick) -> Asking {
        Asking { begun: now, epoch: self.epoch.load(Ordering::Acquire) }
    }

    /// Forgets everybody of whom `whom` says so by one of their names, and what is being asked at present. How many
    /// entries that were.
    pub fn flush(&self, whom: impl Fn(&str) -> bool) -> usize {
        self.void_all();
        self.shards.iter().map(|shard| shard.lock().forget(|back| back.is_about(&whom), self.by_name())).sum()
    }

    /// Has everybody asked about again before anything is said of them, because something has changed and nobody knows what.
    /// Where a directory does not answer, what is known is still good for [`Self::stale`].
    pub fn doubt(&self, now: Tick) {
        self.void_all();
        // One more: what was asked in this tick was perhaps asked before.
        self.doubted.fetch_max(now.get().saturating_add(1), Ordering::AcqRel);
    }

    /// Forgets who has one of these names, and what is being asked about them at present.
    pub fn forget(&self, names: &HashSet<&str>) {
        let epoch = self.next_epoch();
        for user in names {
            self.place(user).fetch_max(epoch, Ordering::AcqRel);
        }
        for user in names {
            let sought = self.sought(Key { user, service: "" });
            self.shard(sought.hash).remove(sought, self.by_name());
        }
        for shard in &self.shards {
            let mut shard = shard.lock();
            if shard.has_others() {
                shard.forget(|back| back.is_about(|name| names.contains(name)), self.by_name());
            }
        }
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let mut status = Status { max_memory: self.max_memory, ..Status::default() };
        for shard in &self.shards {
            let shard = shard.lock();
            status.entries += shard.len();
            status.bytes += shard.bytes();
            status.counts.add(&shard.counts());
        }
        status
    }

    fn void_all(&self) {
        self.all_since.fetch_max(self.next_epoch(), Ordering::AcqRel);
    }

    fn next_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is less than the number of places")]
    fn place(&self, name: &str) -> &AtomicU64 {
        let [.., low, high] = self.hash(name.as_bytes(), b"").to_le_bytes();
        &self.since[usize::from(u16::from_le_bytes([low, high])) % PLACES]
    }

    /// Whether the answer to a question that is about these names still counts.
    fn stands<'n>(&self, asking: Asking, mut names: impl Iterator<Item = &'n str>) -> bool {
        self.all_since.load(Ordering::Acquire) <= asking.epoch
            && names.all(|name| self.place(name).load(Ordering::Acquire) <= asking.epoch)
    }

    /// Whether what was found out is still to be relied on.
    fn lasts(&self, span: Span, now: Tick, limit: u32) -> bool {
        now.since(span.begun) < limit && span.begun.get() >= self.doubted.load(Ordering::Acquire)
    }

    /// The time to live of an entry: up to an eighth shorter than it might be, so that what came in together does not go out
    /// together.
    fn ttl_of(&self, hash: u64) -> u32 {
        let eighth = u64::from(self.ttl / 8);
        let shorter = (hash >> 32) % (eighth + 1);
        self.ttl - u32::try_from(shorter).unwrap_or(0)
    }

    fn sought<'a>(&self, key: impl Into<Typed<'a>>) -> Sought<'a> {
        let key = key.into();
        Sought { hash: self.hash(key.user, key.service), user: key.user, service: key.service }
    }

    /// The hash of the names of an entry.
    fn by_name(&self) -> impl Fn(&Back) -> u64 {
        |back| self.hash(back.user().as_bytes(), back.service().as_bytes())
    }

    fn hash(&self, user: &[u8], service: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(user);
        if !service.is_empty() {
            // No name holds a NUL.
            hasher.write_u8(0);
            hasher.write(service);
        }
        hasher.finish()
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is less than the number of shards")]
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The table itself goes by other bits than these.
        let [part, ..] = hash.to_le_bytes();
        self.shards[usize::from(part) % SHARDS].lock()
    }
}

impl Asking {
    /// Whether nothing at all was flushed between `later` and this: its answer is good for whoever came `later` too.
    pub const fn covers(&self, later: &Self) -> bool {
        self.epoch >= later.epoch
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.negative_hits += other.negative_hits;
        self.misses += other.misses;
        self.stale += other.stale;
        self.refreshes += other.refreshes;
        self.lookups += other.lookups;
        self.evicted += other.evicted;
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
