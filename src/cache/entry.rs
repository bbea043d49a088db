//! One entry: what the directories said of one name, packed.
//!
//! Most of a million entries are of the same plain kind: somebody with a name, a password that was right, and fields for
//! the mail processes. Those are one small struct and one text; rules, app passwords and wrong passwords are beside it,
//! for who has any.

mod draft;
mod text;
mod weight;

use std::{
    fmt,
    net::IpAddr,
    num::NonZeroU64,
    str,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::SystemTime,
};

use gatepost_protocol::dovecot::FieldsBuf;

pub(super) use self::draft::{Draft, Proof, Somebody};
use self::text::Text;
use super::{
    clock::Tick,
    digest::{Digest, Fingerprint},
};
use crate::{
    account::{Account, Net, Nologin, Password, Services, State, admits},
    decision::AppPassword,
    username::Username,
};

/// What is kept of one name. It never changes; when something is learnt, another one takes its place.
///
/// It is in two parts that lie apart. Of a million entries each line of the processor's memory is one that has to be
/// waited for: whoever comes with the password that is known to be right is found by the first part, and needs the other
/// one only if there is more to be said of them.
#[derive(Clone, Copy)]
pub struct Entry<'e> {
    front: &'e Front,
    back: &'e Back,
}

/// An entry that is in nobody else's hands.
pub struct EntryBuf {
    pub(super) front: Front,
    pub(super) back: Back,
}

/// The part that lies in the table itself: all that a plain login looks at. Two of them, with what the table needs, are one
/// line of memory.
#[derive(Default)]
#[repr(C)]
pub(super) struct Front {
    /// Of the main password; means nothing unless `kind` says so. Where it is not known to be right: of the one that was
    /// said to be last, by an answer that did not count; zeros for none.
    digest: [u8; 16],
    /// When the directory was asked that found it right, in ticks. Where none is known: what was asked before is no
    /// proof.
    verified_at: [u8; 4],
    /// Where the other part lies.
    number: [u8; 4],
    directory: u16,
    kind: Kind,
    /// The bits below.
    has: u8,
    /// How long after `verified_at` the answer came, in ticks.
    verified_span: u8,
    used: AtomicBool,
}

/// In `has`: it is for one service alone.
const SERVICE: u8 = 1;
/// In `has`: the canonical name is another one.
const CANONICAL: u8 = 1 << 1;
/// In `has`: fields of the passdb.
const PASSDB: u8 = 1 << 2;
/// In `has`: something is to be looked at before somebody with the right password comes in.
const RULES: u8 = 1 << 3;

/// The other part, of which there is one beside the other (`pages`).
pub(super) struct Back {
    more: Option<Box<More>>,
    fingerprint: Option<NonZeroU64>,
    user: u8,
    service: u8,
    canonical: u8,
    /// How long after `fetched_at` the answer came, in ticks.
    fetched_span: u8,
    /// When the directory was asked that gave the account.
    fetched_at: Tick,
    /// Not before this is it asked again ahead of time.
    refresh_at: AtomicU32,
    passdb: u16,
    /// Name, service, canonical name (if another one), fields of the passdb, fields of the userdb, in the forms that
    /// they have on the wire.
    text: Text,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
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

/// What few have.
#[derive(Clone, Default)]
pub(super) struct More {
    pub(super) rules: Option<Rules>,
    pub(super) elsewhere: Option<Elsewhere>,
    pub(super) app_passwords: Vec<Right>,
    pub(super) wrong: Vec<Wrong>,
}

/// What an account says of who may come in, if it says anything.
#[derive(Clone)]
pub(super) struct Rules {
    state: State,
    allow_nets: Option<Vec<Net>>,
    services: Services,
    nologin: Option<Nologin>,
}

/// What another directory says, which the account leaves its password to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Which directory, by its place in their order.
    pub directory: u16,
    /// By which name it was asked.
    pub user: Username,
    /// Whether anybody may log in at all.
    pub state: State,
}

