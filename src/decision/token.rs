//! Judging bearer tokens: whose one is, and whether that is the one whom the client names.
//!
//! In this order:
//!
//! 1. A provider vouches for the token (`vouch`), or has done so a while ago (`known`). That depends on the token and on
//!    the domain of the name beside it, which may decide who is asked, and on nothing else: one user holds several good tokens
//!    at once, and none of them is a word about another.
//! 2. It has not ended, and was not revoked (`revoke`). Both are looked at each time, whatever memory says.
//! 3. Its user has an account (`owner`): the directories know it, or it is made of what the token says.
//! 4. The client names them, or says no name: their name, an alias that leads to the same account, or somebody whose
//!    delegate they are. RFC 7628 3.1 leaves it to the server what the name means; a token is not to open the mailbox of
//!    somebody else.
//! 5. The rules on the account, as after a password. What is said of main passwords is not meant.
//!
//! Master users are none here: they are people with a password for it.

mod granted;
mod known;
mod ledger;
mod owner;
mod provision;
mod recall;
mod revoke;
mod vouch;
mod vouching;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use gatepost_protocol::secret::Secret;

pub(super) use self::{known::Tokens, owner::Owner};
pub use self::{
    ledger::Ledger,
    recall::Bearer,
    revoke::{Ended, Revoked},
};
use self::{
    vouch::{Shown, Vouched},
    vouching::{Source, Vouching},
};
use super::{Attempt, By, Engine, Now, Recollection, Refusal, TempFail, Verified, rules};
pub use crate::cache::{Logout, Revocations};
use crate::{
    cache::Sighting, mechanism::Claim, observe, oidc::TokenFault, password::Unverified, username::Username,
};

/// The time of the earliest token that there can be.
const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

impl Engine {
    /// Judges a token.
    pub(super) async fn verify_token(
        &self,
        token: &Secret,
        attempt: &Attempt,
        now: Now,
    ) -> Result<(Verified, Option<Recollection>), (Refusal, Option<Recollection>)> {
        let started = Instant::now();
        let Vouched { verdict, recollection } = self.vouch(token, &attempt.claim, now).await;
        let verdict = match verdict {
            Ok(shown) => {
                let now = now.after(started.elapsed());
                let admitted = self.admit_bearer(&shown, attempt, now).await;
                if let Ok((verified, _)) = &admitted {
                    self.note_bearer(&shown.vouching, &verified.account().user);
                }
                admitted
            }
            Err(refusal) => Err(refusal),
        };
        match verdict {
            Ok((verified, true)) => Ok((verified, Some(Recollection::Stale))),
            Ok((verified, false)) => Ok((verified, recollection)),
            Err(refusal) => Err((refusal, recollection)),
        }
    }

