//! Judging a login where its line is read.

use std::{
    net::IpAddr,
    str,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::domain_of;
use crate::{
    account::Account,
    app_password::recognise,
    cache::{self, Digest, Entry, EntryBuf, Expected, Recall, Tick, Typed},
    decision::{AppPassword, Engine, Refusal, identity},
    username::{NameRoom, Username},
};

/// A moment at which many logins are recalled, by the clock of memory too, which is then looked at only once.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time that does not jump.
    pub instant: Instant,
    pub(in crate::decision) tick: Option<Tick>,
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        Self { instant, tick: None }
    }
}

/// A login as it stands in the line of a peer: all that memory is asked with, before anything of it is copied.
#[derive(Clone, Copy)]
pub struct Knock<'a> {
    /// Who they say they are, as typed.
    pub authcid: &'a [u8],
    /// Whom they want to act as.
    pub authzid: Option<&'a [u8]>,
    /// What they offer as proof.
    pub password: &'a [u8],
    /// The name, a NUL and the password, as they stand in their response.
    pub proof: &'a [u8],
    /// What they want to use, as the peer spells it.
    pub service: &'a str,
    /// Whether the peer will ask for the account too.
    pub keeps: bool,
}

impl Knock<'_> {
    /// Whether the proof is the name and the password.
    fn is_of_its_parts(&self) -> bool {
        let rest = self.proof.strip_prefix(self.authcid);
        rest.and_then(|rest| rest.strip_prefix(b"\0")) == Some(self.password)
    }
}

/// What memory says of a login: who is let in, or why they are not.
pub type Recalled<'e> = Result<Known<'e>, Refusal>;

/// Somebody who is let in, and about whom there is nothing more to be told than their name, which is as they typed it.
#[derive(Debug)]
pub struct Known<'e> {
    directory: &'e Arc<str>,
    app_password: Option<Arc<AppPassword>>,
    provider: Option<Arc<str>>,
    entry: Option<Box<EntryBuf>>,
    refresh: bool,
}

impl<'e> Known<'e> {
    /// Somebody for whose token a provider vouches.
    pub(in crate::decision) fn bearing(
        directory: &'e Arc<str>,
        provider: &Arc<str>,
        entry: Option<Box<EntryBuf>>,
        refresh: bool,
    ) -> Self {
        Self { directory, app_password: None, provider: Some(Arc::clone(provider)), entry, refresh }
    }

    /// The name of the directory.
    pub const fn directory(&self) -> &Arc<str> {
        self.directory
    }

    /// The app password that it is, if it is one.
    pub fn app_password(&self) -> Option<&AppPassword> {
        self.app_password.as_deref()
    }

    /// The provider that vouches for their token, if it is one.
    pub fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }

    /// Whether [`Engine::refresh`] is to be called.
    pub const fn wants_refresh(&self) -> bool {
        self.refresh
    }

    /// The account, where it was said to be wanted.
    pub fn account(&self) -> Option<Account> {
        self.entry.as_ref()?.look().account(Arc::clone(self.directory))
    }
}

impl Engine {
    /// That moment, for this engine alone.
    pub fn moment(&self, instant: Instant) -> Moment {
        Moment { instant, tick: self.memory.as_ref().map(|memory| memory.cache.at(instant)) }
    }

    /// Judges a login from memory, if it can be done at once and there is nothing out of the ordinary about it. `None`:
    /// [`Engine::judge`] is to be asked.
    ///
    /// Nothing is allocated for it, and `remote` is asked for their address only where that makes a difference.
    pub fn recall<'e>(
        &'e self,
        knock: &Knock<'_>,
        remote: impl Fn() -> Option<IpAddr>,
        now: impl Into<Moment>,
    ) -> Option<Recalled<'e>> {
        let memory = self.memory.as_ref()?;
        let Moment { instant, tick } = now.into();
        let now = tick.unwrap_or_else(|| memory.cache.at(instant));
        if recognise(knock.password).is_some() {
            return None;
        }
        if identity::are_two(knock.authcid, knock.authzid, self.separator) {
            return None;
        }
        // Nearly all type their names in normal form. A name under which an entry is found is in it: bringing it into that
        // form would change nothing.
        let service = if memory.reads_service { knock.service.as_bytes() } else { b"" };
        let expected = memory.cache.expect(Typed { user: knock.authcid, service });
        // Whoever has this digest is taken for who they say they are.
        debug_assert!(knock.is_of_its_parts());
        let digest = memory.cache.digester().proof(knock.proof);
        let is_canonical = |entry: Entry<'_>| entry.is_of_canonical();
        match self.recall_as(&expected, digest, knock, is_canonical, &remote, now) {
            None => {
                let mut room = NameRoom::new();
                let user = Username::normalised(knock.authcid, self.default_domain(), &mut room).ok()?;
                if user.as_bytes() == knock.authcid {
                    return None;
                }
                let expected = memory.cache.expect(Typed { user: user.as_bytes(), service });
                let digest = memory.cache.digester().password(user, knock.password);
                let is_canonical = |entry: Entry<'_>| entry.is_canonical(knock.authcid);
                self.recall_as(&expected, digest, knock, is_canonical, &remote, now)
            }
            recalled => recalled,
        }
    }

    /// Under this name. `is_canonical`: whether the one that they typed is the canonical name.
    #[inline]
    fn recall_as<'e>(
        &'e self,
        expected: &Expected<'_>,
        digest: Digest,
        knock: &Knock<'_>,
        is_canonical: impl Fn(Entry<'_>) -> bool,
        remote: impl Fn() -> Option<IpAddr>,
        now: Tick,
    ) -> Option<Recalled<'e>> {
        let memory = self.memory.as_ref()?;
        // Whoever the rules do not let in, or has more to be told, is asked about.
        let take = |right: cache::Right<'_>| {
            let entry = right.entry;
            let plain = entry.is_plain() && is_canonical(entry);
            let admitted = plain && self.admits(right, knock.service, remote, SystemTime::now);
            let directory = self.directory_name(entry.directory()).filter(|_| admitted)?;
            let app_password = right.app_password.map(Arc::clone);
            if !knock.keeps {
                return Some((directory, app_password, None));
            }
            // They were found by a digest, and are about to get a mailbox.
            let named = entry.is_of_user(expected.user());
            named.then(|| (directory, app_password, Some(Box::new(entry.to_buf()))))
        };
        match memory.cache.recall_expected(expected, &digest, now, take) {
            Recall::Nothing => None,
            // A provider has yet to say something.
            Recall::Nobody | Recall::Wrong
                if self.providers.grants(str::from_utf8(expected.user()).ok().and_then(domain_of)) =>
            {
                None
            }
            Recall::Nobody => Some(Err(Refusal::UserUnknown)),
            Recall::Wrong => Some(Err(Refusal::PasswordMismatch)),
            Recall::Right { taken: (directory, app_password, entry), refresh } => {
                Some(Ok(Known { directory, app_password, provider: None, entry, refresh }))
            }
        }
    }
}
