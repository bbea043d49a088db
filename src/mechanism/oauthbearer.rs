//! OAUTHBEARER, RFC 7628: a token of an OAuth provider, in one response.

use gatepost_protocol::{sasl::oauthbearer, secret::Secret};

use super::{Breach, Claim, Credential};

/// OAUTHBEARER waits for its only response. What a remote says after its token was refused is for the session to hear:
/// there is nothing in it.
#[derive(Debug)]
pub struct OAuthBearer;

impl OAuthBearer {
    /// `n,[a=user],^A [host= ^A] [port= ^A] auth=Bearer token ^A^A`
    ///
    /// RFC 7628 calls the name an authorisation identity. It is no claim to be somebody else: who proves themselves
    /// is in the token alone, and the name has to be one of theirs.
    pub fn step(self, response: &Secret) -> Result<Claim, Breach> {
        let message = oauthbearer::OAuthBearer::parse(response.expose()).map_err(|_| Breach::Grammar)?;
        Ok(Claim {
            authzid: None,
            authcid: message.user.unwrap_or_default().into_owned(),
            credential: Credential::Token(Secret::new(message.token.to_vec())),
        })
    }
}
