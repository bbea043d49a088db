//! What is asked of a verified account.

use std::time::SystemTime;

use super::{Attempt, Refusal, Target};
use crate::account::{Account, State};

/// The rules on a verified account. Only who knows the password learns which of them says no.
pub(super) fn admit(account: &Account, attempt: &Attempt, now: SystemTime) -> Result<(), Refusal> {
    usable(account.state, now)?;
    if !account.services.allow(&attempt.service) {
        return Err(Refusal::ServiceDenied);
    }
    if !account.admits(attempt.remote) {
        return Err(Refusal::NetworkDenied);
    }
    Ok(())
}

/// Whether a password may be used at all.
pub(super) fn usable(state: State, now: SystemTime) -> Result<(), Refusal> {
    match state.at(now) {
        State::Active => Ok(()),
        State::Disabled => Err(Refusal::UserDisabled),
        State::Expired | State::Until(_) => Err(Refusal::PassExpired),
    }
}

/// The rules on an account that a master user wants to act as. They are those of its owner: whom an administrator has
/// switched off or shut out, nobody else comes in as (Dovecot's rule too).
pub(super) fn admit_master(account: &Account, attempt: &Attempt, now: SystemTime) -> Result<(), Refusal> {
    admit(account, attempt, now).map_err(|refusal| match refusal {
        Refusal::UserDisabled => Refusal::TargetRefused(Target::Disabled),
        Refusal::PassExpired => Refusal::TargetRefused(Target::Expired),
        Refusal::ServiceDenied => Refusal::TargetRefused(Target::Service),
        Refusal::NetworkDenied => Refusal::TargetRefused(Target::Network),
        Refusal::AppPasswordMismatch(_)
        | Refusal::AppPasswordBarred(..)
        | Refusal::AuthzDenied
        | Refusal::InvalidName(_)
        | Refusal::MechanismBreach(_)
        | Refusal::NoCredentials(_)
        | Refusal::PasswordMismatch
        | Refusal::PrimaryPasswordDenied { .. }
        | Refusal::TargetRefused(_)
        | Refusal::TempFail(_)
        | Refusal::TokenOfAnother
        | Refusal::TokenRejected(_)
        | Refusal::UserAmbiguous
        | Refusal::UserLocked
        | Refusal::UserUnknown => refusal,
    })
}
