//! Whether what was offered as proof is one. The only place where a password meets a directory's answer.
//!
//! A password that has the form of gatepost's app passwords is judged as such and as nothing else. Every other one may be
//! the main password or an app password that another program keeps ([`app_password::listed`]), and what is asked
//! first is what costs least:
//!
//! - The directory has a hash of the main password: that is compared first, because it is here already, and most
//!   logins are made with it. Only who fails costs another query, and a hash for each app password.
//! - The directory checks the main password itself: the app passwords come first, because a right one is to cost no
//!   bind, and a wrong bind may lock the account.
//! - The main password may not be used for the service: the app passwords come first. A hash is compared all the same,
//!   for the log; a directory is not asked, because the phone that still has the main password would lock the account.

use std::sync::Arc;

use gatepost_protocol::secret::Secret;

use super::{
    By, Refusal, TempFail,
    app_password::{self, Here, Tried},
};
use crate::{
    account::Account,
    app_password::{AppPasswords, recognise},
    directory::{Bound, Check, Found, Inquiry, Record, Unavailable, Uncheckable},
    mechanism::Credential,
    password::{Evidence, Pool, Stored, Verdict},
};

/// What a credential is checked against: what a directory answered, and the directory.
pub(super) trait Source {
    /// The account; `None`: nobody has the name, or several have.
    fn account(&self) -> Option<&Account>;

    /// Whether several have.
    fn several(&self) -> bool;

    /// Whether the main password may be used for a service.
    fn allows_primary(&self, service: &str) -> bool;

    /// How to check the main password.
    ///
    /// # Errors
    ///
    /// It cannot be.
    fn main(&self) -> Result<Main, Uncheckable>;

    /// Has the directory check it. It is not empty and has no NUL.
    ///
    /// # Errors
    ///
    /// Neither yes nor no.
    async fn bind(&self, password: &Secret) -> Result<Bound, Unavailable>;

    /// Whether the directory that the password is left to knows the user, if it is left to one.
    ///
    /// # Errors
    ///
    /// Neither yes nor no.
    fn known_elsewhere(&self) -> Result<bool, Unavailable>;

    /// The app passwords of the account that another program keeps.
    ///
    /// # Errors
    ///
    /// Whenever it may have others.
    async fn app_passwords(&self, service: &str) -> Result<Vec<Record>, Unavailable>;
}

/// How to check a main password.
#[derive(Debug)]
pub(super) enum Main {
    /// Compare it with this one, which may be a decoy.
    Stored(Stored),
    /// Ask the directory.
    Bind,
    /// Not at all.
    Nothing,
}

impl Source for Found<'_> {
    fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    fn several(&self) -> bool {
        self.several
    }

    fn allows_primary(&self, service: &str) -> bool {
        Found::allows_primary(self, service)
    }

    fn main(&self) -> Result<Main, Uncheckable> {
        Ok(match self.check()? {
            Check::Stored(stored) => Main::Stored(stored),
            Check::Bind(..) => Main::Bind,
            Check::Nothing => Main::Nothing,
        })
    }

    async fn bind(&self, password: &Secret) -> Result<Bound, Unavailable> {
        match self.check() {
            Ok(Check::Bind(directory, entry)) => directory.bind(entry, password).await,
            Ok(Check::Stored(_) | Check::Nothing) | Err(_) => Ok(Bound::Rejected),
        }
    }

    fn known_elsewhere(&self) -> Result<bool, Unavailable> {
        Found::known_elsewhere(self)
    }

    async fn app_passwords(&self, service: &str) -> Result<Vec<Record>, Unavailable> {
        let (Some(directory), Some(account)) = (self.directory(), &self.account) else {
            return Ok(Vec::new());
        };
        directory.app_passwords(&Inquiry { user: &account.user, service }).await
    }
}

/// What an account was proven by, and what the remote is told in return.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) by: By,
    pub(super) answer: Option<Vec<u8>>,
}

impl From<By> for Proven {
    fn from(by: By) -> Self {
        Self { by, answer: None }
    }
}

/// What a credential is checked with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prover<'a> {
    pub(super) pool: &'a Pool,
    pub(super) app_passwords: &'a AppPasswords,
    pub(super) here: Here<'a>,
    /// Whether this very password was found right by the stored one that there is, so that it need not be hashed again.
    pub(super) known: bool,
}

/// What could not be asked. Only what is open may be answered from memory: everything else has been said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// Whether it is the main password.
    pub(super) main: bool,
    /// Whether it is an app password that the directory lists, or its owner may still use it.
    pub(super) listed: bool,
}

