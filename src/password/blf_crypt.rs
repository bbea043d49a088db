//! bcrypt: `$2a$`, `$2b$`, `$2y$`, one function under three names, and `$2x$`.
//!
//! `$2x$` marks hashes made by an implementation that took bytes above 127 for negative numbers, by which a password may
//! lose up to three characters before each of them. For `$2a$`, Dovecot's own code
//! changes the result of some passwords that contain the byte 0xff, which that defect confused with others; such a
//! password does not match here.

use base64::Engine as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    kind::{Fields, Hash, Kind, Work, random},
    limits,
};

/// Bytes of a password that count; bcrypt ignores the rest. With the NUL at its end if that is still among them.
pub(super) const PASSWORD_BYTES: usize = 72;

/// Cost of a new hash: some 50 ms, and the least that OWASP's cheat sheet allows.
pub(super) const NEW_COST: u32 = 10;

/// `"$2" ("a" / "b" / "x" / "y") "$" cost "$" salt digest`: two digits, then 22 and 31 of bcrypt's own base64.
pub(super) struct BlfCrypt {
    cost: u32,
    /// `$2x$`
    defective: bool,
    salt: [u8; 16],
    digest: Zeroizing<[u8; 23]>,
}

impl BlfCrypt {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "$2a$, $2b$, $2x$ or $2y$, <two digits from 04 to 31>$<53 digits>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        let [
            b'$',
            b'2',
            variant @ (b'a' | b'b' | b'x' | b'y'),
            b'$',
            tens @ b'0'..=b'9',
            ones @ b'0'..=b'9',
            b'$',
            rest @ ..,
        ] = text
        else {
            return Err(malformed);
        };
        let cost = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
        let (salt, digest) = rest.split_at_checked(22).ok_or(malformed)?;
        let salt = decode(salt).ok_or(malformed)?;
        let digest = decode(digest).ok_or(malformed)?;
        match cost {
            4..=limits::BLF_CRYPT_COST => Ok(Self { cost, defective: *variant == b'x', salt: *salt, digest }),
            ..=31 if cost > limits::BLF_CRYPT_COST => {
                Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "cost" })
            }
            _ => Err(malformed),
        }
    }
}

impl Hash for BlfCrypt {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let key = key(password);
        let worn = self.defective.then(|| wear(&key));
        let key = worn.as_ref().map_or(key.as_slice(), |worn| worn.as_slice());
        let digest = Zeroizing::new(::bcrypt::bcrypt(self.cost, self.salt, key));
        let [written @ .., _] = &*digest;
        Ok(written.ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 5 }
    }

    fn work(&self) -> Work {
        let function = if self.defective { "bcrypt-x" } else { "bcrypt" };
        Work { function, parameters: [self.cost, 0, 0, 0, 16] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { cost: _, defective: _, salt, digest } = self;
        fields.put(salt);
        fields.put(digest.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        let (salt, digest) = (*random()?, random()?);
        Ok(Kind::BlfCrypt(Self { cost: self.cost, defective: self.defective, salt, digest }))
    }

    /// The NUL behind it counts as well.
    fn has_seen_all_of(&self, password: &[u8]) -> bool {
        password.len() < PASSWORD_BYTES && (!self.defective || password.is_ascii())
    }
}

/// The bytes of a password that count, with the NUL at its end.
fn key(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let bytes = password.iter().copied().chain([0]).take(PASSWORD_BYTES);
    Zeroizing::new(bytes.collect())
}

/// The stored form of a new password, of which no more than 72 bytes count.
pub(super) fn hash_new(password: &[u8]) -> Result<Zeroizing<String>, Broken> {
    let salt = *random::<16>()?;
    let digest = Zeroizing::new(::bcrypt::bcrypt(NEW_COST, salt, &key(password)));
    let [written @ .., _] = &*digest;
    let (salt, digest) = (::bcrypt::BASE_64.encode(salt), ::bcrypt::BASE_64.encode(written));
    Ok(Zeroizing::new(format!("{{BLF-CRYPT}}$2y${NEW_COST:02}${salt}{digest}")))
}

/// The key of 18 words that the defective implementation made of a key: its bytes over and over again, four to a word,
/// where a negative one sets all bits before it.
fn wear(key: &[u8]) -> Zeroizing<[u8; PASSWORD_BYTES]> {
    let mut bytes = key.iter().cycle();
    let mut worn = Zeroizing::new([0; PASSWORD_BYTES]);
    for word in worn.chunks_exact_mut(4) {
        let value = bytes.by_ref().take(4).fold(0_u32, |value, &byte| {
            let sign = if byte < 0x80 { 0 } else { 0xffff_ff00 };
            value << 8 | sign | u32::from(byte)
        });
        word.copy_from_slice(&value.to_be_bytes());
    }
    worn
}

/// bcrypt's base64, which has no stray bits, as in crypt(3).
fn decode<const N: usize>(text: &[u8]) -> Option<Zeroizing<[u8; N]>> {
    let bytes = Zeroizing::new(::bcrypt::BASE_64.decode(text).ok()?);
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}
