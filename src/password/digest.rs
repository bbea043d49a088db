//! One round of MD4, MD5, SHA-1, SHA-256 or SHA-512, with a salt after the password or without.

use md4::Md4;
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost,
    encoding::Wiped,
    kind::{Fields, Hash, Kind, Work, length, random_like},
};

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md4,
    Md5,
    /// MD4 over each byte and a zero byte after it: the password in UTF-16, as libxcrypt makes it of Latin-1.
    Nt,
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    /// Length of its digest in bytes.
    const fn length(self) -> usize {
        match self {
            Self::Md4 | Self::Md5 | Self::Nt => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Md4 => "md4",
            Self::Md5 => "md5",
            Self::Nt => "nt",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// `digest(password || salt)`; unsalted where the salt is empty.
pub(super) struct Digest {
    algorithm: Algorithm,
    digest: Wiped,
    salt: Wiped,
}

impl Digest {
    /// A digest alone. `None` if it is not of the right length.
    pub(super) fn unsalted(algorithm: Algorithm, material: &[u8]) -> Option<Self> {
        (material.len() == algorithm.length()).then(|| Self::new(algorithm, material, &[]))
    }

    /// A digest and a salt of at least one byte, as in Dovecot. `None` if there is less.
    pub(super) fn salted(algorithm: Algorithm, material: &[u8]) -> Option<Self> {
        let (digest, salt) = material.split_at_checked(algorithm.length())?;
        (!salt.is_empty()).then(|| Self::new(algorithm, digest, salt))
    }

    fn new(algorithm: Algorithm, digest: &[u8], salt: &[u8]) -> Self {
        Self { algorithm, digest: Zeroizing::new(digest.to_vec()), salt: Zeroizing::new(salt.to_vec()) }
    }

    fn hashes_to<D: sha2::Digest>(&self, password: &[u8]) -> bool {
        let digest = D::new().chain_update(password).chain_update(self.salt.as_slice()).finalize();
        digest.as_slice().ct_eq(&self.digest).into()
    }
}

impl Hash for Digest {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        Ok(match self.algorithm {
            Algorithm::Md4 => self.hashes_to::<Md4>(password),
            Algorithm::Md5 => self.hashes_to::<Md5>(password),
            Algorithm::Nt => {
                let wide: Wiped = Zeroizing::new(password.iter().flat_map(|&byte| [byte, 0]).collect());
                self.hashes_to::<Md4>(&wide)
            }
            Algorithm::Sha1 => self.hashes_to::<Sha1>(password),
            Algorithm::Sha256 => self.hashes_to::<Sha256>(password),
            Algorithm::Sha512 => self.hashes_to::<Sha512>(password),
        })
    }

    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    fn work(&self) -> Work {
        Work { function: self.algorithm.name(), parameters: [0, 0, 0, 0, length(&self.salt)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { algorithm: _, digest, salt } = self;
        fields.put(digest);
        fields.put(salt);
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::Digest(Self {
            algorithm: self.algorithm,
            digest: random_like(&self.digest)?,
            salt: random_like(&self.salt)?,
        }))
    }
}
