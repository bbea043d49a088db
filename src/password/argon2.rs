//! argon2i and argon2id (RFC 9106), and the form in which new passwords are stored.

use ::argon2::{Algorithm, Params, Version};
use base64::Engine as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{BASE64, Wiped, base64, number},
    kind::{Fields, Hash, Kind, Work, length, random, random_like},
    limits,
};

/// Memory of a new hash, in KiB: the first choice of OWASP's password storage cheat sheet, 19 MiB in two passes.
///
/// Dovecot's own default of 64 MiB in three passes takes five times as long. A mail server verifies in bursts (every
/// phone connects anew after a restart, while no cache is warm yet), and then that factor is an outage, at little gain
/// against guessing.
pub(super) const NEW_MEMORY_KIB: u32 = 19 * 1024;
const NEW_PASSES: u32 = 2;
const NEW_LANES: u32 = 1;

/// Memory written by a new hash in all its passes, in KiB.
pub(super) const NEW_WORK_KIB: u64 = NEW_MEMORY_KIB as u64 * NEW_PASSES as u64;

/// `("$argon2i" / "$argon2id") "$v=19$m=" KiB ",t=" passes ",p=" lanes "$" salt "$" digest`, base64 without padding.
///
/// libsodium, which verifies these for Dovecot, takes no other version either.
pub(super) struct Argon2 {
    algorithm: Algorithm,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Wiped,
    digest: Wiped,
}

impl Argon2 {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "$argon2i or $argon2id, $v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<digest>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        let too_expensive = |parameter| Unusable::TooExpensive { scheme: scheme.name(), parameter };
        let mut fields = text.split(|&byte| byte == b'$');
        let algorithm = match (fields.next(), fields.next(), fields.next()) {
            (Some(b""), Some(b"argon2i"), Some(b"v=19")) => Algorithm::Argon2i,
            (Some(b""), Some(b"argon2id"), Some(b"v=19")) => Algorithm::Argon2id,
            _ => return Err(malformed),
        };
        let (memory_kib, passes, lanes) = fields.next().and_then(parameters).ok_or(malformed)?;
        let salt = fields.next().and_then(base64).ok_or(malformed)?;
        let digest = fields.next().and_then(base64).ok_or(malformed)?;
        // The length of the digest goes into the hash, so a short one is either cut off or nearly worthless.
        if fields.next().is_some() || !(8..=64).contains(&salt.len()) || !(16..=64).contains(&digest.len()) {
            return Err(malformed);
        }
        if lanes > limits::LANES {
            return Err(too_expensive("p"));
        }
        if u64::from(memory_kib) > limits::MEMORY_KIB {
            return Err(too_expensive("m"));
        }
        if u64::from(memory_kib) * u64::from(passes) > limits::WORK_KIB {
            return Err(too_expensive("m times t"));
        }
        if memory_kib < lanes * 8 {
            return Err(malformed);
        }
        Ok(Self { algorithm, memory_kib, passes, lanes, salt, digest })
    }
}

impl Hash for Argon2 {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let mut digest = Zeroizing::new(vec![0; self.digest.len()]);
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(digest.len())).map_err(|_| Broken)?;
        ::argon2::Argon2::new(self.algorithm, Version::V0x13, params)
            .hash_password_into(password, &self.salt, &mut digest)
            .map_err(|_| Broken)?;
        Ok(digest.ct_eq(&self.digest).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: self.memory_kib }
    }

    fn work(&self) -> Work {
        let function = self.algorithm.as_str();
        Work {
            function,
            parameters: [self.memory_kib, self.passes, self.lanes, length(&self.digest), length(&self.salt)],
        }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { algorithm: _, memory_kib: _, passes: _, lanes: _, salt, digest } = self;
        fields.put(salt);
        fields.put(digest);
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        let (salt, digest) = (random_like(&self.salt)?, random_like(&self.digest)?);
        Ok(Kind::Argon2(Self { salt, digest, ..*self }))
    }
}

/// What an unknown user costs before any known one has been seen: a new hash, of no password.
pub(super) fn initial_decoy() -> Result<Kind, Broken> {
    Ok(Kind::Argon2(Argon2 {
        algorithm: Algorithm::Argon2id,
        memory_kib: NEW_MEMORY_KIB,
        passes: NEW_PASSES,
        lanes: NEW_LANES,
        salt: Zeroizing::new(random::<16>()?.to_vec()),
        digest: Zeroizing::new(random::<32>()?.to_vec()),
    }))
}

/// The stored form of a new password: `{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$salt$digest`, which Dovecot verifies.
///
/// Takes some 20 ms and 19 MiB. Whether the password is fit to be one (not empty, no NUL) is for the caller to say.
pub fn hash_new(password: &[u8]) -> Result<Zeroizing<String>, Broken> {
    let salt = random::<16>()?;
    let mut digest = Zeroizing::new([0; 32]);
    let params =
        Params::new(NEW_MEMORY_KIB, NEW_PASSES, NEW_LANES, Some(digest.len())).map_err(|_| Broken)?;
    ::argon2::Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt.as_slice(), digest.as_mut_slice())
        .map_err(|_| Broken)?;
    Ok(Zeroizing::new(format!(
        "{{ARGON2ID}}$argon2id$v=19$m={NEW_MEMORY_KIB},t={NEW_PASSES},p={NEW_LANES}${}${}",
        BASE64.encode(salt.as_slice()),
        BASE64.encode(digest.as_slice()),
    )))
}

/// `"m=" number ",t=" number ",p=" number`
fn parameters(text: &[u8]) -> Option<(u32, u32, u32)> {
    let mut parts = text.split(|&byte| byte == b',');
    let mut next = |name: &[u8]| parts.next()?.strip_prefix(name).and_then(number);
    let parameters = (next(b"m=")?, next(b"t=")?, next(b"p=")?);
    parts.next().is_none().then_some(parameters)
}
