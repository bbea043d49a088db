//! XOAUTH2: what there was before OAUTHBEARER, and what most mail programs and Roundcube speak.

use gatepost_protocol::{sasl::xoauth2, secret::Secret};

use super::{Breach, Claim, Credential};

/// XOAUTH2 waits for its only response, as OAUTHBEARER does.
#[derive(Debug)]
pub struct XOAuth2;

impl XOAuth2 {
    /// `user=name ^A auth=Bearer token ^A^A`
    pub fn step(self, response: &Secret) -> Result<Claim, Breach> {
        let message = xoauth2::XOAuth2::parse(response.expose()).map_err(|_| Breach::Grammar)?;
        Ok(Claim {
            authzid: None,
            authcid: message.user.unwrap_or_default().to_vec(),
            credential: Credential::Token(Secret::new(message.token.to_vec())),
        })
    }
}
