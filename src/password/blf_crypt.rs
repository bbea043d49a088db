//! bcrypt: `$2a$`, `$2b$`, `$2y$`, one function under three names.
//!
//! `$2x$` marks hashes made by a defective implementation, which is not in this one. For `$2a$`, Dovecot's own code
//! changes the result of some passwords that contain the byte 0xff, which that defect confused with others; such a
//! password does not match here.

use base64::Engine as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    kind::{Hash, Kind, Work, random},
    limits,
};

/// Bytes of a password that count; bcrypt ignores the rest. With the NUL at its end if that is still among them.
const PASSWORD_BYTES: usize = 72;

/// `"$2" ("a" / "b" / "y") "$" cost "$" salt digest`: two digits, then 22 and 31 of bcrypt's own base64.
pub(super) struct BlfCrypt {
    cost: u32,
    salt: [u8; 16],
    digest: Zeroizing<[u8; 23]>,
}

impl BlfCrypt {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "$2a$, $2b$ or $2y$, <two digits from 04 to 31>$<53 digits>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        if text.starts_with(b"$2x$") {
            return Err(Unusable::UnknownScheme {
                scheme: "BLF-CRYPT with $2x$ (bcrypt with a known defect)",
            });
        }
        let [b'$', b'2', b'a' | b'b' | b'y', b'$', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'$', rest @ ..] =
            text
        else {
            return Err(malformed);
        };
        let cost = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
        let (salt, digest) = rest.split_at_checked(22).ok_or(malformed)?;
        let salt = decode(salt).ok_or(malformed)?;
        let digest = decode(digest).ok_or(malformed)?;
        match cost {
            4..=limits::BLF_CRYPT_COST => Ok(Self { cost, salt: *salt, digest }),
            ..=31 if cost > limits::BLF_CRYPT_COST => {
                Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "cost" })
            }
            _ => Err(malformed),
        }
    }
}

impl Hash for BlfCrypt {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let mut key = Zeroizing::new([0; PASSWORD_BYTES]);
        let length = password.len().min(PASSWORD_BYTES);
        for (to, &from) in key.iter_mut().zip(password) {
            *to = from;
        }
        let key = key.get(..(length + 1).min(PASSWORD_BYTES)).ok_or(Broken)?;
        let digest = Zeroizing::new(::bcrypt::bcrypt(self.cost, self.salt, key));
        Ok(digest.iter().as_slice().get(..23).ok_or(Broken)?.ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 5 }
    }

    fn work(&self) -> Work {
        Work { function: "bcrypt", parameters: [self.cost, 0, 0, 0, 16] }
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::BlfCrypt(Self { cost: self.cost, salt: *random()?, digest: random()? }))
    }
}

/// bcrypt's base64, which has no stray bits, as in crypt(3).
fn decode<const N: usize>(text: &[u8]) -> Option<Zeroizing<[u8; N]>> {
    let bytes = Zeroizing::new(::bcrypt::BASE_64.decode(text).ok()?);
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}
