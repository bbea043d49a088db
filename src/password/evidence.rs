//! Proofs that somebody knows a password, made without sending it: CRAM-MD5 and SCRAM.

use std::fmt;

use gatepost_protocol::secret::Secret;
use subtle::ConstantTimeEq as _;

use super::{
    Broken, Cost, ScramHash, Stored,
    cram_md5::CramMd5,
    kind::Kind,
    scram::{Keys, Terms},
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
    /// What a client has to stretch this password with; `None` if nothing was made with it, and of a decoy.
    pub fn scram_terms(&self, wanted: ScramHash) -> Option<&Terms> {
        if let Kind::Scram(scram) = &*self.kind
            && !self.decoy
            && scram.hash() == wanted
        {
            return Some(&scram.terms);
        }
        None
    }

    /// Whether somebody has proven to know this password. A decoy does the work and is never proven.
    pub fn proven_by(&self, evidence: &Evidence) -> Result<Verdict, Broken> {
        let verdict = match (evidence, &*self.kind) {
            // An empty password proves nothing, and one with a NUL was not typed by anybody.
            (_, Kind::Plain(plain)) if plain.is_impossible() => Verdict::Mismatch,
            (Evidence::CramMd5 { .. }, Kind::CramMd5(known)) if known.is_empty() => Verdict::Mismatch,
            (Evidence::CramMd5 { challenge, digest }, Kind::Plain(plain)) => {
                answer(&CramMd5::of(plain.expose()), challenge, digest)
            }
            (Evidence::CramMd5 { challenge, digest }, Kind::CramMd5(known)) => {
                answer(known, challenge, digest)
            }
            (Evidence::Scram { hash, terms, message, proof }, Kind::Plain(plain)) => {
                signature(&Keys::derive(*hash, plain.expose(), terms)?, *hash, message, proof)?
            }
            (Evidence::Scram { hash, message, proof, .. }, Kind::Scram(scram)) if scram.hash() == *hash => {
                signature(&scram.keys, *hash, message, proof)?
            }
            (Evidence::CramMd5 { .. } | Evidence::Scram { .. }, _) => Verdict::Unable,
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

/// Whether a challenge was answered as who knows the password does.
fn answer(known: &CramMd5, challenge: &[u8], digest: &[u8; 16]) -> Verdict {
    if known.mac(challenge).ct_eq(digest).into() { Verdict::Match(None) } else { Verdict::Mismatch }
}

/// Whether a proof is that of who knows the password, and what answers it.
fn signature(keys: &Keys, hash: ScramHash, message: &Secret, proof: &Secret) -> Result<Verdict, Broken> {
    let signature = keys.verify(hash, message.expose(), proof.expose())?;
    Ok(signature.map_or(Verdict::Mismatch, |signature| Verdict::Match(Some(signature.to_vec()))))
}
