//! Whether what was offered is an app password.

use std::{cmp::Reverse, net::IpAddr};

use gatepost_protocol::secret::Secret;
use subtle::ConstantTimeEq as _;

use super::{AppMismatch, AppPassword, By, Refusal, TempFail, proof::Source};
use crate::{
    account::Account,
    app_password::{self, AppPasswords, Barred, Listed, MOST_LISTED, Moment, Scope, Seen},
    directory::{Record, Unavailable},
    password::{Pool, Scheme, Unverified},
    username::Username,
};

/// The circumstances that an app password may be bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) service: &'a str,
    pub(super) remote: Option<IpAddr>,
    pub(super) now: Moment,
    /// Whether somebody wants to act as somebody else, for which an app password is no proof.
    pub(super) on_behalf: bool,
    /// Appended to bare names, as in logins.
    pub(super) default_domain: Option<&'a str>,
}

/// What trying the listed ones came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// One of them is right and lets in.
    Admitted(By),
    /// One of them is right, and does not.
    Barred(Refusal),
    /// It is none of them.
    Mismatch,
    /// It is none of those that can be read.
    Unclear(TempFail),
}

/// Judges what has the form of gatepost's own app passwords. Whatever comes of it, no directory is asked about it.
///
/// An id that does not exist, one of another user and a wrong secret take the same way: one look at the table, one
/// digest, one comparison. So does a user whom nobody knows.
pub(super) async fn own(
    passwords: &AppPasswords,
    account: Option<&Account>,
    seen: &Seen,
    here: Here<'_>,
) -> Result<By, Refusal> {
    let Seen::Whole(typed) = seen else { return Err(Refusal::AppPasswordMismatch(AppMismatch::Mistyped)) };
    let kept = passwords.find(typed.id()).await.map_err(TempFail::Directory)?;
    let stored = kept.as_ref().map_or([0; 32], |kept| kept.digest);
    let matches = bool::from(typed.digest().ct_eq(&stored));
    let kept = kept.filter(|_| matches).ok_or(Refusal::AppPasswordMismatch(AppMismatch::Unknown))?;
    if account.is_none_or(|account| account.user.as_str() != kept.user) {
        return Err(Refusal::AppPasswordMismatch(AppMismatch::OfAnother));
    }
    let scope = kept.scope.map_err(|why| {
        let why = format!("the row of {}: {why}", typed.id().as_str());
        TempFail::Directory(Unavailable::new(app_password::FILE, why))
    })?;
    let which = AppPassword {
        id: typed.id().as_str().into(),
        label: kept.label.as_str().into(),
        own: Some(typed.id()),
        scope,
    };
    admitted(here.admit(&which.scope), which)
}

impl Here<'_> {
    fn admit(&self, scope: &Scope) -> Result<(), Barred> {
        if self.on_behalf {
            return Err(Barred::OnBehalf);
        }
        scope.admit(self.service, self.remote, self.now)
    }
}

/// Asks the directory of an account for its app passwords, and tries them.
pub(super) async fn listed(pool: &Pool, found: &impl Source, password: &Secret, here: Here<'_>) -> Tried {
    let Some(account) = found.account() else { return Tried::Mismatch };
    match found.app_passwords(here.service).await {
        Ok(rows) => each(pool, account, &rows, password, here).await,
        Err(unavailable) => Tried::Unclear(TempFail::Directory(unavailable)),
    }
}

/// Tries one row after the other, those first that would let in. The others are tried as well: an app password that is
/// right but not for this service is not to be asked of a directory that might lock the account for it, and the
/// operator is to know why it is refused.
///
/// At most [`MOST_LISTED`] of them. One that cannot be read, or is not tried, may be the one that was meant, so that nobody
/// can say that a password is none of them.
async fn each(pool: &Pool, account: &Account, rows: &[Record], password: &Secret, here: Here<'_>) -> Tried {
    let mut unclear = None;
    let mut unavailable = |why: String| {
        unclear.get_or_insert(TempFail::Directory(Unavailable::new(&account.directory, why)));
    };
    let mut listed = Vec::with_capacity(rows.len());
    for row in rows {
        match Listed::read(row.columns(), Scheme::Crypt) {
            // Only a database's idea of what is equal has brought this one here.
            Ok(one)
                if Username::normalise(one.user.as_bytes(), here.default_domain).as_ref()
                    != Ok(&account.user) => {}
            Ok(Listed { password: Some(stored), id, label, scope, .. }) => {
                let which = AppPassword { id: id.into(), label: label.into(), own: None, scope };
                listed.push((here.admit(&which.scope), stored.belonging_to(account.user.as_str()), which));
            }
            Ok(Listed { password: None, .. }) => {}
            Err(bad) => unavailable(bad.to_string()),
        }
    }
    if listed.len() > MOST_LISTED {
        unavailable(format!("a user has more than {MOST_LISTED} app passwords, and no more are tried"));
    }
    listed.sort_by_key(|(admit, ..)| Reverse(admit.is_ok()));
    for (admit, stored, which) in listed.into_iter().take(MOST_LISTED) {
        match pool.verify(&stored, password).await {
            Ok(false) => {}
            Ok(true) => return admitted(admit, which).map_or_else(Tried::Barred, Tried::Admitted),
            // The others would fare no better.
            Err(busy @ Unverified::Busy) => return Tried::Unclear(TempFail::Hashing(busy)),
            // This one alone cannot be verified.
            Err(unverified @ (Unverified::Broken | Unverified::TooExpensive)) => {
                unclear.get_or_insert(TempFail::Hashing(unverified));
            }
        }
    }
    unclear.map_or(Tried::Mismatch, Tried::Unclear)
}

fn admitted(admit: Result<(), Barred>, which: AppPassword) -> Result<By, Refusal> {
    let which = Box::new(which);
    match admit {
        Ok(()) => Ok(By::AppPassword(which)),
        Err(barred) => Err(Refusal::AppPasswordBarred(which, barred)),
    }
}

#[cfg(test)]
mod tests;
