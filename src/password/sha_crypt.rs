//! `$5$` and `$6$`: thousands of rounds of SHA-256 or SHA-512, by Ulrich Drepper, 2007.

use ::sha_crypt::{Params, sha256_crypt, sha512_crypt};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, crypt64, crypt64_letter, crypt64_text, number, reorder},
    kind::{Fields, Hash, Kind, Work, length, random, random_like},
    limits,
};

/// Rounds where none are given.
const DEFAULT_ROUNDS: u32 = 5000;

/// Rounds of a new hash: some 50 ms.
pub(super) const NEW_ROUNDS: u32 = 100_000;

/// The order in which the bytes of a SHA-256 digest are written.
const ORDER_256: [u8; 32] = [
    20, 10, 0, 11, 1, 21, 2, 22, 12, 23, 13, 3, 14, 4, 24, 5, 25, 15, 26, 16, 6, 17, 7, 27, 8, 28, 18, 29,
    19, 9, 30, 31,
];

/// The order in which the bytes of a SHA-512 digest are written.
const ORDER_512: [u8; 64] = [
    42, 21, 0, 1, 43, 22, 23, 2, 44, 45, 24, 3, 4, 46, 25, 26, 5, 47, 48, 27, 6, 7, 49, 28, 29, 8, 50, 51,
    30, 9, 10, 52, 31, 32, 11, 53, 54, 33, 12, 13, 55, 34, 35, 14, 56, 57, 36, 15, 16, 58, 37, 38, 17, 59,
    60, 39, 18, 19, 61, 40, 41, 20, 62, 63,
];

/// `("$5$" / "$6$") ["rounds=" number "$"] salt "$" digest`: a salt of at most sixteen bytes, the digest in crypt(3)'s
/// base64 and order.
pub(super) struct ShaCrypt {
    rounds: u32,
    salt: Wiped,
    digest: Written,
}

/// A digest as written, reordered.
enum Written {
    Sha256(Zeroizing<[u8; 32]>),
    Sha512(Zeroizing<[u8; 64]>),
}

impl ShaCrypt {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "$5$ or $6$, [rounds=<1000 or more>$]<salt>$<digits>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        let mut fields = text.split(|&byte| byte == b'$').skip(1);
        let id = fields.next().ok_or(malformed)?;
        let mut salt = fields.next().ok_or(malformed)?;
        let mut rounds = DEFAULT_ROUNDS;
        if let Some(given) = salt.strip_prefix(b"rounds=") {
            rounds = number(given).ok_or(malformed)?;
            salt = fields.next().ok_or(malformed)?;
        }
        let digest = fields.next().and_then(crypt64).ok_or(malformed)?;
        if fields.next().is_some() || salt.len() > 16 || rounds < Params::ROUNDS_MIN {
            return Err(malformed);
        }
        if rounds > limits::SHA_CRYPT_ROUNDS {
            return Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "rounds" });
        }
        let digest = match (id, digest.len()) {
            (b"5", 32) => digest.as_slice().try_into().map(|bytes| Written::Sha256(Zeroizing::new(bytes))),
            (b"6", _) => digest.as_slice().try_into().map(|bytes| Written::Sha512(Zeroizing::new(bytes))),
            _ => return Err(malformed),
        };
        Ok(Self { rounds, salt: Zeroizing::new(salt.to_vec()), digest: digest.map_err(|_| malformed)? })
    }
}

impl Hash for ShaCrypt {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        if password.len() > limits::SHA_CRYPT_PASSWORD_BYTES {
            return Ok(false);
        }
        let params = Params::new(self.rounds).map_err(|_| Broken)?;
        Ok(match &self.digest {
            Written::Sha256(stored) => {
                let digest = Zeroizing::new(sha256_crypt(password, &self.salt, params));
                reorder(&digest, &ORDER_256).ct_eq(stored.as_slice()).into()
            }
            Written::Sha512(stored) => {
                let digest = Zeroizing::new(sha512_crypt(password, &self.salt, params));
                reorder(&digest, &ORDER_512).ct_eq(stored.as_slice()).into()
            }
        })
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 0 }
    }

    fn work(&self) -> Work {
        let function = match self.digest {
            Written::Sha256(_) => "sha256-crypt",
            Written::Sha512(_) => "sha512-crypt",
        };
        Work { function, parameters: [self.rounds, 0, 0, 0, length(&self.salt)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { rounds: _, salt, digest } = self;
        fields.put(salt);
        fields.put(match digest {
            Written::Sha256(digest) => digest.as_slice(),
            Written::Sha512(digest) => digest.as_slice(),
        });
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        let digest = match self.digest {
            Written::Sha256(_) => Written::Sha256(random()?),
            Written::Sha512(_) => Written::Sha512(random()?),
        };
        Ok(Kind::ShaCrypt(Self { rounds: self.rounds, salt: random_like(&self.salt)?, digest }))
    }
}

/// The stored form of a new password of at most [`limits::SHA_CRYPT_PASSWORD_BYTES`].
pub(super) fn hash_new(password: &[u8]) -> Result<Zeroizing<String>, Broken> {
    let salt = random::<16>()?.map(|byte| crypt64_letter(byte.into()));
    let params = Params::new(NEW_ROUNDS).map_err(|_| Broken)?;
    let digest = Zeroizing::new(sha512_crypt(password, &salt, params));
    let digest = crypt64_text(reorder(&digest, &ORDER_512).as_slice());
    let salt = std::str::from_utf8(&salt).map_err(|_| Broken)?;
    Ok(Zeroizing::new(format!("{{SHA512-CRYPT}}$6$rounds={NEW_ROUNDS}${salt}${}", *digest)))
}
