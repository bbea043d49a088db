//! Traditional crypt(3), by Robert Morris and Ken Thompson, 1979, and BSDi's extension of it: DES with a salt that swaps
//! bits, over and over again. Weak by any measure; whoever still has such hashes is well advised to let `rehash` replace
//! them.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable, des,
    encoding::{crypt64_digit, crypt64_letter, crypt64_number, is_crypt64},
    kind::{Fields, Hash, Kind, Work, random},
    limits,
};

/// How many characters of a password the traditional form looks at.
const TRADITIONAL_LENGTH: usize = 8;

/// How often the traditional form encrypts.
const TRADITIONAL_COUNT: u32 = 25;

/// `salt digest` of 2 and 11 digits, or `"_" count salt digest` of 4, 4 and 11: the least significant digit first in
/// numbers, the most significant in digests.
pub(super) struct DesCrypt {
    form: Form,
    salt: u32,
    /// As written.
    digest: Zeroizing<[u8; 11]>,
}

#[derive(Clone, Copy)]
enum Form {
    /// The first eight characters of a password count, seven bits of each.
    Traditional,
    /// All of them do.
    Extended { count: u32 },
}

impl DesCrypt {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "<2 digits of salt><11 digits> or _<4 digits of count><4 of salt><11 digits>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        let (form, salt, digest) = match text.strip_prefix(b"_") {
            None => {
                let (salt, digest) = text.split_at_checked(2).ok_or(malformed)?;
                (Form::Traditional, salt, digest)
            }
            Some(text) => {
                let (count, rest) = text.split_at_checked(4).ok_or(malformed)?;
                let (salt, digest) = rest.split_at_checked(4).ok_or(malformed)?;
                // As DES was, so is none at all: once.
                let count = crypt64_number(count).ok_or(malformed)?.max(1);
                if count > limits::DES_COUNT {
                    return Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "count" });
                }
                (Form::Extended { count }, salt, digest)
            }
        };
        let salt = crypt64_number(salt).ok_or(malformed)?;
        let digest: [u8; 11] = digest.try_into().map_err(|_| malformed)?;
        // Eleven digits have two bits more than there are.
        let last = digest.last().and_then(|&digit| crypt64_digit(digit)).ok_or(malformed)?;
        if last & 3 != 0 || !is_crypt64(&digest) {
            return Err(malformed);
        }
        Ok(Self { form, salt, digest: Zeroizing::new(digest) })
    }

    fn digest(&self, password: &[u8]) -> u64 {
        let mut pieces = password.chunks(8).map(key);
        let mut key = pieces.next().unwrap_or_default();
        let count = match self.form {
            Form::Traditional => TRADITIONAL_COUNT,
            Form::Extended { count } => {
                for next in pieces {
                    key = des::encrypt(key, 0, key, 1) ^ next;
                }
                count
            }
        };
        des::encrypt(key, self.salt, 0, count)
    }
}

/// Up to eight characters as a key: seven bits of each, where DES has its seven and a parity bit.
fn key(piece: &[u8]) -> u64 {
    let mut key = [0; 8];
    for (to, &from) in key.iter_mut().zip(piece) {
        *to = from << 1;
    }
    u64::from_be_bytes(key)
}

/// Eleven digits, the most significant first.
fn written(digest: u64) -> Zeroizing<[u8; 11]> {
    let mut shift = 64_u32;
    Zeroizing::new([(); 11].map(|()| {
        let six = if shift >= 6 { digest >> (shift - 6) } else { digest << (6 - shift) };
        shift = shift.saturating_sub(6);
        crypt64_letter(six)
    }))
}

impl Hash for DesCrypt {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        Ok(written(self.digest(password)).ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        match self.form {
            Form::Traditional => Cost::Cheap,
            Form::Extended { .. } => Cost::Slow { memory_kib: 0 },
        }
    }

    fn work(&self) -> Work {
        match self.form {
            Form::Traditional => Work { function: "des-crypt", parameters: [0; 5] },
            Form::Extended { count } => Work { function: "bsdi-crypt", parameters: [count, 0, 0, 0, 0] },
        }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { form: _, salt, digest } = self;
        fields.put(&salt.to_be_bytes());
        fields.put(digest.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        let digest = written(u64::from_be_bytes(*random()?));
        Ok(Kind::DesCrypt(Self { form: self.form, salt: self.salt, digest }))
    }

    fn has_seen_all_of(&self, password: &[u8]) -> bool {
        match self.form {
            Form::Traditional => password.len() < TRADITIONAL_LENGTH && password.is_ascii(),
            Form::Extended { .. } => password.is_ascii(),
        }
    }
}
