//! Ending what tokens are good for before they end.

use std::{cell::RefCell, time::Instant};

use gatepost_protocol::secret::Secret;
use tracing::{error, info};

use super::{Vouching, ledger::Line};
use crate::{
    cache::Logout,
    decision::{Engine, Now, memory::in_time},
    directory::Unavailable,
    oidc::{LoggedOut, NotVouched},
    username::{InvalidName, Username},
};

/// That the tokens of somebody were revoked.
#[derive(Debug)]
pub struct Revoked {
    /// Whose: the name that was said, and the canonical one, if that is another one.
    pub users: Vec<Username>,
    /// How many entries were forgotten of them.
    pub forgotten: usize,
    /// Why it could not be found out whether the name leads to another one, so that tokens of that are good still; or why it
    /// could not be written down, so that a restart makes them good again.
    pub unavailable: Option<Unavailable>,
}

/// That a provider has ended a session, or all sessions of somebody.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many of their tokens were known.
    pub tokens: usize,
    /// Whose these were, and who was let in by one that is not known any more.
    pub users: Vec<Username>,
}

impl Engine {
    /// Revokes all tokens of somebody that were issued until now, and forgets what is known of them, passwords included.
    /// Who logs in anew at the provider comes in. Their connections end, where somebody is configured to do that.
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
        let lines = users.iter().map(|user| Line::User(user.as_str().to_owned())).collect();
        unavailable = self.write_down(lines, now).await.or(unavailable);
        info!(?users, forgotten, "the tokens of a user were revoked");
        // Connections go by the canonical name.
        self.kick(users.last());
        Ok(Revoked { users, forgotten, unavailable })
    }

    /// Checks what a provider sends when somebody has logged out there, and acts upon it. `None`: it was told before, and
    /// what was issued since stays good.
    ///
    /// # Errors
    ///
    /// A verdict against the logout token, or that nobody could tell.
    pub async fn logout(
        &self,
        token: &Secret,
        now: impl Into<Now>,
    ) -> Result<(LoggedOut, Option<Ended>), NotVouched> {
        let (started, now) = (Instant::now(), now.into());
        let told = self.providers.logout(token, now.wall).await?;
        if !self.revocations.is_news(&told.issuer, &told.id) {
            return Ok((told, None));
        }
        let (subject, session) = (told.subject.as_deref(), told.session.as_deref());
        let logout = Logout { issuer: &told.issuer, subject, session };
        let now = now.after(started.elapsed());
        let ended = self.logged_out(&logout, now);
        let line = Line::Logout {
            issuer: told.issuer.to_string(),
            subject: subject.map(str::to_owned),
            session: session.map(str::to_owned),
        };
        self.write_down(vec![line], now).await;
        self.kick(&ended.users);
        Ok((told, Some(ended)))
    }

    /// Takes note that a provider has ended a session, or all sessions of somebody: their tokens that were issued until now
    /// are good no longer.
    ///
    /// The logout token was verified, and is of the provider that it names (OpenID Connect Back-Channel Logout 1.0 2.6).
    pub fn logged_out(&self, logout: &Logout<'_>, now: impl Into<Now>) -> Ended {
        let now = now.into();
        self.revocations.note_logout(logout, now.wall);
        let users = RefCell::new(self.revocations.bearers(logout));
        let ended = |vouching: &Vouching| {
            let is =
                |text: &Option<Box<str>>, other: Option<&str>| other.is_some() && text.as_deref() == other;
            let ended = *vouching.issuer == *logout.issuer
                && match logout.session {
                    Some(_) if vouching.session.is_some() => is(&vouching.session, logout.session),
                    Some(_) | None => is(&vouching.subject, logout.subject),
                };
            if let (true, Some(user)) = (ended, vouching.owner()) {
                let mut users = users.borrow_mut();
                if !users.contains(user) {
                    users.push(user.clone());
                }
            }
            ended
        };
        let tokens = self.forget_tokens(ended, Some(now));
        Ended { tokens, users: users.into_inner() }
    }

    /// Takes note of a user who was let in by a token, where their connections are to end with it.
    pub(super) fn note_bearer(&self, vouching: &Vouching, user: &Username) {
        if self.kick.is_some() {
            let (subject, session) = (vouching.subject.as_deref(), vouching.session.as_deref());
            self.revocations.note_bearer(&vouching.issuer, subject, session, user);
        }
    }

    /// Why it could not be.
    async fn write_down(&self, lines: Vec<Line>, now: Now) -> Option<Unavailable> {
        let unavailable = self.ledger.as_ref()?.keep(lines, now.wall).await.err()?;
        error!(reason = %unavailable, "what was revoked could not be written down");
        Some(unavailable)
    }

    fn kick<'a>(&self, users: impl IntoIterator<Item = &'a Username>) {
        if let Some(kick) = &self.kick {
            users.into_iter().for_each(|user| kick.offer(user));
        }
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
