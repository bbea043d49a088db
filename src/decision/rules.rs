//! What is asked of a verified account.

use super::{Attempt, Refusal};
use crate::account::{Account, State};

/// The rules on a verified account. Only who knows the password learns which of them says no.
pub(super) fn admit(account: &Account, attempt: &Attempt) -> Result<(), Refusal> {
    match account.state {
        State::Active => {}
        State::Disabled => return Err(Refusal::UserDisabled),
        State::Expired => return Err(Refusal::PassExpired),
    }
    if !account.services.allow(&attempt.service) {
        return Err(Refusal::ServiceDenied);
    }
    if !account.admits(attempt.remote) {
        return Err(Refusal::NetworkDenied);
    }
    Ok(())
}
