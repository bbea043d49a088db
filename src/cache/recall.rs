//! What memory says when it is asked.

use std::sync::Arc;

use super::{
    Cache, Key, REFRESH_PAUSE, Tick,
    digest::{Digest, Fingerprint},
    entry::{Entry, EntryBuf, Span, Wrong},
    shard::{Shard, Sought},
};
use crate::decision::AppPassword;

/// The same as bytes of a peer. A name that is not in normal form is nobody's.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// Whom it is about.
    pub user: &'a [u8],
    /// What they want to use; empty where no directory reads it.
    pub service: &'a [u8],
}

/// Somebody about whom memory is going to be asked.
#[derive(Debug)]
pub struct Expected<'a>(Sought<'a>);

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
    pub entry: Entry<'e>,
    /// The app password that it is, if it is not the main one, and what it is good for.
    pub app_password: Option<&'e Arc<AppPassword>>,
}

/// The same, for whoever needs it longer.
#[derive(Debug)]
pub struct Holder {
    /// Who.
    pub entry: EntryBuf,
    /// The app password that it is, if it is not the main one, and what it is good for.
    pub app_password: Option<Arc<AppPassword>>,
}

impl Cache {
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
        self.tell(sought, |shard| shard.find(sought), digest, now, take)
    }

    /// Says that [`Self::recall_expected`] will be asked about somebody. There may be something to do until then, such as
    /// to make the digest; what is known of them is on its way from memory in the meantime.
    pub fn expect<'k>(&self, key: impl Into<Typed<'k>>) -> Expected<'k> {
        let sought = self.sought(key);
        self.shard(sought.hash).fetch(sought.hash);
        Expected(sought)
    }

    /// As [`Self::recall`], of somebody who was expected.
    ///
    /// The digest is one of the password and of their name ([`Digester::password`](super::Digester::password)): whoever is
    /// found by it is taken for them, and `take` compares names before it takes more than that they are there.
    pub fn recall_expected<T>(
        &self,
        expected: &Expected<'_>,
        digest: &Digest,
        now: Tick,
        take: impl FnOnce(Right<'_>) -> Option<T>,
    ) -> Recall<T> {
        let sought = expected.0;
        self.tell(sought, |shard| shard.find_by(sought, digest), digest, now, take)
    }

    #[inline]
    fn tell<T>(
        &self,
        sought: Sought<'_>,
        find: impl FnOnce(&Shard) -> Option<Entry<'_>>,
        digest: &Digest,
        now: Tick,
        take: impl FnOnce(Right<'_>) -> Option<T>,
    ) -> Recall<T> {
        let mut shard = self.shard(sought.hash);
        let Some(entry) = find(&shard) else { return Recall::Nothing };
        entry.touch();
        let recall = self.judge(entry, sought.hash, digest, now, take);
        match &recall {
            Recall::Nothing => {}
            Recall::Nobody | Recall::Wrong => shard.counts.negative_hits += 1,
            Recall::Right { refresh, .. } => {
                shard.hits += 1;
                if *refresh {
                    shard.counts.refreshes += 1;
                }
            }
        }
        recall
    }

    /// Notes that there was no answer to a question.
    pub fn missed(&self, key: Key<'_>) {
        self.shard(self.sought(key).hash).counts.misses += 1;
    }

    /// As [`Self::recall`], where a directory gives no answer: what was right is so for longer. Nothing is wrong for longer.
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
    pub fn account(&self, key: Key<'_>, now: Tick) -> Option<EntryBuf> {
        self.account_with(key, now, |entry| entry.to_buf())
    }

    /// The same, with what `take` takes of the entry in its place.
    pub fn account_with<T>(&self, key: Key<'_>, now: Tick, take: impl FnOnce(Entry<'_>) -> T) -> Option<T> {
        let taken = self.look(key, now, |entry| Some(take(entry)));
        if taken.is_none() {
            self.missed(key);
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
        take: impl FnOnce(Entry<'_>) -> Option<T>,
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
    pub fn stale_account(&self, key: Key<'_>, now: Tick) -> Option<EntryBuf> {
        let sought = self.sought(key);
        let mut shard = self.shard(sought.hash);
        let limit = self.ttl.saturating_add(self.max_stale);
        let usable = |entry: &Entry<'_>| entry.is_somebody() && now.since(entry.fetched().begun) < limit;
        let found = shard.find(sought).filter(usable)?;
        found.touch();
        let found = found.to_buf();
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

    /// Who has a name, as far as that is known and young enough.
    fn settled<'s>(&self, shard: &'s Shard, sought: Sought<'_>, now: Tick) -> Option<Entry<'s>> {
        shard.find(sought).filter(|entry| {
            let limit = if entry.is_nobody() { self.negative_ttl } else { self.ttl_of(sought.hash) };
            (entry.is_nobody() || entry.is_somebody()) && self.lasts(entry.fetched(), now, limit)
        })
    }

    fn judge<T>(
        &self,
        entry: Entry<'_>,
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
}

/// The app password that it is, if it is one, and when it was found right, if that was in a time that `lasts`.
fn right<'e>(
    entry: Entry<'e>,
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

impl<'a> From<Key<'a>> for Typed<'a> {
    fn from(key: Key<'a>) -> Self {
        Self { user: key.user.as_bytes(), service: key.service.as_bytes() }
    }
}

impl<'k> Expected<'k> {
    /// Whom it is about.
    pub const fn user(&self) -> &'k [u8] {
        self.0.user
    }
}

impl Right<'_> {
    /// Copies the entry.
    pub fn shared(self) -> Holder {
        Holder { entry: self.entry.to_buf(), app_password: self.app_password.map(Arc::clone) }
    }
}

impl Holder {
    /// Only for a look.
    pub const fn look(&self) -> Right<'_> {
        Right { entry: self.entry.look(), app_password: self.app_password.as_ref() }
    }
}
