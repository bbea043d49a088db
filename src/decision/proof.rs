//! Whether what was offered as proof is one. The only place where a password meets a directory's answer.

use gatepost_protocol::secret::Secret;

use super::{By, Refusal, TempFail};
use crate::{
    directory::{Bound, Check, Found},
    mechanism::Credential,
    password::Pool,
};

/// Checks a credential against what was found.
///
/// # Errors
///
/// It proves nothing, or nobody could tell. Whether the user is unknown is for the caller to see: until then an unknown
/// user costs what a wrong password costs.
pub(super) async fn prove(pool: &Pool, found: &Found<'_>, credential: &Credential) -> Result<By, Refusal> {
    let Credential::Password(password) = credential;
    let verdict = by_password(pool, found, password).await;
    named(found, verdict)
}

/// The same for a master user, who has nothing but their own password: whoever finds one of another kind, made for one
/// program, must not find it good for everybody's mail.
///
/// # Errors
///
/// As for others.
pub(super) async fn prove_master(
    pool: &Pool,
    found: &Found<'_>,
    credential: &Credential,
) -> Result<(), Refusal> {
    let Credential::Password(password) = credential;
    let verdict = by_password(pool, found, password).await;
    named(found, verdict).map(drop)
}

/// The verdict where there is somebody whom it is about.
fn named(found: &Found<'_>, verdict: Result<By, Refusal>) -> Result<By, Refusal> {
    match verdict {
        Err(refusal) if refusal.is_temporary() => Err(refusal),
        Ok(_) | Err(_) if found.several => Err(Refusal::UserAmbiguous),
        Ok(_) | Err(_) if found.account.is_none() => Err(Refusal::UserUnknown),
        verdict => verdict,
    }
}

async fn by_password(pool: &Pool, found: &Found<'_>, password: &Secret) -> Result<By, Refusal> {
    // An empty password proves nothing (RFC 4513 5.1.2), and a NUL would let a C library see less than was sent.
    // Neither can be right. Where passwords are compared here, both cost what a wrong password costs; no directory
    // is asked about them.
    let possible = !password.is_empty() && !password.expose().contains(&0);
    match found.check().map_err(TempFail::from)? {
        Check::Stored(stored) => {
            let matches = pool.verify(&stored, password).await.map_err(TempFail::Hashing)?;
            if matches && possible { Ok(By::Password) } else { Err(Refusal::PasswordMismatch) }
        }
        Check::Bind(..) if !possible => Err(Refusal::PasswordMismatch),
        Check::Bind(directory, entry) => {
            match directory.bind(entry, password).await.map_err(TempFail::Directory)? {
                Bound::Verified => Ok(By::Password),
                Bound::Rejected => Err(Refusal::PasswordMismatch),
                Bound::Locked => Err(Refusal::UserLocked),
                Bound::Disabled => Err(Refusal::UserDisabled),
                Bound::Expired => Err(Refusal::PassExpired),
            }
        }
        Check::Nothing => Err(Refusal::PasswordMismatch),
    }
}
