//! The keys of SCRAM (RFC 5802): what a server stores of a password so that neither the password nor anything that
//! could pass for it has to be sent or kept.
//!
//! The password's bytes are taken as they are: Dovecot, whose stored forms these are, does no SASLprep either.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, number},
    kind::{Fields, Hash, Kind, Work, length, random, random_like},
    limits,
};

/// The hash function of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// SCRAM-SHA-1, RFC 5802.
    Sha1,
    /// SCRAM-SHA-256, RFC 7677.
    Sha256,
}

/// What a client stretches its password with, as the server tells it to. No secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The salt.
    pub salt: Box<[u8]>,
    /// How often.
    pub iterations: u32,
}

/// What a proof is checked with, and what answers it.
pub(super) struct Keys {
    stored: Wiped,
    server: Wiped,
}

/// `iterations "," salt "," StoredKey "," ServerKey`, all but the number in base64 with its padding.
pub(super) struct Scram {
    hash: ScramHash,
    pub(super) terms: Terms,
    pub(super) keys: Keys,
}

impl ScramHash {
    /// Length of a digest, and so of each key, in bytes.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "scram-sha-1",
            Self::Sha256 => "scram-sha-256",
        }
    }

    /// RFC 5802's `H`.
    fn digest(self, data: &[u8]) -> Wiped {
        Zeroizing::new(match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
        })
    }

    /// RFC 5802's `HMAC`.
    fn mac(self, key: &[u8], data: &[u8]) -> Result<Wiped, Broken> {
        Ok(Zeroizing::new(match self {
            Self::Sha1 => {
                let mut mac = Hmac::<Sha1>::new_from_slice(key).map_err(|_| Broken)?;
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Broken)?;
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
        }))
    }

    /// RFC 5802's `Hi`.
    fn stretch(self, password: &[u8], salt: &[u8], iterations: u32) -> Wiped {
        let mut salted = Zeroizing::new(vec![0; self.length()]);
        match self {
            Self::Sha1 => ::pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut salted),
            Self::Sha256 => ::pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted),
        }
        salted
    }
}

impl Terms {
    /// Length of the salts that Dovecot writes, in bytes.
    pub const USUAL_SALT: usize = 16;

    /// The iterations that Dovecot writes, the least that RFC 7677 allows.
    pub const USUAL_ITERATIONS: u32 = 4096;
}

impl Keys {
    /// The keys of a password.
    pub(super) fn derive(hash: ScramHash, password: &[u8], terms: &Terms) -> Result<Self, Broken> {
        let salted = hash.stretch(password, &terms.salt, terms.iterations);
        let client = hash.mac(&salted, b"Client Key")?;
        Ok(Self { stored: hash.digest(&client), server: hash.mac(&salted, b"Server Key")? })
    }

    /// `ServerSignature`, if `proof` is a client's who knows the password; `None` if it is not. Takes the same time
    /// either way.
    pub(super) fn verify(
        &self,
        hash: ScramHash,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<Option<Wiped>, Broken> {
        let signature = hash.mac(&self.stored, auth_message)?;
        let client: Wiped = Zeroizing::new(signature.iter().zip(proof).map(|(a, b)| a ^ b).collect());
        let same = bool::from(hash.digest(&client).ct_eq(&self.stored)) && proof.len() == hash.length();
        let answer = hash.mac(&self.server, auth_message)?;
        Ok(same.then_some(answer))
    }
}

impl Scram {
    pub(super) fn read(scheme: Scheme, hash: ScramHash, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "<iterations>,<salt>,<StoredKey>,<ServerKey>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        let mut fields = text.split(|&byte| byte == b',');
        let iterations = fields.next().and_then(number).ok_or(malformed)?;
        let salt = fields.next().and_then(base64).filter(|salt| !salt.is_empty()).ok_or(malformed)?;
        let mut key = || fields.next().and_then(base64).filter(|key| key.len() == hash.length());
        let keys = Keys { stored: key().ok_or(malformed)?, server: key().ok_or(malformed)? };
        if fields.next().is_some() {
            return Err(malformed);
        }
        if iterations > limits::PBKDF2_ROUNDS {
            return Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "iterations" });
        }
        Ok(Self { hash, terms: Terms { salt: salt.as_slice().into(), iterations }, keys })
    }

    pub(super) const fn hash(&self) -> ScramHash {
        self.hash
    }
}

/// The stored form of a new password.
pub(super) fn hash_new(password: &[u8]) -> Result<Zeroizing<String>, Broken> {
    let salt = random::<{ Terms::USUAL_SALT }>()?;
    let terms = Terms { salt: salt.as_slice().into(), iterations: Terms::USUAL_ITERATIONS };
    let keys = Keys::derive(ScramHash::Sha256, password, &terms)?;
    let (salt, stored) = (STANDARD.encode(salt.as_slice()), Zeroizing::new(STANDARD.encode(&*keys.stored)));
    let server = Zeroizing::new(STANDARD.encode(&*keys.server));
    Ok(Zeroizing::new(format!("{{SCRAM-SHA-256}}{},{salt},{},{}", terms.iterations, *stored, *server)))
}

/// With its padding, without which a key may have been cut off.
fn base64(text: &[u8]) -> Option<Wiped> {
    STANDARD.decode(text).ok().map(Zeroizing::new)
}

impl Hash for Scram {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let keys = Keys::derive(self.hash, password, &self.terms)?;
        Ok(keys.stored.ct_eq(&self.keys.stored).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 0 }
    }

    fn work(&self) -> Work {
        Work {
            function: self.hash.name(),
            parameters: [self.terms.iterations, 0, 0, 0, length(&self.terms.salt)],
        }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { hash: _, terms: Terms { salt, iterations: _ }, keys: Keys { stored, server } } = self;
        fields.put(salt);
        fields.put(stored);
        fields.put(server);
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        let salt = random_like(&self.terms.salt)?.as_slice().into();
        let terms = Terms { salt, iterations: self.terms.iterations };
        let keys = Keys { stored: random_like(&self.keys.stored)?, server: random_like(&self.keys.server)? };
        Ok(Kind::Scram(Self { hash: self.hash, terms, keys }))
    }
}
