//! What was found of a name, and how the password of it is to be checked.

use std::sync::Arc;

use super::{Directory, Unavailable};
use crate::{
    account::{Account, Password, State},
    password::{Decoy, Outdated, Stored, Unusable},
    username::Username,
};

/// What a walk along a [`Chain`](super::Chain) came to.
pub struct Found<'c> {
    /// The account; `None`: nobody has this name, or several have.
    pub account: Option<Arc<Account>>,
    /// Whether the name leads to several accounts of one directory.
    pub several: bool,
    /// The directory that knows the account, or else the last one that was asked.
    pub(super) asked: Option<&'c Directory>,
    /// What the directory that checks the password knows of the user, where that is another one.
    pub(super) verifier: Option<Result<Verifier<'c>, Unavailable>>,
    pub(super) stranger: &'c Decoy,
}

/// Another directory, which the row of an account leaves the password to.
pub(super) struct Verifier<'c> {
    pub(super) account: Option<Arc<Account>>,
    pub(super) directory: &'c Directory,
}

/// How a password is to be checked.
#[derive(Debug)]
pub enum Check<'f> {
    /// It is compared with this one, which may be a decoy that never matches.
    Stored(Stored),
    /// The directory is asked, for the entry of this name.
    Bind(&'f Directory, &'f str),
    /// Not at all: nobody has this name or any password, and there is no work that would hide it.
    Nothing,
}

/// Why a password cannot be checked at all. Whether a given one is right, nobody can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uncheckable {
    /// The stored one cannot be verified.
    Stored(Unusable),
    /// The directory that it was left to does not answer, or there is none.
    Elsewhere(Unavailable),
}

impl<'c> Found<'c> {
    /// The directory that knows the account, or else the last one that was asked; `None`: no directory serves the
    /// name.
    pub const fn directory(&self) -> Option<&'c Directory> {
        self.asked
    }

    /// Whether the main password may be used for a service: both the directory of the account and the one that its
    /// password is left to have a say in it.
    pub fn allows_primary(&self, service: &str) -> bool {
        let verifier = self.verifier.as_ref().and_then(|verifier| verifier.as_ref().ok());
        let mut asked = self.asked.into_iter().chain(verifier.map(|verifier| verifier.directory));
        asked.all(|directory| directory.primary_password_services().allow(service))
    }

    /// Whether the directory that the row leaves the password to knows the user; `true` where there is none. Who is
    /// gone from there has no password any more, of whatever kind.
    ///
    /// # Errors
    ///
    /// It did not answer.
    pub fn known_elsewhere(&self) -> Result<bool, Unavailable> {
        match &self.verifier {
            None => Ok(true),
            Some(Ok(verifier)) => Ok(verifier.account.is_some()),
            Some(Err(unavailable)) => Err(unavailable.clone()),
        }
    }

    /// What stands in for a password that is not there.
    pub fn decoy(&self) -> &Decoy {
        self.checked().1.map_or(self.stranger, Directory::decoy)
    }

    /// What was found to be replaced, and where: only if somebody has given the right password.
    pub fn outdated(&self) -> Option<(&Directory, &Account, &Arc<Outdated>)> {
        let (account, directory) = self.checked();
        let (account, directory) = (account?, directory?);
        let outdated = account.password.stored()?.outdated()?;
        Some((directory, account, outdated))
    }

    /// Where the password is: the account that it belongs to, and the directory of that.
    fn checked(&self) -> (Option<&Arc<Account>>, Option<&Directory>) {
        match &self.verifier {
            None => (self.account.as_ref(), self.asked),
            Some(Ok(verifier)) => (verifier.account.as_ref(), Some(verifier.directory)),
            Some(Err(_)) => (None, self.asked),
        }
    }

    /// The account that the password belongs to, where it is known who that is.
    pub fn holder(&self) -> Option<&Account> {
        self.checked().0.map(|account| &**account)
    }

    /// The directory that the row leaves the password to, and what that knows of the user.
    pub fn elsewhere(&self) -> Option<(&Directory, Option<&Account>)> {
        let verifier = self.verifier.as_ref()?.as_ref().ok()?;
        Some((verifier.directory, verifier.account.as_deref()))
    }

    /// What to tell of a name that leads to several accounts, where there is no word for that.
    pub fn ambiguous(&self) -> Unavailable {
        Unavailable::new(self.asked.map_or("-", |asked| asked.name()), "the name leads to several accounts")
    }

    /// Whether the master user that was found may log in as `target`.
    pub fn may_be(&self, target: &Username) -> bool {
        self.asked.is_some_and(|directory| directory.may_be(target))
    }

    /// How to check a password: against the account's own, or, for somebody who does not exist or has none, against
    /// one that never matches and costs as much. Time must not tell who exists. Where the directory checks passwords
    /// itself, nothing here costs what it takes for that; only the fixed time of refusals hides the difference.
    ///
    /// Where the row leaves the password to another directory, all this is that one's.
    ///
    /// # Errors
    ///
    /// It cannot be checked.
    pub fn check(&self) -> Result<Check<'_>, Uncheckable> {
        if let Some(Err(unavailable)) = &self.verifier {
            return Err(Uncheckable::Elsewhere(unavailable.clone()));
        }
        let (account, directory) = self.checked();
        let decoy = self.decoy();
        match (account.map(|account| &account.password), directory) {
            (Some(Password::Stored(stored)), _) => Ok(Check::Stored(decoy.pick(Some(stored)))),
            (Some(Password::Unusable(unusable)), _) => Err(Uncheckable::Stored(*unusable)),
            (Some(Password::Bind(entry)), Some(directory)) => Ok(Check::Bind(directory, entry)),
            (Some(Password::Missing | Password::Locked | Password::Elsewhere(_)) | None, Some(directory))
                if directory.binds() =>
            {
                Ok(Check::Nothing)
            }
            (
                Some(Password::Bind(_) | Password::Missing | Password::Locked | Password::Elsewhere(_))
                | None,
                _,
            ) => Ok(Check::Stored(decoy.pick(None))),
        }
    }

    /// Whether anybody may log in at all, as far as the directory says so that the row leaves the password to. It goes
    /// for every proof: who is switched off there is switched off.
    pub fn state_elsewhere(&self) -> State {
        let verifier = self.verifier.as_ref().and_then(|verifier| verifier.as_ref().ok());
        let account = verifier.and_then(|verifier| verifier.account.as_ref());
        account.map_or(State::Active, |account| account.state)
    }
}
