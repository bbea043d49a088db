//! The other half of the cellar: the places that vouch for people, without knowing their mailboxes.
//!
//! A remote that has logged in somewhere else shows a token. Whether it is good, and whose it is, one of the
//! [`Providers`] tells: by a signature that is verified here with the keys that the provider publishes, or by being
//! asked about it. What it is good for decides the study.
//!
//! The way of a token:
//!
//! - `jwt` takes it apart, as far as that needs no key and no configuration.
//! - [`Providers`] finds whose it is: a signed one by its issuer, any other by the domain of the name that the remote
//!   says. It is shown to one provider only, as whoever sees a token can use it.
//! - `provider` is one `[[oidc]]` at work: it verifies with `keys`, or asks (`introspect`), through `http`.
//! - `rules` says what must be written in it, whichever way it was checked.
//!
//! Like a directory, a provider may be unavailable, which says nothing of the token and reaches the remote as a
//! temporary failure. Nothing is remembered here but endpoints and keys; answers are the study's to remember, never
//! past their end.
//!
//! What is not done: no token is made, refreshed or exchanged, and the userinfo endpoint does not vouch for tokens, as
//! it takes those of any program the user has ever logged in to.

use std::{sync::Arc, time::SystemTime};

use futures_util::future::join_all;
use gatepost_protocol::secret::Secret;

use self::{
    jwt::{Front, NoJwt},
    provider::Provider,
};
use crate::{config::Oidc, tls::NoRoots};

mod answer;
mod claims;
mod client;
mod discovery;
mod fetched;
mod http;
pub mod jwt;
mod keys;
mod provider;
mod rules;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod testing;

pub use self::{
    answer::{
        Challenge, FromClaims, How, Join, LoggedOut, NotVouched, Outage, TokenFault, Unavailable, Vouched,
    },
    claims::Claims,
    provider::Counts,
};

/// Who vouches for tokens: all `[[oidc]]` of a configuration.
#[derive(Default)]
pub struct Providers {
    all: Vec<Provider>,
    /// What says something in their place.
    #[cfg(test)]
    pub(crate) scripted: Option<scripted::Scripted>,
}

impl Providers {
    /// Nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that are configured. None is asked anything yet; see [`Self::keep_fresh`]. `default_domain` is what bare
    /// names are completed with.
    ///
    /// # Errors
    ///
    /// A provider whose certificate could not be verified: its name, and why.
    pub fn new(configs: &[Arc<Oidc>], default_domain: Option<&str>) -> Result<Self, (Arc<str>, NoRoots)> {
        let provider =
            |config| Provider::new(config, default_domain).map_err(|why| (Arc::clone(&config.name), why));
        let all = configs.iter().map(provider).collect::<Result<_, _>>()?;
        let mut providers = Self::none();
        providers.all = all;
        Ok(providers)
    }

    /// Whether nobody vouches for anything.
    pub fn is_empty(&self) -> bool {
        #[cfg(test)]
        if self.scripted.is_some() {
            return false;
        }
        self.all.is_empty()
    }

    /// Checks a token. `domain`: of the name that the remote says, normalised, if it says one; an opaque token goes to
    /// the provider for it.
    ///
    /// # Errors
    ///
    /// A verdict against the token, or that nobody could tell.
    pub async fn check(
        &self,
        token: &Secret,
        domain: Option<&str>,
        now: SystemTime,
    ) -> Result<Vouched, NotVouched> {
        #[cfg(test)]
        if let Some(scripted) = &self.scripted {
            return scripted.check(token, domain, now).await;
        }
        let front = match jwt::front(token.expose()) {
            Ok(front) => Some(front),
            Err(NoJwt::Opaque) => None,
            Err(NoJwt::Broken | NoJwt::NoToken) => return Err(rejected(TokenFault::Malformed)),
        };
        let text = jwt::token(token.expose()).ok_or_else(|| rejected(TokenFault::Malformed))?;
        let signed = front.is_some();
        let its = front.as_ref().and_then(|front| self.issuer(front));
        match (its, front) {
            (Some(provider), Some(front)) if provider.verifies() => provider.jwt(front, now).await,
            // Boxed, so that a signed token, which asks nobody, does not carry it along.
            (Some(provider), _) => Box::pin(provider.introspect(text, false, now)).await,
            (None, _) => match self.for_opaque(domain) {
                Some(provider) => Box::pin(provider.introspect(text, signed, now)).await,
                None if signed => Err(rejected(TokenFault::Issuer)),
                None => Err(rejected(TokenFault::Unrouted)),
            },
        }
    }

