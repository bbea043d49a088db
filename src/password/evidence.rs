//! Proofs that somebody knows a password, made without sending it: CRAM-MD5 and SCRAM.

use std::{borrow::Cow, fmt};

use gatepost_protocol::secret::Secret;
use subtle::ConstantTimeEq as _;

use super::{
    Broken, Cost, ScramHash, Stored,
    cram_md5::CramMd5,
    kind::Kind,
    scram::{Keys, Scram, Terms},
};

/// What was offered as proof, and what it is a proof for. Both together are enough to guess passwords with.
pub enum Evidence {
    /// CRAM-MD5, RFC 2195.
    CramMd5 {
        /// What was asked.
        challenge: Box<[u8]>,
        /// The HMAC-MD5 of it, with the password as its key.
        digest: [u8; 16],
    },
    /// SCRAM, RFC 5802.
    Scram {
        /// Which of them.
        hash: ScramHash,
        /// What the client was told to stretch its password with.
        terms: Terms,
        /// RFC 5802's `AuthMessage`.
        message: Secret,
        /// RFC 5802's `ClientProof`.
        proof: Secret,
    },
}

/// What came of it.
#[derive(PartialEq, Eq)]
pub enum Verdict {
    /// It proves nothing.
    Mismatch,
    /// It proves that the password is known; and what proves to the client that the server knows it too, if the
    /// mechanism has such a thing (RFC 5802's `ServerSignature`).
    Match(Option<Vec<u8>>),
    /// What is stored says nothing about this kind of proof.
    Unable,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evidence({})", self.needs())
    }
}

impl Evidence {
    /// What has to be stored for it, for the log.
    pub const fn needs(&self) -> &'static str {
        match self {
            Self::CramMd5 { .. } => "CRAM-MD5",
            Self::Scram { hash: ScramHash::Sha1, .. } => "SCRAM-SHA-1",
            Self::Scram { hash: ScramHash::Sha256, .. } => "SCRAM-SHA-256",
        }
    }
}

impl Stored {
    /// What a client has to stretch this password with; `None` if nothing was made with it, and of a
    /// decoy.
    pub fn scram_terms(&self, wanted: ScramHash) -> Option<Terms> {
        let scram = self.kind.scram().filter(|scram| !self.decoy && scram.hash() == wanted);
        scram.map(|scram| scram.terms.clone())
    }

    /// Whether somebody has proven to know this password. A decoy does the work and is never proven.
    pub fn proven_by(&self, evidence: &Evidence) -> Result<Verdict, Broken> {
        let verdict = match evidence {
            Evidence::CramMd5 { challenge, digest } => {
                self.kind.cram_md5().map_or(Verdict::Unable, |known| {
                    let expected = known.mac(challenge);
                    if bool::from(expected.ct_eq(digest)) && !known.is_empty() {
                        Verdict::Match(None)
                    } else {
                        Verdict::Mismatch
                    }
                })
            }
            Evidence::Scram { hash, terms, message, proof } => {
                let derived;
                let keys = match (&*self.kind, self.kind.scram()) {
                    (_, Some(scram)) if scram.hash() == *hash => &scram.keys,
                    // An empty password proves nothing, and one with a NUL was not typed by anybody.
                    (Kind::Plain(plain), _) if plain.is_impossible() => return Ok(Verdict::Mismatch),
                    (Kind::Plain(plain), _) => {
                        derived = Keys::derive(*hash, plain.expose(), terms)?;
                        &derived
                    }
                    _ => return Ok(Verdict::Unable),
                };
                let signature = keys.verify(*hash, message.expose(), proof.expose())?;
                signature.map_or(Verdict::Mismatch, |signature| Verdict::Match(Some(signature.to_vec())))
            }
        };
        Ok(if self.decoy && verdict != Verdict::Unable { Verdict::Mismatch } else { verdict })
    }

    /// What [`Self::proven_by`] costs.
    pub(super) fn cost_of(&self, evidence: &Evidence) -> Cost {
        match (evidence, &*self.kind) {
            (Evidence::Scram { .. }, Kind::Plain(_)) => Cost::Slow { memory_kib: 0 },
            (Evidence::CramMd5 { .. } | Evidence::Scram { .. }, _) => Cost::Cheap,
        }
    }
}

impl Kind {
    fn scram(&self) -> Option<&Scram> {
        if let Self::Scram(scram) = self { Some(scram) } else { None }
    }

    fn cram_md5(&self) -> Option<Cow<'_, CramMd5>> {
        if let Self::Plain(plain) = self {
            return Some(Cow::Owned(CramMd5::of(plain.expose())));
        }
        if let Self::CramMd5(known) = self { Some(Cow::Borrowed(known)) } else { None }
    }
}
