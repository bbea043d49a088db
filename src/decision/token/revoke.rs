//! Ending what tokens are good for before they end.

use super::Vouching;
use crate::{
    cache::Logout,
    decision::{Engine, Now, memory::in_time},
    directory::Unavailable,
    username::{InvalidName, Username},
};

/// That the tokens of somebody were revoked.
#[derive(Debug)]
pub struct Revoked {
    /// Whose: the name that was said, and the canonical one, if that is another one.
    pub users: Vec<Username>,
    /// How many entries were forgotten of them.
    pub forgotten: usize,
    /// Why it could not be found out whether the name leads to another one. Tokens of that are good still.
    pub unavailable: Option<Unavailable>,
}

impl Engine {
    /// Revokes all tokens of somebody that were issued until now, and forgets what is known of them, passwords included.
    /// Who logs in anew at the provider comes in.
    ///
    /// # Errors
    ///
    /// It is no name.
    pub async fn revoke(&self, name: &[u8], now: impl Into<Now>) -> Result<Revoked, InvalidName> {
        let (user, now) = (self.normalise(name)?, now.into());
        // At once. What the name leads to is asked about after that, so that it is not known from memory.
        let mut forgotten = self.revoke_name(user.as_str(), now);
        let mut users = vec![user];
        let mut unavailable = None;
        if let [user] = &*users {
            let found = in_time(self.patience(), self.look_up(user, "")).await;
            match found.unwrap_or_else(|_| Err(Unavailable::new("-", "no answer within the deadline"))) {
                Ok(Some(account)) if account.user != *user => {
                    forgotten += self.revoke_name(account.user.as_str(), now);
                    users.push(account.user.clone());
                }
                Ok(_) => {}
                Err(why) => unavailable = Some(why),
            }
        }
        Ok(Revoked { users, forgotten, unavailable })
    }

    /// Takes note that a provider has ended a session, or all sessions of somebody: their tokens that were issued until now
    /// are good no longer. How many were known.
    ///
    /// The logout token was verified, and is of the provider that it names (OpenID Connect Back-Channel Logout 1.0 2.6).
    pub fn logged_out(&self, logout: &Logout<'_>, now: impl Into<Now>) -> usize {
        let now = now.into();
        self.revocations.note_logout(logout, now.wall);
        let ended = |vouching: &Vouching| {
            let is =
                |text: &Option<Box<str>>, other: Option<&str>| other.is_some() && text.as_deref() == other;
            *vouching.issuer == *logout.issuer
                && match logout.session {
                    Some(_) if vouching.session.is_some() => is(&vouching.session, logout.session),
                    Some(_) | None => is(&vouching.subject, logout.subject),
                }
        };
        self.forget_tokens(ended, Some(now))
    }

    /// Forgets the tokens of those of whom `whom` says so.
    pub(in crate::decision) fn flush_tokens(&self, whom: impl Fn(&str) -> bool) -> usize {
        self.forget_tokens(|vouching| vouching.is_of(&whom), None)
    }

    fn revoke_name(&self, user: &str, now: Now) -> usize {
        self.revocations.note_user(user, now.wall);
        let tokens = self.forget_tokens(|vouching| vouching.is_of(|name| name == user), Some(now));
        let passwords = self.memory.as_ref().map_or(0, |memory| memory.cache.flush(|name| name == user));
        tokens + passwords
    }

    /// Forgets tokens. `revoked`: they are never to be good again. Those that a note of the time does not void are noted
    /// themselves, because it is forgotten when they were seen first.
    fn forget_tokens(&self, goes: impl Fn(&Vouching) -> bool, revoked: Option<Now>) -> usize {
        let Some(memory) = &self.memory else { return 0 };
        memory.tokens.forget(|vouching| {
            let goes = goes(vouching);
            if let (true, Some(now)) = (goes, revoked)
                && vouching.issued_at.is_none_or(|issued| issued > now.wall)
            {
                self.revocations.note_token(vouching.digest, now.wall, vouching.expires_at);
            }
            goes
        })
    }
}