    /// Judges who shows a token that a provider vouches for. Besides, whether memory had to stand in for a directory.
    async fn admit_bearer(
        &self,
        shown: &Shown,
        attempt: &Attempt,
        now: Now,
    ) -> Result<(Verified, bool), Refusal> {
        let Shown { vouching, .. } = shown;
        if vouching.is_over(now.wall) {
            return Err(Refusal::TokenRejected(TokenFault::Expired));
        }
        let user = vouching.user.clone()?;
        self.unrevoked(shown, &[user.as_str()], now)?;
        let bearer = match &vouching.source {
            Source::Directories => self.owner(&user, &attempt.service).await?,
            Source::Provisioned(provision) => {
                self.owner_or_new(provision, &vouching.provider, &user, &attempt.service).await?
            }
            Source::Made(account) => Owner::of(account.clone().map_err(TempFail::Directory)?),
        };
        if bearer.account.user != user {
            self.unrevoked(shown, &[bearer.account.user.as_str()], now)?;
            vouching.belongs_to(&bearer.account.user);
        }
        self.admit_owner(&bearer, attempt, now)?;
        let proven = || By::Token(Arc::clone(&vouching.provider)).into();
        let Some(named) = self.named(&attempt.claim)? else {
            return Ok((self.verified(bearer.account, proven(), attempt).await?, bearer.stale));
        };
        if named == user || named == bearer.account.user {
            return Ok((self.verified(bearer.account, proven(), attempt).await?, bearer.stale));
        }
        if let Some(owner) = self.alias(vouching, &named, &bearer, attempt).await? {
            let stale = bearer.stale || owner.stale;
            return Ok((self.verified(bearer.account, proven(), attempt).await?, stale));
        }
        if !vouching.delegates.contains(&named) {
            return Err(Refusal::TokenOfAnother);
        }
        let verdict = match self.owner(&named, &attempt.service).await {
            Ok(owner) => match self.admit_owner(&owner, attempt, now) {
                Ok(()) => self
                    .verified(owner.account, proven(), attempt)
                    .await
                    .map(|verified| (verified, owner.stale)),
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        };
        observe::master_login(&bearer.account.user, &named, attempt, verdict.as_ref().map(|_| ()));
        verdict.map(|(verified, stale)| (verified, stale || bearer.stale))
    }

    /// The owner of another name, if they are the same one.
    async fn alias(
        &self,
        vouching: &Vouching,
        named: &Username,
        bearer: &Owner,
        attempt: &Attempt,
    ) -> Result<Option<Owner>, Refusal> {
        // An account that is made of claims has the name that they say, and no other one.
        if matches!(vouching.source, Source::Made(_)) {
            return Ok(None);
        }
        match self.owner(named, &attempt.service).await {
            Ok(owner) => Ok(Some(owner).filter(|owner| owner.is_the_same_as(bearer))),
            Err(Refusal::UserUnknown) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// The rules on an account.
    fn admit_owner(&self, owner: &Owner, attempt: &Attempt, now: Now) -> Result<(), Refusal> {
        rules::usable(owner.elsewhere, now.wall)?;
        rules::admit(&owner.account, attempt, now.wall)
    }

    /// Whom the client names, if anybody.
    fn named(&self, claim: &Claim) -> Result<Option<Username>, Refusal> {
        let said = |name: &[u8]| (!name.is_empty()).then(|| self.normalise(name)).transpose();
        let named = said(&claim.authcid)?;
        match &claim.authzid {
            // To be somebody else by way of a second name there are no rights of.
            Some(other) if said(other)? != named => Err(Refusal::AuthzDenied),
            Some(_) | None => Ok(named),
        }
    }

    /// That a token was not revoked, as one of these.
    ///
    /// Where it does not say when it was issued: it was when it was seen first, at the latest. A signed one that is new here
    /// may be of any time; of one that was asked about, its provider has said just now that it is good.
    fn unrevoked(&self, shown: &Shown, users: &[&str], now: Now) -> Result<(), Refusal> {
        let Shown { vouching, seen } = shown;
        if !self.is_void(vouching, *seen, users) {
            return Ok(());
        }
        if vouching.issued_at.is_none_or(|at| at > *seen) {
            // When it was seen first is not known for ever.
            self.revocations.note_token(vouching.digest, now.wall, vouching.expires_at);
        }
        Err(Refusal::TokenRejected(TokenFault::Revoked))
    }

    /// Whether a token that was first shown then was revoked, as one of these.
    fn is_void(&self, vouching: &Vouching, seen: SystemTime, users: &[&str]) -> bool {
        let issued = match vouching.issued_at {
            Some(issued) => issued.min(seen),
            None if vouching.is_signed() => LONG_AGO,
            None => seen,
        };
        let sighting = Sighting {
            digest: vouching.digest,
            users,
            issuer: &vouching.issuer,
            subject: vouching.subject.as_deref(),
            session: vouching.session.as_deref(),
            issued,
        };
        self.revocations.void(&sighting)
    }

    /// What tells tokens apart.
    fn tells_tokens(&self) -> Result<&crate::cache::Digester, TempFail> {
        self.revocations.digester().ok_or(TempFail::Hashing(Unverified::Broken))
    }
}

#[cfg(test)]
mod tests;
