//! What an answer of a directory changes.
//!
//! Two questions about one name may be under way at once, and the answer to the one that was asked first may come last.
//! An answer is *after* what is known if its question was asked when that was known already. Of two that overlap, either
//! may be the newer one. Where they contradict each other neither is kept, and nothing that was asked until then: a third
//! one may be as old as the older one. See [`Cache::learn`].

use std::sync::Arc;

use super::{
    Asking, Cache, Key, Tick,
    digest::{Digest, Fingerprint},
    entry::{Draft, Elsewhere, Entry, EntryBuf, Proof, Right, Somebody, Span, Wrong},
};
use crate::{account::Account, decision::AppPassword};

/// How many wrong passwords of one name are remembered, and how many app passwords that were right.
const WRONG: usize = 4;
const APP_PASSWORDS: usize = 16;

/// How long an answer may take at most, in ticks: nobody waits that long. Until then what is known keeps answers out that
/// are older, even if it is good for nothing else any more.
const FLIGHT: u32 = 100;

/// What a directory has answered.
#[derive(Debug)]
pub enum Lesson<'a> {
    /// Nobody has the name.
    Nobody,
    /// This account has.
    Somebody {
        /// The account.
        account: &'a Account,
        /// The number of its directory.
        directory: u16,
        /// What another directory says that its password is left to. `None` after a lookup, which asks no other one.
        elsewhere: Option<Elsewhere>,
        /// How its password is checked; `None`: that is for another directory to say, which was not asked or knows
        /// nobody.
        fingerprint: Option<Fingerprint>,
        /// What came of the password that it was asked with.
        said: Said,
    },
}

/// What came of a password.
#[derive(Debug, Clone)]
pub enum Said {
    /// Nothing that is to be kept, or there was none.
    Nothing,
    /// It is the main password.
    Right(Digest),
    /// It is this app password.
    RightBy(Digest, Arc<AppPassword>),
    /// It is no password of this account.
    Wrong(Digest),
    /// Nobody comes in with the main password, whichever it is: the directory that checks it says so.
    Shut,
}

impl Cache {
    /// Takes in what was answered to a question, `now` that the answer is there.
    ///
    /// - The account that was given takes the place of the one that is known, unless its question is the older one.
    /// - A main password that is right takes the place of another one, and is wrong no longer. Where the two questions
    ///   overlapped, neither counts.
    /// - That nobody has the name, and that somebody has, take each other's place in the same way.
    /// - A password that is wrong is right no longer. Where its question overlapped with the one that found it right,
    ///   it is not known to be wrong either.
    /// - Where the stored password is another one than that by which a password was found right or wrong, what was found
    ///   counts no longer; where it is the same one, what was right still is.
    pub fn learn(&self, key: Key<'_>, asking: Asking, lesson: Lesson<'_>, now: Tick) {
        let span = Span { begun: asking.begun, ended: now };
        let sought = self.sought(key);
        let mut shard = self.shard(sought.hash);
        // Under the lock: a flush that comes after this takes the entry out again.
        if !self.stands(asking, lesson.names().chain([key.user])) {
            return;
        }
        let known = shard.find(sought).map(Entry::to_buf);
        let before = Before { known: known.as_ref().map(EntryBuf::look), gone: shard.gone() };
        let draft = match lesson {
            Lesson::Nobody => before.nobody(key, span),
            Lesson::Somebody { account, directory, elsewhere, fingerprint, said } => {
                let found = Somebody::of(account, directory, elsewhere);
                before.somebody(key, found, fingerprint, said, span)
            }
        };
        let Some(entry) = draft.and_then(Draft::pack) else {
            return shard.lose(sought, now, self.by_name());
        };
        let limit = self.max_memory / super::SHARDS;
        let longest = self.ttl.saturating_add(self.max_stale);
        let dead = |entry: Entry<'_>| {
            let limit = if entry.is_nobody() { self.negative_ttl } else { longest };
            now.since(entry.fetched().ended) >= limit.max(FLIGHT)
        };
        shard.put(sought, entry, now, limit, self.by_name(), dead);
    }
}

impl Lesson<'_> {
    /// Whom it is about, beside the one who was asked for.
    fn names(&self) -> impl Iterator<Item = &str> {
        let (canonical, holder) = match self {
            Self::Nobody => (None, None),
            Self::Somebody { account, elsewhere, .. } => {
                (Some(account.user.as_str()), elsewhere.as_ref().map(|other| other.user.as_str()))
            }
        };
        canonical.into_iter().chain(holder)
    }
}

/// Whether what was learnt in `span` was learnt after what was learnt `before`.
fn is_after(span: Span, before: Span) -> bool {
    span.begun > before.ended
}

