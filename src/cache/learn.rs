//! What an answer of a directory changes.
//!
//! Two questions about one name may be under way at once, and the answer to the one that was asked first may come last.
//! An answer is *after* what is known if its question was asked when that was known already. Of two that overlap, either
//! may be the newer one. See [`Cache::learn`].

use std::sync::{Arc, atomic::Ordering};

use super::{
    Asking, Cache, Key, Tick,
    digest::{Digest, Fingerprint},
    entry::{Draft, Elsewhere, Entry, Right, Somebody, Span, Wrong},
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
        /// How its password is checked; `None`: that was not looked at.
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
        if self.epoch.load(Ordering::Acquire) != asking.epoch {
            return;
        }
        let known = shard.find(sought).cloned();
        let draft = match lesson {
            Lesson::Nobody => nobody(key, known.as_deref(), span),
            Lesson::Somebody { account, directory, elsewhere, fingerprint, said } => {
                let found = Somebody::of(account, directory, elsewhere);
                somebody(key, known.as_deref(), found, fingerprint, said, span)
            }
        };
        let Some(entry) = draft.and_then(Draft::pack) else {
            shard.remove(sought);
            return;
        };
        let limit = self.max_memory / super::SHARDS;
        let hash = |entry: &Entry| self.hash(entry.user(), entry.service());
        let longest = self.ttl.saturating_add(self.max_stale);
        let dead = |entry: &Entry| {
            let limit = if entry.is_nobody() { self.negative_ttl } else { longest };
            now.since(entry.fetched().begun) >= limit
        };
        shard.put(sought, entry, limit, hash, dead);
    }
}

/// Whether what was learnt in `span` was learnt after what was learnt `before`.
fn is_after(span: Span, before: Span) -> bool {
    span.begun > before.ended
}

fn nobody<'a>(key: Key<'a>, known: Option<&Entry>, span: Span) -> Option<Draft<'a>> {
    // Somebody, in an answer that may be newer.
    if known.is_some_and(|known| !known.is_nobody() && !is_after(span, known.fetched())) {
        return None;
    }
    Some(Draft {
        user: key.user,
        service: key.service,
        found: None,
        fetched: span,
        proof: None,
        fingerprint: None,
        app_passwords: Vec::new(),
        wrong: Vec::new(),
    })
}

fn somebody<'a>(
    key: Key<'a>,
    known: Option<&'a Entry>,
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
        proof: None,
        fingerprint,
        app_passwords: Vec::new(),
        wrong: Vec::new(),
    };
    let mut said = said;
    let mut draft = match known.map(Entry::draft) {
        None => fresh,
        Some(known) if known.found.is_none() => {
            // Nobody, in an answer that may be newer.
            if !is_after(span, known.fetched) {
                return None;
            }
            fresh
        }
        Some(known) => {
            let (draft, doubtful) = known.updated(fresh);
            if doubtful {
                said = Said::Nothing;
            }
            draft
        }
    };
    draft.hear(said, fingerprint, span);
    Some(draft)
}

impl<'a> Draft<'a> {
    /// What is known of an account, with the account as it was given now; and whether what came of a password now is
    /// doubtful, because the stored one is another, and may be the older one.
    fn updated(mut self, fresh: Self) -> (Self, bool) {
        let same_check = match (self.fingerprint, fresh.fingerprint) {
            (Some(known), Some(now)) => Some(known == now),
            (None, _) | (_, None) => None,
        };
        let moved = fresh.looked_elsewhere() && self.directory_of_password() != fresh.directory_of_password();
        let changed = same_check == Some(false) || moved;
        if changed {
            // Nobody can say whether what is known was found out before or after that.
            (self.proof, self.fingerprint) = (None, None);
            (self.app_passwords, self.wrong) = (Vec::new(), Vec::new());
        }
        let doubtful = changed && !is_after(fresh.fetched, self.fetched);
        if fresh.fetched.begun < self.fetched.begun {
            return (self, doubtful);
        }
        if same_check == Some(true)
            && fresh.fingerprint.is_some_and(Fingerprint::is_of_hash)
            && let Some((_, span)) = &mut self.proof
        {
            // The same stored password has the same right one.
            *span = fresh.fetched;
        }
        let elsewhere = self.found.as_ref().and_then(|found| found.elsewhere.clone());
        self.fetched = fresh.fetched;
        self.found = fresh.found.map(|found| Somebody {
            // A lookup without a password does not ask there.
            elsewhere: found.elsewhere.or(elsewhere),
            ..found
        });
        if self.fingerprint.is_none() && !doubtful {
            self.fingerprint = fresh.fingerprint;
        }
        (self, doubtful)
    }

    /// What came of a password.
    fn hear(&mut self, said: Said, fingerprint: Option<Fingerprint>, span: Span) {
        match said {
            Said::Nothing => {}
            Said::Shut => self.proof = None,
            Said::Right(digest) => {
                let was_wrong = self.wrong.iter().find(|wrong| wrong.digest.is(&digest)).copied();
                let other = self.proof.filter(|(known, _)| !known.is(&digest)).map(|(_, span)| span);
                self.wrong.retain(|wrong| !wrong.digest.is(&digest));
                let against = [was_wrong.map(|wrong| wrong.span), other];
                if against.into_iter().flatten().all(|known| is_after(span, known)) {
                    self.proof = Some((digest, span));
                    self.fingerprint = fingerprint;
                } else {
                    self.proof = None;
                }
            }
            Said::RightBy(digest, which) => {
                self.wrong.retain(|wrong| !wrong.digest.is(&digest));
                self.app_passwords.retain(|right| !right.digest.is(&digest) && right.which.id != which.id);
                make_room(&mut self.app_passwords, APP_PASSWORDS);
                self.app_passwords.push(Right { digest, span, which });
            }
            Said::Wrong(digest) => {
                let proof = self.proof.filter(|(known, _)| known.is(&digest)).map(|(_, span)| span);
                let app_password = self.app_passwords.iter().find(|right| right.digest.is(&digest));
                let right = proof.or(app_password.map(|right| right.span));
                if proof.is_some() {
                    self.proof = None;
                }
                self.app_passwords.retain(|right| !right.digest.is(&digest));
                self.wrong.retain(|wrong| !wrong.digest.is(&digest));
                if right.is_none_or(|right| is_after(span, right)) {
                    make_room(&mut self.wrong, WRONG);
                    self.wrong.push(Wrong { digest, span });
                }
            }
        }
    }

    fn directory_of_password(&self) -> Option<u16> {
        let found = self.found.as_ref()?;
        Some(found.elsewhere.as_ref().map_or(found.directory, |elsewhere| elsewhere.directory))
    }

    fn looked_elsewhere(&self) -> bool {
        self.found.as_ref().is_some_and(|found| found.elsewhere.is_some())
    }
}

/// The oldest goes.
fn make_room<T>(list: &mut Vec<T>, most: usize) {
    if list.len() >= most {
        list.remove(0);
    }
}
