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
    entry::{Draft, Elsewhere, Entry, Proof, Right, Somebody, Span, Wrong},
};
use crate::{account::Account, decision::AppPassword};

/// How many wrong passwords of one name are remembered, and how many app passwords that were right.
const WRONG: usize = 4;
const APP_PASSWORDS: usize = 16;

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
        let known = shard.find(sought).cloned();
        let before = Before { known: known.as_deref(), gone: shard.gone() };
        let draft = match lesson {
            Lesson::Nobody => before.nobody(key, span),
            Lesson::Somebody { account, directory, elsewhere, fingerprint, said } => {
                let found = Somebody::of(account, directory, elsewhere);
                before.somebody(key, found, fingerprint, said, span)
            }
        };
        let Some(entry) = draft.and_then(Draft::pack) else {
            return shard.lose(sought, now);
        };
        let limit = self.max_memory / super::SHARDS;
        let hash = |entry: &Entry| self.hash(entry.user(), entry.service());
        let longest = self.ttl.saturating_add(self.max_stale);
        let dead = |entry: &Entry| {
            let limit = if entry.is_nobody() { self.negative_ttl } else { longest };
            now.since(entry.fetched().begun) >= limit
        };
        shard.put(sought, entry, now, limit, hash, dead);
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

/// When something held that was found out twice: later than the later question, and perhaps up to the last answer.
fn around(one: Span, another: Span) -> Span {
    Span { begun: one.begun.max(another.begun), ended: one.ended.max(another.ended) }
}

/// What was known of a name before an answer came.
#[derive(Clone, Copy)]
struct Before<'a> {
    known: Option<&'a Entry>,
    /// Up to then something may have been known that is known no more.
    gone: Option<Tick>,
}

impl<'a> Before<'a> {
    /// `None`: nobody can say what is so.
    fn nobody(self, key: Key<'a>, span: Span) -> Option<Draft<'a>> {
        let known = self.known(span)?;
        let fetched = match known {
            Some(known) if known.found.is_none() => around(span, known.fetched),
            // Somebody, in an answer that may be newer.
            Some(known) if !is_after(span, known.fetched) => return None,
            Some(_) | None => span,
        };
        Some(Draft {
            user: key.user,
            service: key.service,
            found: None,
            fetched,
            proof: Proof::After(Tick::new(0)),
            fingerprint: None,
            app_passwords: Vec::new(),
            wrong: Vec::new(),
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
            fetched: span,
            proof: Proof::After(Tick::new(0)),
            fingerprint,
            app_passwords: Vec::new(),
            wrong: Vec::new(),
        };
        let mut draft = match self.known(span)? {
            None => fresh,
            Some(known) if known.found.is_none() => {
                // Nobody, in an answer that may be newer.
                if !is_after(span, known.fetched) {
                    return None;
                }
                Draft { proof: Proof::After(next(known.fetched)), ..fresh }
            }
            Some(known) => known.updated(fresh),
        };
        draft.hear(said, fingerprint, span);
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
            self.proof = Proof::After(if overlap { next(fresh.fetched) } else { fresh.fetched.begun });
            self.fingerprint = None;
            (self.app_passwords, self.wrong) = (Vec::new(), Vec::new());
        }
        if fresh.fetched.begun < self.fetched.begun {
            self.fetched.ended = self.fetched.ended.max(fresh.fetched.ended);
            return self;
        }
        match &mut self.proof {
            // The same stored password has the same right one.
            Proof::Of(_, span)
                if same_check == Some(true) && fresh.fingerprint.is_some_and(Fingerprint::is_of_hash) =>
            {
                *span = around(*span, fresh.fetched);
            }
            // By which one it was found right is known.
            Proof::Of(..) => {}
            Proof::After(_) if changed && overlap => {}
            Proof::After(_) => self.fingerprint = fresh.fingerprint.or(self.fingerprint),
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

    /// What came of a password.
    fn hear(&mut self, said: Said, fingerprint: Option<Fingerprint>, span: Span) {
        let counts = match self.proof {
            Proof::Of(..) => true,
            Proof::After(tick) => span.begun >= tick,
        };
        match said {
            Said::Nothing => {}
            Said::Shut => self.proof = Proof::After(next(span)),
            Said::Right(digest) => {
                let was_wrong = self.no_longer_wrong(&digest);
                let other = match self.proof {
                    Proof::Of(known, before) if known.is(&digest) => {
                        self.proof = Proof::Of(digest, around(span, before));
                        None
                    }
                    Proof::Of(_, before) => Some(before),
                    Proof::After(_) => None,
                };
                if !counts {
                    return;
                }
                if [was_wrong, other].into_iter().flatten().any(|before| !is_after(span, before)) {
                    self.proof = Proof::After(next(span));
                } else if !matches!(self.proof, Proof::Of(known, _) if known.is(&digest)) {
                    self.proof = Proof::Of(digest, span);
                    self.fingerprint = fingerprint;
                }
            }
            Said::RightBy(digest, which) => {
                let was_wrong = self.no_longer_wrong(&digest);
                let known = self.app_passwords.iter().find(|right| right.digest.is(&digest));
                let both = known.map_or(span, |known| around(known.span, span));
                self.app_passwords.retain(|right| !right.digest.is(&digest) && right.which.id != which.id);
                if counts && was_wrong.is_none_or(|before| is_after(span, before)) {
                    make_room(&mut self.app_passwords, APP_PASSWORDS);
                    self.app_passwords.push(Right { digest, span: both, which });
                }
            }
            Said::Wrong(digest) => {
                let proven = match self.proof {
                    Proof::Of(known, before) if known.is(&digest) => Some(before),
                    Proof::Of(..) | Proof::After(_) => None,
                };
                let app_password = self.app_passwords.iter().find(|right| right.digest.is(&digest));
                let right = proven.or(app_password.map(|right| right.span));
                if proven.is_some() {
                    self.proof = Proof::After(next(span));
                }
                self.app_passwords.retain(|right| !right.digest.is(&digest));
                if counts && right.is_none_or(|right| is_after(span, right)) {
                    let before = self.no_longer_wrong(&digest);
                    let span = before.map_or(span, |before| around(span, before));
                    make_room(&mut self.wrong, WRONG);
                    self.wrong.push(Wrong { digest, span });
                }
            }
        }
    }

    /// Takes a password off the wrong ones. When it was found to be one.
    fn no_longer_wrong(&mut self, digest: &Digest) -> Option<Span> {
        let at = self.wrong.iter().position(|wrong| wrong.digest.is(digest))?;
        Some(self.wrong.remove(at).span)
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
