//! The whole policy on one page, in the order in which it is applied.

use std::{sync::Arc, time::Duration};

use super::{
    Attempt, Decision, Refusal, TempFail, Verified, app_password::Here, identity, proof::Prover, rules,
};
use crate::{
    account::Account,
    app_password::{AppPasswords, Moment, Use},
    directory::{Chain, Inquiry, Unavailable},
    password::Pool,
    username::{InvalidName, Username},
};

/// Everything that is needed to judge. Built from a configuration as a whole, and replaced as a whole.
#[derive(Debug)]
pub struct Engine {
    chain: Chain,
    pool: Arc<Pool>,
    app_passwords: AppPasswords,
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
        let (app_passwords, default_domain) = (AppPasswords::none(), default_domain.map(Into::into));
        Self { chain, pool, app_passwords, limits, default_domain }
    }

    /// The same with gatepost's own app passwords.
    #[must_use]
    pub fn with_app_passwords(self, app_passwords: AppPasswords) -> Self {
        Self { app_passwords, ..self }
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

    async fn verify(&self, attempt: &Attempt) -> Result<Verified, Refusal> {
        let claim = &attempt.claim;
        let user = identity::identify(claim, |name| self.normalise(name))?;
        let inquiry = Inquiry { user: &user, service: &attempt.service };
        let found = self.chain.lookup(&inquiry).await.map_err(TempFail::Directory)?;
        let (service, remote) = (&*attempt.service, attempt.remote);
        let here = Here { service, remote, now: Moment::now(), on_behalf: false };
        let prover = Prover { pool: &self.pool, app_passwords: &self.app_passwords, here };
        let by = prover.prove(&found, &claim.credential).await?;
        let account = found.account.ok_or(Refusal::UserUnknown)?;
        rules::admit(&account, attempt)?;
        Ok(Verified { account, by })
    }

    /// Notes what a login was made with, where that is kept: the last use of an app password. A login that is only tried
    /// out is none.
    pub fn note_use(&self, attempt: &Attempt, decision: &Decision) {
        let Decision::Accept(verified) = decision else { return };
        if let Some(id) = verified.by().app_password().and_then(|which| which.own) {
            let used = Use::new(Moment::now(), &attempt.service, attempt.remote);
            self.app_passwords.used(id, used);
        }
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
