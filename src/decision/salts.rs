//! Salts for those who have none.

use gatepost_protocol::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::password::ScramHash;

/// Longest salt that is made up, in bytes: one digest.
pub(super) const LONGEST: usize = 32;

/// Makes up the salt of a name. The same name gets the same salt every time and, as long as the key is kept, on every
/// machine: were it another one each time, it would tell that nobody has the name.
#[derive(Debug)]
pub struct SaltKey(Secret);

impl SaltKey {
    /// From a secret of this installation that is used for this alone.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// One that lives as long as the process.
    pub fn ephemeral() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self::new(Secret::new(bytes)))
    }

    /// The salt of `name`, at most [`LONGEST`] bytes of it. `None` only if the key cannot be used.
    pub(super) fn salt(&self, hash: ScramHash, name: &str, length: usize) -> Option<Box<[u8]>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).ok()?;
        mac.update(match hash {
            ScramHash::Sha1 => b"SCRAM-SHA-1\0",
            ScramHash::Sha256 => b"SCRAM-SHA-256\0",
        });
        mac.update(name.as_bytes());
        let digest = mac.finalize().into_bytes();
        digest.get(..length.clamp(1, LONGEST)).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, SaltKey, ScramHash, Secret};

    #[test]
    fn a_salt_is_the_same_for_a_name_and_for_no_other() {
        let key = || SaltKey::new(Secret::new(b"secret".to_vec()));
        let salt = |key: &SaltKey, hash, name| key.salt(hash, name, 16).unwrap();
        let (one, two) = (key(), key());
        assert_eq!(salt(&one, ScramHash::Sha256, "a@x"), salt(&two, ScramHash::Sha256, "a@x"));
        assert_ne!(salt(&one, ScramHash::Sha256, "a@x"), salt(&one, ScramHash::Sha256, "b@x"));
        assert_ne!(salt(&one, ScramHash::Sha256, "a@x"), salt(&one, ScramHash::Sha1, "a@x"));
        assert_ne!(
            salt(&SaltKey::ephemeral().unwrap(), ScramHash::Sha1, "a@x"),
            salt(&one, ScramHash::Sha1, "a@x")
        );
        for (length, given) in [(0, 1), (16, 16), (32, 32), (99, LONGEST)] {
            assert_eq!(one.salt(ScramHash::Sha1, "a@x", length).unwrap().len(), given);
        }
    }
}
