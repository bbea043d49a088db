//! OTP: the state of a chain of one-time passwords (RFC 2289) of which the password is the secret passphrase.
//!
//! As in Dovecot, who gives the passphrase itself has proven that the chain is theirs; a one-time password of the chain
//! is not taken, and the chain does not move.

use md4::Md4;
use md5::Md5;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, hex},
    kind::{Fields, Hash, Kind, Work, length, random},
    limits,
};

/// `("md4" / "md5" / "sha1") " " number " " seed " "` and 16 digits of hex.
pub(super) struct Otp {
    algorithm: Algorithm,
    /// Steps of the chain, on top of the first.
    steps: u32,
    seed: Wiped,
    hash: Zeroizing<[u8; 8]>,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Md4,
    Md5,
    Sha1,
}

impl Otp {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "md4, md5 or sha1, <number> <seed> <16 hex digits>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        let mut fields = text.split(|&byte| byte == b' ');
        let algorithm = match fields.next() {
            Some(b"md4") => Algorithm::Md4,
            Some(b"md5") => Algorithm::Md5,
            Some(b"sha1") => Algorithm::Sha1,
            _ => return Err(malformed),
        };
        let digits = fields.next().filter(|text| (1..=9).contains(&text.len())).ok_or(malformed)?;
        let plain = digits.iter().all(u8::is_ascii_digit);
        let steps = std::str::from_utf8(digits).ok().filter(|_| plain).and_then(|text| text.parse().ok());
        let steps: u32 = steps.ok_or(malformed)?;
        let seed = fields.next().filter(|seed| (1..=16).contains(&seed.len())).ok_or(malformed)?;
        let hash = fields.next().and_then(hex).ok_or(malformed)?;
        if fields.next().is_some() || !seed.iter().all(u8::is_ascii_alphanumeric) {
            return Err(malformed);
        }
        if steps > limits::OTP_STEPS {
            return Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "number" });
        }
        let hash = hash.as_slice().try_into().map_err(|_| malformed)?;
        Ok(Self { algorithm, steps, seed: Zeroizing::new(seed.to_vec()), hash: Zeroizing::new(hash) })
    }

    fn chain<D: Digest>(&self, password: &[u8], swap: bool) -> Zeroizing<[u8; 8]> {
        let mut state =
            fold(&D::new().chain_update(self.seed.as_slice()).chain_update(password).finalize(), swap);
        for _ in 0..self.steps {
            state = fold(&D::digest(state.as_slice()), swap);
        }
        state
    }
}

/// Words of 32 bits, those of even places and those of odd ones, each added without carry. SHA-1 writes its words the
/// other way round, and the RFC has them turned.
fn fold(digest: &[u8], swap: bool) -> Zeroizing<[u8; 8]> {
    let mut folded = Zeroizing::new([0; 8]);
    for (at, byte) in digest.iter().enumerate() {
        // The fifth word of SHA-1 goes where the first and third went.
        let place = if swap { (at % 8) ^ 3 } else { at % 8 };
        if let Some(to) = folded.get_mut(place) {
            *to ^= byte;
        }
    }
    folded
}

impl Hash for Otp {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let state = match self.algorithm {
            Algorithm::Md4 => self.chain::<Md4>(password, false),
            Algorithm::Md5 => self.chain::<Md5>(password, false),
            Algorithm::Sha1 => self.chain::<Sha1>(password, true),
        };
        Ok(state.ct_eq(self.hash.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 0 }
    }

    fn work(&self) -> Work {
        let function = match self.algorithm {
            Algorithm::Md4 => "otp-md4",
            Algorithm::Md5 => "otp-md5",
            Algorithm::Sha1 => "otp-sha1",
        };
        Work { function, parameters: [self.steps, 0, 0, 0, length(&self.seed)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { algorithm: _, steps: _, seed, hash } = self;
        fields.put(seed);
        fields.put(hash.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::Otp(Self { hash: random()?, seed: self.seed.clone(), ..*self }))
    }
}