/// An app password that was right.
#[derive(Clone)]
pub(super) struct Right {
    pub(super) digest: Digest,
    pub(super) span: Span,
    pub(super) which: Arc<AppPassword>,
}

/// A password that was wrong.
#[derive(Clone, Copy)]
pub(super) struct Wrong {
    pub(super) digest: Digest,
    pub(super) span: Span,
    /// Whether it may be refused. If not, it is not to be taken for right by what was asked before the answer was there.
    pub(super) counts: bool,
}

/// When something was found out: it held at some moment between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begun: Tick,
    pub(super) ended: Tick,
}

impl Rules {
    /// Those of an account; `None`: there are none.
    pub(super) fn of(account: &Account) -> Option<Self> {
        let plain = account.state == State::Active
            && account.allow_nets.is_none()
            && account.services.are_all()
            && account.nologin.is_none();
        (!plain).then(|| Self {
            state: account.state,
            allow_nets: account.allow_nets.clone(),
            services: account.services.clone(),
            nologin: account.nologin.clone(),
        })
    }
}

impl More {
    fn is_empty(&self) -> bool {
        self.rules.is_none()
            && self.elsewhere.is_none()
            && self.app_passwords.is_empty()
            && self.wrong.is_empty()
    }
}

impl Front {
    /// Whether it is of somebody with no service of their own whose main password is this one. So it is theirs: a digest is
    /// one of the name too.
    pub(super) fn proves(&self, digest: &Digest) -> bool {
        self.kind == Kind::Proven && self.has & SERVICE == 0 && Digest::of(self.digest).is(digest)
    }

    /// Where the other part lies.
    pub(super) const fn number(&self) -> usize {
        u32::from_ne_bytes(self.number) as usize
    }

    /// The other part lies there now. Where that is too far to be told there is none, and nobody is found.
    pub(super) fn renumber(&mut self, number: usize) {
        self.number = u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes();
    }

    /// Whether somebody has the name.
    pub(super) fn is_somebody(&self) -> bool {
        matches!(self.kind, Kind::Proven | Kind::Unproven)
    }

    /// Notes that somebody has asked for it.
    pub(super) fn touch(&self) {
        // Most of the time it is set already, and reading is cheaper where several cores look at the same entry.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody has asked for it since this was asked last.
    pub(super) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn verified_at(&self) -> Tick {
        Tick::new(u32::from_ne_bytes(self.verified_at))
    }
}

impl Back {
    /// Whether it is of this name and this service.
    pub(super) fn is_of(&self, user: &[u8], service: &[u8]) -> bool {
        let (named, all) = (usize::from(self.user), usize::from(self.user) + usize::from(self.service));
        all - named == service.len()
            && self.text.bytes().get(..named).is_some_and(|name| same(name, user))
            && (service.is_empty() || self.text.bytes().get(named..all) == Some(service))
    }

    /// The name that was looked up.
    pub(super) fn user(&self) -> &str {
        self.name(0, self.user)
    }

    /// The service that it was looked up for; empty where that makes no difference.
    pub(super) fn service(&self) -> &str {
        self.name(usize::from(self.user), self.service)
    }

    /// The canonical name.
    pub(super) fn canonical(&self) -> &str {
        match self.canonical {
            0 => self.user(),
            length => self.name(usize::from(self.user) + usize::from(self.service), length),
        }
    }

    /// What another directory says.
    pub(super) fn elsewhere(&self) -> Option<&Elsewhere> {
        self.more.as_ref()?.elsewhere.as_ref()
    }

    fn name(&self, from: usize, length: u8) -> &str {
        let bytes = self.text.bytes().get(from..from + usize::from(length)).unwrap_or_default();
        // Made of a str.
        str::from_utf8(bytes).unwrap_or_default()
    }

    fn fields_at(&self) -> usize {
        usize::from(self.user) + usize::from(self.service) + usize::from(self.canonical)
    }
}

impl EntryBuf {
    /// Only for a look.
    pub const fn look(&self) -> Entry<'_> {
        Entry { front: &self.front, back: &self.back }
    }
}

