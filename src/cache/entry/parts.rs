//! The two parts of an entry.

use std::{
    num::NonZeroU64,
    str,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{Elsewhere, More, text::Text};
use crate::cache::{clock::Tick, digest::Digest};

/// The part that lies in the table itself: all that a plain login looks at. Two of them, with what the table needs, are one
/// line of memory.
#[derive(Default)]
#[repr(C)]
pub(in crate::cache) struct Front {
    /// Of the main password; means nothing unless `kind` says so. Where it is not known to be right: of the one that was
    /// said to be last, by an answer that did not count; zeros for none.
    pub(super) digest: [u8; 16],
    /// When the directory was asked that found it right, in ticks. Where none is known: what was asked before is no
    /// proof.
    pub(super) verified_at: [u8; 4],
    /// Where the other part lies.
    pub(super) number: [u8; 4],
    pub(super) directory: u16,
    pub(super) kind: Kind,
    /// The bits below.
    pub(super) has: u8,
    /// How long after `verified_at` the answer came, in ticks.
    pub(super) verified_span: u8,
    pub(super) used: AtomicBool,
}

/// In `has`: it is for one service alone.
pub(super) const SERVICE: u8 = 1;
/// In `has`: the canonical name is another one.
pub(super) const CANONICAL: u8 = 1 << 1;
/// In `has`: fields of the passdb.
pub(super) const PASSDB: u8 = 1 << 2;
/// In `has`: something is to be looked at before somebody with the right password comes in.
pub(super) const RULES: u8 = 1 << 3;

/// The other part. These lie one beside the other (`pages`).
pub(in crate::cache) struct Back {
    pub(super) more: Option<Box<More>>,
    pub(super) fingerprint: Option<NonZeroU64>,
    pub(super) user: u8,
    pub(super) service: u8,
    pub(super) canonical: u8,
    /// How long after `fetched_at` the answer came, in ticks.
    pub(super) fetched_span: u8,
    /// When the directory was asked that gave the account.
    pub(super) fetched_at: Tick,
    /// Not before this is it asked again ahead of time.
    pub(super) refresh_at: AtomicU32,
    pub(super) passdb: u16,
    /// Name, service, canonical name (if another one), fields of the passdb, fields of the userdb, in the forms that
    /// they have on the wire.
    pub(super) text: Text,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody has the name.
    #[default]
    Nobody,
    /// Somebody or nobody: answers that overlapped said both. What was asked before `verified_at` does not count if it says
    /// that there is somebody, and what was asked before the end of `fetched_at` if it says that there is nobody.
    Unsettled,
    /// Somebody; no main password of theirs is known to be right.
    Unproven,
    /// Somebody, and `digest` is that of their main password.
    Proven,
}

impl Front {
    /// Whether it is of somebody with no service of their own whose main password is this one. So it is theirs: a digest is
    /// one of the name too.
    pub(in crate::cache) fn proves(&self, digest: &Digest) -> bool {
        self.kind == Kind::Proven && self.has & SERVICE == 0 && Digest::of(self.digest).is(digest)
    }

    /// Where the other part lies.
    pub(in crate::cache) const fn number(&self) -> usize {
        u32::from_ne_bytes(self.number) as usize
    }

    /// The other part lies there now. Where that is too far to be told there is none, and nobody is found.
    pub(in crate::cache) fn renumber(&mut self, number: usize) {
        self.number = u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes();
    }

    /// Whether somebody has the name.
    pub(in crate::cache) fn is_somebody(&self) -> bool {
        matches!(self.kind, Kind::Proven | Kind::Unproven)
    }

    /// Notes that somebody has asked for it.
    pub(in crate::cache) fn touch(&self) {
        // Most of the time it is set already, and reading is cheaper where several cores look at the same entry.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody has asked for it since this was asked last.
    pub(in crate::cache) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    pub(super) fn verified_at(&self) -> Tick {
        Tick::new(u32::from_ne_bytes(self.verified_at))
    }
}

impl Back {
    /// Whether it is of this name and this service.
    pub(in crate::cache) fn is_of(&self, user: &[u8], service: &[u8]) -> bool {
        let (named, all) = (usize::from(self.user), usize::from(self.user) + usize::from(self.service));
        all - named == service.len()
            && self.text.bytes().get(..named) == Some(user)
            && (service.is_empty() || self.text.bytes().get(named..all) == Some(service))
    }

    /// The name that was looked up.
    pub(in crate::cache) fn user(&self) -> &str {
        self.name(0, self.user)
    }

    /// The service that it was looked up for; empty where that makes no difference.
    pub(in crate::cache) fn service(&self) -> &str {
        self.name(usize::from(self.user), self.service)
    }

    /// The canonical name.
    pub(in crate::cache) fn canonical(&self) -> &str {
        match self.canonical {
            0 => self.user(),
            length => self.name(usize::from(self.user) + usize::from(self.service), length),
        }
    }

    /// What another directory says.
    pub(in crate::cache) fn elsewhere(&self) -> Option<&Elsewhere> {
        self.more.as_ref()?.elsewhere.as_ref()
    }

    fn name(&self, from: usize, length: u8) -> &str {
        let bytes = self.text.bytes().get(from..from + usize::from(length)).unwrap_or_default();
        // Made of a str.
        str::from_utf8(bytes).unwrap_or_default()
    }

    pub(super) fn fields_at(&self) -> usize {
        usize::from(self.user) + usize::from(self.service) + usize::from(self.canonical)
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        // `pass=` may be among the fields of a proxied account.
        if self.passdb != 0 {
            self.text.wipe();
        }
    }
}
