//! EXTERNAL, RFC 4422 appendix A: the proof is the remote's TLS certificate, which the peer has verified.

use gatepost_protocol::{sasl::external, secret::Secret};

use super::{Breach, Claim, Credential};

/// EXTERNAL waits for its only response.
#[derive(Debug)]
pub struct External {
    /// The name in the certificate; `None` without a certificate that was verified, or without a name in it.
    certificate: Option<Vec<u8>>,
}

impl External {
    /// For a remote with this certificate.
    pub fn new(certificate: Option<&[u8]>) -> Self {
        Self { certificate: certificate.map(<[u8]>::to_vec) }
    }

    /// `[authzid]`. Whose certificate it is, the certificate says: a name that the remote sends is the one they want to
    /// be, never the one that they are (CVE-2019-3814).
    pub fn step(self, response: &Secret) -> Result<Claim, Breach> {
        let authzid = external::authzid(response.expose()).map_err(|_| Breach::Grammar)?;
        let name = self.certificate.filter(|name| !name.is_empty()).ok_or(Breach::NoCertificate)?;
        let authzid = authzid.filter(|authzid| *authzid != name.as_slice()).map(<[u8]>::to_vec);
        Ok(Claim { authzid, authcid: name, credential: Credential::Certificate })
    }
}
