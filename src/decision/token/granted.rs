//! Passwords that a provider takes: a directory of last resort.
//!
//! It is asked after all directories, and only about whom none of them knows, or who has no password in the one that
//! does. A directory that does not answer ends the walk, as between directories. So that the provider is shown no more
//! passwords than it has to be: not those that have the form of app passwords, nor empty ones, nor those that may not be
//! used for the service.
//!
//! What it says is remembered like what is said of tokens: of this name and this password.

use std::{sync::Arc, time::Instant};

use gatepost_protocol::secret::Secret;

use super::{Owner, Source, vouch::Shown};
use crate::{
    account::Password,
    app_password::recognise,
    decision::{Attempt, By, Engine, Now, Recollection, Refusal, TempFail, Verified},
    directory::Inquiry,
    oidc::TokenFault,
    username::Username,
};

impl Engine {
    /// Judges the login of somebody as themselves.
    pub(in crate::decision) async fn verify_own(
        &self,
        user: &Username,
        attempt: &Attempt,
        now: Now,
    ) -> Result<(Verified, Option<Recollection>), (Refusal, Option<Recollection>)> {
        let (refusal, recollection) = match self.verify_by_directories(user, attempt, now).await {
            Err(refused) if self.providers.grants(user.domain()) => refused,
            verdict => return verdict,
        };
        match attempt.claim.credential.password().filter(|password| is_for_providers(password)) {
            Some(password) => {
                Box::pin(self.verify_granted(user, password, attempt, now, (refusal, recollection))).await
            }
            None => Err((refusal, recollection)),
        }
    }

    /// Judges a login that the directories refuse.
    async fn verify_granted(
        &self,
        user: &Username,
        password: &Secret,
        attempt: &Attempt,
        now: Now,
        (refusal, before): (Refusal, Option<Recollection>),
    ) -> Result<(Verified, Option<Recollection>), (Refusal, Option<Recollection>)> {
        let started = Instant::now();
        let known = match self.is_left_open(user, attempt, &refusal).await {
            Ok(Some(known)) => known,
            Ok(None) => return Err((refusal, before)),
            Err(why) => return Err((why, None)),
        };
        let vouched = self.vouch_password(user, password, now).await;
        let recollection = vouched.recollection;
        let verdict = match vouched.verdict {
            Ok(shown) => {
                let now = now.after(started.elapsed());
                self.admit_granted(&shown, user, known, attempt, now).await
            }
            // Nobody knows them, or not this password: as before.
            Err(Refusal::TokenRejected(TokenFault::WrongPassword)) => Err(refusal),
            Err(other) => Err(other),
        };
        match verdict {
            Ok((verified, true)) => Ok((verified, Some(Recollection::Stale))),
            Ok((verified, false)) => Ok((verified, recollection)),
            Err(refusal) => Err((refusal, recollection)),
        }
    }

    /// Judges somebody whose password a provider takes. `known`: the directories know them. Besides, whether memory had to
    /// stand in for a directory.
    ///
    /// What was revoked does not count: that is about tokens, and this one was given just now.
    async fn admit_granted(
        &self,
        shown: &Shown,
        user: &Username,
        known: bool,
        attempt: &Attempt,
        now: Now,
    ) -> Result<(Verified, bool), Refusal> {
        let vouching = &shown.vouching;
        let owner = match &vouching.source {
            _ if known => self.owner(user, &attempt.service).await?,
            Source::Directories => return Err(Refusal::UserUnknown),
            Source::Provisioned(provision) => {
                // Of somebody by another name nobody is made.
                if vouching.user.as_ref() != Ok(user) {
                    return Err(Refusal::UserUnknown);
                }
                self.owner_or_new(provision, &vouching.provider, user, &attempt.service).await?
            }
            Source::Made(account) => Owner::of(account.clone().map_err(TempFail::Directory)?),
        };
        // A provider may know somebody by several names. Whose password it is, it says itself.
        let theirs = vouching.user.clone()?;
        let same = theirs == *user || theirs == owner.account.user;
        let same = same || known && self.owner(&theirs, &attempt.service).await?.is_the_same_as(&owner);
        if !same {
            return Err(Refusal::PasswordMismatch);
        }
        if owner.account.user != theirs {
            vouching.belongs_to(&owner.account.user);
        }
        self.admit_owner(&owner, attempt, now)?;
        let by = By::Token(Arc::clone(&vouching.provider));
        Ok((self.verified(owner.account, by.into(), attempt).await?, owner.stale))
    }

    /// Whether the directories leave it to others to check a password: that they know nobody of the name (`Some(false)`), or
    /// somebody without a password (`Some(true)`).
    async fn is_left_open(
        &self,
        user: &Username,
        attempt: &Attempt,
        refusal: &Refusal,
    ) -> Result<Option<bool>, Refusal> {
        if *refusal == Refusal::UserUnknown {
            return Ok(Some(false));
        }
        if *refusal != Refusal::PasswordMismatch {
            return Ok(None);
        }
        let service = &*attempt.service;
        let (directory, open) = match self.known_check(user, service) {
            Some(known) => known,
            None => {
                let found =
                    self.chain.login(&Inquiry { user, service }).await.map_err(TempFail::Directory)?;
                let open = found
                    .account
                    .as_ref()
                    .is_some_and(|account| matches!(account.password, Password::Missing));
                (found.directory().cloned(), open)
            }
        };
        if !open {
            return Ok(None);
        }
        match directory {
            Some(directory) if directory.primary_password_services().allow(service) => Ok(Some(true)),
            Some(_) => Err(Refusal::PrimaryPasswordDenied { service: service.into() }),
            None => Ok(None),
        }
    }
}

/// Whether a provider may be shown this. As for directories: an empty one proves nothing, one with a NUL may be read in two
/// ways, and an app password is nobody else's business.
fn is_for_providers(password: &Secret) -> bool {
    !password.is_empty() && !password.expose().contains(&0) && recognise(password.expose()).is_none()
}