impl<'e> Entry<'e> {
    /// One of two parts.
    pub(super) const fn of(front: &'e Front, back: &'e Back) -> Self {
        Self { front, back }
    }

    /// Where its second part lies.
    pub(super) const fn number(self) -> usize {
        self.front.number()
    }

    /// Its second part.
    pub(super) const fn back(self) -> &'e Back {
        self.back
    }

    /// Copies it.
    pub fn to_buf(self) -> EntryBuf {
        let Front { digest, verified_at, number, directory, kind, has, verified_span, .. } = *self.front;
        let Back { user, service, canonical, fetched_span, fetched_at, passdb, fingerprint, .. } = *self.back;
        let used = AtomicBool::new(self.front.used.load(Ordering::Relaxed));
        let refresh_at = AtomicU32::new(self.back.refresh_at.load(Ordering::Relaxed));
        let (more, text) = (self.back.more.clone(), self.back.text.clone());
        EntryBuf {
            front: Front { digest, verified_at, number, directory, kind, has, verified_span, used },
            back: Back {
                more,
                fingerprint,
                user,
                service,
                canonical,
                fetched_span,
                fetched_at,
                refresh_at,
                passdb,
                text,
            },
        }
    }

    /// Whether nobody has the name.
    pub fn is_nobody(self) -> bool {
        self.front.kind == Kind::Nobody
    }

    /// Whether somebody has it.
    pub fn is_somebody(self) -> bool {
        self.front.is_somebody()
    }

    /// Whether this is the canonical name.
    pub fn is_canonical(self, name: &[u8]) -> bool {
        same(self.back.canonical().as_bytes(), name)
    }

    /// Whether the name that was looked up is the canonical name.
    pub const fn is_of_canonical(self) -> bool {
        self.front.has & CANONICAL == 0
    }

    /// The name that was looked up.
    pub fn user(self) -> &'e str {
        self.back.user()
    }

    /// The canonical name.
    pub fn canonical(self) -> &'e str {
        self.back.canonical()
    }

    /// The number of the directory that knows the account.
    pub const fn directory(self) -> u16 {
        self.front.directory
    }

    /// The fields of the passdb, as they stand on the wire.
    pub fn passdb(self) -> &'e [u8] {
        let from = self.back.fields_at();
        self.back.text.bytes().get(from..from + usize::from(self.back.passdb)).unwrap_or_default()
    }

    /// The fields of the userdb, as they stand on the wire.
    pub fn userdb(self) -> &'e [u8] {
        let from = self.back.fields_at() + usize::from(self.back.passdb);
        self.back.text.bytes().get(from..).unwrap_or_default()
    }

    /// Whether nothing is to be looked at before somebody with the right password comes in.
    pub const fn has_no_rules(self) -> bool {
        self.front.has & RULES == 0
    }

    /// The same, and nothing but the name is told of them.
    pub const fn is_plain(self) -> bool {
        self.front.has & (RULES | PASSDB) == 0
    }

    /// Whether there is somebody to whom `service` delivers mail, if it delivers any.
    pub fn delivers(self, service: &str) -> bool {
        self.is_somebody() && self.rules().is_none_or(|rules| rules.services.deliver(service))
    }

    /// Whether the account lets somebody with the right password in.
    pub fn admits(self, service: &str, remote: Option<IpAddr>, now: SystemTime) -> bool {
        let active = |state: State| state.at(now) == State::Active;
        self.elsewhere().is_none_or(|other| active(other.state))
            && self.rules().is_none_or(|rules| {
                active(rules.state)
                    && rules.services.allow(service)
                    && admits(rules.allow_nets.as_deref(), remote)
            })
    }

    /// Whether an account of this name has its password here, so that nobody else need be asked about it.
    pub fn is_whole(self) -> bool {
        self.back.fingerprint.is_some() && self.elsewhere().is_none()
    }

    /// Whether its password was checked in this way.
    pub fn is_checked_by(self, way: Fingerprint) -> bool {
        self.fingerprint() == Some(way)
    }

    /// What another directory says.
    pub fn elsewhere(self) -> Option<&'e Elsewhere> {
        if self.has_no_rules() { None } else { self.back.elsewhere() }
    }

    /// The account, without its stored password: that is not kept. `directory` is the name of its directory.
    pub fn account(self, directory: Arc<str>) -> Option<Account> {
        if !self.is_somebody() {
            return None;
        }
        let rules = self.rules().cloned().unwrap_or(Rules {
            state: State::Active,
            allow_nets: None,
            services: Services::default(),
            nologin: None,
        });
        Some(Account {
            user: Username::of_normal_form(self.canonical()),
            directory,
            password: Password::Missing,
            state: rules.state,
            allow_nets: rules.allow_nets,
            services: rules.services,
            nologin: rules.nologin,
            passdb: FieldsBuf::of_wire(self.passdb()),
            userdb: FieldsBuf::of_wire(self.userdb()),
        })
    }

    /// When the account was given. No answer about it came later than that.
    pub(super) fn fetched(self) -> Span {
        span(self.back.fetched_at, self.back.fetched_span)
    }

    /// The main password that was right, and when.
    pub(super) fn proof(self) -> Option<(Digest, Span)> {
        let span = span(self.front.verified_at(), self.front.verified_span);
        (self.front.kind == Kind::Proven).then(|| (Digest::of(self.front.digest), span))
    }

    /// How it was checked.
    pub(super) fn fingerprint(self) -> Option<Fingerprint> {
        self.back.fingerprint.map(Fingerprint::of)
    }

    /// App passwords that were right.
    pub(super) fn app_passwords(self) -> &'e [Right] {
        self.back.more.as_ref().map(|more| &*more.app_passwords).unwrap_or_default()
    }

    /// Passwords that were wrong.
    pub(super) fn wrong(self) -> &'e [Wrong] {
        self.back.more.as_ref().map(|more| &*more.wrong).unwrap_or_default()
    }

    /// Notes that somebody has asked for it.
    pub(super) fn touch(self) {
        self.front.touch();
    }

    /// Whether somebody has asked for it since this was asked last.
    pub(super) fn was_used(self) -> bool {
        self.front.was_used()
    }

    /// Whether it is this caller's turn to ask ahead of time; not again for `pause` ticks.
    pub(super) fn may_refresh(self, now: Tick, pause: u32) -> bool {
        let due = self.back.refresh_at.load(Ordering::Relaxed);
        let next = now.get().saturating_add(pause);
        now.get() >= due
            && self.back.refresh_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn rules(self) -> Option<&'e Rules> {
        if self.has_no_rules() { None } else { self.back.more.as_ref()?.rules.as_ref() }
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

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("user", &self.user()).finish_non_exhaustive()
    }
}

impl fmt::Debug for EntryBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.look().fmt(f)
    }
}

/// Whether two names are the same. Where a name lies at the end of a line of memory, the library's way of comparing, which
/// reads 32 bytes at once, would wait for the next line too.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    let differ = |one: &[u8; 8], other: &[u8; 8]| u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other);
    match (one.last_chunk(), other.last_chunk()) {
        (Some(last), Some(of_other)) => {
            let mut words = one.as_chunks().0.iter().zip(other.as_chunks().0);
            one.len() == other.len()
                && differ(last, of_other) == 0
                && words.all(|(one, other)| differ(one, other) == 0)
        }
        _ => one == other,
    }
}

fn span(begun: Tick, ticks: u8) -> Span {
    // What took longer than can be told may have ended at any time since.
    let ended = if ticks == u8::MAX { u32::MAX } else { begun.get().saturating_add(ticks.into()) };
    Span { begun, ended: Tick::new(ended) }
}

#[cfg(test)]
mod tests;
