//! `$7$`: scrypt (RFC 7914), by Colin Percival, 2009, in the form that libxcrypt and libsodium write.

use ::yescrypt::{Mode, Params};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, crypt64, crypt64_number, is_crypt64},
    kind::{Fields, Hash, Kind, Work, length, random, random_like},
    limits,
};

/// `"$7$" log2(N) r p salt "$" digest`: one digit, five and five, the least significant first, a salt that counts as it
/// is written, and 43 digits.
pub(super) struct Scrypt {
    log2_n: u32,
    r: u32,
    p: u32,
    salt: Wiped,
    digest: Zeroizing<[u8; 32]>,
}

impl Scrypt {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "$7$<digit of log2(N)><5 digits of r><5 of p><salt>$<43 digits>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        let too_expensive = |parameter| Unusable::TooExpensive { scheme: scheme.name(), parameter };
        let rest = text.strip_prefix(b"$7$").ok_or(malformed)?;
        let mut fields = rest.split(|&byte| byte == b'$');
        let setting = fields.next().ok_or(malformed)?;
        let digest = fields.next().and_then(crypt64).ok_or(malformed)?;
        if fields.next().is_some() {
            return Err(malformed);
        }
        let digest = digest.as_slice().try_into().map_err(|_| malformed)?;
        let (parameters, salt) = setting.split_at_checked(11).ok_or(malformed)?;
        if !is_crypt64(salt) {
            return Err(malformed);
        }
        let (log2_n, numbers) = parameters.split_at_checked(1).ok_or(malformed)?;
        let (r, p) = numbers.split_at_checked(5).ok_or(malformed)?;
        let log2_n = crypt64_number(log2_n).filter(|n| *n > 0).ok_or(malformed)?;
        let r = crypt64_number(r).filter(|r| *r > 0).ok_or(malformed)?;
        let p = crypt64_number(p).filter(|p| *p > 0).ok_or(malformed)?;
        if p > limits::LANES {
            return Err(too_expensive("p"));
        }
        let hash = Self { log2_n, r, p, salt: Zeroizing::new(salt.to_vec()), digest: Zeroizing::new(digest) };
        if hash.memory_kib() > limits::MEMORY_KIB {
            return Err(too_expensive("memory"));
        }
        // Written and read once for each p.
        if hash.memory_kib().saturating_mul(u64::from(p) * 2) > limits::WORK_KIB {
            return Err(too_expensive("memory times p"));
        }
        Ok(hash)
    }

    /// `128 * r * (N + p)` bytes.
    fn memory_kib(&self) -> u64 {
        let n = 1_u64.checked_shl(self.log2_n).unwrap_or(u64::MAX);
        u64::from(self.r).saturating_mul(n.saturating_add(u64::from(self.p))) / 8
    }
}

impl Hash for Scrypt {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let n = 1_u64.checked_shl(self.log2_n).ok_or(Broken)?;
        let params = Params::new(Mode::Classic, n, self.r, self.p).map_err(|_| Broken)?;
        let mut digest = Zeroizing::new([0; 32]);
        ::yescrypt::yescrypt(password, &self.salt, &params, digest.as_mut_slice()).map_err(|_| Broken)?;
        Ok(digest.ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: u32::try_from(self.memory_kib()).unwrap_or(u32::MAX) }
    }

    fn work(&self) -> Work {
        Work { function: "scrypt", parameters: [self.log2_n, self.r, self.p, 0, length(&self.salt)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { log2_n: _, r: _, p: _, salt, digest } = self;
        fields.put(salt);
        fields.put(digest.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        let (salt, digest) = (random_like(&self.salt)?, random()?);
        Ok(Kind::Scrypt(Self { salt, digest, ..*self }))
    }
}
