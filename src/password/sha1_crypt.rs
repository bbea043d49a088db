//! `$sha1$`: a chain of HMAC-SHA-1, by Juniper Networks for NetBSD, 2004.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, crypt64_number, is_crypt64, number},
    kind::{Fields, Hash, Kind, Work, length, random, random_like},
    limits,
};

/// `"$sha1$" rounds "$" salt "$" digest`: a salt of at most 64 digits, a digest of 28.
pub(super) struct Sha1Crypt {
    rounds: u32,
    salt: Wiped,
    digest: Zeroizing<[u8; 20]>,
}

impl Sha1Crypt {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let malformed =
            Unusable::Malformed { scheme: scheme.name(), expected: "$sha1$<rounds>$<salt>$<28 digits>" };
        let rest = text.strip_prefix(b"$sha1$").ok_or(malformed)?;
        let mut fields = rest.split(|&byte| byte == b'$');
        let rounds = fields.next().and_then(number).ok_or(malformed)?;
        let salt = fields.next().filter(|salt| (1..=64).contains(&salt.len())).ok_or(malformed)?;
        let digest = fields.next().and_then(decode).ok_or(malformed)?;
        if fields.next().is_some() || !is_crypt64(salt) {
            return Err(malformed);
        }
        if rounds > limits::PBKDF2_ROUNDS {
            return Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "rounds" });
        }
        Ok(Self { rounds, salt: Zeroizing::new(salt.to_vec()), digest })
    }
}

/// Groups of 24 bits, the first byte the most significant, in four digits each, the least significant first. Of the last
/// group, whose third byte is the digest's first again, the bytes must agree.
fn decode(text: &[u8]) -> Option<Zeroizing<[u8; 20]>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(21));
    for group in text.chunks(4) {
        if group.len() != 4 {
            return None;
        }
        let [_, rest @ ..] = crypt64_number(group)?.to_be_bytes();
        bytes.extend_from_slice(&rest);
    }
    let again = bytes.pop()?;
    let digest = bytes.as_slice().try_into().map(Zeroizing::new).ok()?;
    (bytes.first() == Some(&again)).then_some(digest)
}

impl Hash for Sha1Crypt {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let keyed = Hmac::<Sha1>::new_from_slice(password).map_err(|_| Broken)?;
        let head = [self.salt.as_slice(), b"$sha1$", self.rounds.to_string().as_bytes()].concat();
        let mut digest = keyed.clone().chain_update(&head).finalize().into_bytes();
        for _ in 1..self.rounds {
            digest = keyed.clone().chain_update(digest).finalize().into_bytes();
        }
        let digest = Zeroizing::new(<[u8; 20]>::from(digest));
        Ok(digest.ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 0 }
    }

    fn work(&self) -> Work {
        Work { function: "sha1-crypt", parameters: [self.rounds, 0, 0, 0, length(&self.salt)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { rounds: _, salt, digest } = self;
        fields.put(salt);
        fields.put(digest.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::Sha1Crypt(Self { rounds: self.rounds, salt: random_like(&self.salt)?, digest: random()? }))
    }
}
