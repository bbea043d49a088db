//! An entry taken apart, to be changed and packed again.

use std::sync::atomic::{AtomicBool, AtomicU32};

use super::{
    Back, Elsewhere, Entry, EntryBuf, Front, More, Right, Rules, Span, Wrong,
    parts::{CANONICAL, Kind, PASSDB, RULES, SERVICE},
    text::Text,
};
use crate::{
    account::Account,
    cache::{
        clock::Tick,
        digest::{Digest, Fingerprint},
    },
};

/// An entry taken apart, to be changed.
pub(in crate::cache) struct Draft<'a> {
    pub(in crate::cache) user: &'a str,
    pub(in crate::cache) service: &'a str,
    pub(in crate::cache) found: Option<Somebody<'a>>,
    pub(in crate::cache) unsettled: bool,
    pub(in crate::cache) fetched: Span,
    pub(in crate::cache) proof: Proof,
    pub(in crate::cache) fingerprint: Option<Fingerprint>,
    pub(in crate::cache) app_passwords: Vec<Right>,
    pub(in crate::cache) wrong: Vec<Wrong>,
}

/// The account in a draft.
#[derive(Clone)]
pub(in crate::cache) struct Somebody<'a> {
    pub(in crate::cache) canonical: &'a str,
    pub(in crate::cache) directory: u16,
    pub(in crate::cache) passdb: &'a [u8],
    pub(in crate::cache) userdb: &'a [u8],
    pub(in crate::cache) rules: Option<Rules>,
    pub(in crate::cache) elsewhere: Option<Elsewhere>,
}

/// What is known of a main password.
#[derive(Debug, Clone, Copy)]
pub(in crate::cache) enum Proof {
    /// That this one is right.
    Of(Digest, Span),
    /// Nothing, and what was asked before then does not count. One may have been found right by an answer that did not
    /// count; another one does only if it was asked after that answer.
    After(Tick, Option<Digest>),
}

impl<'a> Somebody<'a> {
    /// An account of the directory with this number.
    pub(in crate::cache) fn of(account: &'a Account, directory: u16, elsewhere: Option<Elsewhere>) -> Self {
        Self {
            canonical: account.user.as_str(),
            directory,
            passdb: account.passdb.as_fields().raw(),
            userdb: account.userdb.as_fields().raw(),
            rules: Rules::of(account),
            elsewhere,
        }
    }
}

impl Draft<'_> {
    /// Packs it. `None`: there is more of it than an entry holds.
    pub(in crate::cache) fn pack(self) -> Option<EntryBuf> {
        let found = self.found.as_ref();
        let canonical = found.map_or("", |found| found.canonical);
        let canonical = if canonical == self.user { "" } else { canonical };
        let (passdb, userdb) = found.map_or((&b""[..], &b""[..]), |found| (found.passdb, found.userdb));
        let parts = [self.user.as_bytes(), self.service.as_bytes(), canonical.as_bytes(), passdb, userdb];
        let directory = found.map_or(0, |found| found.directory);
        let more = More {
            rules: self.found.as_ref().and_then(|found| found.rules.clone()),
            elsewhere: self.found.as_ref().and_then(|found| found.elsewhere.clone()),
            app_passwords: self.app_passwords,
            wrong: self.wrong,
        };
        let (digest, verified) = match self.proof {
            Proof::Of(digest, span) => (digest.bytes(), span),
            Proof::After(tick, said) => {
                (said.map_or([0; 16], |said| said.bytes()), Span { begun: tick, ended: tick })
            }
        };
        let span = |span: Span| u8::try_from(span.ended.since(span.begun)).unwrap_or(u8::MAX);
        let has = [
            (SERVICE, !self.service.is_empty()),
            (CANONICAL, !canonical.is_empty()),
            (PASSDB, !passdb.is_empty()),
            (RULES, more.rules.is_some() || more.elsewhere.is_some()),
        ];
        let front = Front {
            digest,
            verified_at: verified.begun.get().to_ne_bytes(),
            number: Default::default(),
            directory,
            kind: match (found, self.proof) {
                (None, _) if self.unsettled => Kind::Unsettled,
                (None, _) => Kind::Nobody,
                (Some(_), Proof::After(..)) => Kind::Unproven,
                (Some(_), Proof::Of(..)) => Kind::Proven,
            },
            has: has.into_iter().filter(|(_, is)| *is).fold(0, |all, (bit, _)| all | bit),
            verified_span: span(verified),
            used: AtomicBool::new(false),
        };
        let back = Back {
            fingerprint: self.fingerprint.map(Fingerprint::get),
            fetched_at: self.fetched.begun,
            refresh_at: AtomicU32::new(0),
            passdb: u16::try_from(passdb.len()).ok()?,
            user: u8::try_from(self.user.len()).ok()?,
            service: u8::try_from(self.service.len()).ok()?,
            canonical: u8::try_from(canonical.len()).ok()?,
            fetched_span: span(self.fetched),
            // Not before it is known to fit: only a `Back` wipes it.
            text: Text::of(&parts),
            more: (!more.is_empty()).then(|| Box::new(more)),
        };
        Some(EntryBuf { front, back })
    }
}

impl<'e> Entry<'e> {
    /// Takes it apart. What it is of ended before `now`, however long it took.
    pub(in crate::cache) fn draft(self, now: Tick) -> Draft<'e> {
        let more = self.back.more.as_deref();
        let until = |span: Span| Span { ended: span.ended.min(now), ..span };
        let found = self.is_somebody().then(|| Somebody {
            canonical: self.canonical(),
            directory: self.directory(),
            passdb: self.passdb(),
            userdb: self.userdb(),
            rules: more.and_then(|more| more.rules.clone()),
            elsewhere: more.and_then(|more| more.elsewhere.clone()),
        });
        Draft {
            user: self.user(),
            service: self.back.service(),
            found,
            unsettled: self.front.kind == Kind::Unsettled,
            fetched: until(self.fetched()),
            proof: match self.proof() {
                Some((digest, span)) => Proof::Of(digest, until(span)),
                None => {
                    let said = self.front.digest;
                    Proof::After(self.front.verified_at(), (said != [0; 16]).then(|| Digest::of(said)))
                }
            },
            fingerprint: self.fingerprint(),
            app_passwords: more.map(|more| more.app_passwords.clone()).unwrap_or_default(),
            wrong: more.map(|more| more.wrong.clone()).unwrap_or_default(),
        }
    }
}
