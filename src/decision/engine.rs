//! The whole policy on one page, in the order in which it is applied.

use std::{sync::Arc, time::Duration};

use super::{Attempt, Decision, Refusal, SaltKey, TempFail, Verified, identity, proof, rules};
use crate::{
    account::Account,
    directory::{Chain, Inquiry, Unavailable},
    mechanism::Sought,
    password::{Pool, Terms, Unverified},
    username::{InvalidName, Username},
};

/// Everything that is needed to judge. Built from a configuration as a whole, and replaced as a whole.
#[derive(Debug)]
pub struct Engine {
    chain: Chain,
    pool: Arc<Pool>,
    limits: Limits,
    default_domain: Option<Box<str>>,
    salts: Option<SaltKey>,
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
        let salts = SaltKey::ephemeral().ok();
        Self { chain, pool, limits, default_domain: default_domain.map(Into::into), salts }
    }

    /// The same, with a key for made-up salts that outlives the process.
    #[must_use]
    pub fn with_salts(self, salts: SaltKey) -> Self {
        Self { salts: Some(salts), ..self }
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
    pub async fn lookup(&self, name: &[u8], service: &str) -> Result<Option<Arc<Account>>, Unavailable> {
        match self.normalise(name) {
            Ok(user) => {
                let found = self.chain.lookup(&Inquiry { user: &user, service }).await?;
                // To say that there is nobody would bounce mail because of a slip in a directory.
                if found.several { Err(found.ambiguous()) } else { Ok(found.account) }
            }
            // What nobody can be called, nobody is called.
            Err(_) => Ok(None),
        }
    }

    /// What somebody is to stretch their password with, before they have proven anything.
    ///
    /// Who does not exist, or has nothing stored that was made with a salt, is told a made-up one: nobody learns from it
    /// whether there is such a user. It is the same every time, and as long and as slow as others in the directory.
    ///
    /// # Errors
    ///
    /// A directory did not answer.
    pub async fn terms(&self, sought: &Sought, service: &str) -> Result<Terms, TempFail> {
        let Ok(user) = self.normalise(&sought.name) else {
            return self.made_up(&String::from_utf8_lossy(&sought.name), sought, None);
        };
        let inquiry = Inquiry { user: &user, service };
        let found = self.chain.lookup(&inquiry).await.map_err(TempFail::Directory)?;
        let stored = found.account.as_ref().and_then(|account| account.password.stored());
        match stored.and_then(|stored| stored.scram_terms(sought.hash)) {
            Some(terms) => Ok(terms),
            None => self.made_up(user.as_str(), sought, found.decoy().usual_terms(sought.hash)),
        }
    }

    fn made_up(&self, name: &str, sought: &Sought, usual: Option<(usize, u32)>) -> Result<Terms, TempFail> {
        let (length, iterations) = usual.unwrap_or((Terms::USUAL_SALT, Terms::USUAL_ITERATIONS));
        let salt = self.salts.as_ref().and_then(|salts| salts.salt(sought.hash, name, length));
        let salt = salt.ok_or(TempFail::Hashing(Unverified::Broken))?;
        Ok(Terms { salt, iterations })
    }

    async fn verify(&self, attempt: &Attempt) -> Result<Verified, Refusal> {
        let claim = &attempt.claim;
        let user = identity::identify(claim, |name| self.normalise(name))?;
        let inquiry = Inquiry { user: &user, service: &attempt.service };
        let found = self.chain.lookup(&inquiry).await.map_err(TempFail::Directory)?;
        let proof::Proven { by, answer } = proof::prove(&self.pool, &found, &claim.credential).await?;
        let account = found.account.ok_or(Refusal::UserUnknown)?;
        rules::admit(&account, attempt)?;
        Ok(Verified { account, by, answer })
    }

    fn normalise(&self, name: &[u8]) -> Result<Username, InvalidName> {
        Username::normalise(name, self.default_domain.as_deref())
    }
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
