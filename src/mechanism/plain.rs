//! PLAIN, RFC 4616: one response, three parts.

use gatepost_protocol::{sasl::plain, secret::Secret};

use super::{Breach, Claim, Credential};

/// PLAIN waits for its only response and has learnt nothing before it.
#[derive(Debug)]
pub struct Plain;

impl Plain {
    /// `[authzid] NUL authcid NUL password`.
    pub fn step(self, response: &Secret) -> Result<Claim, Breach> {
        let message = plain::Plain::parse(response.expose()).map_err(|_| Breach::Grammar)?;
        // Dovecot's rule: acting as oneself is not acting as somebody else.
        let authzid = Some(message.authzid).filter(|name| !name.is_empty() && *name != message.authcid);
        Ok(Claim {
            authzid: authzid.map(<[u8]>::to_vec),
            authcid: message.authcid.to_vec(),
            credential: Credential::Password(Secret::new(message.password.to_vec())),
        })
    }
}
