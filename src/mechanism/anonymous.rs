//! ANONYMOUS, RFC 4505: everybody is let in, as the one account that is there for that.

use gatepost_protocol::{sasl::anonymous, secret::Secret};

use super::{Breach, Claim, Credential};

/// ANONYMOUS waits for its only response.
#[derive(Debug)]
pub struct Anonymous {
    /// The name of the account.
    account: Option<Box<str>>,
}

impl Anonymous {
    /// For remotes that become this account.
    pub fn new(account: Option<&str>) -> Self {
        Self { account: account.map(Into::into) }
    }

    /// `[trace]`
    pub fn step(self, response: &Secret) -> Result<Claim, Breach> {
        let trace = anonymous::trace(response.expose()).map_err(|_| Breach::Grammar)?;
        let account = self.account.ok_or(Breach::NobodyAnonymous)?;
        Ok(Claim {
            authzid: None,
            authcid: account.into_boxed_bytes().into(),
            credential: Credential::Anonymous { trace: trace.map(Into::into) },
        })
    }
}
