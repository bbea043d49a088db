//! Tokens that memory knows, judged at once.
//!
//! What is said here is what [`Engine::judge`] would say, only sooner. So this is for what webmail shows all day long: a good
//! token with the canonical name of its user, who has an account without rules of its own. Whatever else there is (no name or
//! another one, an account that is made of claims, rules, a refusal) is left to it.

use std::{str, time::SystemTime};

use super::vouching::{Source, Vouching};
use crate::{
    cache::{Entry, Typed},
    decision::{Engine, Known, Moment, Now, memory::domain_of},
};

/// A login with a token as it stands in the line of a peer, before anything of it is copied.
#[derive(Clone, Copy)]
pub struct Bearer<'a> {
    /// Whom the client names, as typed.
    pub name: &'a [u8],
    /// The token.
    pub token: &'a [u8],
    /// What they want to use, as the peer spells it.
    pub service: &'a str,
    /// Whether the peer will ask for the account too.
    pub keeps: bool,
}

impl Engine {
    /// Lets somebody in whose token memory knows, if it can be done at once and there is nothing out of the ordinary about it.
    /// `None`, and nothing has happened: [`Engine::judge`] is to be asked.
    ///
    /// Nothing is allocated for it.
    pub fn recall_token<'e>(
        &'e self,
        bearer: &Bearer<'_>,
        now: impl Into<Moment>,
        wall: SystemTime,
    ) -> Option<Known<'e>> {
        let memory = self.memory.as_ref()?;
        let Moment { instant, tick } = now.into();
        let now = Now { wall, instant };
        let digester = self.revocations.digester().filter(|_| !self.providers.is_empty())?;
        let name = str::from_utf8(bearer.name).ok()?;
        let key = digester.routed(&digester.token(bearer.token), domain_of(name));
        let glance = memory.tokens.glance(&key, now)?;
        let vouching = glance.vouching().filter(|vouching| is_simply_of(vouching, name))?;
        if self.is_void(vouching, glance.seen(), &[name]) {
            return None;
        }
        // Their name is the canonical one, so there is no other that could have been revoked.
        let take = |entry: Entry<'_>| {
            let plain = entry.is_somebody() && entry.is_whole() && entry.is_plain();
            let usual = plain && entry.is_canonical(bearer.name);
            let directory = self.directory_name(entry.directory()).filter(|_| usual)?;
            Some((directory, bearer.keeps.then(|| Box::new(entry.to_buf()))))
        };
        let service = if memory.reads_service { bearer.service.as_bytes() } else { b"" };
        let typed = Typed { user: bearer.name, service };
        let tick = tick.unwrap_or_else(|| memory.cache.at(instant));
        let (directory, entry) = memory.cache.look(typed, tick, take)?;
        let refresh = memory.tokens.used(&glance, now);
        Some(Known::bearing(directory, &vouching.provider, entry, refresh))
    }
}

/// Whether a token is for whoever has this name, which is in normal form then, and whose account is in a directory.
fn is_simply_of(vouching: &Vouching, name: &str) -> bool {
    let named = vouching.user.as_ref().is_ok_and(|user| user.as_str() == name);
    named && matches!(vouching.source, Source::Directories | Source::Provisioned(_))
}
