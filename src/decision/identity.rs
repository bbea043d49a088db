//! Who proves, and whom they want to be.

use super::Refusal;
use crate::{
    mechanism::Claim,
    username::{InvalidName, Username},
};

/// The user that a claim is about. Nobody acts as somebody else.
pub(super) fn identify(
    claim: &Claim,
    normalise: impl Fn(&[u8]) -> Result<Username, InvalidName>,
) -> Result<Username, Refusal> {
    let user = normalise(&claim.authcid)?;
    match &claim.authzid {
        Some(authzid) if normalise(authzid).as_ref() != Ok(&user) => Err(Refusal::AuthzDenied),
        Some(_) | None => Ok(user),
    }
}
