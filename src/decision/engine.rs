//! The whole policy on one page, in the order in which it is applied.

use std::{sync::Arc, time::Duration};

use super::{Attempt, Decision, Refusal, TempFail, Verified};
use crate::{
    account::{Account, State},
    directory::{Chain, Unavailable},
    password::Pool,
    username::{InvalidName, Username},
};

/// Everything that is needed to judge. Built from a configuration as a whole, and replaced as a whole.
#[derive(Debug)]
pub struct Engine {
    chain: Chain,
    pool: Arc<Pool>,
    limits: Limits,
    default_domain: Option<Box<str>>,
}

/// What bounds a judgement.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// When an answer is given up. Postfix stops listening after 10 s, so this is below.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(8) }
    }
}

impl Engine {
    /// An engine over `chain`; bare names are completed with `default_domain`.
    pub fn new(chain: Chain, pool: Arc<Pool>, limits: Limits, default_domain: Option<&str>) -> Self {
        Self { chain, pool, limits, default_domain: default_domain.map(Into::into) }
    }

    /// The directories it asks.
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// How long a peer is let wait for an answer.
    pub const fn deadline(&self) -> Duration {
        self.limits.deadline
    }

    /// Judges a login.
    pub async fn decide(&self, attempt: &Attempt) -> Decision {
        match self.verify(attempt).await {
            Ok(verified) => Decision::Accept(verified),
            Err(refusal) => Decision::Refuse(refusal),
        }
    }

    /// Looks up where a user's mail lives, without a credential.
    pub async fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Account>>, Unavailable> {
        match self.normalise(name) {
            Ok(user) => self.chain.lookup(&user).await.map(|found| found.account),
            // What nobody can be called, nobody is called.
            Err(_) => Ok(None),
        }
    }

    async fn verify(&self, attempt: &Attempt) -> Result<Verified, Refusal> {
        let claim = &attempt.claim;
        let user = self.normalise(&claim.authcid)?;
        if let Some(authzid) = &claim.authzid
            && self.normalise(authzid).as_ref() != Ok(&user)
        {
            return Err(Refusal::AuthzDenied);
        }
        let found = self.chain.lookup(&user).await.map_err(TempFail::Directory)?;
        let stored = found.stored().map_err(TempFail::Stored)?;
        let password = &claim.password;
        let matches = self.pool.verify(&stored, password).await.map_err(TempFail::Hashing)?;
        // An empty password proves nothing (RFC 4513 5.1.2), and a NUL would let a C library see less than was
        // sent. Neither can be right, but both cost what a wrong password costs.
        let possible = !password.is_empty() && !password.expose().contains(&0);
        let account = found.account.ok_or(Refusal::UserUnknown)?;
        if !(matches && possible) {
            return Err(Refusal::PasswordMismatch);
        }
        admit(&account, attempt)?;
        Ok(Verified { account })
    }

    fn normalise(&self, name: &[u8]) -> Result<Username, InvalidName> {
        Username::normalise(name, self.default_domain.as_deref())
    }
}

/// The rules on a verified account. Only who knows the password learns which of them says no.
fn admit(account: &Account, attempt: &Attempt) -> Result<(), Refusal> {
    match account.state {
        State::Active => {}
        State::Disabled => return Err(Refusal::UserDisabled),
        State::Expired => return Err(Refusal::PassExpired),
    }
    if !account.services.allow(&attempt.service) {
        return Err(Refusal::ServiceDenied);
    }
    if !account.admits(attempt.remote) {
        return Err(Refusal::NetworkDenied);
    }
    Ok(())
}

impl From<InvalidName> for Refusal {
    fn from(why: InvalidName) -> Self {
        Self::InvalidName(why)
    }
}

impl From<TempFail> for Refusal {
    fn from(why: TempFail) -> Self {
        Self::TempFail(why)
    }
}

#[cfg(test)]
mod tests;
