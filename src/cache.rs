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
//! somebody waits. Of a million entries with a name of 22 bytes and no fields, each takes 147 bytes; the same
//! with quick_cache take 1.1 times as much, with moka three times. To find one of them costs 1.25 times what it costs with
//! quick_cache from one thread, as much from two, and less than a third of what it costs with moka; neither of them
//! knows of times, or of single flight, as they are needed here.

mod bearers;
mod bounded;
mod clock;
mod digest;
mod entry;
mod flight;
mod heard;
mod learn;
mod revoked;
mod shard;

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

pub use self::{
    bounded::{Bounded, Fill},
    clock::Tick,
    digest::{Digest, Digester, Fingerprint},
    entry::{Elsewhere, Entry},
    flight::{Flights, Pilot, Place, Wait},
    learn::{Lesson, Said},
    revoked::{Logout, Revocations, Sighting},
};
use self::{
    clock::{Clock, tenths},
    entry::{Span, Wrong},
    shard::{Shard, Sought},
};
use crate::decision::AppPassword;

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
    shards: [Mutex<Shard>; SHARDS],
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

/// The same as bytes of a peer. A name that is not in normal form is nobody's.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// Whom it is about.
    pub user: &'a [u8],
    /// What they want to use; empty where no directory reads it.
    pub service: &'a [u8],
}

/// A question that a directory is asked: what it answers counts from then on.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    begun: Tick,
    epoch: u64,
}

/// What memory says of a password.
#[derive(Debug)]
pub enum Recall<T> {
    /// Nothing: the directory is to be asked.
    Nothing,
    /// Nobody has the name.
    Nobody,
    /// It is not the password of whoever has the name.
    Wrong,
    /// It is.
    Right {
        /// What was taken of whoever has it.
        taken: T,
        /// Whether the directory is to be asked ahead of time, by this caller.
        refresh: bool,
    },
}

/// Somebody whose password is right.
#[derive(Debug, Clone, Copy)]
pub struct Right<'e> {
    /// Who.
    pub entry: &'e Entry,
    /// The app password that it is, if it is not the main one, and what it is good for.
    pub app_password: Option<&'e Arc<AppPassword>>,
}

/// The same, for whoever needs it longer.
#[derive(Debug)]
pub struct Holder {
    /// Who.
    pub entry: Entry,
    /// The app password that it is, if it is not the main one, and what it is good for.
    pub app_password: Option<Arc<AppPassword>>,
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
}