    /// What the error challenge tells of the provider for that domain. `None`: there is no provider for it.
    pub fn challenge(&self, domain: Option<&str>) -> Option<Challenge> {
        let config = self.first(domain, |_| true)?.config();
        Some(Challenge {
            configuration: discovery::address(&config.issuer).into(),
            scope: config.scopes.join(" ").into(),
        })
    }

    /// Whether one of them takes passwords of a domain (`password_grant = true`).
    pub fn grants(&self, domain: Option<&str>) -> bool {
        #[cfg(test)]
        if let Some(scripted) = &self.scripted {
            return scripted.grants(domain);
        }
        self.all.iter().any(|provider| provider.config().password_grant && provider.serves(domain))
    }

    /// Gives name and password to the first provider for the domain that takes them (`password_grant = true`). `None`:
    /// there is none. Whoever calls compares [`Vouched::username`] with the name that was given.
    pub async fn password(
        &self,
        user: &str,
        password: &Secret,
        domain: Option<&str>,
        now: SystemTime,
    ) -> Option<Result<Vouched, NotVouched>> {
        #[cfg(test)]
        if let Some(scripted) = &self.scripted {
            return Some(scripted.password(user, password, now).await);
        }
        let mut fitting = self.all.iter().filter(|provider| provider.config().password_grant);
        let provider = fitting.find(|provider| provider.serves(domain))?;
        Some(Box::pin(provider.password(user, password, now)).await)
    }

    /// Checks what a provider sends when somebody has logged out there.
    ///
    /// # Errors
    ///
    /// A verdict against the logout token, or that nobody could tell.
    pub async fn logout(&self, token: &Secret, now: SystemTime) -> Result<LoggedOut, NotVouched> {
        #[cfg(test)]
        if self.scripted.is_some() {
            return scripted::logged_out(token);
        }
        let front = jwt::front(token.expose()).map_err(|_| rejected(TokenFault::Malformed))?;
        self.issuer(&front).ok_or_else(|| rejected(TokenFault::Issuer))?.logout(front, now).await
    }

    /// Learns endpoints and keys, and keeps them fresh. Never ends, and fails at nothing: what is not learnt here in
    /// the background is asked for when it is needed.
    pub async fn keep_fresh(&self) {
        join_all(self.all.iter().map(Provider::keep_fresh)).await;
    }

    /// How often each was asked, in the order of the configuration.
    pub fn counts(&self) -> Vec<Counts> {
        self.all.iter().map(Provider::counts).collect()
    }

    /// Whom a signed token names as its issuer.
    fn issuer(&self, front: &Front<'_>) -> Option<&Provider> {
        let issuer = front.claims.string("iss")?;
        self.all.iter().find(|provider| *provider.config().issuer == *issuer)
    }

    /// The only provider that an opaque token is shown to.
    fn for_opaque(&self, domain: Option<&str>) -> Option<&Provider> {
        self.first(domain, Provider::introspects)
    }

    /// The first that is for the domain by name, or else the first that is for all. Where no name is said, that leaves
    /// the second, or the only one there is.
    fn first(&self, domain: Option<&str>, fits: impl Fn(&Provider) -> bool) -> Option<&Provider> {
        let fitting = || self.all.iter().filter(|provider| fits(provider));
        let named = |provider: &&Provider| !provider.config().domains.is_empty() && provider.serves(domain);
        let for_all = |provider: &&Provider| provider.config().domains.is_empty();
        fitting().find(named).or_else(|| fitting().find(for_all)).or_else(|| {
            let mut fitting = fitting().filter(|_| domain.is_none());
            let only = fitting.next()?;
            fitting.next().is_none().then_some(only)
        })
    }
}

/// A verdict that no provider was needed for.
const fn rejected(why: TokenFault) -> NotVouched {
    NotVouched::Rejected { provider: None, why, until: None }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.all.iter().map(|provider| &provider.config().name)).finish()
    }
}
