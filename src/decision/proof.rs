//! Whether what was offered as proof is one. The only place where a password meets a directory's answer.

use std::sync::Arc;

use gatepost_protocol::secret::Secret;

use super::{By, Refusal, TempFail};
use crate::{
    directory::{Bound, Check, Found},
    mechanism::Credential,
    password::{Evidence, Pool, Verdict},
};

/// What an account was proven by, and what the remote is told in return.
pub(super) struct Proven {
    pub(super) by: By,
    pub(super) answer: Option<Vec<u8>>,
}

impl From<By> for Proven {
    fn from(by: By) -> Self {
        Self { by, answer: None }
    }
}

/// Checks a credential against what was found.
///
/// # Errors
///
/// It proves nothing, or nobody could tell. Whether the user is unknown is for the caller to see: until then an unknown
/// user costs what a wrong password costs.
pub(super) async fn prove(
    pool: &Pool,
    found: &Found<'_>,
    credential: &Credential,
) -> Result<Proven, Refusal> {
    let verdict = match credential {
        Credential::Password(password) => by_password(pool, found, password).await.map(Proven::from),
        Credential::Evidence(evidence) => by_evidence(pool, found, evidence).await,
        // The peer has done the proving, or nobody wants any.
        Credential::Certificate => Ok(By::Certificate.into()),
        Credential::Anonymous { .. } => Ok(By::Anonymous.into()),
    };
    named(found, verdict)
}

/// The same for a master user, who has nothing but their own password: whoever finds one of another kind, made for one
/// program, must not find it good for everybody's mail. What comes of it is what the remote is told in return.
///
/// # Errors
///
/// As for others.
pub(super) async fn prove_master(
    pool: &Pool,
    found: &Found<'_>,
    credential: &Credential,
) -> Result<Option<Vec<u8>>, Refusal> {
    let verdict = match credential {
        Credential::Password(password) => by_password(pool, found, password).await.map(Proven::from),
        Credential::Evidence(evidence) => by_evidence(pool, found, evidence).await,
        Credential::Certificate | Credential::Anonymous { .. } => Err(Refusal::AuthzDenied),
    };
    named(found, verdict).map(|proven| proven.answer)
}

/// The verdict where there is somebody whom it is about.
fn named(found: &Found<'_>, verdict: Result<Proven, Refusal>) -> Result<Proven, Refusal> {
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

async fn by_evidence(pool: &Pool, found: &Found<'_>, evidence: &Arc<Evidence>) -> Result<Proven, Refusal> {
    match found.check().map_err(TempFail::from)? {
        Check::Stored(stored) => match pool.judge(&stored, evidence).await.map_err(TempFail::Hashing)? {
            Verdict::Match(answer) => Ok(Proven { by: By::Password, answer }),
            Verdict::Mismatch => Err(Refusal::PasswordMismatch),
            Verdict::Unable => Err(Refusal::NoCredentials(evidence.needs())),
        },
        // A directory that checks passwords itself wants to see them.
        Check::Bind(..) | Check::Nothing => Err(Refusal::NoCredentials(evidence.needs())),
    }
}