/// How it stands with tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens that something is known of.
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
            shards: std::array::from_fn(|_| Mutex::default()),
            epoch: AtomicU64::new(0),
            all_since: AtomicU64::new(0),
            since: Box::new(std::array::from_fn(|_| AtomicU64::new(0))),
            doubted: AtomicU32::new(0),
        }))
    }

    /// The same with one part in so many less of memory, which is for something else.
    #[must_use]
    pub fn without_one_in(self, parts: usize) -> Self {
        let max_memory = self.max_memory - self.max_memory / parts;
        Self { max_memory, ..self }
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

    /// What is known of a password of somebody. Somebody for whom it is right is shown to `take`, which takes of them what
    /// the caller needs; where it has no use for them, nothing is known, as if they had not been asked about.
    ///
    /// `take` is called under the lock of a part of the table: it must not wait for anything. What it leaves there need not
    /// be counted or copied, which would cost more than the look.
    pub fn recall<'k, T>(
        &self,
        key: impl Into<Typed<'k>>,
        digest: &Digest,
        now: Tick,
        take: impl FnOnce(Right<'_>) -> Option<T>,
    ) -> Recall<T> {
        let sought = self.sought(key);
        let mut shard = self.shard(sought.hash);
        let Some(entry) = shard.find(sought) else { return Recall::Nothing };
        entry.touch();
        let recall = self.judge(entry, sought.hash, digest, now, take);
        match &recall {
            Recall::Nothing => {}
            Recall::Nobody | Recall::Wrong => shard.counts.negative_hits += 1,
            Recall::Right { refresh, .. } => {
                shard.counts.hits += 1;
                shard.counts.refreshes += u64::from(*refresh);
            }
        }
        recall
    }

    /// Notes that there was no answer to a question.
    pub fn missed(&self, key: Key<'_>) {
        self.shard(self.sought(key).hash).counts.misses += 1;
    }

    /// The same where a directory gives no answer: what was right is so for longer. Nothing is wrong for longer.
    pub fn stale(&self, key: Key<'_>, digest: &Digest, now: Tick) -> Option<Holder> {
        let sought = self.sought(key);
        let mut shard = self.shard(sought.hash);
        let entry = shard.find(sought)?;
        let limit = self.ttl.saturating_add(self.max_stale);
        let lasts = |span: Span| now.since(span.begun) < limit;
        let (app_password, _) = right(entry, digest, lasts)?;
        let holder = Right { entry, app_password }.shared();
        shard.counts.stale += 1;
        Some(holder)
    }

    /// Who has a name: `None` where that is not known, and an entry that says that nobody has where it is.
    pub fn account(&self, key: Key<'_>, now: Tick) -> Option<Entry> {
        self.account_with(key, now, Entry::clone)
    }

    /// The same, with what `take` takes of the entry in its place: see [`Self::recall`].
    pub fn account_with<T>(&self, key: Key<'_>, now: Tick, take: impl FnOnce(&Entry) -> T) -> Option<T> {
        let sought = self.sought(key);
        let mut shard = self.shard(sought.hash);
        let taken = self.settled(&shard, sought, now).map(|entry| {
            entry.touch();
            take(entry)
        });
        match taken {
            Some(_) => shard.counts.lookups += 1,
            None => shard.counts.misses += 1,
        }
        taken
    }

    /// The same, shown to `take`, which takes of it what the caller needs. Where it has no use for it, nothing is known, as if
    /// nobody had asked.
    ///
    /// `take` is called under the lock of a part of the table: it must not wait for anything.
    pub fn look<'k, T>(
        &self,
        key: impl Into<Typed<'k>>,
        now: Tick,
        take: impl FnOnce(&Entry) -> Option<T>,
    ) -> Option<T> {
        let sought = self.sought(key);
        let mut shard = self.shard(sought.hash);
        let entry = self.settled(&shard, sought, now)?;
        let taken = take(entry)?;
        entry.touch();
        shard.counts.lookups += 1;
        Some(taken)
    }

    /// The same where a directory gives no answer: who was there is so for longer. That nobody was is not.
    pub fn stale_account(&self, key: Key<'_>, now: Tick) -> Option<Entry> {
        let sought = self.sought(key);
        let mut shard = self.shard(sought.hash);
        let limit = self.ttl.saturating_add(self.max_stale);
        let usable = |entry: &&Entry| entry.is_somebody() && now.since(entry.fetched().begun) < limit;
        let found = shard.find(sought).filter(usable).cloned()?;
        found.touch();
        shard.counts.stale += 1;
        Some(found)
    }

    /// The stored password that a password was found right by, however long ago: if it is still the same one, so is the
    /// password.
    pub fn proven_by(&self, key: Key<'_>, digest: &Digest) -> Option<Fingerprint> {
        let sought = self.sought(key);
        let shard = self.shard(sought.hash);
        let entry = shard.find(sought)?;
        let (proven, _) = entry.proof()?;
        entry.fingerprint().filter(|checked| checked.is_of_hash() && proven.is(digest))
    }

    /// Forgets everybody of whom `whom` says so by one of their names, and what is being asked at present. How many
    /// entries that were.
    pub fn flush(&self, whom: impl Fn(&str) -> bool) -> usize {
        self.void_all();
        self.shards.iter().map(|shard| lock(shard).forget(|entry| entry.is_about(&whom))).sum()
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
            self.shard(sought.hash).remove(sought);
        }
        for shard in &self.shards {
            let mut shard = lock(shard);
            if shard.has_others() {
                shard.forget(|entry| entry.is_about(|name| names.contains(name)));
            }
        }
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let mut status = Status { max_memory: self.max_memory, ..Status::default() };
        for shard in &self.shards {
            let shard = lock(shard);
            status.entries += shard.len();
            status.bytes += shard.bytes();
            status.counts.add(&shard.counts);
        }
        status
    }

    /// Who has a name, as far as that is known and young enough.
    fn settled<'s>(&self, shard: &'s Shard, sought: Sought<'_>, now: Tick) -> Option<&'s Entry> {
        shard.find(sought).filter(|entry| {
            let limit = if entry.is_nobody() { self.negative_ttl } else { self.ttl_of(sought.hash) };
            (entry.is_nobody() || entry.is_somebody()) && self.lasts(entry.fetched(), now, limit)
        })
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

    fn judge<T>(
        &self,
        entry: &Entry,
        hash: u64,
        digest: &Digest,
        now: Tick,
        take: impl FnOnce(Right<'_>) -> Option<T>,
    ) -> Recall<T> {
        if entry.is_nobody() {
            let known = self.lasts(entry.fetched(), now, self.negative_ttl);
            return if known { Recall::Nobody } else { Recall::Nothing };
        }
        let ttl = self.ttl_of(hash);
        // In the last quarter of its time.
        let ahead =
            |span: Span| now.since(span.begun) >= ttl - ttl / 4 && entry.may_refresh(now, REFRESH_PAUSE);
        let wrong = |wrong: &Wrong| {
            wrong.counts && wrong.digest.is(digest) && self.lasts(wrong.span, now, self.negative_ttl)
        };
        match right(entry, digest, |span| self.lasts(span, now, ttl)) {
            Some((app_password, span)) => match take(Right { entry, app_password }) {
                Some(taken) => Recall::Right { taken, refresh: ahead(span) },
                None => Recall::Nothing,
            },
            None if entry.wrong().iter().any(wrong) => Recall::Wrong,
            None => Recall::Nothing,
        }
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
        // The table itself goes by the lowest bits and the highest seven.
        let [.., part, _, _] = hash.to_le_bytes();
        lock(&self.shards[usize::from(part) % SHARDS])
    }
}

/// The app password that it is, if it is one, and when it was found right, if that was in a time that `lasts`.
fn right<'e>(
    entry: &'e Entry,
    digest: &Digest,
    lasts: impl Fn(Span) -> bool,
) -> Option<(Option<&'e Arc<AppPassword>>, Span)> {
    let known = |known: &Digest, span: Span| lasts(span) && known.is(digest);
    match entry.proof() {
        Some((proven, span)) if known(&proven, span) => Some((None, span)),
        Some(_) | None => {
            let right = entry.app_passwords().iter().find(|right| known(&right.digest, right.span))?;
            Some((Some(&right.which), right.span))
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic in between can have left it with a wrong sum at the worst.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> From<Key<'a>> for Typed<'a> {
    fn from(key: Key<'a>) -> Self {
        Self { user: key.user.as_bytes(), service: key.service.as_bytes() }
    }
}

impl Right<'_> {
    /// Copies the entry.
    pub fn shared(self) -> Holder {
        Holder { entry: self.entry.clone(), app_password: self.app_password.map(Arc::clone) }
    }
}

impl Holder {
    /// Only for a look.
    pub const fn look(&self) -> Right<'_> {
        Right { entry: &self.entry, app_password: self.app_password.as_ref() }
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