/// When all that is known by the end of this is older than what is asked.
fn next(span: Span) -> Tick {
    Tick::new(span.ended.get().saturating_add(1))
}

/// Its last moment.
fn end(span: Span) -> Span {
    Span { begun: span.ended, ended: span.ended }
}

/// When something held that was found out twice: later than the later question, and perhaps up to the last answer.
fn around(one: Span, another: Span) -> Span {
    Span { begun: one.begun.max(another.begun), ended: one.ended.max(another.ended) }
}

/// What was known of a name before an answer came.
#[derive(Clone, Copy)]
struct Before<'a> {
    known: Option<Entry<'a>>,
    /// Up to then something may have been known that is known no more.
    gone: Option<Tick>,
}

impl<'a> Before<'a> {
    /// `None`: nobody can say what is so.
    fn nobody(self, key: Key<'a>, span: Span) -> Option<Draft<'a>> {
        let none = Draft {
            user: key.user,
            service: key.service,
            found: None,
            unsettled: false,
            fetched: span,
            proof: Proof::After(Tick::new(0), None),
            fingerprint: None,
            app_passwords: Vec::new(),
            wrong: Vec::new(),
        };
        Some(match self.known(span)? {
            Some(known) if known.found.is_none() && !known.unsettled => {
                Draft { fetched: around(span, known.fetched), ..none }
            }
            // Somebody, in an answer that may be newer.
            Some(known) if !is_after(span, known.fetched) => {
                let proof = Proof::After(next(span), None);
                Draft { unsettled: true, fetched: end(known.fetched), proof, ..none }
            }
            Some(_) | None => none,
        })
    }

    /// `None`: nobody can say what is so.
    fn somebody(
        self,
        key: Key<'a>,
        found: Somebody<'a>,
        fingerprint: Option<Fingerprint>,
        said: Said,
        span: Span,
    ) -> Option<Draft<'a>> {
        let fresh = Draft {
            user: key.user,
            service: key.service,
            found: Some(found),
            unsettled: false,
            fetched: span,
            proof: Proof::After(Tick::new(0), None),
            fingerprint,
            app_passwords: Vec::new(),
            wrong: Vec::new(),
        };
        let known = self.known(span)?;
        let until = known.as_ref().map_or(Tick::new(0), |known| next(known.fetched));
        let mut draft = match known {
            None => fresh,
            Some(known) if known.found.is_none() => {
                let from = match known.proof {
                    Proof::After(tick, _) if known.unsettled => tick,
                    Proof::After(..) | Proof::Of(..) => until,
                };
                // Nobody, in an answer that may be newer.
                if span.begun < from {
                    let proof = Proof::After(from, None);
                    return Some(Draft {
                        found: None,
                        unsettled: true,
                        fetched: end(span),
                        proof,
                        fingerprint: None,
                        ..fresh
                    });
                }
                Draft { proof: Proof::After(until, None), ..fresh }
            }
            Some(known) => known.updated(fresh),
        };
        draft.hear(said, fingerprint, span, until);
        Some(draft)
    }

    /// `None`: more was known once than is now, and perhaps what is newer than the answer.
    fn known(self, span: Span) -> Option<Option<Draft<'a>>> {
        match self.known {
            Some(known) => Some(Some(known.draft(span.ended))),
            None if self.gone.is_some_and(|gone| span.begun <= gone) => None,
            None => Some(None),
        }
    }
}

impl<'a> Draft<'a> {
    /// What is known of an account, with the account as it was given now.
    fn updated(mut self, fresh: Self) -> Self {
        let same_check = match (self.fingerprint, fresh.fingerprint) {
            (Some(known), Some(now)) => Some(known == now),
            (None, _) | (_, None) => None,
        };
        let changed = same_check == Some(false) || self.has_moved(&fresh);
        let overlap = !is_after(fresh.fetched, self.fetched);
        if changed {
            // Where they overlap, nobody can say whether what is known was found out before or after that.
            self.proof = Proof::After(if overlap { next(fresh.fetched) } else { fresh.fetched.begun }, None);
            self.fingerprint = None;
            (self.app_passwords, self.wrong) = (Vec::new(), Vec::new());
        }
        if matches!(self.proof, Proof::After(..)) {
            self.fingerprint = fresh.fingerprint.or(self.fingerprint);
        }
        if fresh.fetched.begun < self.fetched.begun {
            self.fetched.ended = self.fetched.ended.max(fresh.fetched.ended);
            return self;
        }
        if let Proof::Of(_, span) = &mut self.proof
            && same_check == Some(true)
            && fresh.fingerprint.is_some_and(Fingerprint::is_of_hash)
        {
            // The same stored password has the same right one.
            *span = around(*span, fresh.fetched);
        }
        let elsewhere = self.found.take().and_then(|found| found.elsewhere);
        self.fetched = around(self.fetched, fresh.fetched);
        self.found = fresh.found.map(|found| Somebody {
            // A lookup without a password does not ask there; and does not say how it is checked.
            elsewhere: found.elsewhere.or(elsewhere.filter(|_| fresh.fingerprint.is_none())),
            ..found
        });
        self
    }

