//! `$1$`: a thousand rounds of MD5, by Poul-Henning Kamp, 1994. Forty lines, so that they need no crate.

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, crypt64, reorder},
    kind::{Fields, Hash, Kind, Work, length, random, random_like},
};

const MAGIC: &[u8] = b"$1$";

/// The order in which the bytes of the digest are written, here and in `$md5$`.
pub(super) const ORDER: [u8; 16] = [12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11];

/// `"$1$" salt "$" digest`: a salt of at most eight bytes, a digest of sixteen in crypt(3)'s base64 and order.
pub(super) struct Md5Crypt {
    salt: Wiped,
    /// As written, reordered.
    digest: Zeroizing<[u8; 16]>,
}

impl Md5Crypt {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected: "$1$<salt>$<22 digits>" };
        let rest = text.strip_prefix(MAGIC).ok_or(malformed)?;
        let mut fields = rest.split(|&byte| byte == b'$');
        let salt = fields.next().filter(|salt| salt.len() <= 8).ok_or(malformed)?;
        let digest = fields.next().and_then(crypt64).ok_or(malformed)?;
        if fields.next().is_some() {
            return Err(malformed);
        }
        let digest = digest.as_slice().try_into().map_err(|_| malformed)?;
        Ok(Self { salt: Zeroizing::new(salt.to_vec()), digest: Zeroizing::new(digest) })
    }
}

impl Hash for Md5Crypt {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        Ok(md5_crypt(password, &self.salt).ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 0 }
    }

    fn work(&self) -> Work {
        Work { function: "md5-crypt", parameters: [0, 0, 0, 0, length(&self.salt)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { salt, digest } = self;
        fields.put(salt);
        fields.put(digest.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::Md5Crypt(Self { salt: random_like(&self.salt)?, digest: random()? }))
    }
}

/// The digest, in the order in which it is written.
fn md5_crypt(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; 16]> {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut outer = Md5::new().chain_update(password).chain_update(MAGIC).chain_update(salt);
    for piece in password.chunks(inner.len()) {
        outer.update(inner.get(..piece.len()).unwrap_or_default());
    }
    // A zero byte for each bit that is set in the length, the password's first byte for each that is not.
    let mut bits = password.len();
    while bits != 0 {
        outer.update(if bits & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        bits >>= 1;
    }
    let mut digest = outer.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        let (first, last): (&[u8], &[u8]) =
            if round % 2 == 1 { (password, &digest) } else { (&digest, password) };
        next.update(first);
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(last);
        digest = next.finalize();
    }
    reorder(&digest.into(), &ORDER)
}
