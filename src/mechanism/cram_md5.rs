//! CRAM-MD5, RFC 2195: the HMAC-MD5 of a challenge. Does not send the password, and has little else to say for itself: who
//! reads the exchange can try passwords on it, and what is stored is as good as the password.

use std::borrow::Cow;

use gatepost_protocol::{sasl, secret::Secret};

use super::{Breach, Claim, Credential, Exchange, Step};
use crate::password::Evidence;

/// CRAM-MD5 waits for its only response.
#[derive(Debug)]
pub struct CramMd5 {
    challenge: Box<[u8]>,
}

impl CramMd5 {
    /// Asks: `"<" random "@" host ">"`, in the form of a message id. What is random makes a time superfluous.
    pub fn ask() -> Result<Step, Breach> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Breach::NoRandomNumbers)?;
        let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let challenge = format!("<{random}@localhost>").into_bytes();
        let exchange = Exchange::CramMd5(Self { challenge: challenge.as_slice().into() });
        Ok(Step::Challenge(Cow::Owned(challenge), exchange))
    }

    /// `user SP digest`
    pub fn step(self, response: &Secret) -> Result<Claim, Breach> {
        let message = sasl::CramMd5::parse(response.expose()).map_err(|_| Breach::Grammar)?;
        let evidence = Evidence::CramMd5 { challenge: self.challenge, digest: message.digest };
        Ok(Claim {
            authzid: None,
            authcid: message.authcid.to_vec(),
            credential: Credential::Evidence(evidence.into()),
        })
    }
}