    /// What came of a password. `until`: from then on nothing was known.
    fn hear(&mut self, said: Said, fingerprint: Option<Fingerprint>, span: Span, until: Tick) {
        // What was asked before then is too old to count. It may have to be newer if it does not `agree` with what was said
        // of the one that was right last.
        let counts_from = |proof: Proof, agrees: &dyn Fn(&Digest) -> bool| match proof {
            Proof::Of(..) => Tick::new(0),
            Proof::After(tick, Some(last)) if !agrees(&last) => tick.max(until),
            Proof::After(tick, _) => tick,
        };
        match said {
            Said::Nothing => {}
            Said::Shut => self.proof = Proof::After(next(span), None),
            Said::Right(digest) => {
                let was_wrong = self.no_longer_wrong(&digest).map(|wrong| wrong.span);
                let other = match self.proof {
                    Proof::Of(known, before) if known.is(&digest) => {
                        self.proof = Proof::Of(digest, around(span, before));
                        None
                    }
                    Proof::Of(_, before) => Some(before),
                    Proof::After(..) => None,
                };
                let from = counts_from(self.proof, &|last| last.is(&digest));
                if span.begun < from {
                    self.proof = Proof::After(from, Some(digest));
                } else if [was_wrong, other].into_iter().flatten().any(|before| !is_after(span, before)) {
                    self.proof = Proof::After(next(span), Some(digest));
                } else if !matches!(self.proof, Proof::Of(known, _) if known.is(&digest)) {
                    self.proof = Proof::Of(digest, span);
                    self.fingerprint = fingerprint;
                }
            }
            Said::RightBy(digest, which) => {
                let was_wrong = self.no_longer_wrong(&digest).map(|wrong| wrong.span);
                let known = self.app_passwords.iter().find(|right| right.digest.is(&digest));
                let both = known.map_or(span, |known| around(known.span, span));
                self.app_passwords.retain(|right| !right.digest.is(&digest) && right.which.id != which.id);
                let from = counts_from(self.proof, &|_| true);
                if span.begun >= from && was_wrong.is_none_or(|before| is_after(span, before)) {
                    make_room(&mut self.app_passwords, APP_PASSWORDS);
                    self.app_passwords.push(Right { digest, span: both, which });
                }
            }
            Said::Wrong(digest) => {
                let proven = match self.proof {
                    Proof::Of(known, before) if known.is(&digest) => Some(before),
                    Proof::Of(..) | Proof::After(..) => None,
                };
                let app_password = self.app_passwords.iter().find(|right| right.digest.is(&digest));
                let right = proven.or(app_password.map(|right| right.span));
                self.app_passwords.retain(|right| !right.digest.is(&digest));
                let from = counts_from(self.proof, &|last| !last.is(&digest));
                let newer = span.begun >= from && right.is_none_or(|right| is_after(span, right));
                if proven.is_some() {
                    self.proof = Proof::After(next(span), None);
                }
                let before = self.no_longer_wrong(&digest);
                let counts = newer || before.is_some_and(|before| before.counts);
                let span = before.map_or(span, |before| around(span, before.span));
                make_room(&mut self.wrong, WRONG);
                self.wrong.push(Wrong { digest, span, counts });
            }
        }
    }

    /// Takes a password off the wrong ones. When it was found to be one.
    fn no_longer_wrong(&mut self, digest: &Digest) -> Option<Wrong> {
        let at = self.wrong.iter().position(|wrong| wrong.digest.is(digest))?;
        Some(self.wrong.remove(at))
    }

    /// Whether its password is kept in another place than it was.
    fn has_moved(&self, fresh: &Self) -> bool {
        match (self.elsewhere(), fresh.elsewhere()) {
            (Some(known), Some(now)) => known.directory != now.directory || known.user != now.user,
            // A lookup tells no more of an account that leaves its password to another directory than that it does: by
            // not saying how it is checked.
            (None, Some(_)) => self.fingerprint.is_some(),
            (Some(_), None) => fresh.fingerprint.is_some(),
            (None, None) => self.fingerprint.is_some() && fresh.fingerprint.is_none(),
        }
    }

    fn elsewhere(&self) -> Option<&Elsewhere> {
        self.found.as_ref()?.elsewhere.as_ref()
    }
}

/// The oldest goes.
fn make_room<T>(list: &mut Vec<T>, most: usize) {
    if list.len() >= most {
        list.remove(0);
    }
}