impl Prover<'_> {
    /// The same for a password of which it is known whether it was found right by this very stored one.
    pub(super) fn knowing(self, known: bool) -> Self {
        Self { known, ..self }
    }

    /// Checks a credential against what was found.
    ///
    /// # Errors
    ///
    /// It proves nothing, or nobody could tell. Whether the user is unknown is for the caller to see: until then an
    /// unknown user costs what a wrong password costs.
    pub(super) async fn prove(
        &self,
        found: &impl Source,
        credential: &Credential,
    ) -> Result<Proven, Refusal> {
        self.try_to_prove(found, credential).await.0
    }

    /// The same, and where nobody could tell, why.
    pub(super) async fn try_to_prove(
        &self,
        found: &impl Source,
        credential: &Credential,
    ) -> (Result<Proven, Refusal>, Open) {
        let mut open = Open::default();
        let verdict = self.verdict(found, credential, &mut open).await;
        (verdict, open)
    }

    async fn verdict(
        &self,
        found: &impl Source,
        credential: &Credential,
        open: &mut Open,
    ) -> Result<Proven, Refusal> {
        let verdict = match credential {
            Credential::Password(password) => match recognise(password.expose()) {
                Some(seen) => app_password::own(self.app_passwords, found.account(), &seen, self.here).await,
                None => self.by_password(found, password, open).await,
            }
            .map(Proven::from),
            Credential::Evidence(evidence) => self.by_evidence(found, evidence).await,
            // Nobody acts as somebody else on the word of the peer, or on none.
            Credential::Certificate | Credential::Anonymous { .. } if self.here.on_behalf => {
                return Err(Refusal::AuthzDenied);
            }
            // Whose it is, it says itself: it never comes here, where a name comes first.
            Credential::Token(_) => Err(TempFail::NoProvider.into()),
            // The peer has done the proving, or nobody wants any.
            Credential::Certificate => Ok(By::Certificate.into()),
            Credential::Anonymous { .. } => Ok(By::Anonymous.into()),
        };
        match verdict {
            Err(refusal) if refusal.is_temporary() => Err(refusal),
            Ok(_) | Err(_) if found.several() => Err(Refusal::UserAmbiguous),
            Ok(_) | Err(_) if found.account().is_none() => Err(Refusal::UserUnknown),
            // The main password has been checked there, if it was one.
            Ok(proven) if proven.by != By::Password => match found.known_elsewhere() {
                Ok(true) => Ok(proven),
                Ok(false) => Err(Refusal::UserDisabled),
                Err(unavailable) => {
                    open.listed = true;
                    Err(TempFail::Directory(unavailable).into())
                }
            },
            verdict => verdict,
        }
    }

    /// What only who knows the main password can have made. There is none of an app password: its mechanism would have
    /// to know beforehand which one it is.
    async fn by_evidence(&self, found: &impl Source, evidence: &Arc<Evidence>) -> Result<Proven, Refusal> {
        let service = self.here.service;
        match found.main().map_err(TempFail::from)? {
            Main::Stored(stored) => {
                match self.pool.judge(&stored, evidence).await.map_err(TempFail::Hashing)? {
                    Verdict::Match(_) if !found.allows_primary(service) => {
                        Err(Refusal::PrimaryPasswordDenied { service: service.into() })
                    }
                    Verdict::Match(answer) => Ok(Proven { by: By::Password, answer }),
                    Verdict::Mismatch => Err(Refusal::PasswordMismatch),
                    Verdict::Unable => Err(Refusal::NoCredentials(evidence.needs())),
                }
            }
            // A directory that checks passwords itself wants to see them.
            Main::Bind | Main::Nothing => Err(Refusal::NoCredentials(evidence.needs())),
        }
    }

    async fn by_password(
        &self,
        found: &impl Source,
        password: &Secret,
        open: &mut Open,
    ) -> Result<By, Refusal> {
        // An empty password proves nothing (RFC 4513 5.1.2), and a NUL would let a C library see less than was sent.
        // Neither can be right. Where passwords are compared here, both cost what a wrong password costs; no directory
        // is asked about them.
        let possible = !password.is_empty() && !password.expose().contains(&0);
        let allowed = found.allows_primary(self.here.service);
        let main = found.main();
        let main_first = allowed && matches!(main, Ok(Main::Stored(_)));
        let mut unclear = None;
        if possible && !main_first {
            match app_password::listed(self.pool, found, password, self.here).await {
                Tried::Admitted(by) => return Ok(by),
                Tried::Barred(refusal) => return Err(refusal),
                Tried::Mismatch => {}
                Tried::Unclear(why) => unclear = Some(why),
            }
        }
        let denied = || Refusal::PrimaryPasswordDenied { service: self.here.service.into() };
        let main = match main {
            Err(uncheckable) => Err(TempFail::from(uncheckable).into()),
            Ok(Main::Stored(stored)) => {
                let matches =
                    self.known || self.pool.verify(&stored, password).await.map_err(TempFail::Hashing)?;
                match (matches && possible, allowed) {
                    (true, true) => Ok(By::Password),
                    (true, false) => return Err(denied()),
                    (false, _) => Err(Refusal::PasswordMismatch),
                }
            }
            Ok(Main::Bind) if !possible => Err(Refusal::PasswordMismatch),
            Ok(Main::Bind) if !allowed => Err(denied()),
            Ok(Main::Bind) => bind(found, password).await,
            Ok(Main::Nothing) => Err(Refusal::PasswordMismatch),
        };
        if possible && main_first && main == Err(Refusal::PasswordMismatch) {
            match app_password::listed(self.pool, found, password, self.here).await {
                Tried::Admitted(by) => return Ok(by),
                Tried::Barred(refusal) => return Err(refusal),
                Tried::Mismatch => {}
                Tried::Unclear(why) => unclear = Some(why),
            }
        }
        open.main = matches!(main, Err(Refusal::TempFail(TempFail::Directory(_))));
        open.listed = matches!(unclear, Some(TempFail::Directory(_)));
        match (main, unclear) {
            // These say nothing about the password, which may be the app password that cannot be read.
            (
                Err(Refusal::PasswordMismatch | Refusal::PrimaryPasswordDenied { .. } | Refusal::UserLocked),
                Some(why),
            ) => Err(why.into()),
            (main, _) => main,
        }
    }
}

/// Asks the directory.
async fn bind(found: &impl Source, password: &Secret) -> Result<By, Refusal> {
    match found.bind(password).await.map_err(TempFail::Directory)? {
        Bound::Verified => Ok(By::Password),
        Bound::Rejected => Err(Refusal::PasswordMismatch),
        Bound::Locked => Err(Refusal::UserLocked),
        Bound::Disabled => Err(Refusal::UserDisabled),
        Bound::Expired => Err(Refusal::PassExpired),
    }
}

#[cfg(test)]
mod tests;
