//! One entry: what the directories said of one name, packed.
//!
//! Most of a million entries are of the same plain kind: somebody with a name, a password that was right, and fields for
//! the mail processes. Those are two small structs; rules, app passwords and wrong passwords, and long texts, are beside them,
//! for who has any.

mod draft;
mod parts;
mod text;
mod weight;

use std::{
    fmt,
    net::IpAddr,
    str,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::SystemTime,
};

use gatepost_protocol::dovecot::FieldsBuf;

use self::parts::{CANONICAL, Kind, PASSDB, RULES};
pub(super) use self::{
    draft::{Draft, Proof, Somebody},
    parts::{Back, Front},
};
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
        self.canonical().as_bytes() == name
    }

    /// Whether this is the name that was looked up.
    pub fn is_of_user(self, name: &[u8]) -> bool {
        self.user().as_bytes() == name
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

fn span(begun: Tick, ticks: u8) -> Span {
    // What took longer than can be told may have ended at any time since.
    let ended = if ticks == u8::MAX { u32::MAX } else { begun.get().saturating_add(ticks.into()) };
    Span { begun, ended: Tick::new(ended) }
}

#[cfg(test)]
mod tests;
