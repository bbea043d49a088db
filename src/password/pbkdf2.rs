//! PBKDF2 (RFC 8018) over HMAC-SHA-1, in the form that Dovecot stores.

use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, hex, number},
    kind::{Fields, Hash, Kind, Work, length, random, random_like},
    limits,
};

/// `"$1$" salt "$" rounds "$"` and the key in 40 digits of hex. The salt counts as it is written.
pub(super) struct Pbkdf2 {
    rounds: u32,
    salt: Wiped,
    key: Zeroizing<[u8; 20]>,
}

impl Pbkdf2 {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let malformed =
            Unusable::Malformed { scheme: scheme.name(), expected: "$1$<salt>$<rounds>$<40 hex digits>" };
        let rest = text.strip_prefix(b"$1$").ok_or(malformed)?;
        let mut fields = rest.split(|&byte| byte == b'$');
        let salt = fields.next().ok_or(malformed)?;
        let rounds = fields.next().and_then(number).ok_or(malformed)?;
        let key = fields.next().and_then(hex).ok_or(malformed)?;
        if fields.next().is_some() {
            return Err(malformed);
        }
        if rounds > limits::PBKDF2_ROUNDS {
            return Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "rounds" });
        }
        let key = key.as_slice().try_into().map_err(|_| malformed)?;
        Ok(Self { rounds, salt: Zeroizing::new(salt.to_vec()), key: Zeroizing::new(key) })
    }
}

impl Hash for Pbkdf2 {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let mut key = Zeroizing::new([0; 20]);
        ::pbkdf2::pbkdf2_hmac::<Sha1>(password, &self.salt, self.rounds, key.as_mut_slice());
        Ok(key.ct_eq(self.key.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 0 }
    }

    fn work(&self) -> Work {
        Work { function: "pbkdf2-sha1", parameters: [self.rounds, 0, 0, 0, length(&self.salt)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { rounds: _, salt, key } = self;
        fields.put(salt);
        fields.put(key.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::Pbkdf2(Self { rounds: self.rounds, salt: random_like(&self.salt)?, key: random()? }))
    }
}
